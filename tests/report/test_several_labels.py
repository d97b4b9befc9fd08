"""Pages, pictures and comparisons of runs whose texts may have several labels."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from support.several_labels import EMOTIONS, TOXIC, fabricate_several

from featherweight.errors import UserError
from featherweight.evaluation.comparison import Comparison, compare_runs
from featherweight.evaluation.significance import mcnemar_exact
from featherweight.recipe import Recipe
from featherweight.report.comparison.page import render as render_comparison
from featherweight.report.comparison.page import write_comparison
from featherweight.report.comparison.tables import tables
from featherweight.report.comparison.words import headline, pairs_csv
from featherweight.report.run.contents import read_contents
from featherweight.report.run.headline import facts, sentence
from featherweight.report.run.page import render
from featherweight.report.run.plots import draw_plots

TASK = {"task": "multi-label", "data": {"label": list(TOXIC)}}


def recipe(name: str, seed: int = 0) -> Recipe:
    return Recipe.parse({"name": name, "seed": seed, **TASK})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("several")
    return [
        fabricate_several(place / "r1", recipe("r1"), 1.2),
        fabricate_several(place / "r2", recipe("r2"), 1.6),
        fabricate_several(place / "svm", recipe("tfidf-svm"), 0.8, baseline="TF-IDF + linear SVM"),
    ]


@pytest.fixture(scope="module")
def comparison(folders: list[Path]) -> Comparison:
    return compare_runs(folders)


def tables_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of a run's test rows, 0 or 1."""
    rows = pd.read_parquet(folder / "predictions.parquet").query("split == 'test'")
    return tuple(np.array([[name in found for name in TOXIC] for found in rows[key]]) for key in ("label", "predicted"))  # type: ignore[return-value]


def test_the_headline_speaks_of_micro_f1_and_of_texts_with_exactly_their_labels(folders: list[Path]) -> None:
    run = read_contents(folders[0])
    figures = run.evaluation["test"]
    words = sentence(run)
    assert f"Micro-F1 {figures['micro_f1']:.1%} on 400 test texts" in words
    assert f"{figures['accuracy']:.1%} of them with exactly their labels" in words
    named = {fact.name: fact for fact in facts(run)}
    low, high = figures["micro_f1_interval"]
    assert named["Test micro-F1"].note == f"95% interval {low:.1%} to {high:.1%}"
    assert list(named)[:3] == ["Test micro-F1", "Macro-F1", "Average precision"]


@pytest.mark.usefixtures("empty_pictures")
@pytest.mark.parametrize("names", [TOXIC[:2], EMOTIONS], ids=["2", "28"])
def test_the_page_has_a_row_a_label_whatever_their_number(tmp_path: Path, names: tuple[str, ...]) -> None:
    made = Recipe.parse({"name": "made", "task": "multi-label", "data": {"label": list(names)}})
    folder = fabricate_several(tmp_path / "run", made, 1.5, names=names)
    page = render(read_contents(folder))
    assert "Confusion matrix" not in page
    for name in names:
        assert f"<td>{name}</td>" in page
    figures = read_contents(folder).evaluation["test"]
    assert f"{figures['per_class'][0]['threshold']:.3f}" in page
    assert f"[{figures['mistakes'][0]['wrong']}]" in page
    assert 'data-name="true"' in page
    drawn = {path.stem for path in draw_plots(folder)}
    assert drawn >= {"curves", "per_class", "reliability", "summary", "shift", "weigh_in"}
    assert "confusion_matrix" not in drawn


def test_without_a_history_the_page_still_speaks_of_the_metric_that_it_draws(tmp_path: Path) -> None:
    folder = fabricate_several(tmp_path / "run", recipe("r1"), 1.5)
    assert "Micro-F1 with its 95% interval: blue" in render(read_contents(folder))
    (folder / "history.jsonl").unlink()
    page = render(read_contents(folder))
    assert "Micro-F1 with its 95% interval: blue" in page and "Accuracy with its 95% interval" not in page
    assert "95% intervals, which take the labels of a text as independent" in page


def test_rounds_are_tested_on_the_texts_that_are_exactly_right(comparison: Comparison, folders: list[Path]) -> None:
    right = [(labels == predicted).all(axis=1) for labels, predicted in map(tables_of, folders)]
    assert comparison.several
    assert [round_.mean("accuracy") for round_ in comparison.rounds] == pytest.approx([r.mean() for r in right])
    (pair,) = comparison.differences
    assert (pair.first, pair.second) == ("r2", "r1")
    assert pair.p_value == pytest.approx(mcnemar_exact(right[1], right[0])["p_value"])
    assert pair.difference == pytest.approx(right[1].mean() - right[0].mean())


def test_the_order_of_the_labels_of_a_row_makes_no_other_row(tmp_path: Path) -> None:
    runs = [fabricate_several(tmp_path / name, recipe(name), 1.5) for name in ("r1", "r2")]
    same = compare_runs(runs).differences
    table = pd.read_parquet(runs[1] / "predictions.parquet")
    for key in ("label", "predicted"):  # as with the classes in another order
        table[key] = [list(reversed(labels)) for labels in table[key]]
    table.to_parquet(runs[1] / "predictions.parquet")
    assert compare_runs(runs).differences == same


def test_the_difference_of_micro_f1_stands_beside_with_its_interval(
    comparison: Comparison, folders: list[Path]
) -> None:
    pairs = [tables_of(folder) for folder in folders[:2]]
    theirs = [f1_score(labels, predicted, average="micro") for labels, predicted in pairs]
    difference, low, high = comparison.differences[0].micro_f1
    assert difference == pytest.approx(theirs[1] - theirs[0])
    draw, samples = np.random.default_rng(3), []
    for _ in range(1000):
        rows = draw.integers(0, 400, 400)
        one, other = (f1_score(labels[rows], predicted[rows], average="micro") for labels, predicted in pairs)
        samples.append(other - one)
    assert (low, high) == pytest.approx(tuple(np.quantile(samples, [0.025, 0.975])), abs=0.01)
    assert f"Micro-F1: {100 * difference:+.2f} points" in comparison.differences[0].words
    row = next(csv.DictReader(io.StringIO(pairs_csv(comparison))))
    assert float(row["micro_f1_difference"]) == pytest.approx(difference)


@pytest.mark.usefixtures("empty_pictures")
def test_tables_pages_and_the_headline_name_what_they_compare(comparison: Comparison, tmp_path: Path) -> None:
    assert "exactly right" in headline(comparison)
    first, quality, shift = tables(comparison)
    assert "subset accuracy %" in first.columns
    assert {"micro-F1 %", "macro-F1", "average precision", "Hamming loss"} <= set(quality.columns)
    assert shift.title == "Subset accuracy on shift sets"
    page = render_comparison(comparison)
    assert "Validation micro-F1" in page and "exactly its own" in page
    written = {path.name for path in write_comparison(comparison, tmp_path)}
    assert {"comparison.html", "comparison.md", "differences.csv", "rounds.png", "accuracy.png"} <= written


def test_several_seeds_are_taken_together(tmp_path: Path) -> None:
    folders = [
        fabricate_several(tmp_path / name / str(seed), recipe(name, seed), skill)
        for name, skill in (("r1", 1.2), ("r2", 1.3))
        for seed in range(2)
    ]
    (pair,) = compare_runs(folders).differences
    f1 = [f1_score(*tables_of(folder), average="micro") for folder in folders]
    assert pair.micro_f1[0] == pytest.approx(np.mean(f1[2:]) - np.mean(f1[:2]))


def test_runs_of_another_task_are_not_compared(folders: list[Path], fabricated_folders: list[Path]) -> None:
    with pytest.raises(UserError, match="its task is"):
        compare_runs([folders[0], fabricated_folders[0]])


def test_damaged_predictions_are_refused(tmp_path: Path, folders: list[Path]) -> None:
    folder = fabricate_several(tmp_path / "run", recipe("r9"), 1.0)
    table: Any = pd.read_parquet(folder / "predictions.parquet")
    table["predicted"] = 1
    table.to_parquet(folder / "predictions.parquet")
    with pytest.raises(UserError, match="column 'predicted' has the type int64"):
        compare_runs([folders[0], folder])
