"""Reads the runs whose weights a soup averages; all must have started from the same weights, with the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from featherweight.adapter.soup import same_tensors_of
from featherweight.adapter.storage import read_description, weights_sha256
from featherweight.errors import UserError
from featherweight.evaluation.run_groups import changed_keys
from featherweight.formatting import shortened
from featherweight.recipe import EvaluationRecipe, Recipe
from featherweight.run.best import Rank, metric_of, rank
from featherweight.run.folder import Run
from featherweight.workflows.continuation import finished

_FREE = ("train", "validation", "test", "drop")
"""Keys of [data] that may differ, since the rows themselves are compared."""
_FREE_OF_ADAPTER = ("lora", "dropout", "start_from")
"""Keys of [adapter] that are compared otherwise, or do not change the initial weights."""
_DRAWING = ("torch", "transformers", "peft")
"""Packages that draw the initial weights: another version may draw others from the same seed."""


@dataclass(frozen=True)
class Fact:
    """A value that two runs of a soup must share, such as the seed, and its text for messages (empty: not shown)."""

    value: Any
    shown: str = ""


@dataclass(frozen=True)
class Ingredient:
    """A finished run whose weights go into a soup, or that a greedy soup tried and left out."""

    run: Run
    labels: tuple[str, ...]
    sha256: dict[str, str]
    """SHA-256 of each file with its weights."""
    differs: dict[str, Any] = field(default_factory=dict)
    """The settings of its training in which the runs of the soup differ, such as ``training.order_seed``."""
    taken: bool = True
    """False if a greedy soup left it out."""

    def figure(self, best_by: str) -> float:
        """The value of the metric ``best_by`` of this run, on the validation rows."""
        return float(self.run.evaluation["validation"][best_by])

    @property
    def seconds(self) -> float:
        """Seconds that the training of this run took; 0 if unknown."""
        return float(self.run.environment.get("training_seconds") or 0.0)

    def rank(self, best_by: str) -> Rank:
        """The key by which runs are sorted: the metric ``best_by`` on validation rows. A larger key is better."""
        figures = self.run.evaluation["validation"]
        return rank({**figures, "loss": figures["log_loss"]}, best_by)

    def described(self, best_by: str) -> dict[str, Any]:
        """A dict that describes this run in environment.json."""
        return {
            "run": str(self.run.folder),
            "sha256": self.sha256,
            "validation": self.figure(best_by),
            "taken": self.taken,
            "differs": self.differs,
            "training_seconds": self.seconds,
        }


def read_ingredients(folders: Sequence[Path], best_by: str | None = None) -> list[Ingredient]:
    """The runs in ``folders``, the best on the validation rows first, whatever the order of ``folders``.

    The metric is ``best_by``: by default that of the runs or, if theirs differ, the default of a recipe.
    Raises UserError if a run is unfinished or damaged, if two runs have the same weights, or if they did not start from
    the same weights, classes and rows.
    """
    found = [_read(folder) for folder in folders]
    order_seed = 1 + max((ingredient.run.recipe.order_seed for ingredient in found), default=0)
    for place, other in enumerate(found):
        for earlier in found[:place]:
            if earlier.sha256 == other.sha256:
                raise UserError(f"{other.run.folder}: has the same weights as {earlier.run.folder}; name it once")
        if difference := _difference(_facts(found[0]), _facts(other), found[0].run.folder):
            first = quote(str(found[0].run.folder / "recipe.toml"))
            again = f"featherweight train {first} --set training.order_seed={order_seed}"
            start = "the runs of a soup must start from the same weights and rows; to train one"
            raise UserError(f"{other.run.folder}: has {difference}: {start}: {again}")
    same_tensors_of([ingredient.run.adapter for ingredient in found])  # refuses damaged files
    best_by = best_by or _common_metric([one.run.recipe for one in found])
    found.sort(key=lambda ingredient: sorted(ingredient.sha256.values()))
    found.sort(key=lambda ingredient: ingredient.rank(best_by), reverse=True)
    return [
        Ingredient(one.run, one.labels, one.sha256, differs)
        for one, differs in zip(found, _own_settings([one.run.recipe for one in found]), strict=True)
    ]


def _common_metric(recipes: Sequence[Recipe]) -> str:
    metrics = {recipe.evaluation.best_by for recipe in recipes}
    return metrics.pop() if len(metrics) == 1 else EvaluationRecipe().for_task(recipes[0].task).best_by


def _read(folder: Path) -> Ingredient:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name finished runs")
    run = finished(folder)
    if run.recipe.training.soup:
        raise UserError(f"{folder}: is a soup itself; name its runs instead, which its recipe.toml lists")
    labels = tuple(read_description(run.adapter)["labels"])
    sha256 = weights_sha256(run.adapter)
    if not sha256:
        raise UserError(f"{run.adapter}: damaged: its weights are missing; restore them from a copy, or train again")
    return Ingredient(run, labels, sha256)


def _own_settings(recipes: Sequence[Recipe]) -> Iterator[dict[str, Any]]:
    """For each recipe, its values of the keys of [training] and [adapter] that differ between ``recipes``."""
    changed = {
        key: values for key, values in changed_keys(recipes).items() if key.startswith(("training.", "adapter."))
    }
    if "training.order_seed" in changed:
        changed["training.order_seed"] = [recipe.order_seed for recipe in recipes]
    for place in range(len(recipes)):
        yield {key: values[place] for key, values in changed.items() if values[place] is not None}


def _facts_of_recipe(recipe: Recipe) -> dict[str, Fact]:
    """The values of a recipe, by key, that determine the initial weights and the training and validation rows."""
    adapter = recipe.adapter.model_dump(mode="json", exclude=set(_FREE_OF_ADAPTER))
    data = recipe.data.model_dump(mode="json", exclude=set(_FREE))
    lora = recipe.adapter.lora if isinstance(recipe.adapter.lora, tuple) else ()
    tables = {f"adapter.lora[{number}]": table.model_dump(mode="json") for number, table in enumerate(lora)}
    # Other windows change the fingerprint of the validation rows, though not the rows: this names the key, not the
    # rows.
    nested = {"adapter": adapter, **tables, "data": data, "evaluation": {"windows": recipe.evaluation.windows}}
    flat = {f"{section}.{key}": value for section, values in nested.items() for key, value in values.items()}
    return {
        key: Fact(value, str(value)) for key, value in ({"task": recipe.task} | flat | {"seed": recipe.seed}).items()
    }


def _facts(ingredient: Ingredient) -> dict[str, Fact]:
    """Everything that determines the first weights and the rows of a run, by name, in the order of comparison."""
    recipe, environment = ingredient.run.recipe, ingredient.run.environment
    backbone, start = environment.get("backbone") or {}, environment.get("started_from") or {}
    rows = {part: Fact(values) for part, values in _rows(environment).items()}
    versions = {f"version of {name}": Fact(environment.get(name), str(environment.get(name))) for name in _DRAWING}
    if recipe.adapter.initialisation in ("pissa", "eva"):  # their decompositions may differ between processors
        versions["processor"] = Fact(environment.get("processor"))
    return {
        "task": Fact(recipe.task, recipe.task),
        "classes": Fact(ingredient.labels),
        "backbone": Fact(backbone.get("sha256") or recipe.backbone.name, recipe.backbone.name),
        **_facts_of_recipe(recipe),
        **rows,
        "adapter.start_from": Fact(start.get("sha256"), str(recipe.adapter.start_from)),
        **versions,
    }


def _rows(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprints in environment.json of the training, validation and test rows."""
    data, evaluated = environment.get("data") or {}, environment.get("judged") or {}
    parts = {
        "training rows": data.get("train"),
        "validation rows": data.get("validation"),
        "test rows": evaluated.get("test"),
    }
    return {part: {k: v for k, v in (values or {}).items() if k != "cut_rows"} for part, values in parts.items()}


def _difference(first: Mapping[str, Fact], other: Mapping[str, Fact], first_run: object) -> str:
    """The first difference in words, such as "another seed than runs/a (1, not 0)"; empty if there is none.

    ``first`` are the facts of the run ``first_run`` (here ``runs/a``, with seed 0), ``other`` those of the run or
    recipe that is compared with it (here with seed 1).
    """
    nothing = Fact(None, "nothing")
    for key in {**first, **other}:
        one, two = first.get(key, nothing), other.get(key, nothing)
        if one.value != two.value:
            values = f" ({shortened(two.shown)}, not {shortened(one.shown)})" if one.shown != two.shown else ""
            return f"{'other' if key.endswith(('rows', 'classes')) else 'another'} {key} than {first_run}{values}"
    return ""


def ingredients_of(recipe: Recipe) -> list[Ingredient]:
    """The runs of the soup that ``recipe`` makes; empty for a training.

    Raises UserError as ``read_ingredients`` does, or if these runs did not start as ``recipe`` does.
    """
    if not recipe.training.soup:
        return []
    try:
        found = read_ingredients([Path(name) for name in recipe.training.soup], recipe.evaluation.best_by)
    except UserError as error:
        raise UserError(f"training.soup: {error}") from None
    first = found[0].run
    if difference := _difference(_facts_of_recipe(first.recipe), _facts_of_recipe(recipe), first.folder):
        remedy = "use the same value, or let `featherweight soup` write the recipe of the soup"
        raise UserError(f"training.soup: this recipe has {difference}; {remedy}")
    return found


def require_same_rows(ingredients: Sequence[Ingredient], now: Mapping[str, Any], backbone: str | None) -> None:
    """Raise UserError unless rows and backbone are still those that the runs were trained with.

    ``now`` has the fingerprints of the rows, ``backbone`` is the SHA-256 of its weights (None if unknown).

    Otherwise the soup would be evaluated on rows that its runs may have been trained on.
    """
    for ingredient in ingredients[:1]:  # the others have the same
        folder, environment = ingredient.run.folder, ingredient.run.environment
        then, current = _rows(environment), _rows(now)
        if part := next((part for part in ("training rows", "validation rows") if then[part] != current[part]), None):
            raise UserError(f"{folder}: the {part} have changed since its training; restore the original data")
        trained_on = (environment.get("backbone") or {}).get("sha256")
        if trained_on and backbone and trained_on != backbone:
            raise UserError(f"{folder}: was trained on other weights of the backbone; restore the original backbone")


def notes_of(ingredients: Sequence[Ingredient], known: Sequence[str]) -> list[str]:
    """The warnings of the runs of a soup that are not in ``known``, each once, after the run that has it first.

    They hold for the soup, too: for example, a teacher of a run may have been trained on validation rows.
    """
    noted: dict[str, Path] = {}
    for ingredient in ingredients:
        for warning in ingredient.run.environment.get("warnings") or ():
            noted.setdefault(warning, ingredient.run.folder)
    return [f"{folder}: {warning}" for warning, folder in noted.items() if warning not in known]


def metric_in_words(best_by: str, value: float, *, several: bool) -> str:
    """A metric with its value, such as "accuracy 94.20%"; with ``several``, of a task with several labels per text."""
    metric = metric_of(best_by, several=several)
    return f"{metric.name} {metric.words(value)}"
