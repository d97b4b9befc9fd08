"""The model that is trained: a frozen encoder with its PEFT adapter, and the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.families import FAMILIES


class LinearHead(nn.Module):
    """One linear layer on the first token's state or on the mean over the tokens, always in fp32."""

    def __init__(self, hidden: int, labels: int, pooling: str) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, labels)
        self.pooling = pooling
        # The initialisation of BERT's own classification heads.
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits [batch, labels] from hidden states [batch, tokens, hidden] and mask [batch, tokens]."""
        with torch.autocast(states.device.type, enabled=False):
            return self.out(pool(states.float(), attention_mask, self.pooling))


def pool(states: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """One vector a text, [batch, hidden]: the first token's, or the mean over the unmasked tokens."""
    if pooling == "first":
        return states[:, 0]
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class ForwardPass(Protocol):
    """An encoder's forward pass that is not transformers' own, on the same parameters."""

    frozen: int
    """Layers at the bottom whose states no training changes."""

    def __call__(
        self, input_ids: Tensor, attention_mask: Tensor, *, first_only: bool, states: Tensor | None = None
    ) -> Tensor:
        """Last hidden states [batch, tokens, hidden], or with ``first_only`` the first token's, [batch, 1, hidden].

        With ``states``, which ``lower`` gave, the frozen layers are not computed again.
        """

    def lower(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """States [batch, tokens, hidden] that the frozen layers give to the lowest trained one."""

    def replace_layers(self, make: Callable[[Any], Any]) -> None:
        """Put what ``make`` makes of each layer into its place."""


class Network(nn.Module):
    """Encoder, adapter and head behind one call: token numbers in, logits out."""

    def __init__(
        self, encoder: nn.Module, head: LinearHead | None, labels: tuple[str, ...], architecture: Architecture
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.labels = labels
        self.architecture = architecture
        self.lean: ForwardPass | None = None
        """The lean pass, where one is set; transformers' own forward otherwise."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, states: Tensor | None = None) -> Tensor:
        """Logits [batch, labels] in fp32 from int64 tensors [batch, tokens].

        ``states`` [batch, tokens, hidden] of the frozen layers, where they are kept, spare the lean pass those layers.
        """
        if self.lean is not None:
            return self._lean_forward(input_ids, attention_mask, states)
        wrapped: Any = self.encoder
        output = wrapped(input_ids=input_ids, attention_mask=attention_mask)
        if self.head is None:
            return output.logits.float()
        return self.head(output.last_hidden_state, attention_mask)

    def base_model(self) -> Any:
        """transformers' model inside PEFT's wrapping: the encoder, or the classification class around it."""
        wrapped: Any = self.encoder
        return wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped

    def plain_encoder(self) -> Any:
        """transformers' encoder inside all wrapping."""
        inner = self.base_model()
        return getattr(inner, self.architecture.prefix) if self.head is None else inner

    def trainable(self) -> dict[str, nn.Parameter]:
        """Everything that is trained, by name, each tensor once."""
        return {name: tensor for name, tensor in self.named_parameters() if tensor.requires_grad}

    def trainable_count(self) -> int:
        """Number of trained parameters on the live model, each tensor counted once."""
        return sum(tensor.numel() for tensor in self.trainable().values())

    def _lean_forward(self, input_ids: Tensor, attention_mask: Tensor, kept: Tensor | None) -> Tensor:
        assert self.lean is not None
        first_only = self.head is None or self.head.pooling == "first"
        with torch.autocast(input_ids.device.type, enabled=False):
            states = self.lean(input_ids, attention_mask, first_only=first_only, states=kept)
            if self.head is not None:
                return self.head(states, attention_mask)
            return self._native_head(states.float())

    def _native_head(self, states: Tensor) -> Tensor:
        """The classification class's own head, in fp32, on the first token's states [batch, 1, hidden]."""
        model = self.base_model()
        lean = FAMILIES[self.architecture.model_type].lean
        assert lean is not None
        for step in lean.head:
            if step == "first_token":
                states = states[:, 0]
            else:
                states = torch.relu(states) if step == "relu" else model.get_submodule(step)(states)
        return states


def frozen_layers(encoder: Any, architecture: Architecture) -> int:
    """Number of layers at the bottom of ``encoder`` whose states no training changes.

    The last layer is never counted: what it computes depends on what the head reads. 0 where anything below the layers
    is trained, such as the bias of the embeddings' norm.
    """
    trained = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
    return max(0, min([architecture.layers - 1, *(layer_of(name, architecture) for name in trained)]))


def layer_of(name: str, architecture: Architecture) -> int:
    """Number of the layer that the encoder's parameter ``name`` is in; -1 below the layers, their number above."""
    for linear in architecture.linears:
        if name.startswith(_place(linear.name, linear.layer)):
            return linear.layer
    above = (module.removeprefix(f"{architecture.prefix}.") for module in architecture.head_modules)
    return architecture.layers if name.startswith(tuple(f"{module}." for module in above)) else -1


def _place(name: str, layer: int) -> str:
    """Where all of a layer's parameters are, by the name of one of its linear layers."""
    return name.partition(f".{layer}.")[0] + f".{layer}."
