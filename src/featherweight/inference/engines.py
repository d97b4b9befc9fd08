"""The engine that a trained classifier is computed with."""

from __future__ import annotations

from typing import get_args

from featherweight.argument_checks import described
from featherweight.errors import UserError
from featherweight.model.engine import Engine, choose_engine
from featherweight.recipe import Recipe
from featherweight.recipe.sections.training import Precision

PRECISIONS: tuple[str, ...] = get_args(Precision)


def engine_for(recipe: Recipe, precision: str, device: str | None) -> Engine:
    """The engine in the given precision; ``auto`` is the precision of the recipe if this machine supports it."""
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise UserError(f"precision takes one of {', '.join(PRECISIONS)}, not {described(precision)}")
    chosen = recipe.training.precision if precision == "auto" else precision
    try:
        return choose_engine(chosen, device and str(device))  # PyTorch has a type of its own for devices
    except UserError:
        if precision != "auto":
            raise
        return choose_engine("auto", device)
