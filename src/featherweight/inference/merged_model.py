"""Loads a merged export with PyTorch, in transformers' class, with the faster forward pass if it is supported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from featherweight.backbone.describe import architecture_of
from featherweight.backbone.folder import read_config
from featherweight.backbone.tokenizer import saved_tokenizer
from featherweight.errors import UserError, first_line
from featherweight.inference.engines import engine_for
from featherweight.inference.exported import Description
from featherweight.model.engine import bound_memory, move_to_engine
from featherweight.model.lean.forward_only import drop_gradients
from featherweight.model.network import Network
from featherweight.model.text_model import TextModel
from featherweight.recipe import Recipe


def load_merged(
    folder: Path, described: Description, recipe: Recipe, *, precision: str, device: str | None, lean: bool, merge: bool
) -> TextModel:
    """The model of a merged export; the options are those of ``Classifier.load``. Raises UserError if it is damaged."""
    bound_memory()
    config = read_config(folder)
    engine = replace(engine_for(recipe, precision, device), lean=lean)
    model = _read(folder, engine.attention if lean else None)
    network = Network(model, None, described.labels, architecture_of(config, recipe.backbone.roles))
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    move_to_engine(network, engine)
    if lean:
        drop_gradients(network)
    tokenizer = saved_tokenizer(folder, config.get("vocab_size"))
    return TextModel(network.eval(), tokenizer, engine, described.long_texts)


def _read(folder: Path, attention: str | None) -> Any:
    from transformers import AutoModelForSequenceClassification

    from featherweight.backbone.loading import quiet

    try:
        with quiet():
            return AutoModelForSequenceClassification.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation=attention,
                dtype=torch.float32,
            )
    except Exception as error:  # wrong values in the config can make the library raise any exception
        raise UserError(
            f"{folder}: cannot be loaded: {first_line(error)}\nIts files may be damaged: export the run again"
        ) from None
