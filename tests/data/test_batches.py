"""Batches: every row once, limits kept, the same for the same arguments, little padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from featherweight.data.batches import (
    Encoded,
    batches_in_epoch,
    collate,
    epoch_batches,
    even_batches,
    padding_share,
    sorted_batches,
)

LENGTHS = st.lists(st.integers(2, 300), min_size=1, max_size=400).map(np.array)
SIZES = st.integers(1, 40)
TOKENS = st.integers(16, 4000)


def news_lengths(rows: int) -> NDArray[np.int64]:
    """Lengths with the mean, spread and long tail of news briefs: mean 53 tokens, some over 200."""
    return np.clip(np.random.default_rng(0).lognormal(np.log(50), 0.33, rows), 12, 256).astype(np.int64)


def require_limits(lengths: NDArray[np.int64], batches: list[NDArray[np.int64]], size: int, tokens: int) -> None:
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert rows.dtype == np.int64
        assert 1 <= len(rows) <= size
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= tokens


@settings(deadline=None)
@given(LENGTHS, SIZES, TOKENS, st.integers(0, 2**31 - 1), st.integers(0, 50))
def test_an_epoch_has_every_row_once_within_the_limits(
    lengths: NDArray[np.int64], size: int, tokens: int, seed: int, epoch: int
) -> None:
    options = {"seed": seed, "epoch": epoch, "batch_size": size, "batch_tokens": tokens}
    batches = epoch_batches(lengths, **options)
    require_limits(lengths, batches, size, tokens)
    again = epoch_batches(lengths.copy(), **options)
    assert [rows.tolist() for rows in batches] == [rows.tolist() for rows in again]
    assert batches_in_epoch(lengths, **options) == len(batches)
    if size * lengths.max() <= tokens:
        assert len(batches) == -(-len(lengths) // size)
        assert sum(len(rows) < size for rows in batches) <= 1


@settings(deadline=None)
@given(LENGTHS, SIZES, TOKENS)
def test_sorted_batches_have_every_row_once_longest_first(lengths: NDArray[np.int64], size: int, tokens: int) -> None:
    batches = sorted_batches(lengths, batch_tokens=tokens, batch_size=size)
    require_limits(lengths, batches, size, tokens)
    in_order = lengths[np.concatenate(batches)]
    assert (np.diff(in_order) <= 0).all()


@settings(deadline=None)
@given(LENGTHS, TOKENS)
def test_even_batches_are_as_few_and_as_long_or_the_sorted_ones(lengths: NDArray[np.int64], tokens: int) -> None:
    full, even = (make(lengths, batch_tokens=tokens) for make in (sorted_batches, even_batches))
    require_limits(lengths, even, len(lengths), tokens)
    assert len(even) == len(full)
    sizes = {len(rows) for rows in even}
    assert max(sizes) - min(sizes) <= 1 or [rows.tolist() for rows in even] == [rows.tolist() for rows in full]


def test_a_batch_that_is_a_little_too_long_is_halved() -> None:
    lengths = np.full(32, 50)
    assert [len(rows) for rows in sorted_batches(lengths, batch_tokens=1536)] == [2, 30]
    assert [len(rows) for rows in even_batches(lengths, batch_tokens=1536)] == [16, 16]


def test_a_batch_with_one_long_text_is_not_halved() -> None:
    lengths = np.array([100, *[50] * 30])
    assert [len(rows) for rows in even_batches(lengths, batch_tokens=2048)] == [1, 30]


def test_epochs_and_seeds_differ_in_order_and_in_company() -> None:
    lengths = news_lengths(20_000)
    limits = {"batch_size": 32, "batch_tokens": 8192}
    first = epoch_batches(lengths, seed=0, epoch=0, **limits)
    for other in (epoch_batches(lengths, seed=0, epoch=1, **limits), epoch_batches(lengths, seed=1, epoch=0, **limits)):
        assert not np.array_equal(np.concatenate(first), np.concatenate(other))
        same = {frozenset(rows.tolist()) for rows in first} & {frozenset(rows.tolist()) for rows in other}
        assert not same
    means = np.array([lengths[rows].mean() for rows in first])
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.1  # no drift from short to long within the epoch


@pytest.mark.parametrize("batch_size", [8, 16, 32, 64])
def test_little_is_padding(batch_size: int) -> None:
    lengths = news_lengths(60_000)
    batches = epoch_batches(lengths, seed=0, epoch=0, batch_size=batch_size, batch_tokens=8192)
    assert padding_share(lengths, batches) < 0.03
    assert padding_share(lengths, sorted_batches(lengths, batch_tokens=8192)) < 0.005


def test_no_rows_make_no_batches() -> None:
    nothing = np.zeros(0, np.int64)
    assert epoch_batches(nothing, seed=0, epoch=0, batch_size=4, batch_tokens=64) == []
    assert sorted_batches(nothing, batch_tokens=64) == []


def made(rows: list[list[int]], labels: list[int] | None) -> Encoded:
    tokens = np.array([token for row in rows for token in row], np.int32)
    offsets = np.cumsum([0, *map(len, rows)])
    return Encoded(tokens, offsets, None if labels is None else np.array(labels), 0, "made")


def test_a_batch_is_padded_to_its_longest_row() -> None:
    encoded = made([[5, 6], [7], [8, 9, 10], [11, 12, 13, 14]], [0, 1, 2, 3])
    batch = collate(encoded, np.array([2, 0, 1]), pad_id=1)
    assert batch.input_ids.tolist() == [[8, 9, 10], [5, 6, 1], [7, 1, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    assert batch.labels is not None and batch.labels.tolist() == [2, 0, 1]
    assert batch.rows.tolist() == [2, 0, 1]
    assert {str(part.dtype) for part in (batch.input_ids, batch.attention_mask, batch.labels)} == {"torch.int64"}
    assert collate(made([[5]], None), np.array([0]), pad_id=0).labels is None


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(2, 99), min_size=1, max_size=9), min_size=1, max_size=9), st.randoms())
def test_a_batch_holds_exactly_its_rows_tokens(rows: list[list[int]], random: object) -> None:
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    batch = collate(made(rows, None), order, pad_id=0)
    kept = [ids[mask.bool()].tolist() for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)]
    assert kept == [rows[place] for place in order]


def test_no_epoch_of_one_seed_is_an_epoch_of_another() -> None:
    limits = {"batch_size": 8, "batch_tokens": 8192}
    orders = {
        tuple(np.concatenate(epoch_batches(news_lengths(200), seed=seed, epoch=epoch, **limits)).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_a_batch_takes_the_rows_that_just_fit() -> None:
    lengths = np.full(12, 10)
    assert [len(rows) for rows in sorted_batches(lengths, batch_tokens=40)] == [4, 4, 4]
    epoch = epoch_batches(lengths, seed=0, epoch=0, batch_size=8, batch_tokens=40)
    assert [len(rows) for rows in epoch] == [4, 4, 4]


def test_the_share_of_padding_is_counted_by_tokens() -> None:
    assert padding_share(np.array([10, 6, 4]), [np.array([0, 1]), np.array([2])]) == pytest.approx(4 / 24)
    assert padding_share(np.array([10, 10]), [np.array([0, 1])]) == 0


@pytest.mark.parametrize(("rows", "batches"), [(32, 4), (33, 5), (39, 5), (40, 5)])
def test_a_rest_of_the_rows_is_a_batch_too(rows: int, batches: int) -> None:
    limits = {"seed": 0, "epoch": 0, "batch_size": 8, "batch_tokens": 8192}
    assert batches_in_epoch(news_lengths(rows), **limits) == batches == len(epoch_batches(news_lengths(rows), **limits))
