"""Threads that predict side by side: the same figures in the same order, and errors that reach the caller."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from featherweight.inference.classifier import Classifier
from featherweight.model import predict as inference
from featherweight.model.threads import Workers, shares, workers_for
from featherweight.workflows.train import train


@pytest.fixture
def two_cores() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_work() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            assert second_is_done.wait(10), "nothing ran beside the first item"
        if number == 2:
            second_is_done.set()
        return number * 10

    assert list(Workers(2, 1).each(work, [1, 2, 3])) == [10, 20, 30]


def test_cores_are_shared_out_and_the_callers_stay(two_cores: Any) -> None:
    workers = workers_for(5)
    assert workers is not None
    assert set(workers.each(lambda _: torch.get_num_threads(), range(8))) == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("cores", "items", "share"), [
    (2, 5, (2, 1)), (4, 3, (2, 2)), (12, 100, (6, 2)), (16, 100, (8, 2)), (13, 100, (1, 13)), (1, 9, (1, 1)),
])  # fmt: skip
def test_no_core_is_left_idle(cores: int, items: int, share: tuple[int, int]) -> None:
    assert shares(cores, items) == share


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own(two_cores: Any) -> None:
    def work() -> bytes:
        workers = workers_for(4)
        assert workers is not None
        return bytes(workers.each(lambda item: item + 1, b"abc"))

    assert work() == b"bcd"
    reading, writing = os.pipe()
    child = os.fork()  # as multiprocessing does on Linux
    if not child:
        try:
            signal.alarm(20)  # ends the process if it waits for threads that it does not have
            os.write(writing, work())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as answer:
        assert answer.read() == b"bcd"


def test_one_core_or_one_item_needs_no_threads(two_cores: Any) -> None:
    assert workers_for(1) is None
    torch.set_num_threads(1)
    assert workers_for(100) is None


def test_an_error_reaches_the_caller() -> None:
    def work(number: int) -> float:
        return 1 / number

    with pytest.raises(ZeroDivisionError):
        list(Workers(2, 1).each(work, [1, 0, 2]))


def test_predictions_do_not_depend_on_how_many_predict(
    tiny_recipe: Any, tmp_path: Path, two_cores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(tiny_recipe(training={"epochs": 1}), tmp_path / "run")
    classifier = Classifier.load(run.folder)
    texts = [" ".join(["word", "market", "game"] * (1 + number % 9)) + f" {number}" for number in range(150)]
    monkeypatch.setattr(inference, "_BATCH_TOKENS", 128)
    used: list[int] = []

    def noted(items: int) -> Workers | None:
        used.append(items)
        return workers_for(items)

    monkeypatch.setattr(inference, "workers_for", noted)
    together = classifier.probabilities(texts)
    assert used and used[0] > 4
    monkeypatch.setattr(inference, "workers_for", lambda items: None)
    # One thread may add up a product's terms in another order than two.
    np.testing.assert_allclose(classifier.probabilities(texts), together, rtol=0, atol=1e-5)
