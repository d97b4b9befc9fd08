"""Counts the trainable parameters of a recipe from shapes alone."""

from __future__ import annotations

from featherweight.budget.weigh import Weight
from featherweight.data.class_names import label_names_of
from featherweight.data.used_classes import only_one_class
from featherweight.hints import Caller, called_with
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.workflows.continuation import with_classes_of_the_start
from featherweight.workflows.resolve import Resolved, backbone_architecture, resolve_recipe


@called_with(Caller.RECIPE)
def weigh(recipe: Recipe) -> Weight:
    """The number of parameters that a recipe trains, by component, from shapes alone.

    It needs no weights, and no network for a well-known backbone. A recipe may exceed its budget; ``margin`` is then
    negative. Raises UserError for an unknown backbone, for training data of one class only, and for an unfinished run
    that the recipe starts from.
    """
    require_recipe(recipe, "weigh")
    return resolve(recipe).weight


def resolve(recipe: Recipe) -> Resolved:
    """The recipe without "auto" values, for the classes in its training data; only the labels of the data are read.

    A recipe that starts from a run keeps the classes of that run, too. Raises UserError if the run is not finished, and
    if the training data has only one class.
    """
    recipe = with_classes_of_the_start(recipe)
    architecture = backbone_architecture(recipe.backbone)
    names = label_names_of(recipe.data)
    if len(names) == 1:
        raise only_one_class(recipe.data.train, names[0])
    return resolve_recipe(recipe, architecture, names)
