"""What an accuracy does not show is said where it is read: on the terminal, in the page and in its headline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from support.made_up_runs import fabricate

from featherweight.cli.tables import evaluation_lines
from featherweight.evaluation.metrics import evaluate
from featherweight.evaluation.multi_label import evaluate_several
from featherweight.hints import on_the_command_line
from featherweight.report.run.contents import read_contents
from featherweight.report.run.headline import sentence
from featherweight.report.run.page import write_report
from featherweight.run.doubts import doubts, remedies


def figures(labels: list[int], predicted: list[int], classes: int = 2) -> dict[str, Any]:
    return evaluate(np.eye(classes)[predicted] * 3, labels, [f"class {number}" for number in range(classes)])


NEVER = "'class 1' is never predicted"
AS_OFTEN = "always answering 'class 0' would be right as often"


@pytest.mark.parametrize(("labels", "predicted", "classes", "expected"), [
    ([0] * 9 + [1], [0] * 10, 2, [NEVER, AS_OFTEN]),
    ([0] * 9 + [1], [0] * 8 + [1, 0], 2, ["always answering 'class 0' would be right more often (90.0%)"]),
    ([0] * 8 + [1, 2], [0] * 8 + [2, 2], 3, [NEVER]),
    ([0, 0, 1, 1], [1] * 4, 2, ["'class 0' is never predicted", "always answering 'class 1' would be right as often"]),
    ([0] * 5 + [1, 2], [0] * 5 + [3, 3], 4, ["'class 1' and 'class 2' are never predicted", AS_OFTEN]),
    ([0, 1, 2, 3, 4], [0] * 5, 5, ["4 of 5 classes are never predicted", AS_OFTEN]),
    ([0] * 9 + [1], [0] * 9 + [1], 2, []),
    ([0, 0], [0, 0], 2, []),  # a class without rows is not missed
    ([0, 0], [0, 1], 2, []),  # rows of one class alone say nothing of answering by it
])  # fmt: skip
def test_what_is_to_be_doubted(labels: list[int], predicted: list[int], classes: int, expected: list[str]) -> None:
    assert doubts(figures(labels, predicted, classes)) == expected


def test_of_several_labels_one_that_is_never_given_is_named() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 0]])
    found = evaluate_several(np.array([[3.0, -3], [3, -3], [-3, -3]]), labels, ("fun", "toxic"))
    assert doubts(found) == ["'toxic' is never predicted"]


def test_of_several_labels_always_giving_the_same_ones_is_a_level_to_beat() -> None:
    draw = np.random.default_rng(0)
    labels = (draw.random((200, 4)) < [0.7, 0.5, 0.1, 0.05]).astype(np.int8)
    constant = np.zeros_like(labels)
    constant[:, :2] = 1
    level = max(f1_score(labels, np.eye(4)[:k].sum(0) * np.ones((200, 1)), average="micro") for k in range(1, 5))
    assert level == pytest.approx(f1_score(labels, constant, average="micro"))
    for wrong, doubted in ((0.0, False), (0.6, True)):
        given = np.where(draw.random(labels.shape) < wrong, 1 - labels, labels)
        clauses = doubts(evaluate_several(4.0 * given - 2, labels, ("a", "b", "c", "d")))
        words = f"always giving 'a' and 'b' would have a micro-F1 of {level:.1%}"
        assert (words in clauses) == doubted


def test_what_to_try_is_what_the_recipe_does_not_do_and_the_rows_call_for() -> None:
    uneven, even = figures([0] * 9 + [1], [0] * 10), figures([0, 1], [0, 0])
    weights, by_f1 = "training.class_weights=balanced", "evaluation.best_by=macro_f1"
    assert all(words in remedies(uneven, {}) for words in (weights, by_f1, "training.epochs=...", "more rows"))
    assert remedies(even, {"training": {"epochs": 3}}).endswith('classes: overrides=["training.epochs=6"]')
    with on_the_command_line():
        assert remedies(uneven, {}).endswith(f": --set training.epochs=... --set {weights} --set {by_f1}")
    done = {"training": {"class_weights": "balanced"}, "evaluation": {"best_by": "macro_f1"}}
    assert weights not in remedies(uneven, done) and by_f1 not in remedies(uneven, done)
    several = {"evaluation": {"best_by": "micro_f1"}}  # the default with several labels a text
    assert by_f1 in remedies(uneven, several)
    limited = remedies(even, {"training": {"epochs": 20, "max_steps": 10}})
    assert limited.startswith("Try more steps, more epochs or")
    assert limited.endswith('overrides=["training.max_steps=20", "training.epochs=40"]')
    assert weights not in remedies(even, {}) and by_f1 not in remedies(even, {})


def test_terminal_and_page_say_it_where_the_accuracy_stands(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", names=("class 0", "class 1"), rows=60)
    evaluation = json.loads((run / "evaluation.json").read_text("utf-8"))
    evaluation["test"] = figures([0] * 54 + [1] * 6, [0] * 60)
    (run / "evaluation.json").write_text(json.dumps(evaluation), "utf-8")
    lines = evaluation_lines(evaluation)
    assert f"warning: test: {NEVER}, and {AS_OFTEN}" in lines and "class_weights=balanced" in lines[-1]
    assert sentence(read_contents(run)) == f"90.0% of 60 test texts classified correctly, but {NEVER}, and {AS_OFTEN}"
    page = write_report(run).read_text("utf-8")
    assert page.count("is never predicted") == 2 and "Try more epochs" in page


def test_a_name_with_a_line_break_is_escaped_once() -> None:
    found = doubts(evaluate(np.eye(2)[[0, 0]] * 3, [0, 1], ["a", "b\nc"]))
    assert found[0] == r"'b\nc' is never predicted"
