"""Small backbones with random weights, and small data, for tests that need no network and few seconds."""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.backbones import TinyBackbones
from support.benchmarks import BENCHMARKS, Load
from support.commands import GOOD_ROWS, Answer, Cli
from support.endings import quick_endings
from support.made_once import MadeOnce

from featherweight.hints import on_the_command_line

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# On a busy machine examples are drawn slowly, and run slowly: neither is a fault.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

MODULES_WORTH_FREEZING = 200
_frozen_with = 0
"""Number of modules that were imported when the garbage collector was last told to pass over what there is."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """After large imports, exempt all objects from garbage collection: it searched them for a fifth of the time."""
    global _frozen_with
    if len(sys.modules) > _frozen_with + MODULES_WORTH_FREEZING:
        gc.collect()
        gc.freeze()
        _frozen_with = len(sys.modules)


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk() -> Iterator[None]:
    """No test survives a power failure, so none waits until its files are on the disk: a training does so 50 times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Makes folders that the tests of all workers read: the first worker that needs one makes it."""
    own = tmp_path_factory.getbasetemp()
    return MadeOnce((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made-once")


@pytest.fixture(scope="session")
def tiny_backbones(made_once: MadeOnce) -> dict[str, Path]:
    """Folder of a tiny backbone for each family."""
    return TinyBackbones(made_once)


@pytest.fixture(scope="session")
def tiny_data(made_once: MadeOnce) -> dict[str, Path]:
    """Files ``train``, ``test`` and ``shift`` with three easy classes."""
    folder = made_once("data", write_tiny_data)
    return {split: folder / f"{split}.jsonl" for split in TINY_ROWS}


TINY_ROWS = {"train": 60, "test": 24, "shift": 18}


def write_tiny_data(folder: Path) -> None:
    folder.mkdir()
    words = {"fruit": "apple pear plum cherry", "metal": "iron copper zinc silver", "bird": "robin crow heron owl"}
    for split, rows in TINY_ROWS.items():
        lines = []
        for number in range(rows):
            label = list(words)[number % 3]
            chosen = words[label].split()
            text = (
                " ".join(chosen[(number * k + k) % 4] for k in range(1, 3 + number % 5)) + f" number {number} {split}"
            )
            lines.append(json.dumps({"text": text, "label": label}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


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
def finished_run(tiny_recipe: Any, tiny_data: dict[str, Path], made_once: MadeOnce) -> Any:
    """One whole run: trained, proven in a fresh process, judged and reported. Tests read it, or copy its folder."""
    from featherweight.run.folder import Run
    from featherweight.workflows.train import train

    shift = {"shift": [str(tiny_data["shift"])]}
    training = {"checkpoint_steps": 4, "epochs": 4, "learning_rate": 0.05}
    recipe = tiny_recipe("bert", adapter={"head": "native", "bias": "all"}, training=training, evaluation=shift)
    return Run(made_once("finished", lambda folder: train(recipe, folder)))


@pytest.fixture(scope="session")
def ingredients(tiny_recipe: Any, made_once: MadeOnce) -> dict[str, Path]:
    """Three runs from the same start; the third has another learning rate and label smoothing."""
    from featherweight.workflows.train import train

    other = {"order_seed": 2, "learning_rate": 0.01, "label_smoothing": 0.1}
    settings: dict[str, dict[str, Any]] = {"first": {}, "second": {"order_seed": 1}, "third": other}

    def make(folder: Path) -> None:
        with quick_endings():
            for name, training in settings.items():
                train(tiny_recipe(training={"max_steps": 16, **training}), folder / name)

    folder = made_once("ingredients", make)
    return {name: folder / name for name in settings}


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Exports of runs with random adapters: ``support.exports.Exports``."""
    from support.exports import Exports

    return Exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="session")
def fabricated_folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Finished runs of four rounds with three seeds each, and of three baselines, whose figures are made up."""
    from support.made_up_rounds import fabricate_rounds

    return fabricate_rounds(tmp_path_factory.mktemp("rounds"), rows=3000)


@pytest.fixture(scope="session")
def comparison(fabricated_folders: list[Path]) -> Any:
    """These runs, compared."""
    from featherweight.evaluation.comparison import compare_runs

    return compare_runs(fabricated_folders)


@pytest.fixture(autouse=True)
def endings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Trainings of these folders end without a new process and with small pictures: both take more than the training.

    Pages and all other files are written as ever. What the pictures show is tested in ``report``, and the finished run
    is checked in a new process.
    """
    if request.path.relative_to(TESTS).parts[0] in QUICK and "real_pictures" not in request.fixturenames:
        with quick_endings():
            yield
    else:
        yield


@pytest.fixture
def empty_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that looks at words, tables or names: plots are made, but not drawn, because that takes seconds."""

    def savefig(figure: Any, file: Any, *, format: str, **how: Any) -> None:
        file.write('<svg width="1pt" height="1pt"></svg>' if format == "svg" else b"")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)


@pytest.fixture
def real_pictures() -> None:
    """For a test of these folders that looks at pictures: they are drawn."""


QUICK = ("adapter", "cli", "inference", "run", "training", "verification", "workflows")
TESTS = Path(__file__).parent


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same proof without the start of a fresh process, and no pictures: seconds less a training."""

    from featherweight.report.run import page, plots
    from featherweight.verification import reload as verification

    monkeypatch.setattr(verification, "reload_check", verification.check_in_this_process)
    monkeypatch.setattr(plots, "draw_plots", lambda folder: [])
    monkeypatch.setattr(page, "write_report", lambda folder: (folder / "report.html").write_text("drawn"))


@pytest.fixture
def as_options() -> Iterator[None]:
    """Messages name options of the command line, although the test calls Python functions."""
    with on_the_command_line():
        yield


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


@pytest.fixture
def job(cli: Cli, tiny_recipe: Any) -> Path:
    """A recipe file in the working directory whose training data is ``data.csv``."""
    Path("data.csv").write_text(GOOD_ROWS, "utf-8")
    data = {"train": "data.csv", "test": None, "validation_size": 4}
    Path("job.toml").write_text(tiny_recipe(data=data, training={"max_steps": 2}).to_toml(), "utf-8")
    return Path("job.toml")


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
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a submission of a made run in an empty folder: see ``support_submissions``."""
    from support.submissions import submitter

    return submitter(tmp_path, monkeypatch)
