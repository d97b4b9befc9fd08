"""Test-time averaging: long texts are read in windows by evaluation and prediction, and as ever by the training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.jobs import without_seconds
from support.long_texts import abstracts, write_abstracts

from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.errors import UserError
from featherweight.export.card import render_card
from featherweight.inference.classifier import Classifier
from featherweight.model.text_model import TextModel
from featherweight.recipe import Recipe
from featherweight.verification.verify import verify_run
from featherweight.workflows.train import train

MOST = 3
LONG = [text for text, _ in abstracts(6, 90, words=60)]
SHORT = ["quark", "a gene", "the court of appeal"]


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("abstracts")
    data = {
        "train": write_abstracts(folder / "train.jsonl", 60),
        "test": write_abstracts(folder / "test.jsonl", 18, 60),
    }
    training = {"max_steps": 8, "learning_rate": 0.05, "evaluate_every": 4}
    made: Recipe = tiny_recipe(
        data={**data, "max_length": 16}, training=training, adapter={"bias": "all"}, evaluation={"windows": MOST}
    )
    return made


@pytest.mark.usefixtures("in_this_process")
def test_a_run_reads_the_windows_of_its_recipe(recipe: Recipe, tmp_path: Path) -> None:
    run = train(recipe, tmp_path / "run")
    classifier = Classifier.load(run.folder)
    assert isinstance(classifier.model, TextModel)
    found = classifier.logits(LONG)
    encoded = classifier.model.encode(Rows(LONG, None, (), ""))
    assert encoded.windows is not None
    assert set(encoded.windows.tolist()) == {MOST}  # as many as allowed; these texts would need more to be read whole
    apart = np.split(classifier.model.logits_of(encoded.by_window), np.cumsum(encoded.windows)[:-1])
    np.testing.assert_allclose(found, [windows.mean(0) for windows in apart], atol=1e-9)
    assert len({*map(str, apart[0].round(6).tolist())}) == MOST

    model = classifier.model
    plain = TextModel(model.network, model.tokenizer, model.engine, LongTexts.of(recipe.data))
    rows = Rows(SHORT, None, (), "")
    np.testing.assert_array_equal(model.logits(rows), plain.logits(rows))
    assert np.abs(plain.logits(Rows(LONG, None, (), "")) - found).max() > 1e-3

    # The temperature, the evaluation, the reload check and verify use the same windows.
    proof = json.loads((run.folder / "verification.json").read_text("utf-8"))
    assert proof["identical"]
    checks = {check.name: check.result for check in verify_run(run.folder)}
    assert {checks[name] for name in ("training rows", "test", "validation")} == {"pass"}
    assert "tokens are read in at most 3 windows from the start to the end" in render_card(run.folder, "user/name")


@pytest.mark.usefixtures("in_this_process")
def test_the_steps_are_those_without_windows(recipe: Recipe, tmp_path: Path) -> None:
    records = []
    for windows in (1, MOST):
        folder = tmp_path / str(windows)
        train(recipe.with_values(evaluation={"windows": windows}, training={"keep": "last", "max_steps": 4}), folder)
        records.append(without_seconds(folder))
    steps, evaluations = (
        [[record for record in each if record["kind"] == kind] for each in records] for kind in ("step", "evaluation")
    )
    assert steps[0] == steps[1]
    assert evaluations[0] != evaluations[1]


@pytest.mark.parametrize(("changes", "message"), [
    ({"data": {"long": "windows"}}, r'evaluation\.windows: data\.long = "windows" already reads all windows'),
    ({"data": {"text": ["a", "b"], "join": "pair"}}, r"evaluation\.windows: pairs are not read in windows"),
    ({"evaluation": {"windows": 0}}, r"evaluation\.windows: must be at least 1"),
])  # fmt: skip
def test_what_has_no_such_windows_is_refused(recipe: Recipe, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        recipe.with_values(**changes)
    assert len(str(refusal.value).splitlines()) <= 2
