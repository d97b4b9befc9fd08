"""Featherweight fine-tunes an encoder into a text classifier with LoRA, under a hard budget of trainable parameters.

>>> from featherweight import Recipe, train
>>> run = train(Recipe.load("newsbriefs"))                                                       # doctest: +SKIP

Large libraries are imported only when they are needed: each name below is imported on its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featherweight.budget.plan import plan
    from featherweight.console import follow
    from featherweight.data.splits import load_splits
    from featherweight.errors import UserError
    from featherweight.evaluation.comparison import compare_runs
    from featherweight.inference.classifier import Classifier
    from featherweight.inference.output_files import predict_file
    from featherweight.recipe import Recipe
    from featherweight.recipe.search_space import SearchSpace
    from featherweight.run.folder import Run
    from featherweight.verification.verify import verify_run
    from featherweight.workflows.adapt import AdaptationSettings, adapt_backbone
    from featherweight.workflows.check import check
    from featherweight.workflows.evaluate import evaluate_run
    from featherweight.workflows.export import export_run
    from featherweight.workflows.noise_audit import audit_labels
    from featherweight.workflows.own_data import recipe_for
    from featherweight.workflows.push import push
    from featherweight.workflows.rounds import run_rounds
    from featherweight.workflows.search import run_search
    from featherweight.workflows.show import show
    from featherweight.workflows.soup import make_soup
    from featherweight.workflows.train import train
    from featherweight.workflows.weigh import weigh

__version__ = "0.1.0"

__all__ = [
    "AdaptationSettings",
    "Classifier",
    "Recipe",
    "Run",
    "SearchSpace",
    "UserError",
    "__version__",
    "adapt_backbone",
    "audit_labels",
    "check",
    "compare_runs",
    "evaluate_run",
    "export_run",
    "follow",
    "load_splits",
    "make_soup",
    "plan",
    "predict_file",
    "push",
    "recipe_for",
    "run_rounds",
    "run_search",
    "show",
    "train",
    "verify_run",
    "weigh",
]

_HOME = {
    "AdaptationSettings": "featherweight.workflows.adapt",
    "Classifier": "featherweight.inference.classifier",
    "Recipe": "featherweight.recipe",
    "Run": "featherweight.run.folder",
    "SearchSpace": "featherweight.recipe.search_space",
    "UserError": "featherweight.errors",
    "adapt_backbone": "featherweight.workflows.adapt",
    "audit_labels": "featherweight.workflows.noise_audit",
    "check": "featherweight.workflows.check",
    "compare_runs": "featherweight.evaluation.comparison",
    "evaluate_run": "featherweight.workflows.evaluate",
    "export_run": "featherweight.workflows.export",
    "follow": "featherweight.console",
    "load_splits": "featherweight.data.splits",
    "make_soup": "featherweight.workflows.soup",
    "plan": "featherweight.budget.plan",
    "predict_file": "featherweight.inference.output_files",
    "push": "featherweight.workflows.push",
    "recipe_for": "featherweight.workflows.own_data",
    "run_rounds": "featherweight.workflows.rounds",
    "run_search": "featherweight.workflows.search",
    "show": "featherweight.workflows.show",
    "train": "featherweight.workflows.train",
    "verify_run": "featherweight.verification.verify",
    "weigh": "featherweight.workflows.weigh",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
