"""One suite over all that computes logits, for every encoder family: transformers' pass, lean, and each export."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.backbones import FAMILIES
from support.exports import Exports

from featherweight.inference.classifier import Classifier

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:1 text is blank")]
LONG = " ".join(f"apple {number} crow" for number in range(40))
TEXTS = ["apple pear plum", "robin", "", "iron copper zinc silver and seven words more", LONG, "owl, crow!"]
EXACT, INT8 = 2e-5, 0.25
"""Largest difference of a logit, as a share of the largest logit; int8 of random weights is the worst case."""
OPENVINO = ["openvino-int8"] if find_spec("nncf") else []
RUNNERS = ("lean", "merged", "onnx", "onnx-int8", *OPENVINO)


def close(found: np.ndarray, expected: np.ndarray, share: float) -> bool:
    return bool(np.abs(found - expected).max() <= share * max(1.0, np.abs(expected).max()))


def logits_of(run: Path, runner: str, exports: Exports, key: str, texts: Any) -> np.ndarray:
    if runner == "lean":
        return Classifier.load(run, precision="fp32").logits(texts)
    precision = {"precision": "fp32"} if runner == "merged" else {}
    return Classifier.load(exports[key, runner], **precision).logits(texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_runner_gives_the_logits_of_transformers(family: str, tiny_recipe: Any, exports: Exports) -> None:
    adapter = {"head": "native", "bias": "all", "lora": [{"roles": ["query", "value", "mlp_up"], "rank": 2}]}
    run = exports.add(family, tiny_recipe(family, adapter=adapter))
    expected = Classifier.load(run, precision="fp32", lean=False).logits(TEXTS)
    assert np.ptp(expected, axis=0).max() > 0.1  # the texts differ
    for runner in RUNNERS:
        found = logits_of(run, runner, exports, family, TEXTS)
        assert close(found, expected, INT8 if runner.endswith("int8") else EXACT), runner


def test_windows_and_the_mean_over_the_tokens(tiny_recipe: Any, exports: Exports) -> None:
    sections = {"data": {"max_length": 16}, "evaluation": {"windows": 2}}
    run = exports.add("windows", tiny_recipe("mpnet", adapter={"head": "linear", "pooling": "mean"}, **sections))
    expected = Classifier.load(run, precision="fp32", lean=False).logits(TEXTS)
    for target in ("onnx", *OPENVINO):
        classifier, share = Classifier.load(exports["windows", target]), EXACT if target == "onnx" else INT8
        together = classifier.logits(TEXTS)
        assert close(together, expected, share), target
        alone = np.concatenate([classifier.logits([text]) for text in TEXTS])  # other shapes, other padding
        assert close(alone, together, EXACT), target


def test_pairs_and_several_labels(tiny_recipe: Any, exports: Exports, tmp_path: Path) -> None:
    rows = [f'{{"a": "apple {n}", "b": "crow {n}", "label": ["fruit"]}}' for n in range(30)]
    rows += [f'{{"a": "iron {n}", "b": "owl {n}", "label": ["metal", "bird"]}}' for n in range(30)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(rows), "utf-8")
    data = {"train": str(file), "test": None, "text": ["a", "b"], "join": "pair"}
    data["labels"] = ["fruit", "metal", "bird"]
    recipe = tiny_recipe("bert", data=data, adapter={"head": "native"}, task="multi-label")
    run, pairs = exports.add("pairs", recipe), [("apple pear", "crow"), ("", "iron"), (LONG, "owl"), ("a", LONG)]
    whole = Classifier.load(run, precision="fp32", lean=False)
    for target in (*OPENVINO, "merged", "onnx"):
        exported = Classifier.load(exports["pairs", target])
        assert close(exported.logits(pairs), whole.logits(pairs), INT8 if target in OPENVINO else EXACT), target
        if target in OPENVINO:
            continue
        assert [each.labels for each in exported.predict(pairs)] == [each.labels for each in whole.predict(pairs)]
    swapped = [(second, first) for first, second in pairs]
    assert not close(exported.logits(swapped), whole.logits(pairs), EXACT)  # token types and order matter
