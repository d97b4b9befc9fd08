"""What a recipe would train, counted from shapes alone."""

from __future__ import annotations

from featherweight.budget.weigh import Weight
from featherweight.data.class_names import label_names_of
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.workflows.resolve import Resolved, backbone_architecture, resolve_recipe


def weigh(recipe: Recipe) -> Weight:
    """What a recipe would train, counted by component from shapes alone; no weights, and no network if well known.

    A recipe over its budget is weighed like any other; ``margin`` says so. Raises UserError on an unknown backbone.
    """
    require_recipe(recipe, "weigh")
    return resolve(recipe).weight


def resolve(recipe: Recipe) -> Resolved:
    """The recipe resolved for the classes of its training data. Of the data at most the label column is read."""
    architecture = backbone_architecture(recipe.backbone)
    return resolve_recipe(recipe, architecture, label_names_of(recipe.data))
