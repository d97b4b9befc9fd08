"""Soups: runs without a common start, damaged runs and taken folders are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused

from featherweight import make_soup
from featherweight.errors import UserError
from featherweight.workflows.train import train


def edited(file: str, before: str, after: str) -> Callable[[Path], None]:
    def edit(run: Path) -> None:
        text = (run / file).read_text("utf-8")
        assert before in text, f"{before} is not in {file}"
        (run / file).write_text(text.replace(before, after), "utf-8")

    return edit


def changed_rows(part: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        environment = json.loads((run / "environment.json").read_text("utf-8"))
        kind = "judged" if part == "test" else "data"
        environment[kind][part]["labels"] = "other"
        (run / "environment.json").write_text(json.dumps(environment), "utf-8")

    return change


def unfinished(run: Path) -> None:
    (run / "verification.json").unlink()


def without_weights(run: Path) -> None:
    for file in (run / "adapter").glob("*.safetensors"):
        file.unlink()


def cut_short(run: Path) -> None:
    file = run / "adapter" / "head.safetensors"
    file.write_bytes(file.read_bytes()[:-8])


def other_backbone(run: Path) -> None:
    environment = json.loads((run / "environment.json").read_text("utf-8"))
    environment["backbone"]["sha256"] = "0" * 64
    (run / "environment.json").write_text(json.dumps(environment), "utf-8")


REFUSED: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "seed": (
        edited("recipe.toml", "seed = 0", "seed = 1"),
        ("other: has another seed than first (1, not 0)", "featherweight train first/recipe.toml --set training.order"),
    ),
    "rank": (edited("recipe.toml", "rank = 2", "rank = 4"), ("another adapter.lora[0].rank than first (4, not 2)",)),
    "head": (edited("recipe.toml", 'pooling = "mean"', 'pooling = "first"'), ("another adapter.pooling than first",)),
    "length": (edited("recipe.toml", "max_length = 32", "max_length = 24"), ("another data.max_length than first",)),
    "windows": (
        edited("recipe.toml", "windows = 1", "windows = 3"),
        ("other: has another evaluation.windows than first (3, not 1)",),
    ),
    "text": (edited("recipe.toml", "text = []", 'text = ["body"]'), ("another data.text than first",)),
    "labels": (edited("adapter/featherweight.json", '"bird"', '"birds"'), ("other: has other classes than first:",)),
    "training": (changed_rows("train"), ("other: has other training rows than first:",)),
    "validation": (changed_rows("validation"), ("other validation rows than first",)),
    "test": (changed_rows("test"), ("other test rows than first",)),
    "backbone": (other_backbone, ("other: has another backbone than first:",)),
    "torch": (edited("environment.json", '"torch": "', '"torch": "1.'), ("another version of torch than first (1.",)),
    "unfinished": (unfinished, ("other: is not complete",)),
    "no weights": (without_weights, ("other/adapter: damaged: its weights are missing",)),
    "cut short": (cut_short, ("other/adapter/head.safetensors: damaged",)),
    "export": (lambda run: (run / "export.json").touch(), ("other: is an export, not a run",)),
    "soup": (
        edited("recipe.toml", "soup = []", 'soup = ["runs/a"]'),
        ("other: is a soup itself; name its runs instead",),
    ),
    "same weights": (lambda run: None, ("other: has the same weights as first; name it once",)),
}


@pytest.fixture
def first(cli: Cli, ingredients: dict[str, Path]) -> Path:
    """A copy of the first run in the working directory."""
    shutil.copytree(ingredients["first"], "first", symlinks=True)
    return Path("first")


@pytest.mark.parametrize("case", REFUSED)
def test_runs_from_other_starts_are_refused(cli: Cli, first: Path, ingredients: dict[str, Path], case: str) -> None:
    spoil, naming = REFUSED[case]
    shutil.copytree(ingredients["first" if case == "same weights" else "second"], "other", symlinks=True)
    spoil(Path("other"))
    message = refused(cli, "soup", "first", "other", "--out", "soup", naming=naming)
    assert len(message.splitlines()) == 1


def test_too_few_runs_and_taken_folders_are_refused(cli: Cli, first: Path, ingredients: dict[str, Path]) -> None:
    refused(cli, "soup", "first", naming="a soup needs at least two runs")
    refused(cli, "soup", "first", "first/", naming="first: is named twice; name each run once")
    adapter = "first/adapter: is only the adapter of a run; name the run itself, first"
    refused(cli, "soup", "first/adapter", "first", naming=adapter)
    refused(cli, "soup", "first", "nowhere", naming="nowhere: no such folder; name finished runs")
    taken = "--out first: contains another run; choose a new folder"
    message = refused(cli, "soup", "first", ingredients["second"], "--out", "first", naming=taken)
    assert "--resume" not in message  # soup has no such option


@pytest.mark.parametrize(("arguments", "message"), [
    (([1, 2],), "make_soup takes a list of run folders, not the number 1"),
    (("first",), r"make_soup takes a list of run folders, not the text 'first'; write make_soup\(\[\.\.\.\]\)"),
    ((["first", "second"], 3), "out takes the path of a new run folder, not the number 3"),
])  # fmt: skip
def test_wrong_arguments_in_python_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_soup(*arguments)


def test_rows_that_have_changed_since_are_refused(ingredients: dict[str, Path], tmp_path: Path) -> None:
    copies = []
    for name in ("first", "second"):
        copies.append(tmp_path / name)
        shutil.copytree(ingredients[name], copies[-1], symlinks=True)
        changed_rows("train")(copies[-1])
    with pytest.raises(UserError, match="the training rows have changed since its training"):
        make_soup(copies, tmp_path / "soup")
    assert not (tmp_path / "soup").exists()


def test_a_recipe_of_another_start_cannot_name_a_soup(ingredients: dict[str, Path], tiny_recipe: Any) -> None:
    recipe = tiny_recipe(seed=7, training={"soup": [str(ingredients["first"])]})
    with pytest.raises(UserError, match=r"training\.soup: this recipe has another seed than .*first \(7, not 0\)"):
        train(recipe)
    with pytest.raises(UserError, match=r"a soup \(averaged runs\) is not trained; remove"):
        recipe.with_values(training={"teacher": ["runs/large"]})
