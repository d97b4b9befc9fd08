"""Soups: the mean of runs from a common start is a whole run; other runs are refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.endings import quick_endings
from support.made_once import MadeOnce
from workflows.test_continuation import saved
from workflows.test_refused_soups import edited

from featherweight import make_soup
from featherweight.errors import UserError
from featherweight.evaluation.comparison import compare_runs
from featherweight.evaluation.training_time import total_training_seconds
from featherweight.export.shareable import _shareable_recipe
from featherweight.formatting import duration
from featherweight.inference.classifier import Classifier
from featherweight.report.comparison.tables import tables
from featherweight.report.comparison.words import provenance, rounds_csv
from featherweight.run.folder import Run
from featherweight.verification.verify import verify_run
from featherweight.workflows.continuation import recipe_from, starts_of
from featherweight.workflows.ingredients import read_ingredients
from featherweight.workflows.prepare import read_inputs
from featherweight.workflows.soup import soup_recipe
from featherweight.workflows.train import train


@pytest.fixture(scope="module")
def soup(ingredients: dict[str, Path], made_once: MadeOnce) -> Run:
    """The soup of the three runs."""
    with quick_endings():
        return Run(made_once("soup", lambda folder: make_soup(list(ingredients.values()), folder)))


def spoilt(folder: Path, copy: Path, factor: float, accuracy: float) -> Path:
    """A copy of a run whose weights are multiplied by ``factor``, and whose validation accuracy is ``accuracy``."""
    shutil.copytree(folder, copy, symlinks=True)
    for file in (copy / "adapter").glob("*.safetensors"):
        save_file({name: (factor * tensor).astype(np.float32) for name, tensor in load_file(file).items()}, file)
    evaluation = json.loads((copy / "evaluation.json").read_text("utf-8"))
    evaluation["validation"]["accuracy"] = accuracy
    (copy / "evaluation.json").write_text(json.dumps(evaluation), "utf-8")
    return copy


# What a soup is


def test_the_weights_are_the_mean_of_those_of_all_runs(ingredients: dict[str, Path], soup: Run) -> None:
    runs = [saved(Run(folder)) for folder in ingredients.values()]
    found = saved(soup)
    assert found.keys() == runs[0].keys()
    for name, tensor in found.items():
        mean = np.mean([run[name].astype(np.float64) for run in runs], axis=0)
        np.testing.assert_array_equal(tensor, mean.astype(np.float32))
        assert name.endswith("bias") or not np.array_equal(runs[0][name], runs[1][name])
    assert soup.weight == Run(ingredients["first"]).weight


def test_a_soup_is_a_whole_run(ingredients: dict[str, Path], soup: Run) -> None:
    checks = {check.name: check for check in verify_run(soup.folder)}
    assert {name: check.result for name, check in checks.items() if check.result != "pass"} == {}
    assert checks["soup"].found == "the mean of 3 runs"
    assert soup.complete and {"validation", "test"} <= soup.evaluation.keys()
    (record,) = soup.history
    assert record["kind"] == "evaluation" and record["step"] == 0
    assert record["accuracy"] == pytest.approx(soup.evaluation["validation"]["accuracy"])
    assert Classifier.load(soup.folder).predict(["apple pear", "iron zinc"])
    comparison = compare_runs([*ingredients.values(), soup.folder])
    assert [round_.name for round_ in comparison.rounds][-1] == "tiny-soup"


def test_a_comparison_shows_no_settings_of_a_training_for_a_soup(ingredients: dict[str, Path], soup: Run) -> None:
    comparison = compare_runs([ingredients["first"], soup.folder])
    table = tables(comparison)[0]
    shown = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["learning rate"] for row in shown] == ["0.005", "–"]
    assert [row["schedule"] == "–" for row in shown] == [False, True]
    *_, line = csv.DictReader(io.StringIO(rounds_csv(comparison)))
    assert (line["round"], line["learning_rate"], line["schedule"], line["epochs"]) == ("tiny-soup", "", "", "")


def test_environment_and_report_name_the_runs_with_their_results(ingredients: dict[str, Path], soup: Run) -> None:
    entry = soup.environment["soup"]
    assert (entry["choice"], entry["metric"]) == ("all", "accuracy")
    assert {one["run"] for one in entry["runs"]} == set(map(str, ingredients.values()))
    by_run = {Path(one["run"]).name: one for one in entry["runs"]}
    for name, folder in ingredients.items():
        assert by_run[name]["validation"] == Run(folder).evaluation["validation"]["accuracy"]
        assert by_run[name]["taken"] and set(by_run[name]["sha256"]) == {
            file.name for file in (folder / "adapter").glob("*.safetensors")
        }
    assert by_run["first"]["differs"] == {
        "training.order_seed": 0, "training.learning_rate": 0.005, "training.label_smoothing": 0.0,
    }  # fmt: skip
    page = soup.report.read_text("utf-8")
    assert "<h2>Soup</h2>" in page and "<h2>Training</h2>" not in page and "No training history" not in page
    assert all(f"<td>{folder}</td>" in page for folder in ingredients.values())
    assert "training.order_seed = 2" in page
    costs = [Run(folder).environment["training_seconds"] for folder in ingredients.values()]
    assert soup.environment["training_seconds"] == pytest.approx(sum(costs), abs=0.1)
    assert "nothing was trained here; the weights are the mean of the weights of 3 runs" in page


def test_a_comparison_counts_the_time_of_each_training_once(
    ingredients: dict[str, Path], soup: Run, tmp_path: Path
) -> None:
    times = {name: Run(folder).environment["training_seconds"] for name, folder in ingredients.items()}
    everything = sum(times.values())
    assert total_training_seconds([soup]) == pytest.approx(everything)
    assert total_training_seconds([soup, *map(Run, ingredients.values())]) == pytest.approx(everything)
    comparison = compare_runs([soup.folder, *ingredients.values()])
    assert provenance(comparison)["Total training time"] == duration(everything)
    moved, other = tmp_path / "moved", tmp_path / "other"
    shutil.copytree(ingredients["first"], moved, symlinks=True)
    shutil.copytree(soup.folder, other, symlinks=True)
    assert total_training_seconds([Run(moved), soup, Run(other)]) == pytest.approx(everything)
    environment = json.loads((other / "environment.json").read_text("utf-8"))
    for one in environment["soup"]["runs"]:
        del one["training_seconds"]
    (other / "environment.json").write_text(json.dumps(environment), "utf-8")
    assert total_training_seconds([Run(moved), Run(other)]) == pytest.approx(everything, abs=0.02)
    spoilt(ingredients["first"], tmp_path / "more", 2.0, 0.5)
    alone = Run(tmp_path / "more")
    assert total_training_seconds([alone, soup]) == pytest.approx(everything + times["first"])


def test_the_recipe_makes_the_same_soup_again(soup: Run, tmp_path: Path) -> None:
    again = train(soup.recipe, tmp_path / "again")
    for name, tensor in saved(again).items():
        np.testing.assert_array_equal(tensor, saved(soup)[name])
    assert [record["kind"] for record in again.history] == ["evaluation"]


def test_the_recipe_keeps_what_all_runs_share(ingredients: dict[str, Path]) -> None:
    found = read_ingredients(list(ingredients.values()))
    recipe = soup_recipe(found, greedy=False)
    assert recipe == soup_recipe(read_ingredients(list(ingredients.values())[::-1]), greedy=False)
    first = Run(ingredients["first"]).recipe
    assert (recipe.data, recipe.backbone, recipe.adapter) == (first.data, first.backbone, first.adapter)
    assert recipe.training.max_steps == 16 and recipe.training.learning_rate == 5e-4  # its default
    assert recipe.training.order_seed is None and recipe.name == "tiny-soup"
    assert _shareable_recipe(recipe).training.soup == ()


def test_runs_with_r_drop_may_differ_in_their_dropout(ingredients: dict[str, Path], tmp_path: Path) -> None:
    copies = []
    for name, dropout in (("first", 0.1), ("second", 0.2)):
        copies.append(shutil.copytree(ingredients[name], tmp_path / name, symlinks=True))
        recipe = Run(copies[-1]).recipe.with_values(training={"r_drop": 0.5}, adapter={"dropout": dropout})
        (copies[-1] / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    recipe = soup_recipe(read_ingredients(copies), greedy=False)
    assert len(read_inputs(recipe).ingredients) == 2
    # A training that continues from the soup needs dropout again.
    with pytest.raises(UserError, match=r"training\.r_drop = 0\.5 .* the recipe has no dropout"):
        read_inputs(recipe.with_values(training={"soup": []}))


def test_the_start_of_a_soup_is_that_of_its_runs(ingredients: dict[str, Path], soup: Run, tmp_path: Path) -> None:
    copies = [
        shutil.copytree(folder, tmp_path / folder.name, symlinks=True) for folder in (ingredients["first"], soup.folder)
    ]
    of_run, of_soup = (Run(copy).recipe for copy in copies)
    # As if the run had started from another one, whose classes are then listed in its recipe, and in that of the soup.
    listed = {"labels": ["bird", "fruit", "metal"]}
    of_run = of_run.with_values(adapter={"start_from": str(ingredients["third"])}, data=listed)
    of_soup = of_soup.with_values(training={"soup": [str(copies[0])]}, data=listed)
    for copy, recipe in zip(copies, (of_run, of_soup), strict=True):
        (copy / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    assert [run.folder for run in starts_of(of_soup)] == [ingredients["third"]]
    continued = recipe_from(copies[1])
    assert [run.folder for run in starts_of(continued)] == [copies[1], ingredients["third"]]
    assert continued.data.labels == ()  # new rows may have new classes


def test_what_continues_from_a_soup_is_a_training(soup: Run) -> None:
    recipe = recipe_from(soup.folder)
    assert recipe.training.soup == () and recipe.adapter.start_from == str(soup.folder.resolve())


def test_soups_of_other_seeds_are_repetitions_of_a_soup(tmp_path: Path, soup: Run, tiny_recipe: Any) -> None:
    from support.made_up_rounds import fabricate_run

    recipe = tiny_recipe().with_values(training={"soup": ["a", "b"]})
    other = recipe.with_values(training={"soup": ["c", "d"]})
    runs = [fabricate_run(tmp_path / "one", recipe, 0.9), fabricate_run(tmp_path / "two", other, 0.9)]
    runs.append(fabricate_run(tmp_path / "three", recipe.with_values(training={"soup": ["a", "b", "c"]}), 0.9))
    assert [len(round_.runs) for round_ in compare_runs(runs).rounds] == [2, 1]


def test_runs_with_other_metrics_are_ordered_by_the_soups(ingredients: dict[str, Path], tmp_path: Path) -> None:
    folders = []
    for name, metric, figures in (("first", "accuracy", (0.9, 0.8)), ("second", "log_loss", (0.5, 0.1))):
        folders.append(tmp_path / name)
        shutil.copytree(ingredients[name], folders[-1], symlinks=True)
        edited("recipe.toml", 'best_by = "accuracy"', f'best_by = "{metric}"')(folders[-1])
        evaluation = json.loads((folders[-1] / "evaluation.json").read_text("utf-8"))
        evaluation["validation"] |= dict(zip(("accuracy", "log_loss"), figures, strict=True))
        (folders[-1] / "evaluation.json").write_text(json.dumps(evaluation), "utf-8")
    for given in (folders, folders[::-1]):
        found = read_ingredients(given)
        assert [one.run.folder.name for one in found] == ["first", "second"]
        assert soup_recipe(found, greedy=True).evaluation.best_by == "accuracy"
        assert [one.run.folder.name for one in read_ingredients(given, "log_loss")] == ["second", "first"]


# The greedy choice


def test_a_greedy_soup_leaves_out_what_makes_it_worse(ingredients: dict[str, Path], tmp_path: Path) -> None:
    bad = spoilt(ingredients["second"], tmp_path / "bad", -60.0, 0.1)
    best = spoilt(ingredients["first"], tmp_path / "best", 1.0, 1.0)
    soup = make_soup([bad, best, ingredients["third"]], tmp_path / "soup", greedy=True)
    taken = {Path(one["run"]).name: one["taken"] for one in soup.environment["soup"]["runs"]}
    assert list(taken) == ["best", "third", "bad"] and taken["best"] and not taken["bad"]
    kept = [saved(Run(Path(one["run"]))) for one in soup.environment["soup"]["runs"] if one["taken"]]
    for name, tensor in saved(soup).items():
        mean = np.mean([run[name].astype(np.float64) for run in kept], axis=0)
        np.testing.assert_array_equal(tensor, mean.astype(np.float32))
    assert all(check.result == "pass" for check in verify_run(soup.folder) if check.name in ("history", "soup"))
    assert '<td data-name="taken">no</td>' in soup.report.read_text("utf-8")


def test_a_greedy_soup_may_be_one_run(ingredients: dict[str, Path], tmp_path: Path) -> None:
    best = spoilt(ingredients["first"], tmp_path / "best", 1.0, 1.0)
    bad = spoilt(ingredients["second"], tmp_path / "bad", -60.0, 0.1)
    note = "a teacher was trained on 3 of 18 validation rows: the metrics may be too good"
    for folder in (best, bad):
        environment = json.loads((folder / "environment.json").read_text("utf-8"))
        environment["warnings"].append(note)
        (folder / "environment.json").write_text(json.dumps(environment), "utf-8")
    soup = make_soup([best, bad], tmp_path / "soup", greedy=True)
    for name, tensor in saved(soup).items():
        np.testing.assert_array_equal(tensor, saved(Run(best))[name])
    warnings = soup.environment["warnings"]
    assert any("weights of one run, since" in warning for warning in warnings)
    assert [warning for warning in warnings if note in warning] == [f"{best}: {note}"]
    assert len(warnings) == len(Run(best).environment["warnings"]) + 1


# What verify notices


def test_verify_compares_a_soup_with_its_runs(soup: Run, tmp_path: Path) -> None:
    from featherweight.verification.evidence import Evidence
    from featherweight.verification.soup import soup as check

    copy = tmp_path / "copy"
    shutil.copytree(soup.folder, copy, symlinks=True)
    file = copy / "adapter" / "head.safetensors"
    save_file({name: tensor + np.float32(1e-3) for name, tensor in load_file(file).items()}, file)
    found = check(Evidence(copy))
    assert not isinstance(found, list) and found.result == "fail" and "head.out" in found.found
    environment = json.loads((copy / "environment.json").read_text("utf-8"))
    environment["soup"]["runs"][0]["run"] = str(tmp_path / "moved")
    (copy / "environment.json").write_text(json.dumps(environment), "utf-8")
    found = check(Evidence(copy))
    assert not isinstance(found, list) and found.result == "skipped" and str(tmp_path / "moved") in found.found
