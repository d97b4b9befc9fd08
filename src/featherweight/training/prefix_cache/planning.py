"""States of the frozen layers, computed once and kept on the disk for all epochs, seeds and trials."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from accelerate.utils import gather_object
from numpy.typing import NDArray

from featherweight.cache import CLEAR_STATES, STATES, cache_folder
from featherweight.data.batches import sorted_batches
from featherweight.errors import UserError
from featherweight.formatting import size_in_words
from featherweight.model.predict import prediction_batches
from featherweight.training.job import Job
from featherweight.training.listeners import notify
from featherweight.training.prefix_cache.file import (
    SUFFIX,
    KeptStates,
    StatesFile,
    open_states,
    states_bytes,
    write_states,
)
from featherweight.training.prefix_cache.states import difference, prefix_key, states_by_text, states_of
from featherweight.training.prefix_cache.texts import Pool, pool_of

LIMIT = "FEATHERWEIGHT_STATES_GB"
"""Names the environment variable with the most disk space that the kept states of all runs may take, in GB."""
_DEFAULT_LIMIT = 20.0
_BATCH_TOKENS = 2048  # at full speed on a processor, and small beside what a training step holds
_SECONDS_BETWEEN_NOTES = 60

Batches = Callable[[], Sequence[NDArray[np.int64]]]
"""Gives the rows of each batch."""


@dataclass(frozen=True)
class Prefix:
    """Where the states of one run's texts are kept, and whether they still have to be computed."""

    pool: Pool
    path: Path
    shape: tuple[int, int, str]
    """Tokens, hidden size and precision."""
    layers: str
    """The frozen layers in words."""
    found: StatesFile | None


class _Stopped(Exception):
    """The run was asked to stop."""


def plan_prefix(job: Job, epochs: int, batches: Batches) -> tuple[Prefix | None, list[str]]:
    """Decide whether the frozen layers' states are kept for the ``epochs`` still to train; also the notes that say why.

    ``batches`` gives the batches of one epoch as they go through the network: some of them tell whether a text's states
    depend on its batch. None where the recipe does not want them kept, or nothing is to be gained, or the disk has no
    room. Nothing is written yet. Of several processes all plan the same.
    """
    prefix, notes = _plan(job, epochs, batches)
    if job.accelerator.num_processes > 1 and not all(gather_object([prefix is not None])):
        return None, notes
    return prefix, notes


def keep_prefix(job: Job, prefix: Prefix) -> None:
    """Compute the states where they are not kept yet, and give them to the texts of ``job``.

    Of several processes the first computes and the others wait. Where the disk refuses, or the run is asked to stop
    before all are computed, the texts go without.
    """
    file = prefix.found
    if file is None:
        if job.accelerator.is_main_process:
            _compute(job, prefix)
        job.accelerator.wait_for_everyone()
        file = open_states(prefix.path, *prefix.shape)
    if file is not None:
        train, validation = prefix.pool.starts
        job.train = replace(job.train, states=KeptStates(file, train, job.train.lengths))
        job.validation = replace(job.validation, states=KeptStates(file, validation, job.validation.lengths))


def _plan(job: Job, epochs: int, batches: Batches) -> tuple[Prefix | None, list[str]]:
    wanted = job.recipe.training.prefix_cache
    if wanted == "off":
        return None, []
    if reason := _hindrance(job):
        return None, [f"training.prefix_cache = 'on': no states are kept: {reason}"] if wanted == "on" else []
    gains = wanted == "on" or epochs > 1
    if not gains and not any((cache_folder() / STATES).glob(f"*{SUFFIX}")):
        return None, []  # before all tokens come into memory
    prefix = _prefix(job)
    if prefix.found is None and not gains:
        return None, []
    size = states_bytes(*prefix.shape)
    if prefix.found is None and (refusal := _no_room(prefix.path, size)):
        return None, [f"{prefix.layers}: states are not kept: {refusal}"]
    prefix, apart = _checked(job, prefix, _extremes(job, prefix.pool, batches()))
    if apart and wanted == "auto":
        why = f"on this machine a text's states depend on its batch, by up to {apart:.1g}"
        return None, [
            f"{prefix.layers}: states are not kept: {why}; training.prefix_cache = 'on' keeps them all the same"
        ]
    inexact = f"; in another batch they would differ by up to {apart:.1g}" if apart else ""
    texts = f"states of {len(prefix.pool):,} texts, {size_in_words(size)}"
    if prefix.found:
        return prefix, [f"{prefix.layers}: {texts}, found in {prefix.path.parent}{inexact}"]
    where = f"computed once and kept in {prefix.path.parent}; `{CLEAR_STATES}` removes them"
    return prefix, [f"{prefix.layers}: {texts}, {where}{inexact}"]


def _hindrance(job: Job) -> str | None:
    """Why no states can be kept; None where they can."""
    if job.recipe.training.encoder_dropout:
        return "dropout makes those of the frozen layers random"
    if job.network.lean is None:
        return "this backbone, adapter or device does not run through the lean pass"
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


def _checked(job: Job, prefix: Prefix, batches: Sequence[NDArray[np.int64]]) -> tuple[Prefix, float]:
    """The plan, without a file that is out of date, and the largest difference of states between two batches.

    What ``batches`` (of places in the pool) give is compared with what is kept, or is going to be: 0 where all is the
    same, bit for bit. Matrix kernels may add in another order for another number of tokens.
    """
    pool, rows = prefix.pool, np.unique(np.concatenate(batches))
    found = [states_by_text(job.network, pool, batch, job.pad_id, sys.maxsize) for batch in batches]

    def apart(expected: Mapping[int, NDArray]) -> float:
        return max(difference(states, expected[row]) for texts in found for row, states in texts.items())

    if prefix.found is not None:
        largest = apart({row: prefix.found.tokens(*pool.offsets[row : row + 2]) for row in rows.tolist()})
        if not largest or _is_reproduced(job, pool, prefix.found):
            return prefix, largest
    return replace(prefix, found=None), apart(states_by_text(job.network, pool, rows, job.pad_id, _BATCH_TOKENS))


def _is_reproduced(job: Job, pool: Pool, file: StatesFile) -> bool:
    """Whether two of the batches give the kept states bit for bit: then versions, machine and code are unchanged."""
    batches = _batches(pool)
    for rows in (batches[-1], batches[len(batches) // 2]):
        kept = file.tokens(pool.offsets[rows[0]], pool.offsets[rows[-1] + 1])
        if difference(kept, states_of(job.network, pool, rows, job.pad_id)):
            return False
    return True


def _extremes(job: Job, pool: Pool, batches: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Places of the texts of the batches with the fewest and the most tokens, and with the shortest and longest texts.

    The smallest batch of an evaluation is among them.
    """
    lengths = job.train.lengths
    longest = np.array([lengths[rows].max() for rows in batches])
    tokens = longest * [len(rows) for rows in batches]
    extremes = {int(key(array)) for key in (np.argmin, np.argmax) for array in (longest, tokens)}
    evaluated = prediction_batches(job.validation, job.engine)
    smallest = min(evaluated, key=lambda rows: len(rows) * job.validation.lengths[rows].max())
    return [*(pool.places(0, batches[place]) for place in extremes), pool.places(1, smallest)]


def _batches(pool: Pool) -> list[NDArray[np.int64]]:
    """Places of the texts in their order, batch by batch."""
    return [rows[::-1] for rows in reversed(sorted_batches(pool.lengths, batch_tokens=_BATCH_TOKENS))]


def _no_room(path: Path, size: int) -> str | None:
    """Why a file of ``size`` bytes should not be written; None where there is room."""
    limit = _limit_bytes()
    others = sum(file.stat().st_size for file in path.parent.glob(f"*{SUFFIX}") if file != path)
    if others + size > limit:
        kept = f" beside {size_in_words(others)} of other runs" if others else ""
        too_many = f"{size_in_words(size)}{kept} would be more than {LIMIT} = {limit / 1e9:g}"
        return f"{too_many}; `{CLEAR_STATES}` makes room" if others else too_many
    place = next(folder for folder in path.parents if folder.exists())
    free = shutil.disk_usage(place).free
    # A disk that is filled to the brim is of no use to anything else, the checkpoints of this run included.
    if size > free / 2:
        return f"{size_in_words(size)} would take more than half of the {size_in_words(free)} free in {place}"
    return None


def _limit_bytes() -> float:
    text = os.environ.get(LIMIT) or str(_DEFAULT_LIMIT)
    try:
        limit = float(text) * 1e9
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise UserError(f"{LIMIT} = {text!r}: must be a number of GB, such as 20")
    return limit


def _compute(job: Job, prefix: Prefix) -> None:
    begun = time.monotonic()
    try:
        write_states(prefix.path, *prefix.shape, _chunks(job, prefix))
        notify(job.listeners, f"{prefix.layers}: states kept after {time.monotonic() - begun:,.0f} s")
    except OSError as error:
        notify(job.listeners, f"{prefix.layers}: states are not kept: {prefix.path.parent}: {error.strerror}")
    except _Stopped:
        pass


def _chunks(job: Job, prefix: Prefix) -> Iterator[NDArray]:
    """States [tokens, hidden] of the texts in their order, batch by batch, with a note from time to time."""
    said = time.monotonic()
    for rows in _batches(prefix.pool):
        if job.should_stop():
            raise _Stopped
        if time.monotonic() - said > _SECONDS_BETWEEN_NOTES:
            said = time.monotonic()
            notify(job.listeners, f"{prefix.layers}: states of {rows[0]:,} of {len(prefix.pool):,} texts")
        yield states_of(job.network, prefix.pool, rows, job.pad_id)
