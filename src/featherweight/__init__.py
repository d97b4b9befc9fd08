"""Featherweight fine-tunes an encoder into a text classifier with LoRA, under a hard budget of trainable parameters.

>>> from featherweight import Recipe, train
>>> run = train(Recipe.load("newsbriefs"))                                                       # doctest: +SKIP

Nothing heavy is imported before it is used: the names below are looked up in their modules on first access.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featherweight.classifier import Classifier
    from featherweight.comparison import compare_runs
    from featherweight.errors import UserError
    from featherweight.model.plan import plan
    from featherweight.model.weigh import weigh
    from featherweight.pipeline import train
    from featherweight.recipe import Recipe
    from featherweight.rounds import run_rounds
    from featherweight.run import Run

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "Recipe",
    "Run",
    "UserError",
    "__version__",
    "compare_runs",
    "plan",
    "run_rounds",
    "train",
    "weigh",
]

_HOME = {
    "Classifier": "featherweight.classifier",
    "Recipe": "featherweight.recipe",
    "Run": "featherweight.run",
    "UserError": "featherweight.errors",
    "compare_runs": "featherweight.comparison",
    "plan": "featherweight.model.plan",
    "run_rounds": "featherweight.rounds",
    "train": "featherweight.pipeline",
    "weigh": "featherweight.model.weigh",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
