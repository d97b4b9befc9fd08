"""The lean pass computes what transformers' own forward pass computes: logits and every gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.networks import ADAPTERS, ALL_ROLES, LEAN, PLAIN, batch, network_for
from torch.nn import functional

from featherweight.model.engine import Engine, autocast
from featherweight.model.lean import encoder as encoder_pass
from featherweight.model.lean import forward_only
from featherweight.model.lean import functions as lean_functions
from featherweight.model.lean.encoder import why_not_lean
from featherweight.model.lean.forward_only import drop_gradients
from featherweight.model.lean.frozen_matrix import FrozenMatrix
from featherweight.model.lean.functions import (
    AdaptedLinear,
    Attention,
    Dropout,
    FrozenLinear,
    apply_dropout_mask,
    dropout_mask,
    parts_of_attention,
    probabilities,
)
from featherweight.model.network import Network


def logits_and_gradients(network: Network, engine: Engine, padded: bool) -> dict[str, torch.Tensor]:
    ids, mask, labels = batch(padded)
    with autocast(engine):
        logits = network(ids, mask)
    functional.cross_entropy(logits, labels).backward()
    return {
        "logits": logits.detach(),
        **{name: p.grad for name, p in network.trainable().items() if p.grad is not None},
    }


@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("padded", [False, True])
def test_logits_and_gradients_agree(tiny_recipe: Any, family: str, adapter: dict[str, Any], padded: bool) -> None:
    recipe = tiny_recipe(family, adapter=adapter)
    plain = network_for(recipe, PLAIN)
    lean = network_for(recipe, replace(PLAIN, lean=True))
    assert plain.lean is None
    assert lean.lean is not None
    expected, found = logits_and_gradients(plain, PLAIN, padded), logits_and_gradients(lean, PLAIN, padded)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.fixture
def unwritten_memory_is_no_number() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)  # which fills what `empty` gives with NaN
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("unwritten_memory_is_no_number")
@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("merged", [False, True])
def test_rows_that_fill_up_a_product_change_nothing(
    tiny_recipe: Any, monkeypatch: pytest.MonkeyPatch, family: str, pooling: str, merged: bool
) -> None:
    adapter = {"head": "linear", "pooling": pooling, "lora": [{"roles": ALL_ROLES, "rank": 3}], "bias": "all"}
    recipe = tiny_recipe(family, adapter=adapter)
    rows: set[int] = set()
    times = FrozenMatrix.times
    monkeypatch.setattr(FrozenMatrix, "times", lambda self, x, *rest: rows.add(len(x)) or times(self, x, *rest))
    lengths: set[int] = set()
    for module in (encoder_pass, lean_functions, forward_only):
        monkeypatch.setattr(
            module,
            "probabilities",
            lambda q, k, *rest, **out: lengths.add(k.shape[1]) or probabilities(q, k, *rest, **out),
        )
    found = []
    for pad_shapes in (False, True):
        monkeypatch.setattr(Engine, "pad_shapes", pad_shapes)
        network = network_for(recipe, replace(PLAIN, lean=True))
        rows.clear()
        lengths.clear()
        if merged:
            drop_gradients(network)
            ids, mask, _ = batch(True)
            with torch.inference_mode():
                found.append({"logits": network(ids, mask)})
        else:
            found.append(logits_and_gradients(network, PLAIN, True))
        # 4 texts of 9 tokens; of the last layer, a head on the first token needs 4 rows alone.
        assert rows <= ({48, 16} if pad_shapes else {36, 4})
        assert lengths == ({16} if pad_shapes else {9})
    for name in found[0]:
        torch.testing.assert_close(
            found[1][name], found[0][name], rtol=1e-5, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("scores", [1, 250])
def test_attention_in_parts_is_attention(
    tiny_recipe: Any, monkeypatch: pytest.MonkeyPatch, family: str, dropout: bool, scores: int
) -> None:
    recipe = tiny_recipe(family, adapter=ADAPTERS[1], training={"encoder_dropout": dropout})
    found = []
    monkeypatch.setattr(lean_functions, "SCORES", scores)  # one text has 81 a head
    for at_once in (10**9, 0):
        monkeypatch.setattr(lean_functions, "AT_ONCE", at_once)
        torch.manual_seed(5)  # of dropout's masks
        found.append(logits_and_gradients(network_for(recipe, replace(PLAIN, lean=True)), PLAIN, True))
    parts = [part.stop - part.start for part in parts_of_attention(8, 9)]
    assert parts == ([1] * 8 if scores == 1 else [3, 3, 2])
    for name in found[0]:
        torch.testing.assert_close(
            found[1][name], found[0][name], rtol=1e-5, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("family", LEAN)
def test_bf16_stays_within_its_rounding(tiny_recipe: Any, family: str) -> None:
    recipe = tiny_recipe(family, adapter=ADAPTERS[0])
    exact = logits_and_gradients(network_for(recipe, PLAIN), PLAIN, True)["logits"]
    engine = Engine("cpu", "bf16", "test")
    rounded = logits_and_gradients(network_for(recipe, engine), engine, True)["logits"]
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)


def test_frozen_matrices_are_stored_once_and_trained_tensors_stay_fp32(tiny_recipe: Any) -> None:
    network = network_for(tiny_recipe("bert", adapter=ADAPTERS[0]), Engine("cpu", "bf16", "test"))
    query = network.plain_encoder().get_submodule("encoder.layer.0.attention.self.query").base_layer
    assert query.weight.dtype == torch.bfloat16
    assert query.weight.untyped_storage().data_ptr() == (
        network.plain_encoder().get_submodule("encoder.layer.0.attention.self.key").weight.untyped_storage().data_ptr()
    )
    assert {parameter.dtype for parameter in network.trainable().values()} == {torch.float32}


@pytest.mark.parametrize(("family", "sections"), [
    ("modernbert", {}),
    ("deberta-v2", {}),
    ("bert", {"adapter": {"dora": True}}),
])  # fmt: skip
def test_what_the_lean_pass_cannot_do_runs_on_transformers(tiny_recipe: Any, family: str, sections: Any) -> None:
    network = network_for(tiny_recipe(family, **sections), replace(PLAIN, lean=True))
    assert network.lean is None and why_not_lean(network).startswith("not ")
    assert network(*batch(True)[:2]).shape == (4, 3)


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_dropout_mask_drops_every_element_equally_often(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    keep = dropout_mask(torch.empty(50_000, 7, dtype=dtype), p)
    assert keep.dtype == dtype
    assert set(keep.unique().tolist()) == {0.0, 1.0}
    # Seven to a row, four to a random word: each place of a word serves each column; 0.01 are four standard errors.
    torch.testing.assert_close(keep.float().mean(0), torch.full((7,), 1 - p), atol=0.01, rtol=0)
    torch.manual_seed(0)
    assert torch.equal(dropout_mask(torch.empty(50_000, 7, dtype=dtype), p), keep)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.8])
def test_what_dropout_leaves_is_scaled_so_that_the_expectation_stays(p: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(1000, 50)
    left = Dropout.apply(ones, p)
    torch.testing.assert_close(left[left != 0].unique(), torch.tensor([1 / (1 - p)]))
    assert left.mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("wide", [3, 8])
def test_dropouts_gradients_are_those_of_the_same_masks_by_autograd(wide: int) -> None:
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(*shape, generator=generator, requires_grad=True)  # noqa: E731
    x, weight, bias, down, up, qkv = draw(6, 8), draw(5, 8), draw(5), draw(2, 8), draw(5, 2), draw(6, 24)

    def lean() -> list[torch.Tensor]:
        torch.manual_seed(1)
        linear = AdaptedLinear.apply(x, FrozenMatrix(weight.detach()), bias, down, up, dropout_mask(x, 0.3), 0.3)
        return [linear, Attention.apply(qkv, 2, (2, 3), wide, None, 0.3), Dropout.apply(x, 0.3)]

    def plain() -> list[torch.Tensor]:
        torch.manual_seed(1)
        seen = apply_dropout_mask(x, dropout_mask(x, 0.3), 0.3)
        linear = functional.linear(x, weight.detach(), bias) + seen @ down.t() @ up.t()
        query, key, value = qkv.view(2, 3, 3, 2, 4).permute(2, 0, 3, 1, 4)
        share = torch.softmax(query @ key.transpose(-1, -2) / 2, -1)
        mask = dropout_mask(torch.empty(4, wide, wide), 0.3)[:, :3, :3].reshape(share.shape)
        context = apply_dropout_mask(share, mask, 0.3) @ value
        return [linear, context.transpose(1, 2).reshape(6, 8), apply_dropout_mask(x, dropout_mask(x, 0.3), 0.3)]

    weights = [torch.randn(6, 5), torch.randn(6, 8), torch.randn(6, 8)]
    found, expected = lean(), plain()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    gradients = [
        torch.autograd.grad(
            sum((part * w).sum() for part, w in zip(parts, weights, strict=True)), [x, bias, down, up, qkv]
        )
        for parts in (found, expected)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_two_adapters_on_one_input_draw_their_dropouts_apart(tiny_recipe: Any) -> None:
    """As in PEFT: with one mask for both, query and value would always lose the same elements."""
    network = network_for(tiny_recipe("bert", adapter={"dropout": 0.5}), replace(PLAIN, lean=True)).train()
    block = network.lean._layers[0].joined
    (down, up, _, _), (other_down, other_up, _, start) = block._adapters
    for tensor, other in ((down, other_down), (up, other_up)):
        tensor.data.normal_(generator=torch.Generator().manual_seed(1))
        other.data.copy_(tensor.data)
    x = torch.randn(5, down.shape[1], generator=torch.Generator().manual_seed(2))
    plain = FrozenLinear.apply(x, block.matrix, block.bias())
    torch.manual_seed(0)
    shares = torch.stack([block(x) - plain for _ in range(400)]).detach()
    size = up.shape[0]
    query, value = shares[..., :size], shares[..., start : start + size]
    assert (query - value).abs().max() > 0.1 * query.abs().max()  # equal up to rounding where they share a mask
    assert shares[..., size:start].abs().max() < 1e-5
    calm = (network.eval() and block(x) - plain)[:, :size].detach()
    torch.testing.assert_close(query.mean(0), calm, atol=0.25 * float(calm.abs().max()), rtol=0)


@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("sections", [{"training": {"encoder_dropout": True}}, {"adapter": {"dropout": 0.5}}])
def test_dropout_is_drawn_anew_in_training_and_off_in_evaluation(tiny_recipe: Any, family: str, sections: Any) -> None:
    network = network_for(tiny_recipe(family, **sections), replace(PLAIN, lean=True))
    calm = network_for(tiny_recipe(family), replace(PLAIN, lean=True))
    assert network.lean is not None
    ids, mask, _ = batch(True)

    def logits(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return network.train()(ids, mask).detach()

    assert torch.equal(logits(1), logits(1))
    assert not torch.equal(logits(1), logits(2))
    assert torch.equal(network.eval()(ids, mask), calm.eval()(ids, mask))
