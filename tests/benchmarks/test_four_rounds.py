"""The four rounds: the rates that a search tries, and finished rounds turned into committed results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.made_up_rounds import fabricate_rounds, fabricate_run

from featherweight.errors import UserError
from featherweight.evaluation.comparison import compare_runs
from featherweight.recipe import Recipe
from featherweight.recipe.loading import read_search_space
from featherweight.recipe.search_space import SearchSpace

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import run  # noqa: E402
from accuracy import four_rounds, publish_rounds  # noqa: E402

PAGE = ROOT / "docs" / "results" / four_rounds.PAGE


@pytest.mark.parametrize("name", ["r1", "r2", "r3", "r4"])
def test_a_search_tries_the_rates_of_the_page_with_each_round(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.toml"
    path.write_text(Recipe.load(name).to_toml() + (ROOT / "benchmarks" / "accuracy" / "rates.toml").read_text("utf-8"))
    recipe = Recipe.load(path, ["training.epochs=1"])
    space = SearchSpace.parse(read_search_space(str(path)), str(path), recipe)
    tried = json.loads((PAGE.parent / "rounds-minilm-rates.json").read_text("utf-8"))["settings"]["rates"]
    assert {key: values.values for key, values in space.keys.items()} == {"training.learning_rate": tuple(tried)}


def test_what_diverged_and_what_lies_at_the_edge_is_said() -> None:
    record = json.loads((PAGE.parent / "rounds-minilm-rates.json").read_text("utf-8"))
    record["runs"][2] |= {"accuracy": None, "diverged": True}
    table = four_rounds.parts({}, {"minilm": record}, {}, PAGE)["rates"]
    assert "diverged" in table and "At an edge of the grid: r2's is the highest rate tried" in table


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A copy of the page without any result."""
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "results" / four_rounds.PAGE).write_text(PAGE.read_text("utf-8"), "utf-8")
    return tmp_path / "docs"


def publish(folder: Path, docs: Path, *more: str) -> tuple[dict[str, Any], str]:
    run.main(["publish-rounds", str(folder), "--name", "minilm", "--docs", str(docs), *more])
    record = json.loads((docs / "results" / "rounds-minilm.json").read_text("utf-8"))
    return record, (docs / "results" / four_rounds.PAGE).read_text("utf-8")


def test_a_published_result_says_what_the_comparison_says(tmp_path: Path, docs: Path) -> None:
    folders = fabricate_rounds(tmp_path / "rounds")
    comparison = compare_runs(folders)
    record, page = publish(tmp_path / "rounds", docs)
    assert [one["round"] for one in record["rounds"]][:4] == ["r1", "r2", "r3", "r4"]
    fourth = comparison.rounds[3]
    assert record["rounds"][3]["figures"]["accuracy"]["mean"] == pytest.approx(fourth.mean("accuracy"), rel=1e-5)
    assert record["rounds"][3]["accuracy_interval"] == pytest.approx(fourth.interval, rel=1e-5)
    assert record["rounds"][3]["parameters"] == 990_724
    assert [(run["round"], run["seed"]) for run in record["runs"]][:4] == [("r1", 0), ("r1", 1), ("r1", 2), ("r2", 0)]
    assert {"accuracy", "accuracy_interval", "macro_f1"} <= record["runs"][0]["figures"]["test"].keys()
    assert [pair["words"] for pair in record["differences"]] == [pair.words for pair in comparison.differences]
    assert record["machine"][0]["processor"] == "AMD EPYC" and record["begun"] == ["2026-03-02", "2026-03-04"]
    for pair in (*comparison.differences, *comparison.against_baselines):
        assert pair.words in page
    assert "## all-MiniLM-L6-v2, 3 seeds a round" in page and "all-mpnet-base-v2, " not in page
    for picture in ("rounds", "accuracy", "frontier"):
        assert (docs / "images" / f"rounds-minilm-{picture}.png").stat().st_size < 150_000
        assert f"(../images/rounds-minilm-{picture}.png)" in page


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is not drawn anew: seconds less."""
    monkeypatch.setattr(publish_rounds, "copy_pictures", lambda *_: [])


@pytest.mark.usefixtures("no_pictures")
def test_a_published_result_holds_no_texts_and_no_paths(tmp_path: Path, docs: Path) -> None:
    recipe = Recipe.load("r3").with_values(data={"train": str(tmp_path / "here" / "train.csv.gz")})
    fabricate_run(tmp_path / "rounds" / "r3" / "seed-0", recipe, 0.9)
    record, page = publish(tmp_path / "rounds", docs, "--call", "train.csv.gz", "AG News (training file)")
    for text in (json.dumps(record), page):
        assert str(tmp_path) not in text and "text 0 1" not in text
    assert record["data"]["train"] == record["rounds"][0]["recipe"]["data"]["train"] == "AG News (training file)"
    assert "text_key" not in json.dumps(record)


@pytest.mark.usefixtures("no_pictures")
def test_unfinished_runs_are_left_out_and_none_at_all_is_refused(
    tmp_path: Path, docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = fabricate_rounds(tmp_path / "rounds", seeds=1, baselines=False)
    (folders[3] / "verification.json").unlink()
    record, _ = publish(tmp_path / "rounds", docs)
    assert [one["round"] for one in record["rounds"]] == ["r1", "r2", "r3"]
    assert f"left out, because it is not finished: {folders[3]}" in capsys.readouterr().out
    with pytest.raises(UserError, match="there is no finished run in it"):
        run.main(["publish-rounds", str(tmp_path), "--docs", str(docs)])


def test_the_page_is_made_from_the_committed_files() -> None:
    assert PAGE.read_text("utf-8") == four_rounds.made_anew(PAGE.read_text("utf-8"), PAGE.parent)


def test_the_page_has_the_published_figures_beside_the_exact_counts() -> None:
    page = PAGE.read_text("utf-8")
    assert "| 992,268 | 990,724 | 94.60 |" in page
    assert "| 962,308 | 962,308 | 89.65 |" in page
    assert "standard error of 0.26 points" in page
    assert "| published too many | 0 | 0 | 0 | 1,544 |" in page


@pytest.mark.parametrize("path", sorted(PAGE.parent.glob("rounds-*.json")), ids=lambda path: path.stem)
def test_results_of_rounds_hold_figures_alone(path: Path, tmp_path: Path) -> None:
    record = json.loads(path.read_text("utf-8"))
    assert f"{record['name']}.json" == path.name
    publish_rounds.save(record, tmp_path)  # refuses texts as long as a row, and places on the machine


def test_longer_runs_of_a_round_stand_best_validation_first(tmp_path: Path) -> None:
    record = json.loads((PAGE.parent / "r3-mpnet-250-steps.json").read_text("utf-8"))
    for name, epochs, steps, accuracy in (
        ("a", 2, None, 0.91),
        ("b", 3, None, 0.92),
        ("c", 1, None, 1),
        ("d", 2, 9, 1),
    ):
        record["recipe"]["training"] |= {"epochs": epochs, "max_steps": steps, "warmup": 0.06, "schedule": "linear"}
        record["evaluation"]["validation"]["accuracy"] = accuracy
        (tmp_path / f"r3-{name}.json").write_text(json.dumps(record), "utf-8")
    (tmp_path / "other.json").write_text("{}", "utf-8")
    found = four_rounds.parts({}, {}, four_rounds.longer_runs(tmp_path), PAGE)["longer"]
    first, second, _, *commands = found.splitlines()[2:]
    assert first.startswith(
        "| r3-b | all-mpnet-base-v2 | 2 cores | 3 | 0.0003 | linear, warm-up 6% | 888,580 | 92.00 |"
    )
    assert second.startswith("| r3-a | all-mpnet-base-v2 | 2 cores | 2 |")
    assert [line.partition(":")[0] for line in commands] == ["- [r3-b](r3-b.json)", "- [r3-a](r3-a.json)"]
