"""What lies in a folder and is not the run's own is never taken away; what cannot be written to is refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, contents, refused

from featherweight.recipe import Recipe
from featherweight.run.cleanup import FILES, PICTURES, RECIPE, leftovers
from featherweight.run.folder import Run
from featherweight.run.lock import locked


def belongings(folder: Path) -> dict[str, bytes | None]:
    """A person's own downloads, and a folder whose name ends like them; what the folder held before is left out."""
    before = contents(folder).keys()
    (folder / "novel.part" / "chapters").mkdir(parents=True)
    (folder / "thesis.zip.part").write_text("years of work", "utf-8")
    (folder / "novel.part" / "chapters" / "one.part").write_text("once", "utf-8")
    return {name: content for name, content in contents(folder).items() if name not in before}


@pytest.mark.parametrize("more", [[], ["--resume"]], ids=["anew", "resume"])
@pytest.mark.parametrize("name", ["thesis.zip.part", "novel.part/one.txt", "adapter.part/x", "plots/shift.png.part"])
def test_a_folder_of_foreign_half_files_is_refused_and_left_alone(
    cli: Cli, job: Path, name: str, more: list[str]
) -> None:
    Path("mine", name).parent.mkdir(parents=True)
    Path("mine", name).write_text("years of work", "utf-8")
    refused(cli, "train", job, "--out", "mine", *more, naming="--out mine: is not empty and contains no run")
    with locked(Path("mine")):
        pass
    assert Path("mine", name).read_text("utf-8") == "years of work"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_takes_nothing_foreign_with_it(tmp_path: Path, error: BaseException) -> None:
    before = belongings(tmp_path)
    with pytest.raises(BaseException, match=r"No space left|^$"), locked(tmp_path):
        raise error
    assert contents(tmp_path) == before


def test_foreign_half_files_beside_a_run_stay_when_it_goes_on(
    cli: Cli, job: Path, in_this_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("featherweight.adapter.storage.save_adapter", full)
        assert cli("train", job, "--out", "run").code == 2
    foreign = belongings(Path("run"))
    Path("run/report.html.part").write_text("<", "utf-8")
    assert cli("train", job, "--out", "run", "--resume").code == 0
    after = contents(Path("run"))
    assert {name: after[name] for name in foreign} == foreign
    assert "report.html.part" not in after and Run("run").complete


def test_every_file_of_a_run_is_known_by_its_name(finished_run: Run) -> None:
    top = {path.name for path in finished_run.folder.iterdir() if path.is_file()}
    assert top <= {RECIPE, *FILES}
    assert {path.stem for path in (finished_run.folder / "plots").iterdir()} <= set(PICTURES)
    assert leftovers(finished_run.folder) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder here in which nothing can be made")
def test_a_folder_that_cannot_be_made_is_refused_before_the_model_is_loaded(
    cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loading(recipe: Recipe) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("featherweight.workflows.train.prepare", loading)
    for verb in ("train", "rounds"):
        message = refused(cli, verb, job, "--out", "/proc/foo", naming="--out /proc/foo: cannot be created")
        assert "choose another" in message


def test_looking_whether_a_folder_can_be_written_leaves_nothing(cli: Cli, job: Path) -> None:
    Path("empty").mkdir()
    wrong = ["--set", "data.train=nowhere.csv"]
    refused(cli, "train", job, "--out", "empty", *wrong, naming="nowhere.csv")
    refused(cli, "train", job, "--out", "new/deep", *wrong, naming="nowhere.csv")
