"""Frozen matrices laid out ahead: the same products and gradients as PyTorch's own, whatever the type and the shape."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from featherweight.model.lean import frozen_matrix as packing
from featherweight.model.lean.frozen_matrix import FrozenMatrix, pad_rows
from featherweight.model.lean.functions import AdaptedLinear, FrozenLinear

CLOSE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2e-2}


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", list(CLOSE))
@pytest.mark.parametrize("tokens", [1, 7, 64, 2049])
@pytest.mark.parametrize(("inputs", "outputs"), [(32, 96), (33, 17), (384, 384)])
def test_product_and_gradient_are_those_of_the_plain_matrix(
    dtype: torch.dtype, tokens: int, inputs: int, outputs: int
) -> None:
    weight, x = drawn(outputs, inputs, dtype=dtype) / inputs**0.5, drawn(tokens, inputs, dtype=dtype, seed=1)
    bias, grad = drawn(outputs, dtype=dtype, seed=2), drawn(tokens, outputs, dtype=dtype, seed=3)
    matrix, exact = FrozenMatrix(weight), weight.double()
    near = {"rtol": CLOSE[dtype], "atol": CLOSE[dtype] * 5}
    expected = functional.linear(x.double(), exact, bias.double())
    torch.testing.assert_close(matrix.times(x, bias).double(), expected, **near)
    torch.testing.assert_close(matrix.times(x, bias, "gelu").double(), functional.gelu(expected), **near)
    torch.testing.assert_close(matrix.gradient(grad).double(), grad.double() @ exact, **near)


def test_only_what_this_was_tried_on_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not packing.can_pack(torch.ones(4, 4, dtype=torch.float64))
    assert not packing.can_pack(torch.ones(4, 4, dtype=torch.float16))
    assert not packing.can_pack(torch.ones(4, 4, device="meta"))
    monkeypatch.setattr(packing.platform, "machine", lambda: "aarch64")
    assert not packing.can_pack(torch.ones(4, 4))


def test_the_same_product_gives_the_same_bits_again() -> None:
    weight, x = drawn(96, 64, dtype=torch.bfloat16), drawn(50, 64, dtype=torch.bfloat16, seed=1)
    one, other = FrozenMatrix(weight), FrozenMatrix(weight.clone())
    first = one.times(x, None)
    assert torch.equal(one.times(x, None), first)
    assert torch.equal(other.times(x, None), first)


@pytest.mark.parametrize("adapted", [False, True])
def test_gradients_are_right_to_the_last_digit_of_double(adapted: bool) -> None:
    matrix = FrozenMatrix(drawn(5, 8, dtype=torch.float64))
    x, bias, down, up = (
        drawn(*shape, dtype=torch.float64, seed=seed).requires_grad_()
        for seed, shape in enumerate([(6, 8), (5,), (2, 8), (5, 2)], 1)
    )
    if adapted:
        assert torch.autograd.gradcheck(
            lambda *inputs: AdaptedLinear.apply(inputs[0], matrix, *inputs[1:], None, 0.0), (x, bias, down, up)
        )
    else:
        assert torch.autograd.gradcheck(lambda x, bias: FrozenLinear.apply(x, matrix, bias), (x, bias))


def test_no_gradient_is_computed_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = FrozenMatrix(drawn(5, 8))
    monkeypatch.setattr(matrix, "gradient", lambda grad: pytest.fail("computed in vain"))
    bias = torch.zeros(5, requires_grad=True)
    FrozenLinear.apply(drawn(6, 8), matrix, bias).sum().backward()
    torch.testing.assert_close(bias.grad, torch.full((5,), 6.0))


def test_few_numbers_of_rows_serve_all_batches() -> None:
    rows = {tokens: len(pad_rows(torch.ones(tokens, 2))) for tokens in range(1, 4097)}
    assert all(0 <= filled - tokens < max(16, tokens / 8 + 1) for tokens, filled in rows.items())
    assert len({filled for tokens, filled in rows.items() if 1024 < tokens <= 2048}) == 8
    assert rows[2048] == 2048 and rows[1472] == 1536 and rows[5] == 16
    x = pad_rows(drawn(37, 3))
    assert torch.equal(x[:37], drawn(37, 3)) and not x[37:].any()
