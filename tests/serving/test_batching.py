"""The queue: common batches, turns, its limit, and clients that leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from support.served import FakeModel

pytest.importorskip("fastapi")

from featherweight.inference import graph_model
from featherweight.serving.batching import Batcher, Job, batches_of
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics
from featherweight.serving.model import Tokens
from featherweight.serving.refusals import Refusal


def with_batcher(
    work: Callable[[Batcher, FakeModel], Awaitable[Any]], metrics: Metrics | None = None, **limits: Any
) -> Any:
    model = FakeModel()

    async def run() -> Any:
        batcher = Batcher(model, Limits(**limits), metrics or Metrics())
        try:
            return await work(batcher, model)
        finally:
            model.free.set()
            await asyncio.to_thread(batcher.stop)

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    stop = time.monotonic() + 5
    while not condition() and time.monotonic() < stop:
        await asyncio.sleep(0.005)
    assert condition()


def test_what_waits_is_computed_together() -> None:
    async def work(batcher: Batcher, model: FakeModel) -> None:
        model.free.clear()
        first = asyncio.create_task(batcher.probabilities(["a goal"]))
        await until(lambda: not batcher._jobs and batcher._waiting == 1)
        others = [asyncio.create_task(batcher.probabilities([text])) for text in ("b", "c goal", "d")]
        await until(lambda: len(batcher._jobs) == 3)
        model.free.set()
        rows = [(await task)[0][0].round(1).tolist() for task in [first, *others]]
        assert rows == [[0.1, 0.9], [0.8, 0.2], [0.1, 0.9], [0.8, 0.2]]
        assert model.batches == [1, 3]

    with_batcher(work)


def test_a_text_alone_does_not_wait_for_another() -> None:
    async def work(batcher: Batcher, model: FakeModel) -> float:
        started = time.perf_counter()
        await batcher.probabilities(["a"])
        return time.perf_counter() - started

    assert with_batcher(work) < 0.2


def test_requests_take_turns_within_the_budget_of_tokens() -> None:
    async def work(batcher: Batcher, model: FakeModel) -> None:
        model.free.clear()
        running = asyncio.create_task(batcher.probabilities(["x"]))
        await until(lambda: not batcher._jobs and batcher._waiting == 1)
        large = asyncio.create_task(batcher.probabilities(["a"] * 12))
        await until(lambda: len(batcher._jobs) == 1)
        small = asyncio.create_task(batcher.probabilities(["b goal"]))
        await until(lambda: len(batcher._jobs) == 2)
        model.free.set()
        await small
        assert not large.done(), "the small request is in the first batch after the running one"
        await large
        await running
        assert model.batches == [1, 4, 4, 4, 1]  # 32 tokens hold four texts of eight, padded

    with_batcher(work, batch_tokens=32)


def test_texts_of_other_lengths_are_not_padded_to_the_longest() -> None:
    async def work(batcher: Batcher, model: FakeModel) -> None:
        await batcher.probabilities(["a"] * 9 + ["word " * 60] * 2)
        assert sorted(model.batches) == [2, 9]

    with_batcher(work)


def test_shorter_texts_join_a_batch_while_their_padding_takes_less_than_another() -> None:
    job = Job([""] * 12, 2)
    job.tokens = [Tokens((np.zeros(width, np.int32),)) for width in (8, 16, 24, 32, 48, 64) * 2]
    batches = batches_of([(job, place) for place in range(12)])
    # Two texts of 32 tokens need 2 x 32 tokens of padding beside 64, two of 24 would need 2 x 40.
    widths = [[job.tokens[place].width for _, place in batch] for batch in batches]
    assert widths == [[64, 64, 48, 48, 32, 32], [24, 24, 16, 16, 8, 8]]


def test_more_than_the_queue_holds_is_refused_with_a_time() -> None:
    async def work(batcher: Batcher, model: FakeModel) -> None:
        model.free.clear()
        full = asyncio.create_task(batcher.probabilities(["a"] * 4))
        await until(lambda: batcher._waiting == 4)
        with pytest.raises(Refusal) as refused:
            await batcher.probabilities(["b"])
        assert refused.value.status_code == 429 and int(refused.value.headers["Retry-After"]) >= 1
        model.free.set()
        await full
        await batcher.probabilities(["b"])

    with_batcher(work, queue=4)


@pytest.mark.parametrize(("length", "width"), [(1, 8), (8, 8), (9, 16), (300, 384), (512, 512), (513, 640), (641, 768)])
def test_widths_are_those_to_which_an_onnx_model_pads(length: int, width: int) -> None:
    assert Tokens((np.zeros(length, np.int32),)).width == width == graph_model.padded_length(length)


def test_more_tokens_than_may_wait_are_refused() -> None:
    long = "word " * 60  # 64 tokens with padding

    async def status(batcher: Batcher, texts: list[str]) -> int:
        with pytest.raises(Refusal) as refused:
            await batcher.probabilities(texts)
        return refused.value.status_code

    async def work(batcher: Batcher, model: FakeModel) -> None:
        assert await status(batcher, [long] * 4) == 422, "waiting would not help"
        model.free.clear()
        running = [asyncio.create_task(batcher.probabilities([text])) for text in (long, long)]
        await until(lambda: batcher._waiting_tokens == 128)
        assert await status(batcher, [long, long]) == 429
        left = asyncio.create_task(batcher.probabilities([long]))
        await until(lambda: batcher._waiting_tokens == 192)
        left.cancel()
        await until(lambda: batcher._waiting_tokens == 128)
        model.free.set()
        await asyncio.gather(*running)
        assert len((await batcher.probabilities([long] * 3))[0]) == 3, "the tokens of all others are given back"
        assert batcher._waiting_tokens == batcher._waiting == 0

    with_batcher(work, queue_tokens=192)


def test_texts_of_a_client_that_left_are_not_computed() -> None:
    metrics = Metrics()

    async def work(batcher: Batcher, model: FakeModel) -> None:
        model.free.clear()
        first = asyncio.create_task(batcher.probabilities(["x"]))
        await until(lambda: not batcher._jobs and batcher._waiting == 1)
        left = asyncio.create_task(batcher.probabilities(["a"] * 50))
        await until(lambda: len(batcher._jobs) == 1)
        left.cancel()
        await until(lambda: batcher._waiting == 1)
        model.free.set()
        await first
        await batcher.probabilities(["b"])
        assert model.batches == [1, 1]

    with_batcher(work, metrics)
    assert metrics.registry.get_sample_value("featherweight_texts_dropped_total") == 50


def test_stopping_computes_what_was_accepted() -> None:
    async def work(batcher: Batcher, model: FakeModel) -> None:
        model.free.clear()
        task = asyncio.create_task(batcher.probabilities(["a"] * 3))
        await until(lambda: batcher._waiting == 3)
        stopping = asyncio.create_task(asyncio.to_thread(batcher.stop))
        await asyncio.sleep(0.05)
        assert not batcher.alive
        model.free.set()
        assert len((await task)[0]) == 3
        await stopping
        with pytest.raises(Refusal) as refused:
            await batcher.probabilities(["late"])
        assert refused.value.status_code == 503

    with_batcher(work)
