"""A training that starts from the adapter of a finished run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from support.endings import quick_endings
from support.stops import StopAfter

from featherweight.adapter.storage import WEIGHTS, peft_name
from featherweight.data.fingerprints import rows_fingerprint
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.hints import on_the_command_line
from featherweight.inference.classifier import Classifier
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.training.loop import Interrupted
from featherweight.workflows.continuation import recipe_from, with_classes_of_the_start
from featherweight.workflows.leaks import start_notes
from featherweight.workflows.prepare import prepare
from featherweight.workflows.train import train

Tensors = dict[str, np.ndarray]


def interrupt() -> None:
    """As Ctrl-C in the middle of a training."""
    raise KeyboardInterrupt


def saved(run: Run) -> Tensors:
    files = [run.adapter / name for name in WEIGHTS if (run.adapter / name).is_file()]
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def live(recipe: Recipe) -> tuple[Tensors, tuple[str, ...], list[str]]:
    """Trained tensors before the first step, the classes, and the notes."""
    ready = prepare(recipe)
    network = ready.model.network
    tensors = {peft_name(name): tensor.detach().numpy() for name, tensor in network.trainable().items()}
    return tensors, network.labels, ready.splits.warnings


@pytest.fixture(scope="module")
def linear_run(tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a linear head, whose classes are whole numbers."""
    folder = tmp_path_factory.mktemp("numbers")
    rows = [{"text": f"{word} {n}", "label": label} for n in range(12) for word, label in (("apple", 5), ("crow", 2))]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    data = {"train": str(folder / "train.jsonl"), "test": None, "validation_size": 4}
    with quick_endings():
        return train(tiny_recipe("bert", data=data, training={"max_steps": 2}), folder / "run")


def test_the_first_step_begins_where_the_other_run_ended(finished_run: Run) -> None:
    recipe = recipe_from(finished_run.folder, None, ["training.epochs=1"])
    assert recipe.training.epochs == 1
    tensors, labels, notes = live(recipe)
    before = saved(finished_run)
    assert tensors.keys() == before.keys() and labels == ("bird", "fruit", "metal")
    for name, tensor in before.items():
        np.testing.assert_array_equal(tensors[name], tensor)
    assert notes[-1:] == [f"starts from the adapter of {finished_run.folder}"]


def test_a_start_may_be_in_the_home_folder(
    finished_run: Run, tiny_recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(finished_run.folder.parent))
    recipe = tiny_recipe(adapter={"start_from": f"~/{finished_run.folder.name}"})
    assert with_classes_of_the_start(recipe).adapter.start_from == str(finished_run.folder)


def test_on_the_command_line_a_file_replaces_the_training_rows(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featherweight.cli import train as verb

    asked: list[Recipe] = []
    monkeypatch.setattr("featherweight.workflows.train.train", lambda recipe, *_, **__: asked.append(recipe))
    monkeypatch.setattr(verb, "summarise", lambda run: None)
    monkeypatch.chdir(finished_run.folder.parent)
    Path("more.csv").write_text("text,label\nplum,fruit\n", "utf-8")
    verb.command("more.csv", start="finished", overrides=["training.epochs=1"])
    verb.command(start="finished")
    start = {"start_from": str(finished_run.folder)}
    more = finished_run.recipe.with_values(adapter=start, data={"train": "more.csv"}, training={"epochs": 1})
    assert asked == [more, finished_run.recipe.with_values(adapter=start)]


def test_a_file_with_other_columns_is_told_the_options(linear_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("text,kind\n" + "".join(f"an apple or a heron {n},{('bird', 'fruit')[n % 2]}\n" for n in range(12)))
    told = r"no column 'label', which held the labels in training(.|\n)*--label kind$"
    with on_the_command_line(), pytest.raises(UserError, match=told):
        recipe_from(linear_run.folder, data=str(file))
    assert recipe_from(linear_run.folder, data=str(file), overrides=["data.label=kind"]).data.label == "kind"


def test_new_classes_come_after_the_old_ones_and_keep_the_old_rows(finished_run: Run, tmp_path: Path) -> None:
    words = {"bird": "crow", "animal": "cow", "metal": "iron", "fruit": "plum"}  # "animal" sorts before all others
    rows = [{"text": f"{word} {n}", "label": label} for n in range(6) for label, word in words.items()]
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    overrides = [f"data.train={tmp_path / 'more.jsonl'}", "data.test=", "evaluation.shift=", "data.validation_size=8"]
    recipe = recipe_from(finished_run.folder, None, [*overrides, "training.max_steps=2"])
    tensors, labels, (*_, note) = live(recipe)
    assert labels == ("bird", "fruit", "metal", "animal")
    assert note.endswith("new classes, whose rows of the head are trained from scratch: animal")
    before = saved(finished_run)
    heads = [name for name in before if before[name].shape != tensors[name].shape]
    assert {before[name].shape[0] for name in heads} == {3}
    for name in before:
        np.testing.assert_array_equal(tensors[name][: len(before[name])], before[name])
    run = train(recipe, tmp_path / "run")
    assert Classifier.load(run.folder).labels == labels
    assert run.environment["started_from"]["run"] == str(finished_run.folder)
    assert "Started from" in run.report.read_text("utf-8")
    assert Recipe.load(run.folder / "recipe.toml") == run.recipe  # trained again, it starts from the same run


def copy_with(run: Run, recipe: Recipe, folder: Path) -> Run:
    """A copy of ``run`` with another recipe, as if it were of another training."""
    shutil.copytree(run.folder, folder, symlinks=True)
    (folder / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    return Run(folder)


def write_words(path: Path, **words: str) -> str:
    rows = [{"text": f"{word} {n}", "label": label} for n in range(6) for label, word in words.items()]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return str(path)


def test_new_classes_come_after_those_of_every_earlier_run(finished_run: Run, tmp_path: Path) -> None:
    second = copy_with(finished_run, with_classes_of_the_start(recipe_from(finished_run.folder)), tmp_path / "second")
    assert second.recipe.data.labels == ("bird", "fruit", "metal")
    more = write_words(tmp_path / "more.jsonl", animal="cow", bird="crow", metal="iron", fruit="plum")
    recipe = with_classes_of_the_start(recipe_from(second.folder, data=more))
    assert recipe.data.labels == ("bird", "fruit", "metal", "animal")
    assert recipe_from(second.folder).description == second.recipe.description
    # A list of the user stays.
    first = copy_with(finished_run, finished_run.recipe.with_values(data={"labels": ["bird", "fruit", "metal"]}),
                      tmp_path / "first")  # fmt: skip
    recipe = with_classes_of_the_start(recipe_from(first.folder))
    assert recipe_from(copy_with(first, recipe, tmp_path / "third").folder).data.labels == ("bird", "fruit", "metal")


def test_rows_without_a_class_of_the_start_are_not_told_to_remove_it(finished_run: Run, tmp_path: Path) -> None:
    more = write_words(tmp_path / "more.jsonl", metal="iron", fruit="plum")
    recipe = with_classes_of_the_start(recipe_from(finished_run.folder, data=more))
    told = rf"has the label 'bird'; add such rows, or, if it is not a class of {finished_run.folder}, which this"
    with pytest.raises(UserError, match=told):
        load_splits(recipe)


def test_evaluated_rows_that_an_earlier_run_was_trained_on_are_noted(finished_run: Run, tmp_path: Path) -> None:
    def notes(recipe: Recipe) -> list[str]:
        return start_notes(recipe, load_splits(recipe))

    same = with_classes_of_the_start(recipe_from(finished_run.folder))
    assert notes(same) == []
    moved = same.with_values(seed=5)
    known = set(load_splits(finished_run.recipe).train.texts)
    count = sum(text in known for text in load_splits(moved).validation.texts)
    told = f"was trained on {count} of 12 validation rows: the metrics may be too good"
    *_, note, _ = live(moved)[2]
    assert count and note.startswith(f"{finished_run.folder}, the run it starts from, {told}")
    # The run in between has the same split; the first one has not.
    second = copy_with(finished_run, moved, tmp_path / "second")
    environment = second.environment
    environment["data"] |= {"train": rows_fingerprint(load_splits(moved).train)}
    (second.folder / "environment.json").write_text(json.dumps(environment), "utf-8")
    (note,) = notes(with_classes_of_the_start(recipe_from(second.folder)))
    assert note.startswith(f"{finished_run.folder}, the run that {second.folder} started from, {told}")
    # Rows that were added to the same file move the split, and those of the earlier training cannot be told any more.
    grown = tmp_path / "grown.jsonl"
    grown.write_text(Path(finished_run.recipe.data.train).read_text("utf-8") + '{"text": "iron", "label": "metal"}')
    third = copy_with(finished_run, finished_run.recipe.with_values(data={"train": str(grown)}), tmp_path / "third")
    (note,) = notes(with_classes_of_the_start(recipe_from(third.folder)))
    assert note.endswith(f"rows cannot be checked: {grown}: has 49 training rows now, and had 48")
    # Another order of the rows moves the split, too.
    lines = Path(finished_run.recipe.data.train).read_text("utf-8").splitlines()
    grown.write_text("\n".join(lines[1:] + lines[:1]), "utf-8")
    (note,) = notes(with_classes_of_the_start(recipe_from(third.folder)))
    assert note.endswith(f"rows cannot be checked: {grown}: has other labels than at the training")


def test_the_start_of_a_soup_whose_runs_are_gone_may_not_exist(finished_run: Run, tmp_path: Path) -> None:
    gone = [str(tmp_path / "one"), str(tmp_path / "two")]
    soup = copy_with(finished_run, finished_run.recipe.with_values(training={"soup": gone}), tmp_path / "soup")
    recipe = with_classes_of_the_start(recipe_from(soup.folder))
    (note,) = start_notes(recipe, load_splits(recipe))
    assert note.startswith(f"the run that {soup.folder} started from, if there is one: whether it was trained on ")
    assert f"cannot be checked: {gone[0]}: " in note


def test_rows_of_the_head_go_by_name_where_classes_are_numbers(linear_run: Run, tmp_path: Path) -> None:
    rows = [{"text": f"{word} {n}", "label": label} for n in range(6) for word, label in (("a", 1), ("b", 2), ("c", 5))]
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    recipe = recipe_from(linear_run.folder, None, [f"data.train={tmp_path / 'more.jsonl'}"])
    tensors, labels, _ = live(recipe)
    assert labels == ("2", "5", "1")
    for name, tensor in saved(linear_run).items():
        np.testing.assert_array_equal(tensors[name][: len(tensor)], tensor)


@pytest.mark.usefixtures("in_this_process")
def test_an_interrupted_training_resumes_exactly(linear_run: Run, tmp_path: Path) -> None:
    recipe = recipe_from(linear_run.folder, None, ["training.max_steps=4", "training.checkpoint_steps=1"])
    whole = train(recipe, tmp_path / "whole")
    with pytest.raises((Interrupted, KeyboardInterrupt)):
        train(recipe, tmp_path / "run", listeners=[StopAfter(2, interrupt)])
    resumed = train(recipe, tmp_path / "run", resume=True)
    assert saved(resumed).keys() == saved(whole).keys()
    for name, tensor in saved(whole).items():
        np.testing.assert_array_equal(saved(resumed)[name], tensor)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["adapter.lora.rank=4"], "the recipe of that run has adapter.lora = "),
        (["adapter.pooling=first"], "that run has adapter.pooling = mean, but this recipe has first"),
        (['data.labels=["2", "7"]'], "data.labels: the class '5' is missing; add it, because it is a class of"),
    ],
)
def test_what_does_not_fit_is_refused(linear_run: Run, overrides: list[str], said: str) -> None:
    with pytest.raises(UserError) as refused:
        prepare(recipe_from(linear_run.folder, None, overrides))
    assert said in str(refused.value)


def test_another_backbone_is_refused(linear_run: Run, tiny_backbones: Any, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_backbones["bert"], tmp_path / "other")
    weights = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(weights[:-4] + b"\0\0\0\0")
    with pytest.raises(UserError, match="that run was trained on other backbone weights"):
        prepare(recipe_from(linear_run.folder, None, [f"backbone.name={other}"]))


def test_an_unfinished_run_is_no_start(linear_run: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(linear_run.folder, tmp_path / "copy", symlinks=True)
    (copy / "verification.json").unlink()
    with pytest.raises(UserError, match="is not complete; to resume it: featherweight train"):
        recipe_from(copy)
    with pytest.raises(UserError, match="not a run folder"):
        recipe_from(tmp_path)


def test_a_complete_run_that_is_resumed_with_more_epochs_names_the_way(linear_run: Run) -> None:
    more = linear_run.recipe.with_values(training={"max_steps": 4})
    with pytest.raises(UserError, match=r"max_steps was 2, is 4\n.*featherweight train --from "):
        train(more, linear_run.folder, resume=True)
