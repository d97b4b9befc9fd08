"""What the trials of a search read: their rows, teachers and backbones, all of them checked before the first trial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of, refuse_decoder
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.hub import BackboneUnreachable
from featherweight.backbone.resolve import Backbone, config_of, resolve_backbone
from featherweight.budget.limit import require_within_budget
from featherweight.data.perturbations import is_perturbed
from featherweight.data.source_tables import require_found
from featherweight.data.splits import Splits, load_splits
from featherweight.errors import HubUnreachable, UserError
from featherweight.recipe import BackboneRecipe, Recipe
from featherweight.recipe.search_space import BACKBONE, Choices, SearchSpace, Value, with_value
from featherweight.task.class_weights import require_class_weights
from featherweight.workflows.continuation import require_same_start, with_classes_of_the_start
from featherweight.workflows.input_fingerprints import input_fingerprints
from featherweight.workflows.prepare import require_dropout, require_initialisation, require_length
from featherweight.workflows.resolve import backbone_architecture, resolve_recipe
from featherweight.workflows.teachers import teachers_of, with_full_paths

_CHECKED = (
    (require_length, ("data.max_length",)),
    (require_dropout, ("adapter.dropout", "adapter.head", "training.r_drop", "training.encoder_dropout")),
    (require_initialisation, ("adapter.initialisation",)),
)
"""Each check of ``OF_BACKBONE`` with the keys that it compares with a backbone."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a backbone, from which trained parameters are counted; no weights are read for them."""

    architecture: Architecture
    config: Mapping[str, Any]
    """The config.json of the backbone."""


def sizes_of_each(recipe: Recipe, space: SearchSpace) -> dict[str, Sizes]:
    """The sizes of each backbone that ``space`` names, by name.

    Raises UserError, which names the backbone, if it has no config, or is of a family that cannot be adapted here.
    """
    return {name: _sizes(backbone) for name, backbone in _each_backbone(recipe, space)}


def _each_backbone(recipe: Recipe, space: SearchSpace) -> Iterator[tuple[str, BackboneRecipe]]:
    for name in space.backbones:
        yield name, with_value(recipe, {BACKBONE: name}, "search").backbone


def _sizes(backbone: BackboneRecipe) -> Sizes:
    with _refused_by_name(backbone.name):
        config = config_of(backbone)
        refuse_decoder(config)
        family = config.get("model_type")
        if isinstance(family, str) and family and family not in FAMILIES:
            raise UserError(
                f"backbone.name = {backbone.name}: {family!r} is no built-in family, and needs [backbone.roles]\n"
                "Leave it out, or search with this backbone separately"
            )
        return Sizes(architecture_of(config), config)


@contextmanager
def _refused_by_name(name: str) -> Iterator[None]:
    """Within the context, an error about the backbone ``name`` says that the search space names it."""
    try:
        yield
    except BackboneUnreachable as error:
        instead = "leave it out, or name a local folder in its place"
        raise HubUnreachable(f"search.{BACKBONE}: {name}: {error.problem}; {instead}") from None
    except UserError as error:
        reason = str(error).removeprefix("backbone.name = ").removeprefix("backbone.name: ")
        about = "" if reason.startswith((f"{name}:", f"{name}/")) else f"{name}: "
        raise type(error)(f"search.{BACKBONE}: {about}{reason}") from None


def corners(space: SearchSpace, keys: Iterable[str]) -> Iterator[dict[str, Value]]:
    """Yield every combination of the choices, and of the ends of the ranges, of the ``keys`` that ``space`` varies."""
    varied = [(key, space.keys[key]) for key in keys if key in space.keys]
    ends = [one.values if isinstance(one, Choices) else (one.low, one.high) for _, one in varied]
    for values in product(*ends):
        yield {key: value for (key, _), value in zip(varied, values, strict=True)}


def refusal_of_settings(recipe: Recipe, space: SearchSpace, config: Mapping[str, Any]) -> UserError | None:
    """Why a backbone allows no value that ``space`` gives a setting of ``recipe``; None if each setting has one.

    ``config`` is its config.json. Each check is made with its own keys alone: all combinations would be too many.
    """
    for require, keys in _CHECKED:
        first: UserError | None = None
        for values in corners(space, keys):
            try:
                require(with_value(recipe, values, "search") if values else recipe, config)
                break
            except UserError as error:
                first = first or error
        else:
            return first
    return None


def require_searchable(original: Recipe, recipe: Recipe, space: SearchSpace) -> tuple[Splits, dict[str, Any]]:
    """The rows of a search, and its ``input_fingerprints``, with those of all backbones if ``space`` varies them.

    ``recipe`` is that of the trials: ``original``, from which the best recipe is made, without its test rows. Of these
    and of shift sets (further test rows) only the existence is checked; they are not read. Raises UserError, before any
    trial, for missing or wrong inputs of the trials, or of the later training by the best recipe.
    """
    for source in filter(None, (original.data.test, *original.evaluation.shift)):
        if not is_perturbed(source):
            require_found(source)
    recipe = with_full_paths(with_classes_of_the_start(recipe))
    splits = load_splits(recipe)
    teachers = teachers_of(recipe, splits.train.label_names)
    require_class_weights(recipe, splits.train.counts)
    if backbones := _backbones_of(recipe, space):  # ``Searched.of`` has refused a length that one cannot read
        return splits, input_fingerprints(recipe, splits, backbones, teachers)
    backbone = resolve_backbone(recipe.backbone)
    require_length(recipe, backbone.config)
    if recipe.adapter.start_from is not None:  # then no trial has another adapter than the recipe
        resolved = resolve_recipe(recipe, backbone_architecture(recipe.backbone), splits.train.label_names)
        require_within_budget(resolved.weight, resolved.recipe, resolved.architecture)
        require_same_start(resolved.recipe, backbone)
    return splits, input_fingerprints(recipe, splits, backbone, teachers)


def _backbones_of(recipe: Recipe, space: SearchSpace) -> dict[str, Backbone]:
    """Each backbone that ``space`` names, by name, with checked files."""
    found = {}
    for name, backbone in _each_backbone(recipe, space):
        with _refused_by_name(name):
            found[name] = resolve_backbone(backbone)
    return found
