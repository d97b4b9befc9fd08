"""A backbone with the head of a masked language model, loaded by transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoConfig, AutoModelForMaskedLM
from transformers.modeling_outputs import BaseModelOutput

from featherweight.backbone.loading import quiet, unreadable
from featherweight.backbone.resolve import Backbone
from featherweight.errors import UserError
from featherweight.model.network import types_read
from featherweight.training.masked_language.masking import MaskedBatch


@dataclass(eq=False)
class MaskedModel:
    """A masked language model of transformers: an encoder, and a head that predicts the masked tokens."""

    network: Any
    new_head: bool
    """Whether the backbone has no such head, so that it begins with random weights."""

    @property
    def encoder(self) -> nn.Module:
        """The encoder of the model, as transformers builds it, without a pooler."""
        return self.network.base_model

    @property
    def head_names(self) -> frozenset[str]:
        """Names of the head's parameters, without those that it shares with the encoder.

        Often the output matrix of the head is the encoder's embedding table; then it is not listed.
        """
        own = set(map(id, self.encoder.parameters()))
        return frozenset(name for name, tensor in self.network.named_parameters() if id(tensor) not in own)

    def freeze_encoder(self, frozen: bool) -> None:
        """Set ``requires_grad`` so that the next steps train only the head if ``frozen``, else all parameters."""
        for parameter in self.encoder.parameters():
            parameter.requires_grad_(not frozen)

    @torch.no_grad()
    def begin_with_frequencies(self, tokens: NDArray[np.int32]) -> None:
        """Set the biases of a new head to the logarithm of the tokens' frequencies in ``tokens``.

        Otherwise the first steps would only learn which tokens are frequent. 0.1 is added to each count,
        because of tokens that do not occur.
        """
        bias = self.network.get_output_embeddings().bias
        if bias is not None:
            counts = torch.from_numpy(np.bincount(tokens, minlength=len(bias)) + 0.1)
            bias.copy_(torch.log(counts / counts.sum()))

    def logits(self, batch: MaskedBatch) -> Tensor:
        """Logits [n, size of the vocabulary] of the n tokens to predict in a batch.

        The head is not computed for other tokens: on a small encoder that would take as long as all layers.
        """

        def chosen_alone(_module: Any, _inputs: Any, output: Any) -> BaseModelOutput:
            return BaseModelOutput(last_hidden_state=output.last_hidden_state[batch.chosen].unsqueeze(0))

        types = types_read(self.network, batch.token_types)
        hook = self.encoder.register_forward_hook(chosen_alone)
        try:
            return self.network(input_ids=batch.input_ids, attention_mask=batch.attention_mask, **types).logits[0]
        finally:
            hook.remove()


def load_masked_model(backbone: Backbone, *, seed: int, attention: str | None) -> MaskedModel:
    """The backbone with its head for masked tokens, in fp32; a missing head begins with random weights from ``seed``.

    Raises UserError if transformers has no masked language model of this family, or the weights cannot be read.
    """
    try:
        config = AutoConfig.from_pretrained(backbone.folder, trust_remote_code=False)
    except Exception as error:  # wrong values in the config can make the library raise any exception
        raise unreadable(backbone, error) from None
    if type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        kind = backbone.config["model_type"]
        lacking = f"transformers has no masked language model for the family {kind}"
        raise UserError(f"{backbone.name}: {lacking}; use another backbone")
    options: dict[str, Any] = {"config": config, "attn_implementation": attention, "dtype": torch.float32}
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        try:
            network, loading = AutoModelForMaskedLM.from_pretrained(
                backbone.folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
            )
        except Exception as error:
            raise unreadable(backbone, error) from None
    model = MaskedModel(network, new_head=False)
    missing, head = set(loading["missing_keys"]), model.head_names
    if lost := sorted(name for name in missing - head if name.startswith(f"{network.base_model_prefix}.")):
        raise UserError(f"{backbone.folder}: the weights lack {lost[0]}; download them again")
    model.new_head = bool(missing & head)
    return model
