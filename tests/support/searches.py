"""Searches whose trainings are replaced by functions of the tests."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from featherweight.errors import UserError
from featherweight.hints import to_set
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import Range, SearchSpace
from featherweight.workflows import search as module
from featherweight.workflows.search_proposal import Searched, without_test_rows
from featherweight.workflows.search_study import Search, storage_url

RATES = SearchSpace({"training.learning_rate": Range(1e-4, 1e-1, log=True)})
GoesOn = Callable[[int, float], bool]


@dataclass
class Tried:
    """The trainings of a search, in their order: the names of their folders, and their learning rates."""

    folders: list[str] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def trials_by(monkeypatch: pytest.MonkeyPatch, train: Callable[[int, Path, GoesOn], float]) -> Tried:
    """Replace all trainings by ``train``, which gets the number of the call, from 1 on, its folder and ``goes_on``."""
    tried = Tried()

    def instead(recipe: Recipe, folder: Path, goes_on: GoesOn, **_: Any) -> float:
        tried.folders.append(folder.name)
        tried.rates.append(recipe.training.learning_rate)
        return train(len(tried.folders), folder, goes_on)

    monkeypatch.setattr(module, "train_in_a_process", instead)
    return tried


def searched(recipe: Recipe, out: Path, storage: str | None = None) -> Search:
    """A search of two trials over the learning rate."""
    return Search(
        Searched.of(without_test_rows(recipe), RATES), recipe, out, storage_url(storage, out), 2, lambda _: None
    )


def refuse_with_what_to_set(*_: Any) -> None:
    """The work of a worker that refuses the recipe."""
    raise UserError(f"set {to_set('training.epochs=3')}")


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the trials.csv of a search in ``folder``."""
    return list(csv.DictReader((folder / "trials.csv").open(encoding="utf-8")))
