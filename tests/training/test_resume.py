"""Going on after a crash: what it finds, what it refuses, what it clears away."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.commands import GOOD_ROWS, Cli, contents, refused

from featherweight.errors import FeatherweightError
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.verification import reload as verification
from featherweight.workflows.train import train

pytestmark = pytest.mark.usefixtures("in_this_process")


class Crash(Exception):
    pass


class CrashAfter:
    """A listener that ends the training after some step as a fault would, and keeps the notes."""

    def __init__(self, step: int = 0) -> None:
        self.step = step
        self.notes: list[str] = []

    def started(self, total_steps: int, first_step: int, notes: list[str]) -> None:
        self.notes += notes

    def noted(self, message: str) -> None:
        self.notes.append(message)

    def evaluated(self, record: dict[str, Any], best: bool) -> None: ...
    def stepped(self, record: dict[str, Any]) -> None:
        if record["step"] == self.step:
            raise Crash


@pytest.fixture
def recipe(cli: Cli, tiny_recipe: Any) -> Recipe:
    """Four steps on data.csv in the working directory, as job.toml."""
    Path("data.csv").write_text(GOOD_ROWS, "utf-8")
    data = {"train": "data.csv", "test": None, "validation_size": 4}
    made = tiny_recipe(data=data, training={"max_steps": 4, "checkpoint_steps": 2, "evaluate_every": 2, "epochs": 3})
    Path("job.toml").write_text(made.to_toml(), "utf-8")
    return made


@pytest.fixture
def crashed(recipe: Recipe) -> Path:
    """A run that ended in its third step, with a checkpoint after the second."""
    with pytest.raises(Crash):
        train(recipe, "run", listeners=[CrashAfter(3)])
    assert [path.name for path in Path("run/checkpoint").iterdir()] == ["step-2"]
    return Path("run")


def steps(run: Run) -> list[int]:
    return [record["step"] for record in run.history if record["kind"] == "step"]


@pytest.mark.parametrize("more", [[], ["--resume"]], ids=["anew", "resume"])
def test_a_folder_that_was_left_before_the_recipe_was_written(recipe: Recipe, cli: Cli, more: list[str]) -> None:
    Path("run").mkdir()
    Path("run/.lock").touch()
    Path("run/recipe.toml.part").write_text("[data", "utf-8")
    assert cli("train", "job.toml", "--out", "run", *more).code == 0
    assert Run("run").complete
    assert not {".lock", "recipe.toml.part"} & {path.name for path in Path("run").iterdir()}


def test_what_was_half_written_is_gone_after_the_resume(crashed: Path, cli: Cli) -> None:
    for leftover in ("checkpoint/part", "adapter.part", "plots"):
        (crashed / leftover).mkdir()
    for leftover in (
        "adapter.part/recipe.toml",
        "checkpoint/part/state.json",
        "report.html.part",
        "plots/curves.png.part",
    ):
        (crashed / leftover).write_text("{", "utf-8")
    (crashed / ".lock").touch()
    assert cli("train", "job.toml", "--out", "run", "--resume").code == 0
    left = {path.name for path in crashed.rglob("*")}
    assert not {name for name in left if name.endswith("part")} and ".lock" not in left
    assert steps(Run(crashed)) == [1, 2, 3, 4]


def test_data_that_has_gone_is_named_and_can_be_brought_back(crashed: Path, cli: Cli) -> None:
    Path("data.csv").rename("elsewhere.csv")
    refused(cli, "train", "job.toml", "--out", "run", "--resume", naming="data.csv: no such file")
    Path("elsewhere.csv").rename("data.csv")
    assert cli("train", "job.toml", "--out", "run", "--resume").code == 0
    assert steps(Run(crashed)) == [1, 2, 3, 4]


@pytest.mark.parametrize(("old", "new"), [("crow 1", "crow one"), ("apple 3,fruit", "apple 3,bird")])
def test_other_data_is_no_way_to_go_on(crashed: Path, cli: Cli, old: str, new: str) -> None:
    Path("data.csv").write_text(GOOD_ROWS.replace(old, new), "utf-8")
    naming = ("run: --resume, but the ", "rows have changed since this run was started", "train in another folder")
    refused(cli, "train", "job.toml", "--out", "run", "--resume", naming=naming)


@pytest.mark.parametrize(("old", "new"), [("crow 1", "crow one"), ("apple 3,fruit", "apple 3,bird")])
@pytest.mark.parametrize("part", ["test", "shift.csv"])
def test_other_rows_to_be_judged_are_no_way_to_go_on(recipe: Recipe, cli: Cli, part: str, old: str, new: str) -> None:
    file = Path(part if part.endswith(".csv") else "judged.csv")
    file.write_text(GOOD_ROWS, "utf-8")
    change = {"data": {"test": str(file)}} if part == "test" else {"evaluation": {"shift": [part]}}
    recipe = recipe.with_values(**change)
    Path("job.toml").write_text(recipe.to_toml(), "utf-8")
    with pytest.raises(Crash):
        train(recipe, "run", listeners=[CrashAfter(3)])
    file.write_text(GOOD_ROWS.replace(old, new), "utf-8")
    refused(cli, "train", "job.toml", "--out", "run", "--resume", naming=f"--resume, but the {part} rows have changed")
    file.write_text(GOOD_ROWS, "utf-8")
    assert cli("train", "job.toml", "--out", "run", "--resume").code == 0


def test_other_data_is_welcome_as_long_as_nothing_was_trained(recipe: Recipe, cli: Cli) -> None:
    with pytest.raises(Crash):
        train(recipe, "run", listeners=[CrashAfter(1)])
    Path("data.csv").write_text(GOOD_ROWS.replace("crow", "heron"), "utf-8")
    assert cli("train", "job.toml", "--out", "run", "--resume").code == 0
    assert steps(Run("run")) == [1, 2, 3, 4]


def test_another_recipe_is_named_by_its_keys_and_the_runs_own_is_at_hand(crashed: Path, cli: Cli) -> None:
    problem = "run: --resume, but the recipe differs from the one that this run was started with"
    naming = f'{problem}: data.test was not set, is ""'
    remedy = "Use the options that it was started with, or train run/recipe.toml --out run --resume"
    resume = ("train", "job.toml", "--out", "run", "--resume")
    refused(cli, *resume, "--set", "data.test=", naming=(naming, remedy))
    changes = ("seed=1", "training.epochs=4", "training.precision=auto", "adapter.lora.rank=1")
    naming = ": seed was 0, is 1; adapter.lora was [{", "; training.epochs was 3.0, is 4.0 (and 1 more)"
    refused(cli, *resume, *(part for change in changes for part in ("--set", change)), naming=naming)
    assert cli("train", "run/recipe.toml", "--out", "run", "--resume").code == 0
    assert steps(Run(crashed)) == [1, 2, 3, 4]


def test_other_weights_are_no_way_to_go_on(crashed: Path, cli: Cli) -> None:
    environment = json.loads((crashed / "environment.json").read_text("utf-8"))
    environment["backbone"]["sha256"] = "0" * 64
    (crashed / "environment.json").write_text(json.dumps(environment), "utf-8")
    naming = "run: --resume, but the weights of the backbone have changed since this run was started"
    refused(cli, "train", "job.toml", "--out", "run", "--resume", naming=naming)


def test_other_versions_and_threads_are_told_and_written_down(crashed: Path, recipe: Recipe) -> None:
    environment = json.loads((crashed / "environment.json").read_text("utf-8"))
    now = environment["torch"], environment["threads"]
    environment |= {"torch": "1.0", "threads": 99}
    (crashed / "environment.json").write_text(json.dumps(environment), "utf-8")
    first = CrashAfter(3)
    with pytest.raises(Crash):
        train(recipe, crashed, listeners=[first], resume=True)
    warning = f"begun with torch 1.0, now {now[0]}, threads 99, now {now[1]}: the result may differ in the last digits"
    assert warning in first.notes
    # Another resume on the same machine does not forget it.
    assert warning in train(recipe, crashed, resume=True).environment["warnings"]


def test_a_folder_without_a_training_is_told(crashed: Path, recipe: Recipe) -> None:
    told = {}
    for out in (Path("mistyped"), crashed):
        told[out] = CrashAfter(1 if out != crashed else 3)
        with pytest.raises(Crash):
            train(recipe, out, listeners=[told[out]], resume=True)
    note = "mistyped holds no training to resume: a new one begins"
    assert note in told[Path("mistyped")].notes
    assert not any("no training to resume" in line for line in told[crashed].notes)


def test_lost_lines_of_the_history_are_told_and_the_others_kept(crashed: Path, recipe: Recipe) -> None:
    lines = (crashed / "history.jsonl").read_text("utf-8").splitlines(keepends=True)
    (crashed / "history.jsonl").write_text("".join(["\0" * 30 + "\n", *lines[1:], '{"kind": "st']), "utf-8")
    listener = CrashAfter()
    run = train(recipe, crashed, listeners=[listener], resume=True)
    assert "run/history.jsonl: damaged: the records of 1 of 2 steps are missing" in listener.notes
    assert steps(run) == [2, 3, 4]


def test_a_run_that_lacks_but_its_manifest_is_given_one_and_told_so(recipe: Recipe, cli: Cli) -> None:
    run = train(recipe, "run")
    (run.folder / "manifest.json").unlink()
    before = contents(run.folder)
    answer = cli("train", "job.toml", "--out", "run", "--resume")
    assert answer.code == 0
    assert "manifest.json was missing: it was written again from the current files" in answer.out
    assert "to check them: featherweight verify run" in answer.out
    after = contents(run.folder)
    assert after.pop("manifest.json") and after == before
    assert "manifest.json" not in cli("train", "job.toml", "--out", "run", "--resume").out


def test_a_complete_run_that_lost_its_adapter_is_refused(recipe: Recipe, cli: Cli) -> None:
    run = train(recipe, "run")
    (run.folder / "adapter" / "README.md").unlink()  # the model card can be made again
    assert cli("train", "job.toml", "--out", "run", "--resume").code == 0
    (run.folder / "adapter" / "adapter_model.safetensors").unlink()
    before = contents(run.folder)
    answer = cli("train", "job.toml", "--out", "run", "--resume")
    assert answer.code == 2
    assert "run: the training is complete, but adapter/adapter_model.safetensors is missing" in answer.err
    assert contents(run.folder) == before


@pytest.mark.parametrize("lost", ["predictions.parquet", "adapter/featherweight.json", "evaluation.json"])
def test_no_manifest_is_made_for_a_run_that_lacks_more(recipe: Recipe, cli: Cli, lost: str) -> None:
    run = train(recipe, "run")
    for name in ("manifest.json", lost):
        (run.folder / name).unlink()
    refused(cli, "train", "job.toml", "--out", "run", "--resume", naming=f"run/{lost}: missing")


def test_a_run_whose_saved_adapter_was_refused_is_finished_by_a_resume(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever failed the check once (an early version had no tolerance for PEFT's rounding), no step is lost."""

    def refuse(folder: Path, *_: Any) -> dict[str, Any]:
        raise FeatherweightError(f"{folder}: the saved adapter is wrong")

    with monkeypatch.context() as patch:
        patch.setattr(verification, "reload_check", refuse)
        with pytest.raises(FeatherweightError, match="the saved adapter is wrong"):
            train(recipe, "run")
    run = Run(Path("run"))
    before = steps(run)
    assert not run.complete and before
    resumed = train(recipe, "run", resume=True)
    assert resumed.complete and steps(resumed) == before
    assert resumed.evaluation == train(recipe, "again").evaluation


def test_a_run_that_stopped_early_needs_no_step_again(tiny_recipe: Any, tmp_path: Path) -> None:
    patient = {"early_stopping": 1, "evaluate_every": 1, "learning_rate": 1e-12, "epochs": 5}
    run = train(tiny_recipe(training=patient), tmp_path / "run")
    assert [path.name for path in (run.folder / "checkpoint").iterdir()] == [f"step-{steps(run)[-1]}"]


def test_a_process_that_was_slower_does_not_write_over_the_run(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featherweight.errors import UserError
    from featherweight.run import lock

    hold = lock._lock

    def overtaken(folder: Path) -> Any:
        folder.mkdir()
        (folder / "recipe.toml").write_text("of the faster one", "utf-8")
        return hold(folder)

    monkeypatch.setattr(lock, "_lock", overtaken)
    with pytest.raises(UserError, match=r'out="run": contains another run; .* resume that run with resume=True'):
        train(recipe, "run")
    assert Path("run/recipe.toml").read_text("utf-8") == "of the faster one"


def close_to_writing(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """As on a disk that is mounted for reading: root, too, is refused."""
    closed = {folder.absolute() for folder in folders}

    def refusing(name: str, function: Any) -> Any:
        def call(path: Path, *arguments: Any, **named: Any) -> Any:
            mode = named.get("mode", arguments[0] if arguments else "r")
            writes = set(mode) & set("wax+") if name == "open" else not path.is_dir()
            if writes and closed & {path.absolute(), *path.absolute().parents}:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return function(path, *arguments, **named)

        return call

    for name in ("open", "mkdir", "unlink", "rename", "replace"):
        monkeypatch.setattr(Path, name, refusing(name, getattr(Path, name)))


def test_a_folder_closed_to_writing_is_named_and_left_as_it_is(
    crashed: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("closed").mkdir()
    with monkeypatch.context() as patch:
        close_to_writing(patch, Path("closed"), crashed)
        naming = ("cannot be written: Read-only file system", "use another folder")
        refused(cli, "train", "job.toml", "--out", "closed/run", naming=("closed/run: ", *naming))
        refused(cli, "train", "job.toml", "--out", "run", "--resume", naming=("run/.lock: ", *naming))
    assert cli("train", "job.toml", "--out", "run", "--resume").code == 0
    assert steps(Run(crashed)) == [1, 2, 3, 4]
