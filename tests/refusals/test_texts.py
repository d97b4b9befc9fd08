"""What is given as texts to a public function and holds none: one sentence says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.tables import DATASET, FRAME, ROWS, SPLITS, TABLE, TEXTS, TITLES

from featherweight import Classifier, Run, UserError
from featherweight.data.texts import texts_of
from featherweight.inference.output_files import predict_texts


@pytest.mark.parametrize(("given", "words"), [
    ("crow", "predict takes a list of texts, not one string; write predict([text])"),
    (np.str_("crow"), "not one string; write predict([text])"),
    (b"crow", 'not bytes; write predict([text.decode("utf-8")])'),
    (Path("texts.csv"), "not a path; write predict_file(run, 'texts.csv', 'labels.csv')"),
    (FRAME, 'not a pandas DataFrame; write predict(frame["text"])'),
    (FRAME[["text"]], 'not a pandas DataFrame; write predict(frame["text"])'),
    (FRAME.rename(columns=str.upper), 'write predict(frame["TEXT"])'),
    (TITLES[["title"]], 'write predict(frame["title"])'),
    (TITLES, 'write predict(frame[column]), where column is the text column, one of: "number", "title"'),
    (pd.DataFrame([TEXTS]), "write predict(frame[column]), where column is the text column, one of: 0, 1"),
    (pd.DataFrame(), 'write predict(frame["text"])'),
    (FRAME[:0], "not a pandas DataFrame"),
    (TABLE, 'not an Arrow Table; write predict(table["text"])'),
    (TABLE.to_batches()[0], 'not an Arrow RecordBatch; write predict(table["text"])'),
    (DATASET, 'not a Dataset; write predict(dataset["text"])'),
    (DATASET.to_iterable_dataset(), 'not an IterableDataset; write predict(dataset["text"])'),
    (SPLITS, 'not a DatasetDict; write predict(dataset["train"]["text"])'),
    (datasets.DatasetDict(train=DATASET, test=DATASET), 'write predict(dataset["test"]["text"])'),
    ({"a": "crow"}, "not a dict; write predict(list(texts.values()))"),
    ({"text": TEXTS}, 'not a dict; write predict(rows["text"])'),
    ({}, "not a dict"),
    (set(TEXTS), "not a set, which has no order; write predict(sorted(texts))"),
    (frozenset(TEXTS), "not a set, which has no order"),
    (np.array([TEXTS]), "not an array of 2 dimensions; write predict(array[:, 0])"),
    (np.empty((0, 2), str), "not an array of 2 dimensions"),
    (np.array([[TEXTS]]), "not an array of 3 dimensions; write predict(array.ravel())"),
    (np.array("crow"), "not an array without dimensions; write predict([text])"),
    (None, "predict takes a list of texts, not None"),
    (3, "predict takes a list of texts, not the number 3"),
    (str, "predict takes a list of texts, not the class str"),
    (pa.scalar("crow"), "predict takes a list of texts, not an Arrow StringScalar"),
    (SimpleNamespace(text="crow"), "predict takes a list of texts, not a SimpleNamespace"),
    ([pa.scalar(3)], "text 1 is not a text, but the number 3"),
    (["crow", 3], "text 2 is not a text, but the number 3; give one string for each text"),
    (np.array([1.5]), "text 1 is not a text, but the number 1.5"),
    (pd.Series([1, 2]), "text 1 is not a text, but "),
    ([True], "text 1 is not a text, but True"),
    (["crow", b"zinc"], 'text 2 is bytes; decode it first, such as text.decode("utf-8")'),
    (np.array([b"crow"]), "text 1 is bytes"),
    (pa.array([b"crow"]), "text 1 is bytes"),
    ([["crow", "zinc"]], "text 1 is not a text, but a list"),
    (FRAME.itertuples(), "text 1 is not a text, but a tuple"),
    (ROWS, 'text 1 is a dict; write predict([row["text"] for row in rows])'),
    (pa.array(ROWS), "text 1 is a dict"),
    ({"a": "crow"}.items(), "text 1 is not a text, but a tuple"),
    (["crow", "half\ud800"], "text 2 holds a lone surrogate, which is no valid Unicode"),
    (["\ud800"], "text 1 holds a lone surrogate, which is no valid Unicode"),
])  # fmt: skip
def test_what_holds_no_texts_is_refused(given: Any, words: str) -> None:
    with pytest.raises(UserError) as refused:
        texts_of(given, "predict(...)")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("given", "words"), [
    ("crow", "takes a list of texts, not one string"),
    (FRAME, "takes a list of texts, not a pandas DataFrame"),
    ((text for text in ["crow", 3]), "text 2 is not a text, but the number 3"),
])  # fmt: skip
def test_whatever_takes_texts_refuses_alike(finished_run: Run, given: Any, words: str) -> None:
    classifier = Classifier.load(finished_run.folder)
    given = list(given) if hasattr(given, "send") else given
    calls: dict[str, Callable[[Any], Any]] = {
        "predict": classifier.predict,
        "probabilities": classifier.probabilities,
        "logits": classifier.logits,
        "predict_texts": lambda texts: predict_texts(finished_run.folder, texts),
    }
    for name, call in calls.items():
        with pytest.raises(UserError, match=re.escape(words)) as refused:
            call(given)
        assert words.startswith("text") or str(refused.value).startswith(f"{name} takes ")
    assert "predict_texts(run, " in str(refused.value) or words.startswith("text")
