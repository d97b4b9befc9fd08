"""Chooses the engine (device, precision and forward pass) that computes a trained classifier."""

from __future__ import annotations

from typing import get_args

from featherweight.argument_checks import described
from featherweight.errors import UserError
from featherweight.model.engine import Engine, choose_engine
from featherweight.recipe import Recipe
from featherweight.recipe.sections.training import Precision

PRECISIONS: tuple[str, ...] = get_args(Precision)


def engine_for(recipe: Recipe, precision: str, device: str | None) -> Engine:
    """The engine (device, precision and forward pass) for a trained classifier.

    ``precision`` "auto" means the precision of the recipe, or the fastest one if this machine does not support that.
    Raises UserError for any other precision that is unknown or not supported.
    """
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise UserError(f"precision takes one of {', '.join(PRECISIONS)}, not {described(precision)}")
    chosen = recipe.training.precision if precision == "auto" else precision
    try:
        return choose_engine(chosen, device and str(device))  # PyTorch has a type of its own for devices
    except UserError:
        if precision != "auto":
            raise
        return choose_engine("auto", device)
