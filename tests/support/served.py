"""A model for the server that answers at once, or when a test lets it; and the server in a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featherweight.serving.app import create_app
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics
from featherweight.serving.model import Tokens
from featherweight.serving.server import Server, bound_socket, configure

CARD = {
    "id": "news-0123456789ab", "name": "news", "description": "Kinds of news.", "task": "single-label",
    "labels": ["World", "Sports"], "pair": None, "max_tokens": 64, "windows": False,
    "limits": {"texts": 256, "characters": 20_000, "body_bytes": 1_048_576, "tokens": 131_072, "explained_words": 400},
    "facts": [["Backbone", "tiny"], ["Trained parameters", "1,000"]],
    "budget": {"trained": 1000, "budget": 2000},
    "results": [{
        "set": "test", "rows": 40, "interval": [0.8, 0.97],
        "metrics": [{"key": "accuracy", "name": "Accuracy", "value": 0.925, "shown": "92.50%"}],
        "confusion_matrix": [[18, 2], [1, 19]],
        "per_class": [{"label": "World", "f1": 0.92, "support": 20}, {"label": "Sports", "f1": 0.93, "support": 20}],
    }],
    "doubts": ["It was tested only on texts like those of its training."],
    "examples": ["The striker scores a goal", "The parliament votes on a treaty"],
}  # fmt: skip


class FakeModel:
    """Sports if a text has the word goal; a token a word. ``held`` keeps the computation waiting."""

    labels = ("World", "Sports")
    several = False
    id = "news-0123456789ab"
    max_tokens = 64
    windows = False

    def __init__(self, pair: tuple[str, str] | None = None) -> None:
        self.pair = pair
        self.batches: list[int] = []
        self.free = threading.Event()
        self.free.set()
        self.seconds = 0.0

    def tokenise(self, texts: Sequence[Any]) -> list[Tokens]:
        words = [text if isinstance(text, str) else " ".join(text) for text in texts]
        return [
            Tokens((np.array([-1, *(int("goal" in word) for word in text.split()[:63])], np.int32),)) for text in words
        ]

    def probabilities(self, batch: Sequence[Tokens]) -> Any:
        self.free.wait(10)
        time.sleep(self.seconds)
        if any(len(text.windows[0]) == 14 for text in batch):
            raise RuntimeError("/secret/path: thirteen words")
        self.batches.append(len(batch))
        sports = np.array([0.9 if (text.windows[0] > 0).any() else 0.2 for text in batch])
        return np.stack([1 - sports, sports], axis=1)

    def decide(self, probabilities: Any) -> list[list[str]]:
        return [[self.labels[place]] for place in probabilities.argmax(axis=1)]


class Running:
    """A server in a thread of this process."""

    def __init__(self, model: Any, port: int, server: Server, thread: threading.Thread, metrics: Metrics) -> None:
        self.model, self.port, self.server, self.thread, self.metrics = model, port, server, thread, metrics

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def stop(self) -> None:
        self.server.should_exit = True


@contextlib.contextmanager
def running(model: Any = None, card: Any = None, *, access: Any = None, **limits: Any) -> Iterator[Running]:
    """The server on a free port of loopback; stopped at the end."""
    model, chosen, metrics, ready = model or FakeModel(), Limits(**limits), Metrics(), threading.Event()
    app = create_app(model, card or CARD, limits=chosen, metrics=metrics, access=access)
    opened = bound_socket("127.0.0.1", 0)
    server = Server(configure(app, chosen, metrics), ready.set)
    port = opened.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield Running(model, port, server, thread, metrics)
    finally:
        server.should_exit = True
        if isinstance(model, FakeModel):
            model.free.set()
        thread.join(10)
