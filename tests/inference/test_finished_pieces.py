"""A prediction that was interrupted continues with the pieces that are not done, and gives the same file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.inference.finished_pieces import FinishedPieces
from featherweight.inference.output_files import predict_file
from featherweight.inference.writers import only_writer
from featherweight.run.folder import Run

TEXTS = ["apple pear", "robin, crow", "zinc", "owl", "plum", "heron"]


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six texts, which are read two at a time."""
    monkeypatch.setattr("featherweight.inference.output_files.PIECE", 2)
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", "utf-8")
    return path


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts of each piece that is classified. The third piece of a test is interrupted."""
    pieces: list[list[str]] = []
    whole = Classifier.probabilities

    def probabilities(self: Classifier, texts: Sequence[str], **options: Any) -> Any:
        pieces.append(list(texts))
        if len(pieces) == 3:
            raise KeyboardInterrupt
        return whole(self, texts, **options)

    monkeypatch.setattr(Classifier, "probabilities", probabilities)
    return pieces


def interrupt(run: Run, texts: Path, out: Path) -> list[str]:
    """Predict until the interruption; returns the notes."""
    notes: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        predict_file(run.folder, str(texts), out, note=notes.append)
    assert not out.exists()
    assert len([*out.with_name("out.csv.pieces").iterdir()]) == 2
    return notes


def test_only_what_is_missing_is_classified_and_the_file_is_the_same(
    finished_run: Run, texts: Path, tmp_path: Path, computed: list[list[str]]
) -> None:
    out, steps, notes = tmp_path / "out.csv", [], interrupt(finished_run, texts, tmp_path / "out.csv")
    assert notes[1:] == [
        f"4 of 6 rows are classified and saved in {out}.pieces; to continue, run the same command again"
    ]

    predict_file(finished_run.folder, str(texts), out, note=notes.append, follow=lambda done, _: steps.append(done))
    assert computed[3:] == [TEXTS[4:]]
    assert steps[:2] == [2, 4] and steps[-1] == 6
    assert notes[3:] == ["4 rows had been classified by an interrupted prediction and were reused"]
    assert not out.with_name("out.csv.pieces").exists()

    predict_file(finished_run.folder, str(texts), tmp_path / "whole.csv", note=notes.append)
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(notes) == 5


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(5, "Input/output error"),
        torch.OutOfMemoryError("GPU"),
        UserError("out.csv: cannot be written: No space left on device"),
    ],
)
def test_what_is_done_stays_after_an_error_that_may_not_come_again(
    finished_run: Run, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    out, notes, whole = tmp_path / "out.csv", list[str](), Classifier.probabilities

    def probabilities(self: Classifier, given: Sequence[str], **options: Any) -> Any:
        if "owl" in given:
            raise error
        return whole(self, given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "probabilities", probabilities)
        with pytest.raises(type(error)):
            predict_file(finished_run.folder, str(texts), out, note=notes.append)
    assert notes[1:] == [
        f"2 of 6 rows are classified and saved in {out}.pieces; to continue, run the same command again"
    ]
    predict_file(finished_run.folder, str(texts), out, note=notes.append)
    assert notes[3:] == ["2 rows had been classified by an interrupted prediction and were reused"]


def test_changed_texts_and_damaged_pieces_are_classified_again(
    finished_run: Run, texts: Path, tmp_path: Path, computed: list[list[str]]
) -> None:
    out = tmp_path / "out.csv"
    interrupt(finished_run, texts, out)
    for piece in out.with_name("out.csv.pieces").iterdir():
        piece.write_bytes(piece.read_bytes()[:-1])
    changed = ["gold", *TEXTS[1:]]
    texts.write_text("\n".join(changed) + "\n", "utf-8")
    predict_file(finished_run.folder, str(texts), out)
    assert [text for piece in computed[3:] for text in piece] == changed


def test_another_model_takes_nothing_over(
    finished_run: Run, texts: Path, tmp_path: Path, computed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, load = tmp_path / "out.csv", Classifier.load
    interrupt(finished_run, texts, out)

    def loaded(*given: Any, **options: Any) -> Classifier:
        classifier = load(*given, **options)
        classifier.temperature = 7.0
        return classifier

    monkeypatch.setattr(Classifier, "load", loaded)
    predict_file(finished_run.folder, str(texts), out)
    assert [text for piece in computed[3:] for text in piece] == TEXTS


@pytest.mark.parametrize("key", ["task", "backbone", "data", "weights", "precision"])
def test_another_recipe_model_or_precision_takes_nothing_over(finished_run: Run, tmp_path: Path, key: str) -> None:
    """Such as a folder that PEFT saved, which is read as another task, on another base model, or as pairs."""
    values = {"task": "multi-label", "backbone": {"name": "other"}, "data": {"max_length": 8}}
    classifier = Classifier.load(finished_run.folder, precision="fp32")
    if key == "weights":
        other = replace(classifier, model_id="tiny-0123456789ab")
    elif key == "precision":
        other = Classifier.load(finished_run.folder, precision="bf16")
    else:
        other = replace(classifier, recipe=classifier.recipe.with_values(**{key: values[key]}))
    pieces = FinishedPieces(tmp_path / "out.csv", classifier)
    pieces.folder.mkdir()
    pieces.keep(TEXTS, classifier.probabilities(TEXTS))
    assert FinishedPieces(tmp_path / "out.csv", classifier).read(TEXTS) is not None
    assert FinishedPieces(tmp_path / "out.csv", other).read(TEXTS) is None


def test_two_predictions_do_not_write_the_same_file(finished_run: Run, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with only_writer(out), pytest.raises(UserError, match="another process is writing this file; wait until it has"):
        predict_file(finished_run.folder, str(texts), out)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == []
    predict_file(finished_run.folder, str(texts), out)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == ["out.csv"]


def test_files_of_other_owners_stay(finished_run: Run, texts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out.csv.pieces"
    folder.mkdir()
    (folder / "mine.npy").write_text("mine", "utf-8")
    predict_file(finished_run.folder, str(texts), tmp_path / "out.csv")
    assert [path.name for path in folder.iterdir()] == ["mine.npy"]

    (folder / "mine.npy").unlink()
    folder.rmdir()
    folder.write_text("a file", "utf-8")
    with pytest.raises(UserError, match=r"out\.csv\.pieces: is a file, but a folder of this name"):
        predict_file(finished_run.folder, str(texts), tmp_path / "out.csv", replace=True)
