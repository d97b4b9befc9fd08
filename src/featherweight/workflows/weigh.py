"""The weigh-in of a recipe: what it would train, from shapes alone."""

from __future__ import annotations

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.resolve import config_of
from featherweight.budget.plan import resolve_auto
from featherweight.budget.weigh import Weight
from featherweight.budget.weigh import weigh as weigh_adapter
from featherweight.data.class_names import label_names_of
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe


def weigh(recipe: Recipe) -> Weight:
    """What a recipe would train, counted by component from shapes alone; no weights, and no network if well known.

    A recipe over its budget is weighed like any other; ``margin`` says so. Raises UserError on an unknown backbone.
    """
    require_recipe(recipe, "weigh")
    return weigh_recipe(recipe)[1]


def weigh_recipe(recipe: Recipe) -> tuple[Recipe, Weight, Architecture]:
    """Resolve ``lora = "auto"`` and count: no weights, and no network for well-known backbones.

    Returns the resolved recipe, its weight and the backbone's architecture; raises UserError on an unknown backbone.
    """
    try:
        architecture = architecture_of(config_of(recipe.backbone), recipe.backbone.roles)
    except UserError as error:
        named = recipe.backbone.name in str(error)
        raise error if named else UserError(f"backbone {recipe.backbone.name}: {error}") from None
    labels = len(label_names_of(recipe.data))
    recipe = resolve_auto(recipe, architecture, labels)
    return recipe, weigh_adapter(recipe, architecture, labels), architecture
