"""How much logits may differ through rounding when different operations compute them from the same weights."""

from __future__ import annotations

from math import sqrt

import numpy as np

from featherweight.backbone.architecture import Architecture

_UNIT = {"fp32": 2.0**-24, "bf16": 2.0**-8, "fp16": 2.0**-11}
"""The largest relative error of one rounding (half a unit in the last place)."""
_PRODUCTS_OF_A_LAYER = 6  # one after the other: value, scores, context, attention output, up, down
_OTHER_PRODUCTS = 3  # the embeddings' norm, and the head's two


def rounding_tolerance(architecture: Architecture, precision: str) -> float:
    """Largest difference between two logits that rounding can explain, as a fraction of the largest logit.

    Libraries, kernels and processors add the terms of a product in different orders. A sum of n terms then carries an
    error of about sqrt(n) roundings of fp32 (Higham and Mary 2019, "A new approach to probabilistic rounding error
    analysis"), or of one rounding of a 16-bit result, whichever is larger. The errors of P successive matrix
    products are independent, so they grow with sqrt(P); layer norms keep the size of the states constant. Two
    computations differ by at most the sum of their errors:

        2 * sqrt(P) * max(sqrt(n) * 2**-24, u)

    where n is the width of the widest input of a linear layer, P is 6 per encoder layer plus 3, and u is half a unit in
    the last place of a 16-bit ``precision`` (bf16 or fp16), but 0 for fp32. In fp32 the tolerance is 244 units in the
    last place of the largest logit for MiniLM, and 480 for a base-size encoder. Measured differences
    (``tests/model/test_rounding.py``) are below a tenth of it for MiniLM, and below a fifth for tiny networks; a
    missing adapter or head changes logits by far more.
    """
    widest = max([architecture.hidden, *(linear.inputs for linear in architecture.linears)])
    products = _PRODUCTS_OF_A_LAYER * architecture.layers + _OTHER_PRODUCTS
    sums = sqrt(widest) * _UNIT["fp32"]
    return 2 * sqrt(products) * max(sums, _UNIT[precision] if precision != "fp32" else 0.0)


def largest_logit(*logits: np.ndarray) -> float:
    """The largest absolute value in the given arrays of logits; 0 if all are empty."""
    return max(float(np.abs(array).max(initial=0.0)) for array in logits)
