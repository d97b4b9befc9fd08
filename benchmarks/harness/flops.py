"""Arithmetic of an encoder's matrix products: which shapes there are, and what a token costs."""

from __future__ import annotations

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
    shapes: dict[tuple[int, int], int] = {}
    together: dict[int, tuple[int, int]] = {}
    for linear in architecture.linears:
        if joined and linear.roles[0] in JOINED_ROLES:
            inputs, outputs = together.get(linear.layer, (linear.inputs, 0))
            together[linear.layer] = inputs, outputs + linear.outputs
        else:
            shapes[linear.inputs, linear.outputs] = shapes.get((linear.inputs, linear.outputs), 0) + 1
    for shape in together.values():
        shapes[shape] = shapes.get(shape, 0) + 1
    return [Product(*shape, count) for shape, count in sorted(shapes.items())]


def linear_weights(architecture: Architecture) -> int:
    """Frozen weights in linear layers: what every token is multiplied with."""
    return sum(product.weights for product in products(architecture))


def training_flops(architecture: Architecture) -> int:
    """FLOPs a token of a LoRA step: 2 a weight forward and 2 backward for the activations; W itself has no gradient.

    Attention's own products, the adapters and the head are left out: the share of the peak is of what the frozen
    weights ask for.
    """
    return 4 * linear_weights(architecture)


def prediction_flops(architecture: Architecture) -> int:
    """FLOPs a token of a forward pass: one multiplication and one addition a weight."""
    return 2 * linear_weights(architecture)
