"""Decides whether the hidden states after the frozen layers are cached, and attaches them to the texts."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from accelerate.utils import gather_object
from numpy.typing import NDArray

from featherweight.cache import CLEAR_STATES, STATES, cache_folder
from featherweight.data.batches import sorted_batches
from featherweight.errors import UserError
from featherweight.formatting import counted, size_in_words
from featherweight.hints import to_set
from featherweight.model.predict import prediction_batches
from featherweight.progress import RowProgress
from featherweight.training.job import Job
from featherweight.training.listeners import notify
from featherweight.training.prefix_cache.file import (
    SUFFIX,
    CachedStates,
    StatesFile,
    open_states,
    states_bytes,
    write_states,
)
from featherweight.training.prefix_cache.states import difference, prefix_key, states_by_text, states_of
from featherweight.training.prefix_cache.texts import Pool, pool_of

LIMIT = "FEATHERWEIGHT_STATES_GB"
"""Name of the environment variable that limits the disk space of the cached states of all runs, in GB."""
_DEFAULT_LIMIT = 20.0
_BATCH_TOKENS = 2048  # full speed on a processor, and little memory compared with a training step

Batches = Callable[[], Sequence[NDArray[np.int64]]]
"""Returns the indices in ``Encoded.by_window`` of what each forward pass takes."""


@dataclass(frozen=True)
class Prefix:
    """The distinct texts of one run, and the cache file for their hidden states."""

    pool: Pool
    path: Path
    shape: tuple[int, int, str]
    """Number of tokens, hidden size and precision."""
    layers: str
    """The frozen layers in words."""
    cached: StatesFile | None
    """The states if they are already in the cache; None if they have to be computed."""


class _Stopped(Exception):
    """Ends the computation of the states when a signal asks the run to stop."""


def plan_prefix(job: Job, epochs: int, batches: Batches) -> tuple[Prefix | None, list[str]]:
    """The cache of hidden states to use for the remaining ``epochs``, or None; and notes that tell the user why.

    The cache holds what the frozen lower layers compute for each text. It is None if the recipe switches it off, it
    would save no time, the disk has no room, or a text's states depend on the other texts of its batch. To find such a
    dependence, the states of some batches are computed; ``batches`` returns all batches of an epoch. Nothing is written
    yet. If one of several processes cannot use a cache, none of them does.
    """
    prefix, notes = _plan(job, epochs, batches)
    if job.accelerator.num_processes > 1 and not all(gather_object([prefix is not None])):
        anew = "the frozen layers are computed anew in each epoch, because another process cannot store their outputs"
        return None, notes if prefix is None else [anew]
    return prefix, notes


def attach_states(job: Job, prefix: Prefix) -> None:
    """Compute the states unless they are cached, and replace ``job.train`` and ``job.validation`` by texts with states.

    Of several processes the first one computes and the others wait. If the disk is full, or the run is stopped before
    all states are computed, nothing is attached.
    """
    file = prefix.cached
    if file is None:
        if job.accelerator.is_main_process:
            _compute(job, prefix)
        job.accelerator.wait_for_everyone()
        file = open_states(prefix.path, *prefix.shape)
    if file is not None:
        train, validation = prefix.pool.starts
        job.train = replace(job.train, states=CachedStates(file, train, job.train.by_window.lengths))
        job.validation = replace(
            job.validation, states=CachedStates(file, validation, job.validation.by_window.lengths)
        )


def _plan(job: Job, epochs: int, batches: Batches) -> tuple[Prefix | None, list[str]]:
    wanted = job.recipe.training.prefix_cache
    if wanted == "off":
        return None, []
    if reason := _why_not_cached(job):
        return None, [f"training.prefix_cache = 'on' has no effect: {reason}"] if wanted == "on" else []
    gains = wanted == "on" or epochs > 1
    if not gains and not any((cache_folder() / STATES).glob(f"*{SUFFIX}")):
        return None, []  # decided before all tokens are read into memory
    prefix = _prefix(job)
    if prefix.cached is None and not gains:
        return None, []
    size = states_bytes(*prefix.shape)
    if prefix.cached is None and (refusal := _no_room(prefix.path, size)):
        return None, [f"{prefix.layers}: states are not cached: {refusal}"]
    prefix, largest = _compared(job, prefix, _extremes(job, prefix.pool, batches()))
    if largest and wanted == "auto":
        anyway = to_set("training.prefix_cache=on")
        why = f"on this machine a text's states depend on its batch, by up to {largest:.1g}"
        return None, [f"{prefix.layers}: states are not cached: {why}; to cache them anyway, add {anyway}"]
    inexact = f"; in another batch they would differ by up to {largest:.1g}" if largest else ""
    texts = f"states of {counted(len(prefix.pool), 'text')}, {size_in_words(size)}"
    if prefix.cached:
        return prefix, [f"{prefix.layers}: {texts}, found in {prefix.path.parent}{inexact}"]
    where = f"computed once and cached in {prefix.path.parent}; `{CLEAR_STATES}` removes them"
    return prefix, [f"{prefix.layers}: {texts}, {where}{inexact}"]


def _why_not_cached(job: Job) -> str | None:
    """The reason why the states cannot be cached; None if they can."""
    if job.recipe.training.encoder_dropout:
        return "with encoder dropout the states of the frozen layers are random"
    if job.network.lean is None or job.engine.device != "cpu":
        return "this backbone, adapter or device does not use the lean pass"
    if not job.network.lean.frozen:
        return "the lowest layer, or something below it, is trained"
    return None


def _prefix(job: Job) -> Prefix:
    assert job.network.lean is not None
    pool = pool_of([job.train, job.validation])
    precision, frozen = job.engine.precision, job.network.lean.frozen
    path = cache_folder() / STATES / f"{prefix_key(job.network, pool, precision)}{SUFFIX}"
    shape = (int(pool.offsets[-1]), job.network.architecture.hidden, precision)
    layers = f"frozen layers 0-{frozen - 1}" if frozen > 1 else "frozen layer 0"
    return Prefix(pool, path, shape, layers, open_states(path, *shape))


def _compared(job: Job, prefix: Prefix, batches: Sequence[NDArray[np.int64]]) -> tuple[Prefix, float]:
    """``prefix``, and the largest difference between cached states and those computed in ``batches``.

    ``batches`` are indices of texts in the pool (``texts.Pool``). The difference can be above 0, because matrix kernels
    sum in another order for another number of tokens. If nothing is cached, the states that would be cached are
    computed and compared. If the file in the cache is out of date, the returned ``Prefix`` has ``cached=None``.
    """
    pool, rows = prefix.pool, np.unique(np.concatenate(batches))
    computed = [states_by_text(job.network, pool, batch, job.pad_id, sys.maxsize) for batch in batches]

    def largest_difference(expected: Mapping[int, NDArray]) -> float:
        return max(difference(states, expected[row]) for texts in computed for row, states in texts.items())

    if prefix.cached is not None:
        cached = {row: prefix.cached.tokens(*pool.offsets[row : row + 2]) for row in rows.tolist()}
        largest = largest_difference(cached)
        if not largest or _is_reproduced(job, pool, prefix.cached):
            return prefix, largest
    new = states_by_text(job.network, pool, rows, job.pad_id, _BATCH_TOKENS)
    return replace(prefix, cached=None), largest_difference(new)


def _is_reproduced(job: Job, pool: Pool, file: StatesFile) -> bool:
    """Whether two batches, computed again as when the file was written, give exactly the cached states.

    If not, versions, machine or code have changed since then.
    """
    batches = _batches(pool)
    for rows in (batches[-1], batches[len(batches) // 2]):
        cached = file.tokens(pool.offsets[rows[0]], pool.offsets[rows[-1] + 1])
        if difference(cached, states_of(job.network, pool, rows, job.pad_id)):
            return False
    return True


def _extremes(job: Job, pool: Pool, batches: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Batches of extreme sizes, as indices in the pool, to test whether a text's states depend on its batch.

    They are the training batches with the fewest and the most tokens, those whose longest text is shortest and longest,
    and the smallest validation batch. ``batches`` are the training batches.
    """
    lengths, validation = job.train.by_window.lengths, job.validation.by_window
    longest = np.array([lengths[rows].max() for rows in batches])
    tokens = longest * [len(rows) for rows in batches]
    extremes = {int(key(array)) for key in (np.argmin, np.argmax) for array in (longest, tokens)}
    evaluated = prediction_batches(validation, job.engine)
    smallest = min(evaluated, key=lambda rows: len(rows) * validation.lengths[rows].max())
    return [*(pool.indices(0, batches[index]) for index in extremes), pool.indices(1, smallest)]


def _batches(pool: Pool) -> list[NDArray[np.int64]]:
    """All texts of the pool in batches of consecutive indices, the shortest texts first."""
    return [rows[::-1] for rows in reversed(sorted_batches(pool.lengths, batch_tokens=_BATCH_TOKENS))]


def _no_room(path: Path, size: int) -> str | None:
    """The reason why a file of ``size`` bytes should not be written; None if there is room for it."""
    limit = _limit_bytes()
    others = sum(file.stat().st_size for file in path.parent.glob(f"*{SUFFIX}") if file != path)
    if others + size > limit:
        of_others = f" and {size_in_words(others)} of other runs" if others else ""
        problem = f"{size_in_words(size)}{of_others} would be more than {LIMIT} = {limit / 1e9:g}"
        return f"{problem}; `{CLEAR_STATES}` makes room" if others else problem
    existing = next(folder for folder in path.parents if folder.exists())
    free = shutil.disk_usage(existing).free
    # A full disk would make everything else fail, including the checkpoints of this run.
    if size > free / 2:
        return f"{size_in_words(size)} would take more than half of the {size_in_words(free)} free in {existing}"
    return None


def _limit_bytes() -> float:
    text = os.environ.get(LIMIT) or str(_DEFAULT_LIMIT)
    try:
        limit = float(text) * 1e9
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise UserError(
            f"{LIMIT} = {text!r}: must be a number of GB, such as 20; correct or unset this environment variable"
        )
    return limit


def _compute(job: Job, prefix: Prefix) -> None:
    started = time.monotonic()
    try:
        write_states(prefix.path, *prefix.shape, _chunks(job, prefix))
        notify(job.listeners, f"{prefix.layers}: states cached after {time.monotonic() - started:,.0f} s")
    except OSError as error:
        notify(job.listeners, f"{prefix.layers}: states are not cached: {prefix.path.parent}: {error.strerror}")
    except _Stopped:
        pass


def _chunks(job: Job, prefix: Prefix) -> Iterator[NDArray]:
    """Yield the states [tokens, hidden] of all texts in the pool, batch by batch; report progress once a minute."""
    offsets = prefix.pool.offsets
    progress = RowProgress(partial(notify, job.listeners), f"{prefix.layers}: states", len(prefix.pool), "texts")
    for rows in _batches(prefix.pool):
        if job.should_stop():
            raise _Stopped
        yield states_of(job.network, prefix.pool, rows, job.pad_id)
        # The longest texts come last, so the time depends on the tokens.
        progress(len(rows), offsets[rows[-1] + 1] / offsets[-1])
