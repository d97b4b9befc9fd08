"""The model that is trained: a frozen encoder with its PEFT adapter, and the head."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, nn

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.families import FAMILIES


class LinearHead(nn.Module):
    """A linear layer on the hidden state of the first token, or on the mean over the tokens; always in fp32."""

    def __init__(self, hidden: int, labels: int, pooling: str) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, labels)
        self.pooling = pooling
        # BERT's own classification heads are initialised in this way.
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits [batch, labels] from hidden states [batch, tokens, hidden] and mask [batch, tokens]."""
        with torch.autocast(states.device.type, enabled=False):
            return self.out(pool(states.float(), attention_mask, self.pooling))


def pool(states: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """One vector per text, [batch, hidden]: the state of the first token, or the mean over the unmasked tokens."""
    if pooling == "first":
        return states[:, 0]
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class ForwardPass(Protocol):
    """A forward pass of an encoder that replaces that of transformers and uses the same parameters."""

    frozen: int
    """Number of lowest layers whose outputs do not change during training."""

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        *,
        first_only: bool,
        states: Tensor | None = None,
        token_types: Tensor | None = None,
    ) -> Tensor:
        """Last hidden states [batch, t, hidden]; with ``first_only``, those of the first token, [batch, 1, hidden].

        If ``states`` (the result of ``lower``) is given, the frozen layers are not computed again.
        ``token_types`` [batch, t] are for encoders that have such embeddings.
        """

    def lower(self, input_ids: Tensor, attention_mask: Tensor, token_types: Tensor | None = None) -> Tensor:
        """Hidden states [batch, tokens, hidden] after the frozen layers: the input of the lowest trained layer."""

    def replace_layers(self, make: Callable[[Any], Any]) -> None:
        """Replace each layer by the result of ``make(layer)``."""


class Network(nn.Module):
    """Encoder, adapter and head in one module: it maps token ids to logits."""

    def __init__(
        self, encoder: nn.Module, head: LinearHead | None, labels: tuple[str, ...], architecture: Architecture
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.labels = labels
        self.architecture = architecture
        self.lean: ForwardPass | None = None
        """The lean pass; if None, transformers' own forward pass is used."""
        self.make_mask: Callable[[Tensor], Tensor] | None = None
        """Makes the mask for transformers' own pass from that of the batch; None if it takes that of the batch."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        states: Tensor | None = None,
        token_types: Tensor | None = None,
    ) -> Tensor:
        """Logits [batch, labels] in fp32 from int64 tensors [batch, tokens].

        ``states`` [batch, tokens, hidden] are cached outputs of the frozen layers; these layers are not computed again.
        ``token_types`` [batch, tokens] are 1 in the second text of a pair and 0 elsewhere; an encoder without token
        types ignores them.
        """
        types = self.types_read(token_types)
        if self.lean is not None:
            return self._lean_forward(input_ids, attention_mask, states, types.get("token_type_ids"))
        wrapped: Any = self.encoder
        mask = attention_mask if self.make_mask is None else self.make_mask(attention_mask)
        output = wrapped(input_ids=input_ids, attention_mask=mask, **types)
        if self.head is None:
            return output.logits.float()
        return self.head(output.last_hidden_state, attention_mask)

    def types_read(self, token_types: Tensor | None) -> dict[str, Tensor]:
        """Return the keyword arguments that pass ``token_types`` to the encoder, if it reads them.

        They are {"token_type_ids": ``token_types``}; or {} if ``token_types`` is None or the encoder takes none. BERT,
        ELECTRA and some DeBERTa models take them; RoBERTa has only one type; DistilBERT, MPNet and ModernBERT have no
        types.
        """
        if self.lean is None:
            return types_read(self.base_model(), token_types)
        # A bare encoder has no ``forward`` to ask; the lean pass reads types wherever there is a table of them.
        encoder = self.plain_encoder()
        takes = hasattr(encoder.embeddings, "token_type_embeddings")
        return {"token_type_ids": token_types} if takes and _types_matter(token_types, encoder) else {}

    def base_model(self) -> Any:
        """transformers' model without PEFT's wrapper: the encoder, or the classification model that contains it."""
        wrapped: Any = self.encoder
        return wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped

    def plain_encoder(self) -> Any:
        """transformers' encoder, without PEFT's wrapper and without the classification model around it."""
        inner = self.base_model()
        return getattr(inner, self.architecture.prefix) if self.head is None else inner

    def head_parts(self) -> list[nn.Module]:
        """The modules of the head: the linear head, or those of the classification model, such as BERT's pooler."""
        if self.head is not None:
            return [self.head]
        return [self.base_model().get_submodule(name) for name in self.architecture.head_modules]

    def trainable(self) -> dict[str, nn.Parameter]:
        """All trained parameters by name; a shared tensor is listed once."""
        return {name: tensor for name, tensor in self.named_parameters() if tensor.requires_grad}

    def trainable_count(self) -> int:
        """Number of trained parameters, counted in the tensors themselves; a shared tensor is counted once."""
        return sum(tensor.numel() for tensor in self.trainable().values())

    def _lean_forward(
        self, input_ids: Tensor, attention_mask: Tensor, cached: Tensor | None, types: Tensor | None
    ) -> Tensor:
        assert self.lean is not None
        first_only = self.head is None or self.head.pooling == "first"
        with torch.autocast(input_ids.device.type, enabled=False):
            states = self.lean(input_ids, attention_mask, first_only=first_only, states=cached, token_types=types)
            if self.head is not None:
                return self.head(states, attention_mask)
            return self._native_head(states.float())

    def _native_head(self, states: Tensor) -> Tensor:
        """Logits of the classification model's own head, in fp32, from the first token's states [batch, 1, hidden]."""
        model = self.base_model()
        lean = FAMILIES[self.architecture.model_type].lean
        assert lean is not None
        for step in lean.head:
            if step == "first_token":
                states = states[:, 0]
            else:
                states = torch.relu(states) if step == "relu" else model.get_submodule(step)(states)
        return states


def types_read(model: Any, token_types: Tensor | None) -> dict[str, Tensor]:
    """The keyword arguments that pass ``token_types`` [batch, t] to a model of transformers; {} if it reads none."""
    if not _types_matter(token_types, model):
        return {}
    takes = "token_type_ids" in inspect.signature(model.forward).parameters
    return {"token_type_ids": token_types} if takes else {}


def _types_matter(token_types: Tensor | None, model: Any) -> TypeGuard[Tensor]:
    """Whether there are token types, and ``model`` has more than one: in RoBERTa all tokens have the same type."""
    return token_types is not None and getattr(model.config, "type_vocab_size", 2) != 1


def frozen_layers(encoder: Any, architecture: Architecture) -> int:
    """Number of lowest layers of ``encoder`` whose outputs do not change during training.

    The last layer is not counted even if it is frozen, because it is computed only for the tokens that the head reads.
    The number is 0 if anything below the layers is trained, such as the bias of the embeddings' norm.
    """
    trained = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
    return max(0, min([architecture.layers - 1, *(layer_of(name, architecture) for name in trained)]))


def layer_of(name: str, architecture: Architecture) -> int:
    """Index of the layer that contains the encoder's parameter ``name``.

    It is -1 for a parameter below the layers (embeddings) and the number of layers for one above them (head).
    """
    for linear in architecture.linears:
        layer_prefix = linear.name.partition(f".{linear.layer}.")[0] + f".{linear.layer}."
        if name.startswith(layer_prefix):
            return linear.layer
    above = (module.removeprefix(f"{architecture.prefix}.") for module in architecture.head_modules)
    return architecture.layers if name.startswith(tuple(f"{module}." for module in above)) else -1
