"""Texts in whatever holds them: each kind of sequence gives what the list gives, and one result for each text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from featherweight.data.texts import texts_of
from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file, predict_texts
from featherweight.run.folder import Run

TEXTS = ["robin, crow and owl", "zinc silver", "apple pear plum cherry", "owl", "Größe — 東京 🦉", "zinc silver"]


class Spoken(str):
    """A text whose own words for itself are others."""

    def __str__(self) -> str:
        return "spoken"


class Old:
    """A sequence as of old: places alone, and an end."""

    def __getitem__(self, place: int) -> str:
        return TEXTS[place]


def frame() -> pd.DataFrame:
    return pd.DataFrame({"number": range(len(TEXTS)), "text": TEXTS})


def dataset() -> Any:
    return datasets.Dataset.from_dict({"number": list(range(len(TEXTS))), "text": TEXTS})


ACCEPTED: dict[str, Callable[[], Any]] = {
    "tuple": lambda: tuple(TEXTS),
    "deque": lambda: deque(TEXTS),
    "old sequence": Old,
    "subclasses of str": lambda: [Spoken(text) for text in TEXTS],
    "series": lambda: frame()["text"],
    "series of objects": lambda: pd.Series(TEXTS, dtype=object),
    "series of strings": lambda: pd.Series(TEXTS, dtype="string"),
    "series of Arrow strings": lambda: pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
    "series of categories": lambda: pd.Series(TEXTS, dtype="category"),
    "series from the middle": lambda: pd.Series(["x", *TEXTS])[1:],
    "series with texts as index": lambda: pd.Series(TEXTS, index=list("fedcba")),
    "series with an index twice": lambda: pd.Series(TEXTS, index=[0] * len(TEXTS)),
    "series with an index of tuples": lambda: frame().set_index(["number", "number"])["text"],
    "index": lambda: pd.Index(TEXTS),
    "pandas array": lambda: pd.array(TEXTS),
    "array": lambda: np.array(TEXTS),
    "array of objects": lambda: np.array(TEXTS, dtype=object),
    "array of variable strings": lambda: np.array(TEXTS, dtype=np.dtypes.StringDType()),
    "array backwards": lambda: np.array(TEXTS[::-1])[::-1],
    "masked array without a mask": lambda: np.ma.array(TEXTS),
    "one column of an array": lambda: np.array([TEXTS, TEXTS]).T[:, 0],
    "Arrow array": lambda: pa.array(TEXTS),
    "large Arrow array": lambda: pa.array(TEXTS, pa.large_string()),
    "Arrow dictionary": lambda: pa.array(TEXTS).dictionary_encode(),
    "Arrow column": lambda: pa.table({"text": TEXTS})["text"],
    "Arrow scalars": lambda: [pa.scalar(text) for text in TEXTS],
    "iterator over an Arrow array": lambda: iter(pa.array(TEXTS, pa.large_string())),
    "texts and NumPy's and Arrow's": lambda: [TEXTS[0], pa.scalar(TEXTS[1]), *map(np.str_, TEXTS[2:])],
    "chunked array": lambda: pa.chunked_array([TEXTS[:2], [], TEXTS[2:]]),
    "column": lambda: dataset()["text"],
    "column of a selection": lambda: dataset().select(range(len(TEXTS)))["text"],
    "column of a stream": lambda: dataset().to_iterable_dataset()["text"],
    "iterator": lambda: iter(TEXTS),
    "generator": lambda: (text for text in TEXTS),
    "map": lambda: map(str.strip, TEXTS),
    "values of a dict": lambda: dict(enumerate(TEXTS)).values(),
}  # fmt: skip


@pytest.fixture(scope="module")
def classifier(finished_run: Run) -> Classifier:
    return Classifier.load(finished_run.folder)


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
def test_every_sequence_gives_what_the_list_gives(classifier: Classifier, make: Callable[[], Any]) -> None:
    np.testing.assert_array_equal(classifier.logits(make()), classifier.logits(TEXTS))
    np.testing.assert_array_equal(classifier.probabilities(make()), classifier.probabilities(TEXTS))
    assert classifier.predict(make()) == classifier.predict(TEXTS)
    assert [type(text) for text in texts_of(make(), "predict(...)")] == [str] * len(TEXTS)


@pytest.mark.parametrize("given", [
    ["crow", None],
    ["crow", " \n"],
    ["crow", "\u200b"],
    ["crow", np.float32("nan")],
    (text for text in ["crow", ""]),
    pd.Series(["crow", ""]),
    pd.Series(["crow", None], dtype=object),
    pd.Series(["crow", np.nan], dtype=object),
    pd.Series(["crow", None], dtype="string"),
    pd.Series(["crow", pd.NaT], dtype=object),
    pd.Series(["crow"]).reindex([0, 1]),
    pa.array(["crow", None]),
    [pa.scalar("crow"), pa.scalar(None, pa.string())],
    np.ma.array(["crow", "owl"], mask=[False, True]),
])  # fmt: skip
def test_what_is_blank_or_missing_is_an_empty_text(given: Any) -> None:
    assert texts_of(given, "predict(...)") == ["crow", ""]


@pytest.mark.parametrize("text", ["\ue000", "\U000323b0", "\u200b."])  # an icon, a new character, one that is seen
def test_what_can_be_seen_is_no_empty_text(text: str) -> None:
    assert texts_of([text], "predict(...)") == [text]


def test_a_blank_text_gets_the_label_of_an_empty_one_and_a_warning_counts_them(
    classifier: Classifier, finished_run: Run
) -> None:
    note = "2 texts are blank or missing (texts 1, 3); they get the label of an empty text"
    for call in (classifier.predict, classifier.probabilities, classifier.logits):
        with pytest.warns(UserWarning, match=re.escape(note)) as warned:
            found = call([None, "owl", "  "])
        assert len(found) == 3 and Path(warned[0].filename).name == "test_texts.py"
    blank, empty = (classifier.predict([text], warn=False)[0] for text in (None, ""))
    assert blank == empty
    notes: list[str] = []
    found = predict_texts(finished_run.folder, ["owl", ""], note=notes.append)
    assert len(found) == 2
    assert notes == ["1 text is blank or missing (text 2); it gets the label of an empty text"]


def test_the_keys_of_a_dict_and_the_lines_of_a_file_are_in_order(classifier: Classifier, tmp_path: Path) -> None:
    keys = dict.fromkeys(TEXTS)
    assert classifier.predict(keys.keys()) == classifier.predict(list(keys))
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(TEXTS), "utf-8")
    with path.open(encoding="utf-8") as lines:
        assert classifier.predict(lines) == classifier.predict(TEXTS)


def test_texts_for_a_run_come_in_any_sequence_too(finished_run: Run) -> None:
    found = predict_texts(finished_run.folder, (text for text in TEXTS))
    assert found == predict_texts(finished_run.folder, TEXTS)
    assert len(found) == len(TEXTS)


@pytest.mark.parametrize(
    "nothing", [[], (), pd.Series([], dtype=str), np.array([], dtype=str), pa.array([], pa.string())]
)
def test_of_no_texts_there_is_nothing(classifier: Classifier, nothing: Any) -> None:
    assert classifier.predict(nothing) == []
    assert classifier.probabilities(nothing).shape == classifier.logits(nothing).shape == (0, 3)


def test_a_generator_is_gone_through_once_and_its_own_error_is_its_own(classifier: Classifier) -> None:
    given: list[str] = []

    def texts() -> Iterator[str]:
        for text in TEXTS:
            given.append(text)
            yield text
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        classifier.predict(texts())
    assert given == TEXTS


def test_advance_is_told_of_every_text(classifier: Classifier) -> None:
    done: list[int] = []
    classifier.probabilities(pd.Series(TEXTS), advance=done.append)
    assert sum(done) == len(TEXTS)


def test_a_file_may_be_named_by_a_path(finished_run: Run, tmp_path: Path) -> None:
    source = tmp_path / "texts.csv"
    frame().to_csv(source, index=False)
    assert predict_file(finished_run.folder, source, tmp_path / "out.csv") == len(TEXTS)
    with pytest.raises(UserError, match="exists; choose a new file"):
        predict_file(finished_run.folder, source, tmp_path / "out.csv")


def test_looking_at_texts_loads_no_library() -> None:
    code = (
        "import json, sys; from featherweight.data.texts import texts_of; texts_of(iter(['a']), 'predict(...)'); "
        "print(json.dumps([name for name in ('numpy', 'pandas', 'pyarrow', 'datasets') if name in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
