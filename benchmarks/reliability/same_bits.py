"""The same recipe gives the same run: trained by several commits on one machine, and compared byte for byte.

    python benchmarks/run.py same-bits COMMIT [COMMIT ...] [--families bert,mpnet]

Each commit trains `newsbriefs` and a tiny run of each encoder family. What is compared is the sha256 of the adapter's
tensors, of the figures in evaluation.json and of the file that `predict` writes. A commit that has its results is not
run again. The exit code is 1 where two commits differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness.recording import RESULTS, machine_folder  # noqa: E402 (the folder above holds support)
from support.backbones import save_tiny_backbone  # noqa: E402

from featherweight.environment import describe_machine, versions  # noqa: E402

WORDS = {"fruit": "apple pear plum cherry", "metal": "iron copper zinc silver", "bird": "robin crow heron owl"}
RECIPE = """
name = "{family}"

[data]
train = "train.csv"
test = "test.csv"
validation_size = 12
max_length = 32

[backbone]
name = "{backbone}"

[adapter]
lora = [{{ roles = ["query", "value"], rank = 2 }}]

[training]
epochs = 2
batch_size = 8
learning_rate = 5e-3
evaluate_every = 3
precision = "fp32"
"""


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The sources of ``commit`` in a folder of their own, for the time of the block."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "sources"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", place, commit], cwd=ROOT, check=True)
        try:
            yield place
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)


def write_inputs(folder: Path, families: list[str]) -> None:
    """Made-up rows, and a recipe with a tiny backbone for each family."""
    for name, rows in (("train", 60), ("test", 24)):
        lines = ["text,label"]
        for row in range(rows):
            label = list(WORDS)[row % 3]
            words = WORDS[label].split()
            lines.append(f"{' '.join(words[(row * k + k) % 4] for k in range(1, 3 + row % 5))} {row},{label}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    for family in families:
        backbone = save_tiny_backbone(folder / "backbones" / family, family)
        (folder / f"{family}.toml").write_text(RECIPE.format(family=family, backbone=backbone), "utf-8")


def sha256(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()[:16]


def train_and_hash(sources: Path, recipe: str, folder: Path, inputs: Path) -> dict[str, Any]:
    """Train ``recipe`` by ``sources`` into ``folder``; the hashes of what came out."""
    environment = os.environ | {"PYTHONPATH": str(sources / "src"), "FEATHERWEIGHT_CACHE": str(folder.parent / "cache")}

    def call(*arguments: object) -> None:
        command = [sys.executable, "-m", "featherweight", *map(str, arguments)]
        done = subprocess.run(command, cwd=inputs, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")

    call("train", recipe, "--out", folder)
    call("predict", folder, inputs / "test.csv", "-o", folder / "predict.csv")
    evaluation = json.loads((folder / "evaluation.json").read_text("utf-8"))
    return {
        "adapter": {
            path.name: sha256(path.read_bytes()) for path in sorted((folder / "adapter").glob("*.safetensors"))
        },
        "evaluation": sha256(json.dumps(evaluation, sort_keys=True).encode()),
        "predict": sha256((folder / "predict.csv").read_bytes()),
    }


def main(options: argparse.Namespace) -> None:
    """Run what has no result yet, write the results, and compare. Exits with 1 where two commits differ."""
    families = [name for name in options.families.split(",") if name]
    path = (options.out or RESULTS / machine_folder()) / "same-bits.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {"commits": {}}
    record |= {"command": "python benchmarks/run.py " + " ".join(sys.argv[1:])}
    record |= {"machine": describe_machine() | {"threads": os.environ.get("OMP_NUM_THREADS")}, "versions": versions()}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        write_inputs(inputs, families)
        for name in options.commits:
            commit = subprocess.check_output(["git", "rev-parse", "--short", name], cwd=ROOT, text=True).strip()
            runs = record["commits"].setdefault(commit, {"date": datetime.now(UTC).date().isoformat(), "runs": {}})[
                "runs"
            ]
            with checkout(commit) as sources:
                for recipe in [*(f"{family}.toml" for family in families), "newsbriefs"]:
                    job = recipe.removesuffix(".toml")
                    if job not in runs:
                        runs[job] = train_and_hash(sources, recipe, inputs / commit / job, inputs)
                        print(f"{commit} {job}: {runs[job]}", flush=True)
                        path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    sys.exit(compare(record["commits"]))


def compare(commits: dict[str, Any]) -> int:
    """Say where commits differ; 1 if they do."""
    (first, reference), *others = commits.items()
    different = [
        f"{job}: {commit} differs from {first}"
        for commit, result in others
        for job, hashes in result["runs"].items()
        if hashes != reference["runs"].get(job)
    ]
    print("\n".join(different) or f"{len(reference['runs'])} runs of {len(commits)} commits are identical")
    return int(bool(different))
