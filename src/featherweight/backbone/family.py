"""What Featherweight knows of an encoder family. The families themselves are in ``families``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from featherweight.recipe import Role

Config = dict[str, Any]


@dataclass(frozen=True)
class LinearSpec:
    """A linear layer of every encoder layer: its module name inside that layer, its roles and widths."""

    module: str
    roles: tuple[Role, ...]
    inputs: str
    """``hidden``, ``mlp``, or a multiple such as ``3*hidden``."""
    outputs: str
    bias: str = ""
    """Config key that switches the bias on; empty: there always is one."""


@dataclass(frozen=True)
class Part:
    """A module of the encoder that LoRA does not adapt: its number of weights and of biases."""

    name: str
    weights: int
    biases: int = 0


@dataclass(frozen=True)
class HeadLayer:
    """A module of the native classification head: ``dense`` and ``norm`` keep the width, ``out`` gives the labels."""

    module: str
    kind: str
    bias: str = ""


@dataclass(frozen=True)
class LeanPass:
    """How the lean pass (``model/lean``) computes a family besides its linear layers and norms.

    It suits post-norm encoders with six linear layers and two norms a layer, GELU, and biases everywhere.
    """

    dropouts: tuple[str, str, str] = ("attention_probs_dropout_prob", "hidden_dropout_prob", "hidden_dropout_prob")
    """Config keys of the dropout of attention's probabilities, of its output and of the MLP's output; empty: none."""
    head: tuple[str, ...] = ("classifier",)
    """Steps of the native head from the states [batch, 1, hidden] to logits: its modules, in the order of their calls.

    Two steps are no modules: ``first_token`` takes the states to [batch, hidden], ``relu`` is the activation.
    """


@dataclass(frozen=True)
class Family:
    """One encoder family; module names are relative to the encoder, those of the head to the classification class."""

    prefix: str
    linears: tuple[LinearSpec, ...]
    layer_norms: tuple[str, ...]
    tables: dict[str, str]
    """Embedding tables, each with the config key of its number of rows."""
    norms: tuple[str, ...]
    head: tuple[HeadLayer, ...]
    defaults: Config
    layer: str = "encoder.layer.{}"
    hidden: str = "hidden_size"
    mlp: str = "intermediate_size"
    layers: str = "num_hidden_layers"
    table_width: str = ""
    """Config key of the width of the embeddings and their norm, where it is not the hidden width."""
    norm_bias: str = ""
    missing_norms: tuple[str, ...] = ()
    """Norms that the class does not have although ``layer_norms`` says so for every layer."""
    extra: Callable[[Config], list[Part]] = field(default=lambda config: [])
    """Parts that depend on the config."""
    head_dropouts: tuple[str, ...] = ("classifier_dropout",)
    """Config keys of the native head's own dropout."""
    position_offset: int = 0
    """Number of the first token's position; the positions below it are for padding."""
    limits_length: bool = True
    """Whether texts can be at most ``max_position_embeddings`` tokens long."""
    pooler_option: bool = False
    """Whether the encoder class takes ``add_pooling_layer``."""
    eva: bool = True
    """Whether PEFT can initialise LoRA from the inputs of the layers (EVA)."""
    lean: LeanPass | None = None
    """None where transformers' own forward pass is used."""
