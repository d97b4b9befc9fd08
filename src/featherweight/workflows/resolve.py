"""Resolves a recipe: replaces "auto" values, and counts the trainable parameters."""

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
    """A recipe without "auto" values, its numbers of trainable parameters, and the architecture of its backbone."""

    recipe: Recipe
    """The recipe with the chosen LoRA instead of ``lora = "auto"``, and with the full path of a backbone folder."""
    weight: Weight
    architecture: Architecture


def resolve_recipe(recipe: Recipe, architecture: Architecture, label_names: Sequence[str]) -> Resolved:
    """Replace the "auto" values of a recipe and count its trainable parameters; no weights are loaded.

    The recipe may exceed its budget. Raises UserError if no LoRA ranks for ``lora = "auto"`` fit the budget.
    """
    recipe = resolve_auto(recipe, architecture, len(label_names))
    weight = weigh(recipe, architecture, len(label_names))
    recipe = recipe.with_values(backbone={"name": lasting_name(recipe.backbone.name)})
    return Resolved(recipe, weight, architecture)


def backbone_architecture(backbone: BackboneRecipe) -> Architecture:
    """The architecture of a backbone from its config alone: no weights, and no network for well-known backbones.

    Raises UserError, naming the backbone, if it is unknown or not an encoder.
    """
    try:
        return architecture_of(config_of(backbone), backbone.roles)
    except UserError as error:
        named = backbone.name in str(error)
        raise error if named else UserError(f"backbone {backbone.name}: {error}") from None
