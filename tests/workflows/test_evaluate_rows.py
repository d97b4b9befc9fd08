"""``evaluate_run`` from Python: a run by its path, and rows that are in memory instead of in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import pytest

from featherweight import Run, evaluate_run
from featherweight.errors import UserError


@pytest.fixture
def frame(tiny_data: dict[str, Path]) -> pd.DataFrame:
    return pd.read_json(tiny_data["test"], lines=True)


def test_rows_in_memory_have_the_metrics_of_their_file(
    finished_run: Run, frame: pd.DataFrame, tiny_data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    expected = evaluate_run(finished_run, tiny_data["test"])
    assert evaluate_run(str(finished_run.folder), frame) == expected
    renamed = frame.rename(columns={"text": "body", "label": "kind"})
    assert evaluate_run(finished_run.folder, renamed, text="body", label="kind") == expected
    assert evaluate_run(finished_run, frame.to_dict("records")) == expected
    assert not list(tmp_path.iterdir())


def test_notes_and_errors_name_the_rows_and_arguments(finished_run: Run, frame: pd.DataFrame) -> None:
    notes: list[str] = []
    known = pd.read_json(finished_run.recipe.data.train, lines=True)
    evaluate_run(finished_run, pd.concat([frame, known]), note=notes.append)
    assert any(note.startswith("a pandas DataFrame: ") and "repeat a training text" in note for note in notes)
    with pytest.raises(UserError, match=r"^a pandas DataFrame: .*'pear'(?s:.)* and add drop_empty=True; to teach"):
        evaluate_run(finished_run, frame.assign(label="pear"))
    with pytest.raises(UserError, match=r'^a pandas DataFrame(?s:.)*label="kind"'):
        evaluate_run(finished_run, frame.rename(columns={"label": "kind"}))
    with pytest.raises(UserError, match=r"^evaluate_run takes rows with named columns.*not a pandas Series"):
        evaluate_run(finished_run, frame["text"])
    with pytest.raises(UserError, match=r"leave such rows out: drop_empty=True"):
        evaluate_run(finished_run, frame.assign(label=[None, *frame["label"][1:]]))


def test_no_rows_and_parts_of_data_are_refused(finished_run: Run, frame: pd.DataFrame) -> None:
    with pytest.raises(UserError, match=r"^evaluate_run: the data has no rows; add some$"):
        evaluate_run(finished_run, [])
    with pytest.raises(UserError, match=r"divided into parts: train, test; pass one, such as data\['test'\]"):
        evaluate_run(finished_run, {"train": frame, "test": frame})


def test_no_data_and_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        evaluate_run(tmp_path)
