"""The description of an encoder: its linear layers with their roles, its biases, its native head, and its sizes.

A role is what a linear layer computes in an encoder layer: query, key, value, attention_output, mlp_up or mlp_down. The
native head is the one that transformers' classification class adds to the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

from featherweight.recipe import ROLES, Role


@dataclass(frozen=True)
class Linear:
    """A linear layer that LoRA can adapt; ``name`` is its full module path inside the encoder."""

    name: str
    roles: tuple[Role, ...]
    layer: int
    inputs: int
    outputs: int
    bias: bool

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)

    @property
    def largest_rank(self) -> int:
        """The smaller dimension: at this rank LoRA is already as general as full fine-tuning."""
        return min(self.inputs, self.outputs)


@dataclass(frozen=True)
class HeadTensor:
    """A parameter tensor of transformers' own classification head, with ``fixed + per_label * labels`` elements."""

    name: str
    fixed: int
    per_label: int
    is_bias: bool


@dataclass(frozen=True)
class Architecture:
    """An encoder and the head of its transformers class; all names are those of torch's ``named_modules``."""

    model_type: str
    layers: int
    hidden: int
    linears: tuple[Linear, ...]
    other_biases: tuple[tuple[str, int], ...]
    """Names (such as ``embeddings.LayerNorm.bias``) and sizes of the biases outside ``linears``, mostly of norms."""
    prefix: str
    """Attribute of transformers' classification class that contains the encoder, such as ``roberta``."""
    head_modules: tuple[str, ...]
    """Modules that transformers' classification class adds to the encoder; empty if there is no such class."""
    head_tensors: tuple[HeadTensor, ...]
    encoder_parameters: int
    """Number of parameters of the encoder, without pooler and head."""

    def head_parameters(self, labels: int) -> tuple[tuple[str, int, bool], ...]:
        """For each tensor of the native head: name, number of elements for ``labels`` classes, whether it is a bias."""
        return tuple((t.name, t.fixed + t.per_label * labels, t.is_bias) for t in self.head_tensors)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles of all ``linears``, each once, in the order of ``ROLES`` (query first, mlp_down last)."""
        present = {role for linear in self.linears for role in linear.roles}
        return tuple(role for role in ROLES if role in present)

    @property
    def encoder_biases(self) -> int:
        """Number of bias parameters of all linear layers and norms of the encoder, including the embeddings' norm."""
        return sum(x.outputs for x in self.linears if x.bias) + sum(count for _, count in self.other_biases)
