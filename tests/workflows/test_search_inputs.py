"""What the trials of a search read beside the recipe: rows, backbone, teachers, and the run that they start from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.endings import quick_endings
from support.searches import RATES

from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import TARGETS, Choices, SearchSpace
from featherweight.run.folder import Run
from featherweight.workflows import search as module
from featherweight.workflows import training_process
from featherweight.workflows.prepare import read_inputs
from featherweight.workflows.search import run_search
from featherweight.workflows.search_proposal import Searched, without_test_rows
from featherweight.workflows.search_study import Search, open_study, storage_url
from featherweight.workflows.train import train
from featherweight.workflows.training_process import INPUTS, train_for_validation, train_in_a_process

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def one_run(tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one step with a linear head."""
    with quick_endings():
        return train(tiny_recipe(training={"max_steps": 1}), tmp_path_factory.mktemp("one") / "run")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, dict[str, Any]]]:
    """In place of trainings: recipes and inputs of all trials."""
    made: list[tuple[Recipe, dict[str, Any]]] = []

    def instead(recipe: Recipe, *_: Any, inputs: dict[str, Any]) -> float:
        made.append((recipe, inputs))
        return len(made) / 10

    monkeypatch.setattr(module, "train_in_a_process", instead)
    return made


def change(weights: Path) -> None:
    """Change one number in a file of weights a little."""
    content = bytearray(weights.read_bytes())
    content[-4] ^= 1
    weights.write_bytes(content)


def test_a_search_around_a_continued_training_keeps_the_adapter_of_its_start(
    tiny_recipe: Any, one_run: Run, tmp_path: Path, trained: list
) -> None:
    recipe = tiny_recipe(adapter={"start_from": str(one_run.folder)})
    best = run_search(recipe, tmp_path / "out", trials=4, announce=lambda _: None)
    assert len(trained) == 4 and best.adapter.start_from == str(one_run.folder)
    assert len({tried.training.learning_rate for tried, _ in trained}) == 4
    for tried, _ in trained:
        read_inputs(tried)  # raises UserError if the adapter does not fit the start


@pytest.mark.parametrize(("sections", "space", "message"), [
    ({}, SearchSpace({TARGETS: Choices(("all", "value"))}),
     "^search.adapter.targets: a search cannot vary this key, because of adapter.start_from = .*\n"),
    ({"adapter": {"pooling": "first"}}, None, "the recipe of that run has adapter.pooling = mean"),
    ({"budget": 100}, None, "budget = 100 exceeded"),
])  # fmt: skip
def test_an_adapter_that_differs_from_its_start_is_refused_before_any_trial(
    tiny_recipe: Any, one_run: Run, tmp_path: Path, trained: list, sections: Any, space: Any, message: str
) -> None:
    recipe = tiny_recipe(**sections).with_values(adapter={"start_from": str(one_run.folder)})
    with pytest.raises(UserError, match=message):
        run_search(recipe, tmp_path / "out", space=space, trials=1)
    assert not trained and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("changed", "said"), [
    ("backbone", "weights of the backbone"),
    ("start", "weights of the run that it starts from"),
    ("teachers", "weights of a teacher"),
])  # fmt: skip
def test_a_search_is_not_resumed_with_other_weights(
    tiny_recipe: Any,
    tiny_backbones: dict[str, Path],
    one_run: Run,
    tmp_path: Path,
    trained: list,
    changed: str,
    said: str,
) -> None:
    backbone = Path(shutil.copytree(tiny_backbones["bert"], tmp_path / "backbone"))
    run = Path(shutil.copytree(one_run.folder, tmp_path / "run", symlinks=True))
    sections = {"start": {"adapter": {"start_from": str(run)}}, "teachers": {"training": {"teacher": [str(run)]}}}
    recipe = tiny_recipe(backbone={"name": str(backbone)}, **sections.get(changed, {}))
    quiet = {"space": RATES, "announce": lambda _: None}
    run_search(recipe, tmp_path / "out", trials=1, **quiet)
    run_search(recipe, tmp_path / "out", trials=2, **quiet)
    change(backbone / "model.safetensors" if changed == "backbone" else run / "adapter" / "head.safetensors")
    with pytest.raises(
        UserError, match=f"holds a search called 'tiny' with other {said}; choose another folder: out=\"FOLDER\""
    ):
        run_search(recipe, tmp_path / "out", trials=3, **quiet)
    assert len(trained) == 2


def test_a_search_of_a_version_that_did_not_store_weights_is_resumed(
    tiny_recipe: Any, tmp_path: Path, trained: list
) -> None:
    searched = Searched.of(without_test_rows(tiny_recipe()), RATES)
    open_study(Search(searched, tiny_recipe(), tmp_path / "out", storage_url(None, tmp_path / "out"), 1))
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    assert len(trained) == 1


def test_a_result_of_other_rows_or_weights_is_not_taken_over(
    tiny_recipe: Any, one_run: Run, tmp_path: Path, trained: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Began(Exception):
        pass

    def begin(_: str) -> None:
        raise Began

    keys = {"max_steps": 1, "teacher": [str(one_run.folder)]}
    recipe = tiny_recipe(training=keys, adapter={"start_from": str(one_run.folder)})
    run_search(recipe, tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    (tried, inputs), folder = trained[0], tmp_path / "0001"
    assert inputs.keys() == {"training", "validation", "backbone", "start", "teachers"}
    value = train_for_validation(tried, folder)
    assert json.loads((folder / INPUTS).read_text("utf-8")) == inputs
    monkeypatch.setattr(training_process.multiprocessing, "get_context", begin)
    assert train_in_a_process(tried, folder, lambda *_: True, inputs=inputs) == value
    for key in inputs:
        other = Path(shutil.copytree(folder, tmp_path / key))
        with pytest.raises(Began):
            train_in_a_process(tried, other, lambda *_: True, inputs={**inputs, key: "others"})
        assert not any(other.iterdir())
    (folder / INPUTS).unlink()  # nobody knows of which rows
    with pytest.raises(Began):
        train_in_a_process(tried, folder, lambda *_: True, inputs=inputs)
    assert not any(folder.iterdir())
