"""The page on accuracy within the budget says what the committed result files say."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

from harness.recording import load_all  # noqa: E402
from pages import budget, write  # noqa: E402

POINTS = budget.points(RESULTS)


def copied(folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copy(RESULTS / f"{name}.json", folder)
    return folder


def test_the_page_is_made_from_the_files() -> None:
    assert (RESULTS / budget.PAGE).read_text("utf-8") == write.budget_page(RESULTS, load_all())
    assert (RESULTS.parent / "images" / budget.PICTURE).is_file()


def test_the_command_writes_page_and_picture(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    copied(results, "agnews-minilm", "noise-agnews")
    assert results / budget.PAGE in write.write_pages([], tmp_path)
    page = (results / budget.PAGE).read_text("utf-8")
    assert "## Wrong labels in AG News, training file" in page and "406 suspects (3.4%)" in page
    assert "wrong in 83, right in 5, and could not decide in 12" in page and "+0.06 points (-0.34 to +0.46" in page
    assert (tmp_path / "images" / budget.PICTURE).is_file()


def test_every_run_and_round_on_ag_news_is_a_point_and_nothing_else() -> None:
    assert [point.parameters for point in POINTS] == sorted(point.parameters for point in POINTS)
    names = {point.name for point in POINTS}
    assert {"agnews-minilm", "r1-mpnet-two-epochs", "rounds-minilm, r4", "rounds-minilm, linear probe"} <= names
    assert not any("newsbriefs" in name or "TF-IDF" in name or "250-steps" in name for name in names)
    assert all((RESULTS / point.file).is_file() for point in POINTS)


def test_the_published_result_is_named_as_such() -> None:
    (published,) = (point for point in POINTS if point.published)
    assert (published.parameters, published.accuracy, published.time) == (992_268, 0.946, "–, one T4")
    line = next(line for line in write.budget_page(RESULTS).splitlines() if "| 992,268 |" in line)
    assert "94.60 (94.07 to 95.09)" in line
    assert line.endswith("| published: [the project this one reproduces](four-rounds.md) |")


def test_a_run_that_is_also_a_round_of_one_seed_counts_once(tmp_path: Path) -> None:
    found = budget.points(copied(tmp_path, "rounds-mpnet-two-epochs", "r1-mpnet-two-epochs"))
    assert [point.name for point in found if point.parameters == 962_308] == ["r1-mpnet-two-epochs"]
    assert "rounds-mpnet-two-epochs, r2" in {point.name for point in found}


def test_a_run_that_is_one_seed_of_a_round_is_in_its_mean_alone(tmp_path: Path) -> None:
    copied(tmp_path, "rounds-mpnet-two-epochs", "r1-mpnet-two-epochs")
    path = tmp_path / "rounds-mpnet-two-epochs.json"
    record = json.loads(path.read_text("utf-8"))
    record["runs"].append({**record["runs"][0], "seed": 1, "training_seconds": 1.0})
    record["rounds"][0] |= {"seeds": [0, 1]}
    path.write_text(json.dumps(record), "utf-8")
    (first,) = (point for point in budget.points(tmp_path) if point.parameters == 962_308)
    assert (first.name, first.seeds) == ("rounds-mpnet-two-epochs, r1", 2)


@pytest.mark.parametrize("change", [
    {"test": "newsbriefs"}, {"train": "newsbriefs"}, {"test_rows": 760},
])  # fmt: skip
def test_other_data_make_no_point(change: dict[str, Any], tmp_path: Path) -> None:
    path = copied(tmp_path, "rounds-mpnet") / "rounds-mpnet.json"
    record = json.loads(path.read_text("utf-8"))
    record["data"] |= change
    path.write_text(json.dumps(record), "utf-8")
    assert [point.published for point in budget.points(tmp_path)] == [True]
    assert write.budget_page(tmp_path) == ""


def test_without_a_result_the_page_says_that_changes_have_not_been_measured(tmp_path: Path) -> None:
    copied(tmp_path, "agnews-minilm")
    (tmp_path / "ablation-minilm.partial.json").write_text("{}", "utf-8")
    page = write.budget_page(tmp_path)
    assert "**Not measured yet.** There is no result of single changes" in page and "\n- cosine schedule\n" in page


def test_changes_stand_with_their_difference_and_what_they_cost_in_time(tmp_path: Path) -> None:
    copied(tmp_path, "agnews-minilm")
    figures = {"learning_rate": 7e-4, "edge": None, "parameters": 996_868, "diverged": 0, "runs": 3, "accuracy": 0.9372}
    figures |= {"accuracy_gain": 0.0, "accuracy_gain_error": 0.0}
    gain = {"diverged": 1, "pairs": 2, "accuracy_gain": 0.0012, "accuracy_gain_error": 0.0007}
    titles = {"recipe": "the recipe as it is", "r-drop": "R-Drop", "lora-plus": "LoRA+", "cosine": "cosine schedule"}
    soup = {"soup": {"title": "soup of three runs", "runs": 3}}
    record = {
        "benchmark": "ablation", "name": "ablation-minilm", "data": {
            "train": "AG News (training file)", "train_rows": 57_362, "validation_rows": 5000},
        "settings": {"backbone": "minilm", "recipe": "agnews-minilm", "set": ["training.epochs=10"], "choosing_seed": 0,
                     "seeds": [1, 2, 3], "changes": {name: {"title": title} for name, title in titles.items()} | soup},
        "summary": {"recipe": figures, "r-drop": {**figures, **gain, "edge": "highest", "accuracy": 0.9384},
                    "lora-plus": {"diverged": 3}, "soup": figures},
    }  # fmt: skip
    (tmp_path / "ablation-minilm.json").write_text(json.dumps(record), "utf-8")
    timed = {
        "benchmark": "ablation-times", "name": "ablation-times-minilm", "machine_folder": "zen3", "date": "2026-11-30",
        "machine": {"processor": "EPYC"}, "data": {"train": "newsbriefs"},
        "settings": {"backbone": "minilm", "recipe": "agnews-minilm", "repeats": 3, "steps": 12},
        "summary": {"recipe": {"times_as_long": {"median": 1.0, "low": 1.0, "high": 1.0}},
                    "r-drop": {"times_as_long": {"median": 2.04, "low": 1.9, "high": 2.1}}},
    }  # fmt: skip
    partial = timed | {"date": "2026-12-01", "summary": {"recipe": {"times_as_long": {"median": 7}}}}
    other = timed | {"date": "2026-12-01", "settings": timed["settings"] | {"backbone": "mpnet"}, "summary": {}}
    page = write.budget_page(tmp_path, [timed, partial, other])
    assert "3 turns of 12 steps each on newsbriefs, turn by turn with the recipe, on EPYC ([figures](../../be" in page
    assert "| the recipe as it is | 0.0007 | 996,868 | 93.72 | – | 1.00× |" in page
    assert "| soup of three runs | 0.0007 | 996,868 | 93.72 | +0.00 ± 0.00 | 3× |" in page
    untimed = write.budget_page(tmp_path)
    assert "| the recipe as it is | 0.0007 | 996,868 | 93.72 | – |\n" in untimed and "turns" not in untimed
    difference = "+0.12 ± 0.07 (2 seeds: 95% is ±12.7 errors)"
    assert (
        f"| R-Drop | 0.0007, the highest tried | 996,868 | 93.84, 1 diverged | {difference} | 2.04× (1.90 to 2.10) |"
        in page
    )
    assert (
        "| LoRA+ | – | – | diverged | – | – |\n" in page
        and page.count("cosine schedule") == 1
        and "\nNot measured yet:\n\n- cosine schedule\n" in page
        and "95% interval is ±4.3 standard errors" in page
        and "of 3 changes without" in page
    )
    assert "The recipe agnews-minilm with training.epochs=10, on 57,362 rows" in page and "**Not measured" not in page

    record["settings"]["changes"].pop("cosine")
    (tmp_path / "ablation-minilm.json").write_text(json.dumps(record), "utf-8")
    assert "Not measured" not in write.budget_page(tmp_path)


def test_points_of_the_same_weight_stand_beside_each_other_in_the_picture(tmp_path: Path) -> None:
    same = [point for point in POINTS if point.parameters == 888_580]
    places = list(budget._side_by_side(same))
    assert len(set(places)) == len(same) > 2
    assert sum(places) / len(places) == pytest.approx(888_580)
    assert budget.draw(POINTS, tmp_path).stat().st_size < 150_000
