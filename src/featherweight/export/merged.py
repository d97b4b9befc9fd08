"""Writes a classifier as a plain folder of transformers, which its pipelines load without Featherweight and PEFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featherweight.backbone.loading import quiet
from featherweight.data.long_texts import LongTexts
from featherweight.errors import UserError
from featherweight.files import share_weights
from featherweight.hints import flag, to_set
from featherweight.recipe import Recipe

TEMPERATURE = "calibration_temperature"
"""Key of config.json: divide the logits by it for calibrated probabilities."""


def require_native_head(recipe: Recipe, run: Path) -> None:
    """Raise UserError unless ``recipe`` has a native head: the head of a classifier class of transformers."""
    if recipe.adapter.head == "native":
        return
    what = "the first token" if recipe.adapter.pooling == "first" else "the mean over the tokens"
    raise UserError(
        f"{run}: its head is one linear layer on {what}, and transformers has no class for that; "
        f"use {flag('--to', 'onnx')}\n"
        f"For a merged folder, train with a head of transformers: {to_set('adapter.head=native')}"
    )


def write_merged(model: Any, recipe: Recipe, labels: tuple[str, ...], temperature: float, folder: Path) -> None:
    """Write config.json and model.safetensors of ``model`` to ``folder``.

    The adapter of ``model`` is merged, and its head is that of a model class of transformers, such as
    ``BertForSequenceClassification``. ``temperature`` is only stored in config.json; logits are not divided by it.
    """
    classifier = model.network.base_model()
    config = classifier.config
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    several = recipe.task == "multi-label"
    config.problem_type = "multi_label_classification" if several else "single_label_classification"
    setattr(config, TEMPERATURE, temperature)
    with quiet():
        classifier.save_pretrained(folder)
    share_weights(folder, "config.json")
    _truncate_like(folder, LongTexts.for_evaluation(recipe))


def _truncate_like(folder: Path, long_texts: LongTexts) -> None:
    """Set maximum length and truncation side of the tokenizer in ``folder``, as ``long_texts`` says.

    A pipeline of transformers with ``truncation=True`` then truncates texts like the run, if the run cuts one end.
    """
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    settings["model_max_length"] = long_texts.max_length
    settings["truncation_side"] = "left" if long_texts.how == "tail" else "right"
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")
