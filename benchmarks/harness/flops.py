"""Arithmetic of an encoder's matrix products: which shapes there are, and what a token costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from featherweight.backbone.architecture import Architecture

JOINED_ROLES = ("query", "key", "value")


@dataclass(frozen=True)
class Product:
    """Linear layers of one shape: ``count`` of them over the encoder."""

    inputs: int
    outputs: int
    count: int

    @property
    def weights(self) -> int:
        """Frozen weights of all of them; biases multiply nothing."""
        return self.inputs * self.outputs * self.count


def products(architecture: Architecture, *, joined: bool = False) -> list[Product]:
    """The encoder's linear layers by shape; ``joined`` takes query, key and value of a layer as one product."""
    outputs: Counter[tuple[str, int]] = Counter()
    for number, linear in enumerate(architecture.linears):
        together = joined and linear.roles[0] in JOINED_ROLES
        outputs[f"layer {linear.layer}" if together else str(number), linear.inputs] += linear.outputs
    shapes = Counter((inputs, wide) for (_, inputs), wide in outputs.items())
    return [Product(*shape, count) for shape, count in sorted(shapes.items())]


def linear_weights(architecture: Architecture) -> int:
    """Frozen weights in linear layers: what every token is multiplied with."""
    return sum(product.weights for product in products(architecture))


def flops_a_token(architecture: Architecture) -> dict[str, int]:
    """FLOPs of a LoRA step's training: 2 a weight forward, 2 backward for the activations, as W has no gradient itself;
    and of a prediction, which is the forward pass alone.

    Attention's own products, the adapters and the head are left out: the share of the peak is of what the frozen
    weights ask for.
    """
    weights = linear_weights(architecture)
    return {"training": 4 * weights, "prediction": 2 * weights}
