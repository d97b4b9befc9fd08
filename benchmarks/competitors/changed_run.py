"""Featherweight's training with one thing about its engine changed, for the suite ``changes``.

The job's key ``change`` names the change; what the environment (allocator, threads) changes is not done here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from competitors.featherweight_run import solve as train_as_shipped
from harness.measuring import Job

from featherweight.data.batches import sorted_batches
from featherweight.model import engine
from featherweight.model.lean import encoder as lean
from featherweight.model.lean import frozen_matrix
from featherweight.model.lean import functions as lean_functions
from featherweight.model.network import Network
from featherweight.training import batch_order, loop
from featherweight.verification import reload

Change = list[tuple[Any, str, Any]]
"""Attributes: of what, their names, and what they become."""


def in_random_order(lengths: Any, *, seed: int, epoch: int, batch_size: int, batch_tokens: int) -> list[np.ndarray]:
    """Batches of rows in random order, whatever their lengths."""
    rows = np.random.default_rng([seed, epoch]).permutation(len(lengths))
    return np.split(rows, range(batch_size, len(rows), batch_size))


def settle_compiled(
    network: Network, chosen: engine.Engine, settled: Callable[..., None] = engine.move_to_engine
) -> None:
    """torch.compile around the encoder's lean pass, for any length; its compile time counts."""
    settled(network, chosen)
    network.forward = torch.compile(network.forward, dynamic=True)  # type: ignore[method-assign]


def collate_twice(*arguments: Any, once: Callable[..., Any] = loop.collate) -> Any:
    """A batch is made ready twice: what a second core for it could save at the most."""
    once(*arguments)
    return once(*arguments)


def _engine_with(name: str, value: Any) -> tuple[Any, str, Any]:
    return engine.Engine, name, property(lambda self: value)


def _without_lean(*arguments: Any, chosen: Callable[..., engine.Engine] = engine.choose_engine) -> engine.Engine:
    return replace(chosen(*arguments), lean=False)


_NO_LEAN = (engine, "choose_engine", _without_lean)
CHANGES: dict[str, Change] = {
    # transformers' own forward pass, on the same frozen 16-bit weights; then with PyTorch's attention for the plain
    # one, and under autocast on fp32 weights, each of which is cast to 16 bits at each use
    "without_lean_pass": [_NO_LEAN],
    "scaled_dot_product": [_NO_LEAN, _engine_with("attention", "sdpa")],
    "frozen_in_fp32": [_NO_LEAN, (engine, "move_to_engine", lambda network, chosen: network.to(chosen.device))],
    # frozen matrices as they are, through PyTorch's plain products
    "without_layouts": [(frozen_matrix, "can_pack", lambda weight: False)],
    "random_order": [(batch_order, "epoch_batches", in_random_order)],
    "whole_batches": [_engine_with("micro_batch_tokens", 10**9)],
    "small_pieces": [_engine_with("micro_batch_tokens", 1024)],
    # a batch that is too long for one piece becomes full pieces and a rest, not equal ones
    "full_pieces": [(loop, "even_batches", sorted_batches)],
    # products have as many rows, and attention's as many tokens a text, as the batch has: compiled for each new number
    "every_number_of_rows": [(lean, "pad_rows", lambda x: x)],
    "every_length": [(lean, "padded_length", lambda length: length)],
    # all scores of a piece are computed at once, however long its texts
    "whole_attention": [(lean_functions, "AT_ONCE", 2**62)],
    # filling up takes a batch's size as a plain number, which would be compiled for anew
    "compiled": [_engine_with("pad_shapes", False), (engine, "move_to_engine", settle_compiled)],
    # neither the allocator nor oneDNN's cache is bounded
    "as_glibc_likes": [(engine, "bound_memory", lambda: None), (loop, "return_memory", lambda: None)],
    "slow_collate": [(loop, "collate", collate_twice)],
}


def solve(job: Job) -> dict[str, Any]:
    """Change, then train as always."""
    began = time.perf_counter()
    with ExitStack() as changed:
        if job.get("change"):
            # The process that reloads a run has the engine as shipped: it could only say that this one differs.
            unchecked = (reload, "reload_check", lambda *_: nullcontext(lambda: {"identical": True}))
            for target, name, value in [*CHANGES[job["change"]], unchecked]:
                changed.enter_context(patch.object(target, name, value))
        result = train_as_shipped(job)
    result.pop("predicted")
    return {**result, "process_seconds": time.perf_counter() - began}
