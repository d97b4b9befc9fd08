"""Rounds: each recipe with each seed, nothing twice, nothing lost, baselines as they are called, and one comparison."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from support.made_up_rounds import TestSet, claim_rows, fabricate_run
from support.pairs import write_nli

from featherweight.errors import UserError
from featherweight.evaluation.comparison import compare_runs
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.workflows.baseline_models import TITLES
from featherweight.workflows.rounds import plan_rounds, run_rounds
from featherweight.workflows.weigh import weigh

TEST = TestSet(80)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, bool]]:
    """Trainings are made up; the list tells which there were."""
    calls: list[tuple[str, int, bool]] = []

    def train(recipe: Recipe, out: Path, *, listeners: Any, resume: bool) -> Run:
        calls.append((recipe.name, recipe.seed, resume))
        if (out / "checkpoint").exists():  # an interrupted run
            (out / "recipe.toml").unlink()
            out.rename(out.with_name("interrupted"))
        return Run(claim_rows(fabricate_run(out, recipe, 0.9, test=TEST), recipe))

    monkeypatch.setattr("featherweight.workflows.train.train", train)
    return calls


@pytest.fixture
def recipes(tiny_recipe: Any) -> list[Recipe]:
    first = tiny_recipe("bert", name="narrow")
    return [first, first.with_values(name="wide", adapter={"lora": [{"roles": ["query", "value"], "rank": 4}]})]


def test_every_recipe_is_trained_with_every_seed_in_order(trained: Any, recipes: list[Recipe], tmp_path: Path) -> None:
    said: list[str] = []
    comparison = run_rounds(recipes, [0, 1, 2], tmp_path / "out", announce=said.append)
    assert [call[:2] for call in trained] == [(name, seed) for name in ("narrow", "wide") for seed in range(3)]
    assert [one.name for one in comparison.rounds] == ["narrow", "wide"]
    assert all(one.seeds == (0, 1, 2) for one in comparison.rounds)
    assert Run(tmp_path / "out" / "wide" / "seed-2").recipe.seed == 2
    assert said[0] == f"narrow, seed 0 (run 1 of 6): training in {tmp_path / 'out' / 'narrow' / 'seed-0'}"
    for name in ("comparison.html", "comparison.md", "comparison.csv", "differences.csv"):
        assert (tmp_path / "out" / name).is_file()


def test_what_is_complete_is_not_trained_again_and_new_seeds_join(
    trained: Any, recipes: list[Recipe], tmp_path: Path
) -> None:
    run_rounds(recipes[:1], [0, 1], tmp_path / "out")
    trained.clear()
    said: list[str] = []
    comparison = run_rounds(recipes, [0, 1, 2], tmp_path / "out", announce=said.append)
    assert [call[:2] for call in trained] == [("narrow", 2), ("wide", 0), ("wide", 1), ("wide", 2)]
    assert said[0].endswith("complete")
    assert comparison.rounds[0].seeds == (0, 1, 2)


def test_an_interrupted_run_goes_on(trained: Any, recipes: list[Recipe], tmp_path: Path) -> None:
    folder = tmp_path / "out" / "narrow" / "seed-0"
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "recipe.toml").write_text(recipes[0].to_toml(), "utf-8")
    run_rounds(recipes[:1], [0], tmp_path / "out")
    assert trained == [("narrow", 0, True)]


def test_another_recipes_folder_is_refused_before_any_training(
    trained: Any, recipes: list[Recipe], tmp_path: Path
) -> None:
    run_rounds(recipes[1:], [0], tmp_path / "out")
    trained.clear()
    changed = recipes[1].with_values(training={"learning_rate": 0.02})
    with pytest.raises(
        UserError, match=r"seed-0: holds a run of another recipe \(training.learning_rate is 0.005, not 0.02\)"
    ):
        run_rounds([recipes[0], changed], [0], tmp_path / "out")
    assert not trained


def test_a_complete_run_whose_rows_have_changed_is_refused(tiny_recipe: Any, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"{word} {n}", "label": word}) for n in range(20) for word in ("pear", "owl")]
    files = {name: tmp_path / f"{name}.jsonl" for name in ("train", "test")}
    for path in files.values():
        path.write_text("\n".join(lines), "utf-8")
    data = {"train": str(files["train"]), "test": str(files["test"]), "validation_size": 8}
    recipe = tiny_recipe("bert", name="one", data=data, training={"max_steps": 1})
    run_rounds([recipe], [0], tmp_path / "out")
    run_rounds([recipe], [0], tmp_path / "out")
    files["train"].write_text("\n".join(lines).replace("pear 7", "pear 77"), "utf-8")
    with pytest.raises(UserError, match=r"seed-0: the (train|validation) rows have changed since this run was trained"):
        run_rounds([recipe], [0], tmp_path / "out")
    files["train"].write_text("\n".join(lines), "utf-8")
    files["test"].write_text("\n".join(lines[2:]), "utf-8")
    with pytest.raises(UserError, match="the test rows have changed since this run was trained"):
        run_rounds([recipe], [0], tmp_path / "out")


def test_a_complete_run_on_other_weights_is_refused(trained: Any, recipes: list[Recipe], tmp_path: Path) -> None:
    run_rounds(recipes[:1], [0], tmp_path / "out")
    file = tmp_path / "out" / "narrow" / "seed-0" / "environment.json"
    values = json.loads(file.read_text("utf-8")) | {"backbone": {"name": "tiny", "sha256": "0" * 64}}
    file.write_text(json.dumps(values), "utf-8")
    with pytest.raises(UserError, match="seed-0: the backbone has changed since this run was trained"):
        run_rounds(recipes[:1], [0], tmp_path / "out")


def test_recipes_with_other_test_rows_are_refused_before_any_training(
    trained: Any, recipes: list[Recipe], tmp_path: Path
) -> None:
    test = Path(str(recipes[0].data.test))
    (tmp_path / "same.jsonl").write_bytes(test.read_bytes())
    (tmp_path / "fewer.jsonl").write_bytes(b"".join(test.read_bytes().splitlines(keepends=True)[2:]))
    same, fewer, none = (
        recipes[1].with_values(data={"test": str(path) if path else None})
        for path in (tmp_path / "same.jsonl", tmp_path / "fewer.jsonl", None)
    )
    for other in (fewer, none):
        with pytest.raises(UserError, match="wide: would be evaluated on other rows than narrow"):
            run_rounds([recipes[0], other], [0], tmp_path / "out")
    assert not trained
    run_rounds([recipes[0], same], [0], tmp_path / "out")
    assert len(trained) == 2


def test_recipes_that_read_the_same_rows_otherwise_are_compared(
    trained: Any, recipes: list[Recipe], tmp_path: Path
) -> None:
    columns = {
        "train": str(write_nli(tmp_path / "train.csv", 48)),
        "test": str(write_nli(tmp_path / "test.csv", 12, 48)),
    }
    names = ["neutral", "entailment", "contradiction"]
    joined = recipes[0].with_values(data={**columns, "text": ["premise", "hypothesis"], "label": "label"})
    pair = joined.with_values(name="pair", data={"join": "pair", "labels": names})
    assert [run.recipe.name for run in plan_rounds([joined, pair], [0], tmp_path / "out")] == ["narrow", "pair"]
    several = joined.with_values(name="several", task="multi-label")
    with pytest.raises(UserError, match="several: its task is multi-label, but that of narrow is single-label"):
        plan_rounds([joined, several], [0], tmp_path / "out")
    assert not trained


def test_a_seed_that_is_named_twice_is_refused_before_any_training(
    trained: Any, recipes: list[Recipe], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="seeds: 1 is named twice"):
        run_rounds(recipes, [0, 1, 1], tmp_path / "out")
    assert not trained and not (tmp_path / "out").exists()


def test_bad_requests_are_refused_before_any_training(trained: Any, recipes: list[Recipe], tmp_path: Path) -> None:
    heavy = recipes[1].with_values(budget=100)
    for wanted, seeds, message in (
        ([recipes[0], heavy], [0], "budget"),
        ([recipes[0], recipes[0]], [0], "called 'narrow'"),
        ([recipes[0].with_values(name="baselines")], [0], "that folder is for the baselines"),
        ([], [0], "at least one recipe"),
        (recipes, [], "one seed"),
        ([recipes[0].with_values(data={"test": None})], [0, 1], "narrow: without test rows"),
    ):
        with pytest.raises(UserError, match=message):
            run_rounds(wanted, seeds, tmp_path / "out")
    assert not trained and not (tmp_path / "out").exists()


def test_a_signal_says_how_to_go_on(recipes: list[Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featherweight.training.loop import Interrupted

    def train(*_: Any, **__: Any) -> None:
        raise Interrupted("stopped after step 3; to resume, run the same command with --resume", 15)

    monkeypatch.setattr("featherweight.workflows.train.train", train)
    with pytest.raises(Interrupted, match=r"seed-0; to resume, run the same command again") as stopped:
        run_rounds(recipes[:1], [0], tmp_path / "out")
    assert stopped.value.exit_code == 143


def test_rounds_on_a_backbone_in_a_folder_beside_go_on(
    recipes: list[Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run keeps the folder's whole path; the same command with the relative one is still the same recipe."""
    folder = Path(recipes[0].backbone.name)
    monkeypatch.chdir(folder.parent)
    beside = recipes[0].with_values(backbone={"name": f"./{folder.name}"}, training={"epochs": 1, "max_steps": 2})
    run_rounds([beside], [0], tmp_path / "out")
    said: list[str] = []
    run_rounds([beside], [0], tmp_path / "out", announce=said.append)
    assert said == ["narrow, seed 0 (run 1 of 1): complete"]


@pytest.mark.parametrize(("where", "more"), [("run_baseline", ["--baselines"]), ("write_comparison", [])])
def test_a_signal_between_trainings_says_how_to_go_on(
    cli: Any,
    trained: Any,
    recipes: list[Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    more: list[str],
) -> None:
    recipe, out = tmp_path / "narrow.toml", tmp_path / "out"
    recipe.write_text(recipes[0].to_toml(), "utf-8")
    monkeypatch.setattr(f"featherweight.workflows.rounds.{where}", lambda *given: os.kill(os.getpid(), signal.SIGTERM))
    answer = cli("rounds", recipe, "--seeds", "1", *more, "--out", out)
    assert answer.code == 143
    assert answer.err.endswith(f"featherweight: stopped; to resume in {out}, run the same command again\n")


def test_the_command_trains_and_says_what_is_real(
    cli: Any, trained: Any, recipes: list[Recipe], tmp_path: Path
) -> None:
    for recipe in recipes:
        (tmp_path / f"{recipe.name}.toml").write_text(recipe.to_toml(), "utf-8")
    files = [tmp_path / f"{recipe.name}.toml" for recipe in recipes]
    answer = cli("rounds", *files, "--seeds", "2", "--set", "training.epochs=1", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert len(trained) == 4 and Run(tmp_path / "out" / "wide" / "seed-1").recipe.training.epochs == 1
    assert "wide over narrow:" in answer.out
    assert f"Comparison: {tmp_path / 'out' / 'comparison.html'}" in answer.out
    refused = cli("rounds", *files, "--seeds", "2", "--out", tmp_path / "out")
    assert refused.code == 2 and "training.epochs is 1.0, not 2.0" in refused.err


# Baselines


@pytest.mark.slow
def test_rounds_with_baselines_from_end_to_end(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe("bert", training={"epochs": 1}, evaluation={"shift": ["perturbed:casing"]})
    comparison = run_rounds([recipe], [0], tmp_path / "out", baselines=True)
    assert [one.name for one in comparison.rounds] == ["tiny", *TITLES.values()]
    assert [one.baseline for one in comparison.rounds] == [None, *TITLES]
    for one in comparison.rounds:
        assert one.correct.shape == (1, 24)
        assert one.mean("accuracy") == pytest.approx(one.correct.mean())
        assert one.mean("shift: perturbed:casing") is not None
        assert (one.mean("seconds") or 0) > 0 and (one.mean("peak_memory_bytes") or 0) > 1e7
    page = (tmp_path / "out" / "comparison.html").read_text("utf-8")
    assert all(title in page for title in TITLES.values())

    monkeypatch.setattr("featherweight.workflows.train.train", None)  # whatever trains again fails
    monkeypatch.setattr("featherweight.workflows.baselines.bag_of_words", None)
    monkeypatch.setattr("featherweight.workflows.baselines.fine_tuned", None)
    again = run_rounds([recipe], [0], tmp_path / "out", baselines=True)
    assert [one.figures for one in again.rounds] == [one.figures for one in comparison.rounds]
    everything = [run.folder for one in comparison.rounds for run in one.runs]
    assert [one.name for one in compare_runs(everything).rounds] == [one.name for one in again.rounds]


def test_rounds_from_a_run_in_a_folder_beside_go_on(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run keeps the whole path of its start, whose classes come first: that of the new class is before them."""
    monkeypatch.chdir(finished_run.folder.parent)
    files = {}
    for part in ("train", "test"):
        lines = Path(str(getattr(finished_run.recipe.data, part))).read_text("utf-8").splitlines()
        lines += [json.dumps({"text": f"frog and toad, case {n}", "label": "amphibian"}) for n in range(20)]
        files[part] = tmp_path / f"{part}.jsonl"
        files[part].write_text("\n".join(lines), "utf-8")
    recipe = finished_run.recipe.with_values(
        name="further",
        data={part: str(path) for part, path in files.items()},
        adapter={"start_from": finished_run.folder.name},
        training={"max_steps": 1},
        evaluation={"shift": []},
    )
    run_rounds([recipe], [0], tmp_path / "out")
    said: list[str] = []
    run_rounds([recipe], [0], tmp_path / "out", announce=said.append)
    assert said == ["further, seed 0 (run 1 of 1): complete"]
    files["train"].write_text(files["train"].read_text("utf-8").replace('"bird"', '"metal"'), "utf-8")
    assert weigh(recipe).labels == 4, "no class of the start is lost"


def test_a_run_with_a_teacher_in_a_folder_beside_goes_on(
    recipes: list[Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder := tmp_path / "out" / "narrow" / "seed-0").mkdir(parents=True)
    stored = recipes[0].with_values(training={"teacher": [str(tmp_path.resolve() / "runs" / "large")]})
    (folder / "recipe.toml").write_text(stored.to_toml(), "utf-8")
    beside = recipes[0].with_values(training={"teacher": ["runs/large"]})
    assert [run.folder for run in plan_rounds([beside], [0], tmp_path / "out")] == [folder]
    with pytest.raises(UserError, match="holds a run of another recipe"):
        plan_rounds([beside.with_values(training={"teacher": ["runs/other"]})], [0], tmp_path / "out")


def test_a_recipe_may_start_from_a_run_of_the_same_rounds(recipes: list[Recipe], tmp_path: Path) -> None:
    start = str(tmp_path / "out" / "narrow" / "seed-0")
    planned = plan_rounds([recipes[0], recipes[1].with_values(adapter={"start_from": start})], [0], tmp_path / "out")
    assert [run.recipe.adapter.start_from for run in planned] == [None, start]
