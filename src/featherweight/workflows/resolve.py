"""A recipe resolved: every choice written out, and what it would train counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.resolve import config_of, lasting_name
from featherweight.budget.plan import resolve_auto
from featherweight.budget.weigh import Weight, weigh
from featherweight.errors import UserError
from featherweight.recipe import BackboneRecipe, Recipe


@dataclass(frozen=True)
class Resolved:
    """A recipe without open choices, and what follows from it."""

    recipe: Recipe
    """With the adapter that ``lora = "auto"`` stands for, and the full path of a backbone in a folder."""
    weight: Weight
    architecture: Architecture


def resolve_recipe(recipe: Recipe, architecture: Architecture, label_names: Sequence[str]) -> Resolved:
    """Write out what a recipe leaves open, and count what it trains; no weights are loaded.

    A recipe over its budget is counted like any other. Raises UserError where ``lora = "auto"`` finds nothing that
    fits.
    """
    recipe = resolve_auto(recipe, architecture, len(label_names))
    weight = weigh(recipe, architecture, len(label_names))
    recipe = recipe.with_values(backbone={"name": lasting_name(recipe.backbone.name)})
    return Resolved(recipe, weight, architecture)


def backbone_architecture(backbone: BackboneRecipe) -> Architecture:
    """The architecture of a backbone by its config alone: no weights, and no network for well-known backbones.

    Raises UserError, with the backbone's name, where it is unknown or no encoder.
    """
    try:
        return architecture_of(config_of(backbone), backbone.roles)
    except UserError as error:
        named = backbone.name in str(error)
        raise error if named else UserError(f"backbone {backbone.name}: {error}") from None
