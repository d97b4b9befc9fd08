"""The four rounds: rates tuned without a look at test rows, and finished rounds turned into committed results."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.made_up_rounds import TestSet, claim_rows, fabricate_rounds, fabricate_run

from featherweight.backbone.tokenizer import load_tokenizer
from featherweight.errors import UserError
from featherweight.evaluation.comparison import compare_runs
from featherweight.evaluation.significance import paired_bootstrap
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.training.loop import Diverged

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import run  # noqa: E402
from accuracy import four_rounds, publish_rounds  # noqa: E402

PAGE = ROOT / "docs" / "results" / four_rounds.PAGE
TOKENIZER = cache(load_tokenizer)  # of the one backbone here
SKILLS = {3e-4: 0.80, 1e-3: 0.93, 3e-3: 0.70}


def rows(path: Path, count: int = 300) -> str:
    labels = ("World", "Sports", "Business", "Sci/Tech")
    path.write_text("text,label\n" + "".join(f"text {n},{labels[n % 4]}\n" for n in range(count)), "utf-8")
    return str(path)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Trainings are made up, better at some rates than at others; round 2 diverges at the highest."""
    recipes: list[Recipe] = []

    def train(recipe: Recipe, out: Path, *, listeners: Any, resume: bool) -> Run:
        recipes.append(recipe)
        rate = recipe.training.learning_rate
        if recipe.name.startswith("r2") and rate == 3e-3:
            out.mkdir(parents=True)
            raise Diverged("step 3: the loss or its gradient is not a number")
        return Run(claim_rows(fabricate_run(out, recipe, SKILLS[rate], test=TestSet(80), shift=False), recipe))

    monkeypatch.setattr("featherweight.workflows.train.train", train)
    monkeypatch.setattr("featherweight.workflows.rounds.forget_peak_memory", lambda: None)
    monkeypatch.setattr("support.made_up_rounds.load_tokenizer", TOKENIZER)
    return recipes


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    train = rows(tmp_path / "train.csv")

    def call(*more: str) -> dict[str, Any]:
        given = ["--train", train, "--set", "data.validation_size=60", "--rows", "40", "--results", str(tmp_path)]
        run.main(["tune-rounds", *given, *more])
        path = tmp_path / "rounds-minilm-rates.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    return call


def test_each_round_gets_its_best_rate_on_validation_rows(tune: Any, trained: list[Recipe], tmp_path: Path) -> None:
    record = tune("r3", "r2", "--test", "no/such/test.csv", "--set", "training.epochs=50")
    chosen = {name: choice["learning_rate"] for name, choice in record["summary"].items()}
    assert chosen == {"r3": 1e-3, "r2": 1e-3}
    assert record["summary"]["r3"]["edge"] is None
    tuned = Recipe.load(tmp_path / "runs" / "rates-minilm" / "chosen" / "r3.toml")
    expected = Recipe.load("r3").with_values(
        backbone={"name": "minilm"},
        data={"train": str(tmp_path / "train.csv"), "test": "no/such/test.csv", "validation_size": 60},
        training={"epochs": 50, "learning_rate": 1e-3},
    )
    assert tuned == expected
    text = json.dumps(record)
    assert str(tmp_path) not in text and "text 1" not in text


def test_a_trial_sees_no_test_rows_and_keeps_the_rounds_schedule(tune: Any, trained: list[Recipe]) -> None:
    shift = 'evaluation.shift=["newsbriefs"]'
    tune("r2", "r3", "--test", "test.csv", "--set", shift, "--set", "training.epochs=100")
    assert len(trained) == 6
    assert all(recipe.data.test is None and not recipe.evaluation.shift for recipe in trained)
    assert {(recipe.data.train_rows, recipe.training.epochs, recipe.seed) for recipe in trained} == {(40, 1.0, 0)}
    second, third = (next(recipe for recipe in trained if recipe.name.startswith(name)) for name in ("r2", "r3"))
    assert (second.training.schedule, third.training.schedule) == ("cosine", "constant")
    # 500 of 100 epochs over 240 rows in batches of 32
    assert second.training.warmup == pytest.approx(500 / (100 * 240 / 32), abs=1e-4)
    assert third.training.warmup == 0


def test_data_that_bring_test_rows_along_are_refused(trained: list[Recipe]) -> None:
    with pytest.raises(UserError, match="newsbriefs has a test split, which tuning must not read"):
        run.main(["tune-rounds", "r3", "--train", "newsbriefs"])
    assert not trained


def test_finished_trials_are_kept_and_two_processes_share_a_folder(tune: Any, trained: list[Recipe]) -> None:
    first = tune("r2", "r3", "--only", "r3")
    assert list(first["summary"]) == ["r3"]
    both = tune("r2", "r3", "--only", "r2")
    assert list(both["summary"]) == ["r2", "r3"]
    count = len(trained)
    again = tune("r2", "r3")
    assert len(trained) == count == 6  # the diverged trial is not tried again either
    assert again["runs"] == both["runs"]
    with pytest.raises(UserError, match="--only r9: no such round here"):
        tune("r2", "--only", "r9")


def test_what_diverged_and_what_lies_at_the_edge_is_said(
    tune: Any, trained: list[Recipe], capsys: pytest.CaptureFixture[str]
) -> None:
    record = tune("r2", "r3", "--rates", "1e-3", "3e-3")
    said = capsys.readouterr().out
    by_rate = {(row["round"], row["learning_rate"]): row for row in record["runs"]}
    assert by_rate["r2", 3e-3]["diverged"] and by_rate["r2", 3e-3]["accuracy"] is None
    assert "3e-3" not in record["summary"] and record["summary"]["r3"]["edge"] == "lowest"
    assert "it is the lowest rate tried, so try one beyond it as well by --rates" in said
    table = four_rounds.parts({}, {"minilm": record}, {}, PAGE)["rates"]
    assert "diverged" in table and "At an edge of the grid: r2's is the lowest rate tried" in table


def test_other_rates_are_compared_with_the_chosen_one_on_the_same_rows(
    tune: Any, trained: list[Recipe], tmp_path: Path
) -> None:
    record = tune("r3")
    row = next(row for row in record["runs"] if row["learning_rate"] == 3e-3)
    folders = [tmp_path / "runs" / "rates-minilm" / f"r3-{rate:g}" / "seed-0" for rate in (3e-3, 1e-3)]
    from featherweight.evaluation.run_groups import correct_rows

    right = correct_rows([Run(folder) for folder in folders], "validation")
    expected = paired_bootstrap(*(right[folder] for folder in folders))
    assert row["over_chosen"] == {key: pytest.approx(value, rel=1e-5) for key, value in expected.items()}
    assert row["over_chosen"]["difference"] < 0


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
