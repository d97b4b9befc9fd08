"""One change of a recipe at a time: the list of changes, the trials, and what is said of them."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from support.benchmarks import SMALL_ABLATION, Load

from featherweight.errors import FeatherweightError
from featherweight.recipe import Recipe
from featherweight.workflows.weigh import weigh

TABLE = tomllib.loads((Path(__file__).parents[2] / "benchmarks" / "accuracy" / "ablation.toml").read_text("utf-8"))


@pytest.mark.parametrize("name", TABLE["changes"])
def test_a_change_is_a_recipe_within_the_budget(name: str) -> None:
    change = TABLE["changes"][name]
    assert change.keys() <= {"title", "set", "runs", "rates"} and change.keys() >= {"title"}
    base, changed = (Recipe.load(TABLE["recipe"], keys) for keys in ([], change.get("set", [])))
    assert (changed == base) == ("runs" in change)
    assert weigh(changed).total <= changed.budget


def a_run(setting: str, seed: int, accuracy: float, rate: float = 0.1, **more: Any) -> dict[str, Any]:
    values = {"setting": setting, "part": 0, "rate": rate, "seed": seed, "accuracy": accuracy, "log_loss": 0.5}
    return values | {"seconds": 10.0, "parameters": 7, "processor": "EPYC"} | more


def test_a_gain_is_paired_by_seed_and_leaves_out_the_seed_that_chose_the_rate(load: Load) -> None:
    runs = [a_run("recipe", 0, 0.99), a_run("recipe", 1, 0.8), a_run("recipe", 2, 0.9)]
    runs += [a_run("soup", 0, 0.5, rate=0.2), a_run("soup", 0, 0.1), a_run("soup", 1, 0.82, rate=0.2, seconds=30.0)]
    runs += [a_run("soup", 2, 0.96, rate=0.2, processor="H200"), {**a_run("soup", 3, 0.0, rate=0.2), "diverged": True}]
    found = load("accuracy.ablation").summary(runs, 0)
    assert found["recipe"]["accuracy"] == pytest.approx(0.85) and found["recipe"]["accuracy_gain"] == 0
    soup = found["soup"]
    assert (soup["learning_rate"], soup["edge"], soup["diverged"], soup["runs"]) == (0.2, "highest", 1, 2)
    assert (soup["pairs"], found["recipe"]["pairs"]) == (2, 2)
    assert soup["accuracy_gain"] == pytest.approx(0.04) and soup["accuracy_gain_error"] == pytest.approx(0.02)


def test_of_rates_with_equal_accuracy_the_lower_loss_is_chosen_and_a_diverged_one_never(load: Load) -> None:
    runs = [a_run("x", 0, 0.8), a_run("x", 0, 0.8, rate=0.2, log_loss=0.4), a_run("x", 1, 0.9, rate=0.3)]
    ablation = load("accuracy.ablation")
    assert ablation.chosen([*runs, {"seed": 0, "diverged": True}], 0)["rate"] == 0.2
    assert ablation.chosen([{"seed": 0, "diverged": True}], 0) is None


def test_the_page_tells_what_helped_and_what_the_seeds_do_not_show(load: Load) -> None:
    def measured(gain: float, error: float, pairs: int = 3) -> dict[str, Any]:
        return {"runs": 3, "pairs": pairs, "accuracy_gain": gain, "accuracy_gain_error": error}

    names = ("recipe", "ema", "dropout", "soup", "swa", "one", "diverged")
    figures = [measured(0, 0), measured(0.02, 0.004), measured(-0.02, 0.004), measured(0.02, 0.005)]
    figures += [measured(0.01, 0.0, 2), {**measured(0.5, 0.0, 1), "accuracy_gain_error": None}, {"diverged": 3}]
    record = {
        "settings": {"seeds": [1, 2, 3], "changes": {name: {"title": f"with {name}"} for name in names}},
        "summary": dict(zip(names, figures, strict=True)),
    }
    # Student's t with two degrees of freedom: 4.30 standard errors.
    expected = {"better": ["with ema", "with swa"], "worse": ["with dropout"], "neither": ["with soup"]}
    assert load("pages.budget").outcomes(record) == expected


class TestTrials:
    """The suite on a tiny backbone, its commands in this process."""

    @pytest.fixture
    def run(self, load: Load, tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        ablation, recipe = load("accuracy.ablation"), tiny_recipe("bert", training={"epochs": 1})
        (tmp_path / "base.toml").write_text(recipe.to_toml(), "utf-8")
        changes = SMALL_ABLATION.replace("agnews-minilm", str(tmp_path / "base.toml"))
        (tmp_path / "ablation.toml").write_text(changes, "utf-8")
        monkeypatch.setattr(ablation, "CHANGES", tmp_path / "ablation.toml")
        self.commands: list[tuple[str, ...]] = []

        def here(verb: str, *arguments: str) -> None:
            from featherweight import make_soup, train

            self.commands.append((verb, *arguments))
            *given, _, out = [one for one in arguments if one != "--resume"]
            if verb == "soup":
                make_soup(given, out)
            else:
                told = Recipe.load(given[0])
                assert told.data.test == "" and not told.evaluation.shift
                train(told, out, resume=True)

        monkeypatch.setattr(ablation, "featherweight", here)

        def call(*arguments: str) -> int:
            results = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work"), "--name", "ablation-x"]
            return load("run").cli(["ablation", *results, *arguments])

        return call

    @pytest.mark.usefixtures("in_this_process")
    def test_each_trial_is_made_once_and_test_rows_are_never_read(self, run: Any, tmp_path: Path) -> None:
        assert run("--only", "upper") == 0
        part = json.loads((tmp_path / "results" / "ablation-x.json").read_text("utf-8"))
        assert len(self.commands) == 8 and [*part["summary"]] == ["recipe", "upper"]  # all begun are whole
        assert run() == 0
        record = json.loads((tmp_path / "results" / "ablation-x.json").read_text("utf-8"))
        # Two parts and their mixing, for one rate and two seeds.
        assert len(self.commands) == 8 + 3 * 3 and [verb for verb, *_ in self.commands].count("soup") == 3
        assert not (tmp_path / "results" / "ablation-x.partial.json").exists()
        assert str(tmp_path) not in json.dumps(record) and not list((tmp_path / "work").rglob("recipe.toml"))
        found = record["summary"]
        assert [found[name]["runs"] for name in ("recipe", "upper", "soup")] == [2, 2, 2]
        assert found["upper"]["parameters"] < found["recipe"]["parameters"] == found["soup"]["parameters"]
        assert record["data"] == {"train": "train.jsonl", "train_rows": 48, "validation_rows": 12}
        assert run() == 0 and len(self.commands) == 17

    @pytest.mark.usefixtures("in_this_process")
    def test_other_rows_are_refused_and_a_change_that_changed_is_measured_anew(
        self, run: Any, tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--only", "upper") == 0
        assert run("--only", "upper", "--rows", "24") == 2
        assert "was made with other rows or settings; choose another --name, or remove it" in capsys.readouterr().err
        assert run("--only", "lower") == 2
        assert "--only lower: no such change; there are recipe, upper, soup" in capsys.readouterr().err
        changes = load("accuracy.ablation").CHANGES
        changes.write_text(changes.read_text("utf-8").replace("upper-half", "lower-half"), "utf-8")
        assert len(self.commands) == 8 and run("--only", "upper") == 0 and len(self.commands) == 12

    @pytest.mark.usefixtures("in_this_process")
    def test_two_changes_are_measured_at_once_and_a_failure_ends_both(
        self, run: Any, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both, fails, tried = Barrier(2, timeout=30), True, []

        def trial(base: Recipe, change: dict[str, Any], rate: float, seed: int, place: Path) -> dict[str, Any]:
            if (rate, seed) == (0.0025, 0):
                both.wait()  # which fails unless the first trials of both changes are under way at once
            tried.append((place.name, rate, seed))
            if fails:
                raise FeatherweightError("no memory")
            return {"accuracy": 0.5, "log_loss": 1.0, "seconds": 1.0, "parameters": 7, "processor": "EPYC"}

        monkeypatch.setattr(load("accuracy.ablation"), "trial", trial)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert run("--only", "upper", "--jobs", "2") == 1
        assert sorted(tried) == [("recipe", 0.0025, 0), ("upper", 0.0025, 0)]
        fails = False
        assert run("--only", "upper", "--jobs", "2") == 0
        planned = [(0.0025, 0), (0.0025, 1), (0.0025, 2), (0.01, 0)]
        assert sorted(tried[2:]) == [(name, *one) for name in ("recipe", "upper") for one in planned]
        record = json.loads((tmp_path / "results" / "ablation-x.json").read_text("utf-8"))
        assert len(record["runs"]) == 8 and record["summary"]["upper"]["runs"] == 2

    def test_a_rate_that_diverges_is_said_and_any_other_failure_ends(
        self, run: Any, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def failing(verb: str, file: str, _: str, out: str, *more: str) -> None:
            if "0.0025" in Path(file).read_text("utf-8"):
                Path(out).mkdir(parents=True)
                (Path(out) / "diverged.json").write_text("{}", "utf-8")
            raise FeatherweightError("featherweight train ended with code 1: no memory")

        monkeypatch.setattr(load("accuracy.ablation"), "featherweight", failing)
        assert run("--only", "upper") == 1
        assert "no memory" in capsys.readouterr().err
        record = json.loads((tmp_path / "results" / "ablation-x.partial.json").read_text("utf-8"))
        assert [(run["rate"], run["diverged"]) for run in record["runs"]] == [(0.0025, True)]
        assert record["summary"] == {"recipe": {"diverged": 1}}


def test_a_command_that_fails_says_why(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 2, "", "note: x\nfeatherweight: a.toml: no such file\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: failed if command[3:] == ["train", "a"] else None)
    with pytest.raises(FeatherweightError, match=r"train ended with code 2: note: x\nfeatherweight: a\.toml: no such"):
        load("accuracy.ablation").featherweight("train", "a")
