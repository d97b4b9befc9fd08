"""Fingerprints of what a training is made from beside its recipe: its rows, and the weights that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featherweight.adapter.storage import weights_sha256
from featherweight.backbone.resolve import Backbone
from featherweight.data.fingerprints import rows_fingerprint
from featherweight.data.splits import Splits
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.workflows.teachers import Teacher

IN_WORDS = {
    "training": "training rows",
    "validation": "validation rows",
    "backbone": "weights of the backbone",
    "backbones": "weights of a backbone",
    "start": "weights of the run that it starts from",
    "teachers": "weights of a teacher",
}
"""The keys of ``input_fingerprints``, as a message names them after "other"."""


def input_fingerprints(
    recipe: Recipe, splits: Splits, backbone: Backbone | Mapping[str, Backbone], teachers: Sequence[Teacher]
) -> dict[str, Any]:
    """The fingerprints of the training and validation rows, and the sha256 of all weights that the training reads.

    ``start`` and ``teachers`` are only there if the recipe has them. For a search over several backbones ``backbone``
    has all of them by name, and ``backbones``, {name: sha256}, takes the place of the key ``backbone``. All values can
    be stored as JSON.
    """
    found: dict[str, Any] = {
        "training": rows_fingerprint(splits.train),
        "validation": rows_fingerprint(splits.validation),
    }
    if isinstance(backbone, Mapping):
        found["backbones"] = {name: one.sha256 for name, one in backbone.items()}
    else:
        found["backbone"] = backbone.sha256
    if recipe.adapter.start_from is not None:
        found["start"] = weights_sha256(Run(recipe.adapter.start_from).adapter)
    if teachers:
        found["teachers"] = [teacher.sha256 for teacher in teachers]
    return found


def of_one_backbone(inputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """``inputs``, the fingerprints of a search, as a training with the backbone ``name`` stores them."""
    if "backbones" not in inputs:
        return dict(inputs)
    others = {key: value for key, value in inputs.items() if key != "backbones"}
    return {**others, "backbone": inputs["backbones"][name]}
