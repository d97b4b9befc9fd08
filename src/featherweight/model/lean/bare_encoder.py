"""Builds an encoder from the saved tensors, without importing transformers' model classes.

Its forward pass is the lean pass of this folder.

Importing transformers' classes takes longer than all other steps of a prediction. The modules have the same names as in
transformers, and the results are the same, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.family import Config, Family, LeanPass

Read = Callable[[str], Tensor]
"""Returns a saved tensor by its name in the encoder; raises LookupError if it does not exist."""

_DEFAULTS = {"num_attention_heads": 12, "n_heads": 12, "hidden_act": "gelu", "activation": "gelu"}
_DEFAULTS |= {"layer_norm_eps": 1e-12, "pad_token_id": 1}
"""transformers' defaults for keys that config.json lacks and that the sizes do not depend on."""
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "gelu": functional.gelu}


def bare_encoder(config: Config, architecture: Architecture, read: Read) -> nn.Module:
    """An encoder whose modules hold the weights but have no ``forward``: ``LeanEncoder`` computes the hidden states.

    ``config`` is the content of config.json, ``architecture`` what follows from it (names and sizes of the layers);
    ``read`` returns the saved tensor of a name.
    Raises LookupError if a tensor or a setting is missing, and ValueError if a tensor does not fit the config.
    """
    family = FAMILIES[architecture.model_type]
    assert family.lean is not None
    complete = {**_DEFAULTS, **family.defaults, **config}
    norm_epsilon = float(complete[family.lean.norm_epsilon]) if family.lean.norm_epsilon else 1e-12
    hidden = architecture.hidden
    width = int(complete.get(family.table_width, hidden))
    encoder: Any = nn.Module()
    encoder.config = _settings(complete, family.lean, architecture)
    encoder.embeddings = Embeddings(_first_position(complete, family))
    if family.lean.relative_positions:
        encoder.encoder = RelativePositions()
    for linear in architecture.linears:
        _put(encoder, linear.name, _linear(read, linear.name, linear.inputs, linear.outputs))
    for name in (*family.norms, *_layer_norms(family, architecture)):
        _put(encoder, name, _norm(read, name, width if name.startswith("embeddings.") else hidden, norm_epsilon))
    for name, rows in family.tables.items():
        _put(encoder, name, _table(read, name, int(complete[rows]), width))
    for part in family.extra(complete):
        if part.biases:
            _put(encoder, part.name, _linear(read, part.name, part.weights // part.biases, part.biases))
        else:
            heads = encoder.config.num_attention_heads
            _put(encoder, part.name, _table(read, part.name, part.weights // heads, heads))
    return encoder


def bare_classifier(encoder: nn.Module, architecture: Architecture, labels: int) -> nn.Module:
    """A classification model as in transformers: ``encoder`` with an untrained head for ``labels`` classes."""
    family = FAMILIES[architecture.model_type]
    assert family.lean is not None
    model = nn.Module()
    model.add_module(architecture.prefix, encoder)
    for step in family.lean.head:
        layers = [layer for layer in family.head if layer.module.startswith(f"{step}.")]
        if layers:
            _put(model, step, Head(_ACTIVATIONS[family.lean.head_activation]))
        elif step == "dropout":
            _put(model, step, nn.Identity())
    for layer in family.head:
        outputs = labels if layer.kind == "out" else architecture.hidden
        _put(model, layer.module, nn.Linear(architecture.hidden, outputs))
    return model


class Embeddings(nn.Module):
    """Word, position and, in some families, token type embeddings.

    ``bare_encoder`` sets the tables as attributes after the module is created.
    """

    word_embeddings: nn.Embedding
    token_type_embeddings: nn.Embedding
    position_embeddings: nn.Embedding
    LayerNorm: nn.LayerNorm

    def __init__(self, first_position: int | None) -> None:
        super().__init__()
        self._padding = first_position
        """Token id of padding, from which positions are counted; None if positions of all tokens start at 0."""

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Embeddings [batch, t, width] of token ids [batch, t]; without ``token_type_ids`` all token types are 0."""
        states = self.word_embeddings(input_ids)
        if hasattr(self, "token_type_embeddings"):
            table = self.token_type_embeddings
            states = states + (table.weight[0] if token_type_ids is None else table(token_type_ids))
        states = states + self.position_embeddings(self._positions(input_ids))
        return self.LayerNorm(states)

    def _positions(self, input_ids: Tensor) -> Tensor:
        if self._padding is None:
            return torch.arange(input_ids.shape[1], device=input_ids.device)
        text = input_ids.ne(self._padding).int()
        return (torch.cumsum(text, 1).type_as(text) * text).long() + self._padding


class RelativePositions(nn.Module):
    """MPNet's bias of attention scores, which depends on the distance of two tokens.

    It is computed as in T5 (Raffel et al. 2019, section 2.1).
    """

    relative_attention_bias: nn.Embedding

    def compute_position_bias(self, x: Tensor, buckets: int = 32, most: int = 128) -> Tensor:
        """Bias [batch, heads, t, t] for token ids ``x`` [batch, t], of which only the shape is used.

        Distances are grouped into ``buckets``, and each bucket has a bias per head. Short distances have a bucket each;
        longer ones share buckets that grow logarithmically. All distances of ``most`` tokens or more share one
        bucket per direction (earlier or later tokens).
        """
        places = torch.arange(x.shape[1], device=x.device)
        behind = places[:, None] - places[None, :]
        side, exact = buckets // 2, buckets // 4
        distance = behind.abs()
        far = exact + (torch.log(distance.float() / exact) / math.log(most / exact) * (side - exact)).long()
        bucket = (behind < 0).long() * side + torch.where(distance < exact, distance, far.clamp(max=side - 1))
        values = self.relative_attention_bias(bucket).permute(2, 0, 1)
        return values.expand(x.shape[0], *values.shape).contiguous()


class Head(nn.Module):
    """The layers that a classification model of transformers applies to the first token.

    There is a dense layer with an activation (in BERT this is the pooler), and in some families an output layer.
    """

    dense: nn.Linear
    out_proj: nn.Linear

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._activation = activation

    def forward(self, states: Tensor) -> Tensor:
        """Logits [batch, labels] from states [batch, t, hidden]; without an output layer, vectors [batch, hidden]."""
        pooled = self._activation(self.dense(states[:, 0]))
        return self.out_proj(pooled) if hasattr(self, "out_proj") else pooled


def _settings(config: Config, lean: LeanPass, architecture: Architecture) -> Any:
    """The settings that the lean pass reads: heads, activation and token types of ``config``; every dropout is 0.

    ``lean`` names the keys that differ between families. Raises ValueError for an impossible number of heads.
    """
    heads = config[lean.heads]
    if not isinstance(heads, int) or heads < 1 or architecture.hidden % heads:
        raise ValueError(f"{lean.heads} = {heads!r}")
    more = dict.fromkeys(filter(None, lean.dropouts), 0.0) | {"type_vocab_size": config.get("type_vocab_size", 2)}
    return SimpleNamespace(num_attention_heads=heads, hidden_act=config[lean.activation], **more)


def _first_position(config: Config, family: Family) -> int | None:
    assert family.lean is not None
    if not family.position_offset:
        return None
    return int(config[family.lean.padding]) if family.lean.padding else 1


def _layer_norms(family: Family, architecture: Architecture) -> Iterable[str]:
    places = (family.layer.format(number) for number in range(architecture.layers))
    return (f"{place}.{name}" for place in places for name in family.layer_norms)


def _linear(read: Read, name: str, inputs: int, outputs: int) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, device="meta")
    linear.weight = _frozen(read, f"{name}.weight", (outputs, inputs))
    linear.bias = _frozen(read, f"{name}.bias", (outputs,))
    return linear


def _norm(read: Read, name: str, width: int, epsilon: float) -> nn.LayerNorm:
    norm = nn.LayerNorm(width, epsilon, device="meta")
    norm.weight, norm.bias = (_frozen(read, f"{name}.{part}", (width,)) for part in ("weight", "bias"))
    return norm


def _table(read: Read, name: str, rows: int, width: int) -> nn.Embedding:
    return nn.Embedding.from_pretrained(_frozen(read, f"{name}.weight", (rows, width)))


def _frozen(read: Read, name: str, shape: tuple[int, ...]) -> nn.Parameter:
    tensor = read(name)
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {shape}")
    # A vector may be a bias that the adapter replaces: it gets memory of its own. Matrices stay in the mapped file.
    return nn.Parameter(tensor.to(torch.float32, copy=tensor.ndim == 1), requires_grad=False)


def _put(root: nn.Module, name: str, module: nn.Module) -> None:
    """Make ``module`` the submodule ``name`` (dotted) of ``root``; missing modules on the path are created."""
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, module)
