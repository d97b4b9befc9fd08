"""The dataclasses that describe an encoder family. The families themselves are in ``families.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from featherweight.recipe import Role

Config = dict[str, Any]


@dataclass(frozen=True)
class LinearSpec:
    """A linear layer that every encoder layer has: its module name inside the layer, its roles and its widths."""

    module: str
    roles: tuple[Role, ...]
    inputs: str
    """Width of the inputs: ``hidden``, ``mlp``, or a multiple such as ``3*hidden``."""
    outputs: str
    bias: str = ""
    """Config key that switches the bias on; if empty, there is always a bias."""


@dataclass(frozen=True)
class OtherModule:
    """A module of the encoder that LoRA cannot adapt, with its numbers of weights and biases."""

    name: str
    weights: int
    biases: int = 0


@dataclass(frozen=True)
class HeadLayer:
    """A module of the native classification head.

    ``kind`` is ``dense`` or ``norm`` (hidden width in and out), or ``out`` (one output per label).
    """

    module: str
    kind: str
    bias: str = ""


@dataclass(frozen=True)
class LeanPass:
    """Settings of the lean pass, Featherweight's own forward pass (``model/lean``), for a family.

    It works for post-norm encoders with six linear layers and two norms per layer, GELU, and biases in all
    linear layers.
    """

    dropouts: tuple[str, str, str] = ("attention_probs_dropout_prob", "hidden_dropout_prob", "hidden_dropout_prob")
    """Config keys for the dropout of attention probabilities, attention output and MLP output; empty means no dropout.
    """
    head: tuple[str, ...] = ("classifier",)
    """Steps of the native head from the states [batch, 1, hidden] to logits: its modules, in the order of their calls.

    Two steps are not modules: ``first_token`` reduces the states to [batch, hidden], and ``relu`` is the activation.
    """
    head_activation: str = "tanh"
    """The activation between the two layers of the native head, ``tanh`` or ``gelu``, if ``head`` does not list it."""
    heads: str = "num_attention_heads"
    """Config key of the number of attention heads."""
    activation: str = "hidden_act"
    """Config key of the activation."""
    norm_epsilon: str = "layer_norm_eps"
    """Config key of the epsilon of the layer norms; if empty, the epsilon is 1e-12."""
    relative_positions: bool = False
    """Whether attention scores have a bias that depends on the distance of two tokens (MPNet)."""
    padding: str = "pad_token_id"
    """Config key of the padding token's id, after which positions with an offset start; if empty, the id is 1."""


@dataclass(frozen=True)
class Family:
    """One encoder family.

    Module names are relative to the encoder; the names in ``head`` are relative to the classification class.
    """

    prefix: str
    linears: tuple[LinearSpec, ...]
    layer_norms: tuple[str, ...]
    tables: dict[str, str]
    """Embedding tables by module name, each with the config key of its number of rows."""
    norms: tuple[str, ...]
    head: tuple[HeadLayer, ...]
    defaults: Config
    layer: str = "encoder.layer.{}"
    hidden: str = "hidden_size"
    mlp: str = "intermediate_size"
    layers: str = "num_hidden_layers"
    table_width: str = ""
    """Config key of the width of the embeddings and their norm; empty if it is the hidden width."""
    norm_bias: str = ""
    """Config key that switches the biases of all norms on; if empty, norms always have a bias."""
    missing_norms: tuple[str, ...] = ()
    """Full names of norms that do not exist, although ``layer_norms`` lists them for every layer."""
    extra: Callable[[Config], list[OtherModule]] = field(default=lambda config: [])
    """Returns the modules whose existence or size depends on the config."""
    head_dropouts: tuple[str, ...] = ("classifier_dropout",)
    """Config keys of the native head's own dropout."""
    position_offset: int = 0
    """Position number of the first token; lower numbers are reserved for padding."""
    limits_length: bool = True
    """Whether texts can be at most ``max_position_embeddings`` tokens long."""
    pooler_option: bool = False
    """Whether the encoder class has the argument ``add_pooling_layer``."""
    tokenizer: str = ""
    """The class of transformers that AutoTokenizer chooses for the family; empty if AutoTokenizer itself is used."""
    eva: bool = True
    """Whether PEFT can initialise LoRA from the inputs of the layers (EVA)."""
    lean: LeanPass | None = None
    """None if the family always uses transformers' own forward pass."""
