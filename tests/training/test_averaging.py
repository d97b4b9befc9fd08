"""The averages of the trained weights: their formulas, their use in place of the last weights, and their resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.jobs import assert_resumes_exactly, assert_same, job_for, tensors, trained
from support.reads import operations_noted

from featherweight.training import loop
from featherweight.training.averaging import Average
from featherweight.training.loop import fit

SIX_STEPS = {"epochs": 1, "evaluate_every": 3, "average": 0.6, "keep": "last"}
Weights = dict[str, torch.Tensor]


class Copies:
    """A listener that copies the trained weights before the first step and after each step."""

    def __init__(self) -> None:
        self.job: Any = None
        self.weights: list[Weights] = []

    def started(self, *_: Any) -> None:
        self.weights = [tensors(self.job)]

    def stepped(self, _: Any) -> None:
        self.weights.append(tensors(self.job))

    def noted(self, *_: Any) -> None: ...
    def evaluated(self, *_: Any) -> None: ...


def averages(weights: list[Weights], kind: Any) -> list[Weights]:
    """The average after each step, by its formula."""
    if kind == "swa":  # of six steps the last quarter begins with the fifth
        return [*weights[:6], {name: (weights[5][name] + weights[6][name]) / 2 for name in weights[6]}]
    return moving(weights, kind)


def moving(weights: list[Weights], decay: float) -> list[Weights]:
    found = [weights[0]]
    for step, now in enumerate(weights[1:], 1):
        share = min(decay, (1 + step) / (10 + step))
        found.append({name: share * found[-1][name] + (1 - share) * now[name] for name in now})
    return found


def assert_close(one: Weights, other: Weights) -> None:
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-5, atol=1e-7, msg=name)


def test_all_weights_are_averaged_by_one_operation_with_the_bits_of_lerp() -> None:
    operations: list[str] = []
    torch.manual_seed(0)
    trainable = {name: torch.nn.Parameter(torch.randn(5, 3)) for name in "abc"}
    average = Average(0.9, 10, trainable)
    expected = {name: tensor.clone() for name, tensor in average.tensors.items()}
    for step in (1, 2, 3):
        for name, parameter in trainable.items():
            parameter.data.add_(1.3)
            expected[name].lerp_(parameter.detach(), 1 - (1 + step) / (10 + step))
        with operations_noted(operations):
            average.update(step)
    assert operations == ["_foreach_lerp_"] * 3
    assert_same(average.tensors, expected)


@pytest.mark.parametrize("kind", [0.6, "swa"])
def test_the_average_is_evaluated_and_kept(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    evaluated: list[Weights] = []
    copies = Copies()
    recipe = tiny_recipe(training={**SIX_STEPS, "average": kind})
    copies.job = job_for(recipe, tmp_path / "run", listeners=[copies])
    predict = loop.predict_logits

    def watched(*given: Any, **options: Any) -> Any:
        evaluated.append(tensors(copies.job))
        return predict(*given, **options)

    monkeypatch.setattr(loop, "predict_logits", watched)
    fit(copies.job)
    expected = averages(copies.weights, kind)
    assert len(copies.weights) == 7
    assert_close(evaluated[0], expected[3])
    assert_close(tensors(copies.job), expected[6])
    assert any(not torch.allclose(copies.weights[6][name], expected[6][name]) for name in expected[6])


def test_the_steps_are_those_without_an_average(tiny_recipe: Any, tmp_path: Path) -> None:
    runs = []
    for average in (0.0, 0.6, "swa"):
        copies = Copies()
        recipe = tiny_recipe(training={**SIX_STEPS, "average": average})
        copies.job = job_for(recipe, tmp_path / str(average), listeners=[copies])
        fit(copies.job)
        runs.append(copies.weights)
    for without, *with_average in zip(*runs, strict=True):
        for one in with_average:
            assert_same(without, one)


def test_the_best_adapter_is_an_average(tiny_recipe: Any, tmp_path: Path) -> None:
    last, _ = trained(tiny_recipe(training={**SIX_STEPS, "evaluate_every": 6}), tmp_path / "last")
    best, _ = trained(tiny_recipe(training={**SIX_STEPS, "evaluate_every": 6, "keep": "best"}), tmp_path / "best")
    assert_same(tensors(last), tensors(best))


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize(("kind", "at"), [(0.6, 4), ("swa", 4), ("swa", 5)])
def test_a_resumed_training_has_the_same_average(
    tiny_recipe: Any, tmp_path: Path, kind: Any, at: int, keep: str
) -> None:
    assert_resumes_exactly(tiny_recipe(training={**SIX_STEPS, "average": kind, "keep": keep}), tmp_path, at=at)


@pytest.mark.parametrize(("steps", "averaged"), [(1, [1]), (4, [4]), (5, [4, 5]), (8, [7, 8]), (10, [8, 9, 10])])
def test_swa_is_the_mean_of_the_last_quarter_of_the_steps(steps: int, averaged: list[int]) -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    average = Average("swa", steps, {"w": weight})
    for step in range(1, steps + 1):
        weight.data.fill_(2.0**step)
        average.update(step)
        if step <= averaged[0]:
            assert torch.equal(average.tensors["w"], weight)
    mean = sum(2.0**step for step in averaged) / len(averaged)
    torch.testing.assert_close(average.tensors["w"], torch.full((3,), mean))
