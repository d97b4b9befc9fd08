"""When the validation rows are evaluated: at least once in each epoch, unless the recipe asks otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.jobs import assert_same, job_for, tensors, trained

from featherweight.hints import on_the_command_line
from featherweight.recipe import TrainingRecipe
from featherweight.run.folder import read_history
from featherweight.training.evaluation_steps import evaluation_steps, without_effect
from featherweight.training.loop import Interrupted, fit


def evaluated(folder: Path) -> list[int]:
    return [record["step"] for record in read_history(folder / "history.jsonl") if record["kind"] == "evaluation"]


@pytest.mark.parametrize(("every", "epochs", "steps"), [
    (None, [3, 3], [3, 6]),
    (None, [3, 2], [3, 5]),
    (None, [700, 700], [500, 700, 1000, 1400]),
    (4, [3, 3, 3], [4, 8, 9]),
    (3, [3, 3], [3, 6]),
    (500, [3, 3], [6]),
])  # fmt: skip
def test_the_last_step_of_each_epoch_unless_a_distance_is_asked_for(
    every: int | None, epochs: list[int], steps: list[int]
) -> None:
    assert sorted(evaluation_steps(TrainingRecipe(evaluate_every=every), epochs)) == steps


@pytest.mark.parametrize(("training", "evaluations", "naming"), [
    ({"evaluate_every": 500, "early_stopping": 1}, 1, ('keep = "best" and early_stopping = 1 without effect',)),
    ({"evaluate_every": 500}, 1, ('leaves keep = "best" without effect', 'overrides=["training.evaluate_every=1"]')),
    ({"evaluate_every": 500, "keep": "last"}, 1, ()),
    ({}, 1, ()),
    ({"early_stopping": 1}, 1, ("leaves early_stopping = 1 without effect",)),
    ({"early_stopping": 1}, 2, ("cannot end this training", "at least 3 evaluations, and there are 2")),
    ({"early_stopping": 1}, 3, ()),
])  # fmt: skip
def test_what_cannot_have_an_effect_is_said(
    training: dict[str, Any], evaluations: int, naming: tuple[str, ...]
) -> None:
    said = without_effect(TrainingRecipe(**training), evaluations, 6)
    assert len(said) == bool(naming) and all(words in said[0] for words in naming)


def test_a_hint_is_what_can_be_typed_and_what_it_says_helps() -> None:
    rare = TrainingRecipe(evaluate_every=500, early_stopping=6)
    with on_the_command_line():
        (hint,) = without_effect(rare, 1, 360)
    assert hint.endswith("; to evaluate more often, add --set training.evaluate_every=45")
    (in_python,) = without_effect(rare, 1, 360)
    assert in_python.endswith('; to evaluate more often, add overrides=["training.evaluate_every=45"]')
    often = rare.model_copy(update={"evaluate_every": 45})
    assert without_effect(often, len(evaluation_steps(often, [360])), 360) == []
    assert without_effect(rare, 1, 5)[0].endswith("without effect")  # five steps have no eight evaluations


def test_short_epochs_end_with_an_evaluation_after_which_a_resume_goes_on_to_the_same_bits(
    tiny_recipe: Any, tmp_path: Path
) -> None:
    notes: list[str] = []

    class Notes:
        def started(self, total_steps: int, first_step: int, heard: list[str]) -> None:
            notes.extend(heard)

        def stepped(self, record: dict[str, Any]) -> None: ...
        def evaluated(self, record: dict[str, Any], best: bool) -> None: ...

    recipe = tiny_recipe(training={"evaluate_every": None, "epochs": 3, "early_stopping": 2})
    whole, state = trained(recipe, tmp_path / "whole")
    assert evaluated(tmp_path / "whole") == [6, 12, 18]
    calls = iter(range(1, 1000))
    with pytest.raises(Interrupted):
        fit(job_for(recipe, tmp_path / "halves", lambda: 15 if next(calls) == 8 else 0, listeners=[Notes()]))
    again = job_for(recipe, tmp_path / "halves")
    assert fit(again, resume=True).best_step == state.best_step
    assert evaluated(tmp_path / "halves") == [6, 12, 18]
    assert_same(tensors(whole), tensors(again))
    assert ["early_stopping = 2 cannot end" in note for note in notes] == [True]
