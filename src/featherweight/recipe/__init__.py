"""Recipes: all settings of a run as validated objects, which are read from TOML files and written to them."""

from featherweight.recipe.loading import built_in_recipes
from featherweight.recipe.schema import Recipe
from featherweight.recipe.sections.adapter import AdapterRecipe, LoraLayers
from featherweight.recipe.sections.backbone import BackboneRecipe
from featherweight.recipe.sections.data import DataRecipe
from featherweight.recipe.sections.evaluation import EvaluationRecipe
from featherweight.recipe.sections.training import TrainingRecipe
from featherweight.recipe.values import PERTURBATIONS, PERTURBED, ROLES, Role, Tracker, layer_numbers, parse_count

__all__ = [
    "PERTURBATIONS",
    "PERTURBED",
    "ROLES",
    "AdapterRecipe",
    "BackboneRecipe",
    "DataRecipe",
    "EvaluationRecipe",
    "LoraLayers",
    "Recipe",
    "Role",
    "Tracker",
    "TrainingRecipe",
    "built_in_recipes",
    "layer_numbers",
    "parse_count",
]
