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
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.recording import RESULTS, command, git, machine_folder
from reliability.small_runs import write_inputs, write_recipe

from featherweight.environment import describe_machine, versions
from featherweight.files import sha256_of, write_json

ROOT = Path(__file__).parents[2]
DIGITS = 16
"""Of a SHA-256, hexadecimal, that are kept."""


def train_and_hash(sources: Path, recipe: str, folder: Path, inputs: Path) -> dict[str, Any]:
    """Train ``recipe`` by ``sources`` into ``folder``; the hashes of what came out."""
    environment = os.environ | {"PYTHONPATH": str(sources / "src"), "FEATHERWEIGHT_CACHE": str(folder.parent / "cache")}
    for words in (("train", recipe, "--out", folder), ("predict", folder, "test.csv", "-o", folder / "predict.csv")):
        line = [sys.executable, "-m", "featherweight", *map(str, words)]
        done = subprocess.run(line, cwd=inputs, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(line)}\n{done.stderr[-2000:]}")
    evaluation = json.loads((folder / "evaluation.json").read_text("utf-8"))
    tensors = sorted((folder / "adapter").glob("*.safetensors"))
    return {
        "adapter": {path.name: sha256_of(path)[:DIGITS] for path in tensors},
        "evaluation": hashlib.sha256(json.dumps(evaluation, sort_keys=True).encode()).hexdigest()[:DIGITS],
        "predict": sha256_of(folder / "predict.csv")[:DIGITS],
    }


def main(options: argparse.Namespace) -> None:
    """Run what has no result yet, write the results, and compare. Exits with 1 where two commits differ."""
    families = [name for name in options.families.split(",") if name]
    path = (options.out or RESULTS / machine_folder()) / "same-bits.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {"commits": {}}
    record |= {"command": command(), "versions": versions()}
    record["machine"] = describe_machine() | {"threads": os.environ.get("OMP_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        write_inputs(inputs, families)
        for family in families:
            write_recipe(inputs, family, family, {}, {"epochs": 2, "batch_size": 8, "evaluate_every": 3})
        for commit in (git("rev-parse", "--short", name) for name in options.commits):
            today = {"date": datetime.now(UTC).date().isoformat(), "runs": {}}
            runs = record["commits"].setdefault(commit, today)["runs"]
            sources = inputs / f"{commit}.tar"
            git("-C", str(ROOT), "archive", "--output", str(sources), commit, "src")
            shutil.unpack_archive(sources, inputs / commit)
            for job in (job for job in [*families, "newsbriefs"] if job not in runs):
                recipe = f"{job}.toml" if job in families else job
                runs[job] = train_and_hash(inputs / commit, recipe, inputs / commit / job, inputs)
                print(f"{commit} {job}: {runs[job]}", flush=True)
                write_json(path, record)
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
