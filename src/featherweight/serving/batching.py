"""Classifies the texts of concurrent requests in shared batches.

One thread tokenises the texts of new requests; another thread computes batches as soon as it is free.

A batch is filled with one text of each waiting request in turn, up to a limit of tokens. So a single text never waits
for all texts of a large request, and batches become larger when many texts are waiting.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from featherweight.data.pairs import Text
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics
from featherweight.serving.model import Model, Tokens
from featherweight.serving.refusals import Refusal

log = logging.getLogger("featherweight.serving")

_LONGEST_WAIT = 30
"""Seconds that a refused client is asked to wait at most."""
_TOKENISED_AT_ONCE = 64
"""Texts that are enough for one call of the tokeniser; a request is not divided."""
_PADDING_FOR_A_BATCH = 64
"""Tokens of padding that take about as long as the calls of another batch."""


class Job:
    """One request in the queue: its texts, their tokens, and the probabilities computed so far."""

    def __init__(self, texts: Sequence[Text], classes: int) -> None:
        self.texts = texts
        self.tokens: list[Tokens] = []
        self.result = np.zeros((len(texts), classes))
        self.taken = self.computed = 0
        self.future: Future[NDArray[np.float64]] = Future()
        self.ready = 0.0
        """When its texts were tokenised."""
        self.admitted = 0
        """Its tokens in the queue, with padding; 0 before they are known."""

    @property
    def left(self) -> bool:
        """Whether nobody waits for the result: the client has left, or the request has failed or is answered."""
        return self.future.done()

    def fail(self, error: Exception) -> None:
        """Raise ``error`` in the request that waits for the result; no effect if none is waiting."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)


Turn = list[tuple[Job, int]]
"""Texts that are computed together: the request, and the index of the text in it."""


def batches_of(turn: Turn) -> list[Turn]:
    """Divide the texts of ``turn`` into batches of texts with similar numbers of tokens, the longest texts first.

    ``turn`` has the texts that were taken from the queue together. Shorter texts join a batch of longer ones if
    computing their padding takes less time than a batch of their own would.
    """

    def width(entry: tuple[Job, int]) -> int:
        job, place = entry
        return job.tokens[place].width

    batches: list[Turn] = []
    for narrow, texts in groupby(sorted(turn, key=width, reverse=True), key=width):
        group = list(texts)
        rows = sum(len(job.tokens[place].windows) for job, place in group)
        if batches and rows * (width(batches[-1][0]) - narrow) <= _PADDING_FOR_A_BATCH:
            batches[-1] += group
        else:
            batches.append(group)
    return batches


class Batcher:
    """The queue of texts in front of a model, with the threads that tokenise and compute them."""

    def __init__(self, model: Model, limits: Limits, metrics: Metrics) -> None:
        self._model, self._limits, self._metrics = model, limits, metrics
        self._new: deque[Job] = deque()
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = self._stopping = False
        self._waiting = 0
        self._waiting_tokens = 0  # of the requests whose texts are tokenised; changed under _changed alone
        self._speed = 50.0  # texts per second, measured as it goes; only for Retry-After
        self._tokeniser = ThreadPoolExecutor(1, "tokenise")
        self._worker = threading.Thread(target=self._work, name="infer", daemon=True)
        self._worker.start()

    @property
    def alive(self) -> bool:
        """Whether the queue accepts texts: the thread that computes them runs, and ``stop`` was not called."""
        return self._worker.is_alive() and not self._closed

    async def probabilities(self, texts: Sequence[Text]) -> tuple[NDArray[np.float64], list[int]]:
        """The probabilities [texts, classes] and the number of tokens of each text.

        Raises Refusal: 429 if too many texts or tokens are waiting, 422 if these texts alone have more tokens than may
        wait, 503 after ``stop``. If the caller is cancelled, its remaining texts are not computed.
        """
        if not self.alive:
            raise Refusal(503, "the server is stopping; try again later", retry_after=5)
        full = self._waiting_tokens >= self._limits.queue_tokens  # then no text needs to be tokenised
        if full or self._waiting + len(texts) > self._limits.queue:
            raise self._too_much()
        self._waiting += len(texts)
        self._metrics.waiting.set(self._waiting)
        job = Job(texts, len(self._model.labels))
        self._new.append(job)
        self._tokeniser.submit(self._tokenise_new)
        try:
            rows = await asyncio.wrap_future(job.future)
            return rows, [text.count for text in job.tokens]
        finally:
            job.future.cancel()  # before its tokens are given back: none are admitted afterwards
            with self._changed:
                self._waiting_tokens -= job.admitted
            self._waiting -= len(texts)
            self._metrics.waiting.set(self._waiting)

    def stop(self) -> None:
        """Refuse new texts, compute the texts that are waiting, and end the threads."""
        self._closed = True
        self._tokeniser.shutdown()
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._worker.join()

    def _tokenise_new(self) -> None:
        """Tokenise the texts of several new requests in one call, which is faster than one call per request."""
        jobs: list[Job] = []
        while self._new and (not jobs or sum(len(job.texts) for job in jobs) < _TOKENISED_AT_ONCE):
            jobs.append(self._new.popleft())
        self._metrics.gone.inc(sum(len(job.texts) for job in jobs if job.left))
        jobs = [job for job in jobs if not job.left]
        if not jobs:
            return
        try:
            with self._metrics.tokenise.time():
                tokens = self._model.tokenise([text for job in jobs for text in job.texts])
        except Exception as error:
            log.exception("the texts of %d requests could not be tokenised", len(jobs))
            for job in jobs:
                job.fail(error)
            return
        place = 0
        for job in jobs:
            job.tokens, job.ready = tokens[place : place + len(job.texts)], time.perf_counter()
            place += len(job.texts)
        with self._changed:
            self._jobs.extend(job for job in jobs if self._admit(job))
            self._changed.notify()

    def _admit(self, job: Job) -> bool:
        """Reserve room in the queue for the tokens of ``job``; returns False if there is none or the client has left.

        Without room the job fails with a Refusal. The caller must hold the lock ``_changed``.
        """
        size, most = sum(text.size for text in job.tokens), self._limits.queue_tokens
        if size > most:
            job.fail(Refusal(422, f"the texts have {size:,} tokens, at most {most:,}; send fewer or shorter texts"))
        elif self._waiting_tokens + size > most:
            job.fail(self._too_much())
        elif not job.left:
            job.admitted = size
            self._waiting_tokens += size
        else:
            self._metrics.gone.inc(len(job.texts))
        return job.admitted > 0

    def _too_much(self) -> Refusal:
        wait = min(math.ceil(self._waiting / self._speed), _LONGEST_WAIT)
        return Refusal(429, "too many texts are waiting; try again later", retry_after=wait)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._stopping:
                    self._changed.wait()
                if not self._jobs:
                    return
                turn = self._next_turn()
            if turn:
                self._compute(turn)

    def _next_turn(self) -> Turn:
        """Take the next texts from the queue: one of each request in turn, up to ``batch_tokens`` tokens in total.

        A text with more tokens is taken alone. The result is empty if all clients have left.
        """
        turn: Turn = []
        tokens = 0
        while self._jobs:
            job = self._jobs.popleft()
            if job.left:
                self._metrics.gone.inc(len(job.tokens) - job.taken)
                continue
            size = job.tokens[job.taken].size
            if turn and tokens + size > self._limits.batch_tokens:
                self._jobs.appendleft(job)
                break
            if job.taken == 0:
                self._metrics.queue.observe(time.perf_counter() - job.ready)
            turn.append((job, job.taken))
            tokens += size
            job.taken += 1
            if job.taken < len(job.tokens):
                self._jobs.append(job)
        return turn

    def _compute(self, turn: Turn) -> None:
        started = time.perf_counter()
        for batch in batches_of(turn):
            self._compute_batch(batch)
        speed = len(turn) / (time.perf_counter() - started)
        self._speed += 0.1 * (speed - self._speed)

    def _compute_batch(self, batch: Turn) -> None:
        """Compute the texts of one batch, and finish the requests whose texts are all computed."""
        tokens = [job.tokens[place] for job, place in batch]
        self._metrics.batch_texts.observe(len(batch))
        self._metrics.batch_tokens.observe(sum(text.size for text in tokens))
        try:
            with self._metrics.infer.time():
                rows = self._model.probabilities(tokens)
        except Exception as error:
            log.exception("a batch of %d texts failed", len(batch))
            for job, _ in batch:
                job.fail(error)
            return
        for (job, place), row in zip(batch, rows, strict=True):
            job.result[place] = row
            job.computed += 1
            if job.computed == len(job.tokens):
                with suppress(InvalidStateError):  # its client has left
                    job.future.set_result(job.result)
