"""A lean forward pass for post-norm encoders (BERT, RoBERTa, DistilBERT, MPNet, ELECTRA) on the processor.

It computes the same outputs as transformers' own classes from the same parameters, with less work:

- one matrix product for query, key and value;
- frozen matrices are stored in the compute type only;
- two small products for all adapters of a joined product;
- no gradient that LoRA does not need;
- in the last layer, only the tokens that the head reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.family import LeanPass
from featherweight.model.lean.frozen_matrix import FrozenMatrix, pad_rows, padded_length
from featherweight.model.lean.functions import (
    MASKED,
    AdaptedLinear,
    Attention,
    Dropout,
    FrozenLinear,
    by_head,
    dropout_mask,
    merge_heads,
    probabilities,
)
from featherweight.model.network import Network, frozen_layers


class AdaptedBlock:
    """One or more linear layers with the same input, computed as one product: frozen weight, bias and adapters."""

    def __init__(self, modules: list[Any], dtype: torch.dtype) -> None:
        plain: list[Any] = [getattr(module, "base_layer", module) for module in modules]
        self.matrix = FrozenMatrix(torch.cat([layer.weight.detach().to(dtype) for layer in plain]))
        self._biases = [layer.bias for layer in plain]
        self._dtype = dtype
        self._modules = modules
        self._dropout = max((_dropout_of(module) for module in modules), default=0.0)
        self._adapters: list[tuple[nn.Parameter, nn.Parameter, float, int]] = []
        start = 0
        for module, layer in zip(modules, plain, strict=True):
            # The module's weight becomes a view of the joined matrix, so that it is stored only once.
            layer.weight.data = self.matrix.weight[start : start + layer.weight.shape[0]]
            if hasattr(module, "lora_A"):
                down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
                self._adapters.append((down, up, module.scaling["default"], start))
            start += layer.weight.shape[0]

    def bias(self) -> Tensor:
        """The biases of these linear layers, joined to one tensor [out], in the type in which products are computed."""
        return torch.cat(self._biases).to(self._dtype)

    def matrices(self) -> tuple[Tensor, Tensor]:
        """The A of all adapters as one matrix [rank, in], and their scaled B as one block matrix [out, rank].

        ``rank`` is the sum of the ranks of the adapters.
        """
        down = torch.cat([adapter[0] for adapter in self._adapters])
        up = down.new_zeros(self.matrix.weight.shape[0], down.shape[0])
        column = 0
        for _, matrix, scale, start in self._adapters:
            up[start : start + matrix.shape[0], column : column + matrix.shape[1]] = scale * matrix
            column += matrix.shape[1]
        return down.to(self._dtype), up.to(self._dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Output [tokens, out] of the layers for ``x`` [tokens, in]."""
        if not self._adapters:
            return FrozenLinear.apply(x, self.matrix, self.bias())
        p = self._dropout if self._modules[0].training else 0.0
        if p and len(self._adapters) > 1:
            return self._forward_with_separate_dropout(x, p)
        return AdaptedLinear.apply(x, self.matrix, self.bias(), *self.matrices(), dropout_mask(x, p) if p else None, p)

    def _forward_with_separate_dropout(self, x: Tensor, p: float) -> Tensor:
        """Output [tokens, out] for ``x`` [tokens, in], with a separate dropout mask for each adapter, as in PEFT.

        The adapters of query and value then drop different elements of ``x``.
        """
        result = FrozenLinear.apply(x, self.matrix, self.bias())
        for down, up, scale, start in self._adapters:
            small = functional.linear(dropped(x, p), down.to(self._dtype))
            result[:, start : start + up.shape[0]] += functional.linear(small, (scale * up).to(self._dtype))
        return result


@dataclass
class LeanLayer:
    """One encoder layer: attention and MLP, each followed by its residual sum and norm."""

    joined: AdaptedBlock
    output: AdaptedBlock
    up: AdaptedBlock
    down: AdaptedBlock
    norms: tuple[nn.LayerNorm, nn.LayerNorm]
    heads: int
    dropouts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Dropout rates of the attention probabilities, the attention output and the MLP output; applied in training only.
    """
    pad_shapes: bool = False
    """Whether matrix products are padded to a few fixed shapes."""

    def __call__(self, x: Tensor, shape: tuple[int, int], added: Tensor | None) -> Tensor:
        """Hidden states [rows, hidden] after this layer.

        ``shape`` is (texts, tokens per text); rows of ``x`` beyond their product are padding. ``added`` is added to the
        attention scores.
        """
        wide = self.padded_length_of(shape[1])
        context = Attention.apply(self.joined(x), self.heads, shape, wide, added, self._dropouts()[0])
        return self._rest(x, context)

    def first_tokens(self, x: Tensor, shape: tuple[int, int], added: Tensor | None) -> Tensor:
        """Hidden states [batch, hidden] after this layer, computed only for the first token of each text.

        Keys and values still come from all tokens.
        """
        batch, length = shape
        joined, x = self.joined(x)[: batch * length], x[: batch * length]
        split = joined.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query = split[0][:, :, :1].flatten(0, 1)
        key, value = by_head(split[1:], self.padded_length_of(length)).flatten(1, 2)
        share = probabilities(query, key, None if added is None else added[:, :1], length)
        share = dropped(share, self._dropouts()[0])
        first, context = x.view(batch, length, -1)[:, 0], merge_heads(torch.bmm(share, value), (batch, 1))
        if self.pad_shapes:
            first, context = pad_rows(first), pad_rows(context)
        return self._rest(first, context)[:batch]

    def padded_length_of(self, length: int) -> int:
        """Number of tokens per text in the attention products: ``length``, padded if shapes are padded."""
        return padded_length(length) if self.pad_shapes else length

    def _rest(self, x: Tensor, context: Tensor) -> Tensor:
        _, after_attention, after_mlp = self._dropouts()
        x = self._normed(dropped(self.output(context), after_attention) + x, self.norms[0])
        return self._normed(dropped(self.down(functional.gelu(self.up(x))), after_mlp) + x, self.norms[1])

    @staticmethod
    def _normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
        return functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)

    def _dropouts(self) -> tuple[float, float, float]:
        return self.dropouts if self.norms[0].training else (0.0, 0.0, 0.0)


class LeanEncoder:
    """An encoder with the lean forward pass; it uses the parameters of transformers' modules, also the trained ones."""

    def __init__(
        self, encoder: Any, architecture: Architecture, dtype: torch.dtype, *, pad_shapes: bool = False
    ) -> None:
        self._encoder = encoder
        self._dtype = dtype
        self._fill_up = pad_shapes
        # ELECTRA's embeddings may be narrower than its layers.
        project = getattr(encoder, "embeddings_project", None)
        self._project = AdaptedBlock([project], dtype) if project is not None else None
        self._layers = [
            _layer(encoder, architecture, number, dtype, pad_shapes) for number in range(architecture.layers)
        ]
        self.frozen = frozen_layers(encoder, architecture)
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
        """
        shape = batch, length = (input_ids.shape[0], input_ids.shape[1])
        added = self._added(attention_mask)
        if states is None:
            x = self._through(self._embedded(input_ids, token_types), shape, added, 0, len(self._layers) - 1)
        else:
            x = self._padded(states.reshape(batch * length, -1))
            x = self._through(x, shape, added, self.frozen, len(self._layers) - 1)
        if first_only:
            return self._layers[-1].first_tokens(x, shape, added).view(batch, 1, -1)
        return self._layers[-1](x, shape, added)[: batch * length].view(batch, length, -1)

    def replace_layers(self, make: Callable[[LeanLayer], LeanLayer]) -> None:
        """Replace each layer by the result of ``make(layer)``."""
        self._layers = [make(layer) for layer in self._layers]

    def lower(self, input_ids: Tensor, attention_mask: Tensor, token_types: Tensor | None = None) -> Tensor:
        """Hidden states [batch, t, hidden] after the frozen layers: the input of the lowest trained layer."""
        shape = batch, length = (input_ids.shape[0], input_ids.shape[1])
        x = self._through(self._embedded(input_ids, token_types), shape, self._added(attention_mask), 0, self.frozen)
        return x[: batch * length].view(batch, length, -1)

    def _embedded(self, input_ids: Tensor, token_types: Tensor | None) -> Tensor:
        # Embeddings without token types have no such argument.
        types = {} if token_types is None else {"token_type_ids": token_types}
        x = self._padded(self._encoder.embeddings(input_ids, **types).flatten(0, 1).to(self._dtype))
        return self._project(x) if self._project else x

    def _padded(self, x: Tensor) -> Tensor:
        return pad_rows(x) if self._fill_up else x

    def _through(self, x: Tensor, shape: tuple[int, int], added: Tensor | None, first: int, end: int) -> Tensor:
        for layer in self._layers[first:end]:
            x = layer(x, shape, added)
        return x

    def _added(self, attention_mask: Tensor) -> Tensor | None:
        """Tensor [batch * heads, 1 or wide, wide] to add to the attention scores; None if there is nothing to add.

        It is the sum of MPNet's position bias and the padding mask. ``wide`` is the padded number of tokens.
        """
        batch, length = attention_mask.shape
        heads = self._layers[0].heads
        added: Tensor | None = None
        if hasattr(self._encoder, "encoder") and hasattr(self._encoder.encoder, "compute_position_bias"):
            added = self._encoder.encoder.compute_position_bias(attention_mask[:1]).to(self._dtype)
            added = added.expand(batch, heads, length, length)
        if not bool(attention_mask.all()):
            mask = (1 - attention_mask).to(self._dtype).mul_(MASKED).view(batch, 1, 1, length)
            added = mask.expand(batch, heads, 1, length) if added is None else added + mask
        if added is None:
            return None
        added, more = added.reshape(batch * heads, -1, length), self._layers[0].padded_length_of(length) - length
        return functional.pad(added, (0, more, 0, more if added.shape[1] > 1 else 0)) if more else added


def lean_encoder(network: Network, dtype: torch.dtype, *, pad_shapes: bool = False) -> LeanEncoder | None:
    """The lean pass for ``network``; None if the encoder or the adapter needs transformers' own forward pass.

    ``dtype`` is the type in which products are computed; ``pad_shapes`` pads them to a few fixed shapes.
    """
    if why_not_lean(network):
        return None
    return LeanEncoder(network.plain_encoder(), network.architecture, dtype, pad_shapes=pad_shapes)


def why_not_lean(network: Network) -> str | None:
    """The reason why the lean pass cannot run ``network``; None if it can."""
    encoder, architecture = network.plain_encoder(), network.architecture
    activation = getattr(encoder.config, "hidden_act", getattr(encoder.config, "activation", None))
    if architecture.model_type not in FAMILIES or FAMILIES[architecture.model_type].lean is None:
        return f"not implemented for {architecture.model_type}"
    if activation != "gelu":
        return f"not implemented for the activation {activation}"
    linears = architecture.linears
    if len(linears) != 6 * architecture.layers or not all(linear.bias for linear in linears):
        return "not implemented for layers without biases"
    dora = any(getattr(module, "use_dora", {}).get("default") for module in encoder.modules())
    return "not implemented for DoRA" if dora else None


def _layer(encoder: Any, architecture: Architecture, number: int, dtype: torch.dtype, pad_shapes: bool) -> LeanLayer:
    by_role = {linear.roles[0]: linear.name for linear in architecture.linears if linear.layer == number}
    find: Any = encoder.get_submodule
    joined = AdaptedBlock([find(by_role[role]) for role in ("query", "key", "value")], dtype)
    output, up, down = (
        AdaptedBlock([find(by_role[role])], dtype) for role in ("attention_output", "mlp_up", "mlp_down")
    )
    prefix = by_role["query"].split(f".{number}.")[0] + f".{number}."
    family = FAMILIES[architecture.model_type]
    assert family.lean is not None
    norms = tuple(find(prefix + name) for name in family.layer_norms)
    heads, dropouts = encoder.config.num_attention_heads, _dropouts_of(encoder.config, family.lean)
    return LeanLayer(joined, output, up, down, (norms[0], norms[1]), heads, dropouts, pad_shapes)


def _dropouts_of(config: Any, lean: LeanPass) -> tuple[float, float, float]:
    attention, output, mlp = (getattr(config, key) if key else 0.0 for key in lean.dropouts)
    return attention, output, mlp


def _dropout_of(module: Any) -> float:
    return float(getattr(module.lora_dropout["default"], "p", 0.0)) if hasattr(module, "lora_A") else 0.0


def dropped(x: Tensor, p: float) -> Tensor:
    """``x`` after dropout with probability ``p``."""
    return Dropout.apply(x, p) if p else x
