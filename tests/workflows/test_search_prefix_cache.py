"""Trials of a search with the same frozen lower layers compute the outputs of these layers once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.prefix_caches import kept_files
from support.searches import rows_of

from featherweight.recipe import Recipe
from featherweight.recipe.search_space import TARGETS, Choices, SearchSpace
from featherweight.training.prefix_cache import planning
from featherweight.workflows import search as module
from featherweight.workflows.search import run_search
from featherweight.workflows.training_process import train_for_validation

pytest.importorskip("optuna")


class Noted:
    """A listener that keeps the notes at the beginning of a training; one of them is on the stored outputs."""

    def __init__(self) -> None:
        self.notes = ""

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        self.notes = "\n".join(notes)

    def noted(self, message: str) -> None: ...
    def stepped(self, record: dict[str, Any]) -> None: ...
    def evaluated(self, record: dict[str, Any], best: bool) -> None: ...


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, str]]:
    """The trials of a search, trained in this process: their recipes and their notes."""
    made: list[tuple[Recipe, str]] = []

    def in_this_process(recipe: Recipe, folder: Path, goes_on: Callable[..., bool], **_: Any) -> float:
        listener = Noted()
        value = train_for_validation(recipe, folder, [listener])
        made.append((recipe, listener.notes))
        return value

    monkeypatch.setattr(module, "train_in_a_process", in_this_process)
    return made


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of stored outputs that are written, in their order."""
    files: list[Path] = []
    write = planning.write_states

    def noted(path: Path, *arguments: Any) -> None:
        files.append(path)
        write(path, *arguments)

    monkeypatch.setattr(planning, "write_states", noted)
    return files


def test_the_second_trial_reads_what_the_first_has_stored(
    tiny_recipe: Any, cache: Path, tmp_path: Path, trials: list[tuple[Recipe, str]], written: list[Path]
) -> None:
    recipe = tiny_recipe(training={"max_steps": 2, "prefix_cache": "on"})
    # Only the upper one of two layers is adapted, whatever the values are: the lower layer is frozen in all trials.
    keys = {"training.learning_rate": Choices((1e-3, 1e-2)), TARGETS: Choices(("query", "value"))}
    upper = {"lora": [{"roles": ["query"], "layers": "1", "rank": 2}]}
    space = SearchSpace(keys)
    run_search(recipe.with_values(adapter=upper), tmp_path / "out", space=space, trials=3, announce=lambda _: None)
    assert len({(tried.training.learning_rate, tried.adapter.lora) for tried, _ in trials}) > 1
    assert "frozen layer 0" in trials[0][1] and "computed once and cached" in trials[0][1]
    for _, notes in trials[1:]:
        assert "frozen layer 0" in notes and f"found in {cache / 'states'}" in notes
    assert written == kept_files(cache) and len(written) == 1
    assert all(row["accuracy"] for row in rows_of(tmp_path / "out"))
