"""Writes an adapted backbone to a folder. transformers can load it, and a recipe can name it as its backbone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel

from featherweight.backbone.folder import tokenizer_files
from featherweight.backbone.loading import quiet
from featherweight.backbone.resolve import Backbone
from featherweight.data.batches import Encoded, collate
from featherweight.errors import FeatherweightError
from featherweight.files import share_weights
from featherweight.model.network import types_read
from featherweight.training.masked_language.model import MaskedModel

_MOST_DIFFERENCE = 1e-4


def save_encoder(model: MaskedModel, backbone: Backbone, folder: Path) -> None:
    """Write config, weights (fp32, safetensors) and tokenizer to the new ``folder``.

    The head is not saved. Tensors that a masked language model does not have, such as BERT's pooler, are copied from
    the original backbone.
    """
    assert backbone.folder is not None
    with torch.random.fork_rng(devices=[]), quiet():
        whole, loading = AutoModel.from_pretrained(
            backbone.folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
            dtype=torch.float32,
        )  # fmt: skip
        trained = {name: tensor.cpu() for name, tensor in model.encoder.state_dict().items()}
        if unknown := whole.load_state_dict(trained, strict=False).unexpected_keys:
            raise FeatherweightError(
                f"cannot save the trained tensor {unknown[0]}: transformers' encoder for this backbone has no tensor "
                "of that name; please report this bug"
            )
        # What the backbone lacks, transformers has filled with random numbers.
        lacking = set(loading["missing_keys"])
        tensors = {name: tensor for name, tensor in whole.state_dict().items() if name not in lacking}
        whole.save_pretrained(folder, state_dict=tensors)
    share_weights(folder, "config.json")
    for file in tokenizer_files(backbone.folder):
        shutil.copyfile(file, folder / file.name)


def require_same_states(model: MaskedModel, folder: Path, texts: Encoded, *, most: int = 8) -> None:
    """Raise FeatherweightError unless the encoder saved in ``folder`` gives the same hidden states as ``model``.

    The states of the first ``most`` of ``texts`` are compared, on a CPU.
    """
    options: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False, "dtype": torch.float32}
    with quiet():
        saved = AutoModel.from_pretrained(folder, attn_implementation="eager", **options).eval()
    trained = model.encoder.eval().cpu()
    batch = collate(texts, np.arange(min(most, len(texts))), 0)
    with torch.inference_mode():
        found, expected = (
            encoder(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                **types_read(encoder, batch.token_types),
            ).last_hidden_state
            for encoder in (saved, trained)
        )
    difference = float(((found - expected).abs() * batch.attention_mask[..., None]).max())
    if not difference <= _MOST_DIFFERENCE:
        found_wrong = f"the hidden states of the saved backbone differ from those in training by {difference:.2g}"
        raise FeatherweightError(f"{folder}: {found_wrong}; please report this bug")
