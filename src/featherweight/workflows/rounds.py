"""Trains several recipes with several seeds each, one run after the other, and compares them at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.argument_checks import list_of, require_path, require_whole
from featherweight.backbone.resolve import resolve_backbone
from featherweight.budget.limit import require_within_budget
from featherweight.data.fingerprints import changed_part, fingerprints_without_tokens
from featherweight.data.splits import Splits, load_splits
from featherweight.environment import forget_peak_memory
from featherweight.errors import UserError
from featherweight.evaluation.comparison import Comparison, compare_runs
from featherweight.evaluation.run_groups import changed_keys
from featherweight.files import expanded
from featherweight.hints import Caller, called_with, elsewhere
from featherweight.recipe import Recipe
from featherweight.recipe.schema import not_a_recipe
from featherweight.report.comparison.page import write_comparison
from featherweight.run.folder import Run
from featherweight.run.lock import is_complete_run, require_usable, require_writable
from featherweight.run.manifest import FILE as MANIFEST
from featherweight.workflows.baseline_models import TITLES
from featherweight.workflows.baselines import is_complete, require_same_baselines, run_baseline
from featherweight.workflows.common_rows import require_common_rows, require_the_same_rows
from featherweight.workflows.continuation import with_classes_of_the_start
from featherweight.workflows.prepare import read_inputs
from featherweight.workflows.report import is_reported
from featherweight.workflows.teachers import with_full_paths
from featherweight.workflows.weigh import resolve

if TYPE_CHECKING:
    from featherweight.training.listeners import Listener

__all__ = ["compare_runs", "run_rounds"]


@dataclass(frozen=True)
class Planned:
    """One run to train: a resolved recipe with one of the seeds, and the folder of the run.

    A round is one recipe with all its seeds.
    """

    recipe: Recipe
    folder: Path

    @property
    def complete(self) -> bool:
        """Whether this run has all its files, including the report."""
        listed = (self.folder / MANIFEST).is_file()
        return listed and is_complete_run(self.folder) and is_reported(self.folder)


@called_with(Caller.RECIPE)
def run_rounds(
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    out: str | Path,
    *,
    baselines: bool = False,
    listeners: Sequence[Listener] = (),
    announce: Callable[[str], None] = lambda message: None,
) -> Comparison:
    """Train each recipe with each seed into ``out``/<recipe>/seed-<n>/, then write the comparison into ``out``.

    A complete run is not trained again, and an interrupted run is resumed. With ``baselines``, the baselines of
    ``workflows/baselines.py`` are trained on the data of the first recipe with the first seed. ``announce`` is called
    with a message about the next run.

    Raises UserError, before any training, if a recipe exceeds its budget, two recipes have the same name, a folder
    contains a run of another recipe, rows have changed, or recipes or seeds would be evaluated on different rows.
    Raises Interrupted at a signal, and the errors of a training; to resume, make the same call again.
    """
    recipes = list_of(recipes, "run_rounds(..., seeds, out)", "recipes", item_types=Recipe)
    for recipe in recipes:
        if not isinstance(recipe, Recipe):
            raise not_a_recipe(recipe, "run_rounds", "a list of recipes")
    seeds = [require_whole(seed, "seeds", "0") for seed in list_of(seeds, "seeds=...", "whole numbers", item_types=int)]
    require_path(out, "out", "the path of a folder for the rounds")
    listeners = list_of(listeners, "listeners=...", "listeners, such as [progress]")

    from featherweight.training.signals import end_on_signals

    out = Path(out)
    require_writable(out)
    with end_on_signals(lambda: f"stopped; to resume in {out}, run the same command again"):
        return _trained_and_compared(recipes, seeds, out, baselines, listeners, announce)


def _trained_and_compared(
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    out: Path,
    baselines: bool,
    listeners: Sequence[Listener],
    announce: Callable[[str], None],
) -> Comparison:
    planned = plan_rounds(recipes, seeds, out)
    first = planned[0].recipe
    beside = {kind: out / "baselines" / kind for kind in TITLES} if baselines else {}
    require_same_baselines(beside, first)
    _require_trainable([run for run in planned if not run.complete])
    for number, run in enumerate(planned, 1):
        where = f"{run.recipe.name}, seed {run.recipe.seed} (run {number} of {len(planned)})"
        announce(f"{where}: {'complete' if run.complete else f'training in {run.folder}'}")
        if not run.complete:
            train_planned(run, listeners)
    folders = [run.folder for run in planned]
    for kind, folder in beside.items():
        complete = is_complete(folder)
        announce(f"baseline: {TITLES[kind]}{': complete' if complete else ''}")
        if not complete:
            with _interruptible(folder):
                run_baseline(kind, first, folder, listeners)
    comparison = compare_runs([*folders, *beside.values()])
    write_comparison(comparison, out)
    return comparison


def plan_rounds(recipes: Sequence[Recipe], seeds: Sequence[int], out: Path) -> list[Planned]:
    """All runs in their order: for each recipe, one run per seed. Raises UserError as described in ``run_rounds``."""
    if not recipes or not seeds:
        raise UserError("rounds need at least one recipe and one seed; name both")
    if twice := [seed for place, seed in enumerate(seeds) if seed in seeds[:place]]:
        raise UserError(f"seeds: {twice[0]} is named twice and would count as two seeds; name each seed once")
    names = [recipe.name for recipe in recipes]
    if double := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise UserError(f"two of the recipes are called {double!r}; give one of them another name")
    if "baselines" in names:
        raise UserError(
            "a recipe cannot be called 'baselines', because that folder is for the baselines; give it another name"
        )
    require_common_rows(recipes, seeds)
    named = [Planned(recipe.with_values(seed=seed), _folder(out, recipe, seed)) for recipe in recipes for seed in seeds]
    to_come = _to_come(named)
    resolved = [_resolved(recipe, to_come) for recipe in recipes]
    require_the_same_rows(recipes, seeds[0])
    planned = [
        Planned(recipe.with_values(seed=seed), _folder(out, recipe, seed)) for recipe in resolved for seed in seeds
    ]
    for run in planned:
        _require_same_recipe(run)
    _require_unchanged([run for run in planned if run.complete])
    return planned


def _folder(out: Path, recipe: Recipe, seed: int) -> Path:
    return out / recipe.name / f"seed-{seed}"


def _to_come(runs: Iterable[Planned]) -> set[Path]:
    """The full paths of those of ``runs`` that are not complete. A recipe may name one of them, such as its teacher."""
    return {run.folder.resolve() for run in runs if not run.complete}


def _require_trainable(runs: Sequence[Planned]) -> None:
    """Raise UserError if an input of one of the incomplete ``runs`` is missing or wrong, before any is trained."""
    read: dict[str, Splits] = {}
    to_come = _to_come(runs)
    for run in runs:
        require_usable(run.folder)
        recipe = _without_runs(run.recipe, to_come)
        # Most rounds differ only in their adapters, so the same rows are read only once.
        parts = (recipe.task, recipe.data, recipe.evaluation, recipe.adapter.start_from, recipe.seed)
        read[repr(parts)] = read_inputs(recipe, read.get(repr(parts))).splits


def _without_runs(recipe: Recipe, folders: Set[Path]) -> Recipe:
    """``recipe`` without its teachers, start and soup that are in ``folders``: these runs do not exist yet."""

    def others(names: Iterable[str]) -> list[str]:
        return [name for name in names if expanded(name).resolve() not in folders]

    training, start = recipe.training, recipe.adapter.start_from
    soup = list(training.soup) if others(training.soup) == list(training.soup) else []
    if start is not None and not others([start]):
        start = None
    return recipe.with_values(
        description=recipe.description,
        training={"teacher": others(training.teacher), "soup": soup},
        adapter={"start_from": start},
    )


def _resolved(recipe: Recipe, to_come: Set[Path]) -> Recipe:
    """The recipe without "auto" values. Raises UserError if it exceeds its budget.

    If it starts from one of the runs ``to_come``, the classes of that run are not known yet, and are not counted.
    """
    start = recipe.adapter.start_from
    later = start is not None and expanded(start).resolve() in to_come
    resolved = resolve(recipe.with_values(adapter={"start_from": None}) if later else recipe)
    require_within_budget(resolved.weight, resolved.recipe, resolved.architecture)
    return resolved.recipe.with_values(adapter={"start_from": start}) if later else resolved.recipe


def _require_same_recipe(run: Planned) -> None:
    """Raise UserError if the folder contains a run of another recipe."""
    if not (run.folder / "recipe.toml").is_file():
        return
    # A run stores full paths, and the classes of the run that it starts from.
    now = with_full_paths(with_classes_of_the_start(run.recipe))
    changed = changed_keys([now, Run(run.folder).recipe])
    if changed:
        key, (new, old) = next(iter(changed.items()))
        raise UserError(
            f"{run.folder}: holds a run of another recipe ({key} is {old}, not {new})\n"
            f"Move that folder away, or {elsewhere()}"
        )


def _require_unchanged(runs: Sequence[Planned]) -> None:
    """Raise UserError if the data or the backbone of a complete run has changed since its training."""
    read: dict[tuple[Any, ...], tuple[str | None, dict[str, Any]]] = {}
    for run in runs:
        recipe, began = run.recipe, Run(run.folder).environment
        # Most rounds differ only in their adapters, so the same data is read only once.
        key = recipe.seed, *(part.model_dump_json() for part in (recipe.data, recipe.backbone, recipe.evaluation))
        if key not in read:
            read[key] = _backbone_and_rows(recipe)
        sha256, marks = read[key]
        weights = (began.get("backbone") or {}).get("sha256", sha256)
        changed = "the backbone has" if weights != sha256 else None
        if part := changed_part(began, marks):
            changed = f"the {part} rows have"
        if changed:
            raise UserError(
                f"{run.folder}: {changed} changed since this run was trained\n"
                f"Move that folder away, or {elsewhere()}; `featherweight compare` compares runs as they are"
            )


def _backbone_and_rows(recipe: Recipe) -> tuple[str | None, dict[str, Any]]:
    """The SHA-256 of the recipe's backbone (None if unknown), and fingerprints of its rows, as they are now."""
    from featherweight.backbone.tokenizer import load_tokenizer

    backbone = resolve_backbone(recipe.backbone)
    assert backbone.folder is not None
    tokenizer = load_tokenizer(backbone.folder)
    return backbone.sha256, fingerprints_without_tokens(load_splits(recipe), tokenizer, recipe)


def train_planned(run: Planned, listeners: Sequence[Listener] = ()) -> None:
    """Train one planned run, or resume it. Raises the errors of a training; the run can then be resumed."""
    from featherweight.workflows.train import train

    forget_peak_memory()
    with _interruptible(run.folder):
        train(run.recipe, run.folder, listeners=listeners, resume=True)


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Within the context, the message of a stopped training tells how to resume the rounds."""
    from featherweight.training.signals import Interrupted

    try:
        yield
    except Interrupted as error:
        raise Interrupted(
            f"stopped in {folder}; to resume, run the same command again", error.exit_code - 128
        ) from None
