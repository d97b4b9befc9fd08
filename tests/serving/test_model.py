"""A classifier behind the server: what it tokenises text by text and computes in any batch is what Python predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.exports import Exports

from featherweight.inference.classifier import Classifier
from featherweight.serving.model import ServedClassifier

TEXTS = ["apple pear", "iron " * 60, "", "robin crow " * 14, "owl"]
PAIRS = [("apple pear", "a crow"), ("iron " * 30, "owl " * 30), ("", "zinc"), ("owl", "apple")]
LABELS = ["fruit", "metal", "bird"]
CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "cut": (TEXTS, {"data": {"max_length": 16}}),
    "windows": (TEXTS, {"data": {"max_length": 16}, "evaluation": {"windows": 3}}),
    "pairs": (
        PAIRS,
        {"data": {"train": "gone.csv", "test": None, "labels": LABELS, "text": ["a", "b"], "join": "pair"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_texts_are_served_as_python_classifies_them(case: str, tiny_recipe: Any, exports: Exports) -> None:
    texts, sections = CASES[case]
    run = exports.add(f"served-{case}", tiny_recipe("bert", adapter={"pooling": "mean"}, **sections))
    classifier = Classifier.load(run, precision="fp32")
    expected = classifier.probabilities(texts, warn=False)
    model = ServedClassifier(classifier)
    tokens = model.tokenise(texts)
    for order in (range(len(texts)), range(len(texts))[::-1], range(1, 4)):
        found = model.probabilities([tokens[place] for place in order])
        np.testing.assert_allclose(found, expected[[*order]], atol=1e-5)
    assert model.decide(expected) == [[each.label] for each in classifier.predict(texts, warn=False)]
    assert [len(text.windows) for text in tokens] == ([1, 3, 1, 3, 1] if case == "windows" else [1] * len(texts))
    assert (model.max_tokens, model.windows) == (classifier.model.long_texts.max_length, case == "windows")
    assert [text.second is not None for text in tokens] == [case == "pairs"] * len(texts)
    assert model.pair == (("a", "b") if case == "pairs" else None) and np.ptp(expected, axis=0).max() > 0.1
