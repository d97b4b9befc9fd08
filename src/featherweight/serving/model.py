"""The classifier for the server: tokenises each text alone, and classifies texts of several requests in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featherweight.data.pairs import Text
from featherweight.inference.graph_model import padded_length

if TYPE_CHECKING:
    from featherweight.inference.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of one text, in one or more windows (pieces that the model reads separately)."""

    windows: tuple[NDArray[np.int32], ...]
    """The token ids with special tokens; several arrays if the text is read in windows."""
    second: int | None = None
    """Of a pair, the number of tokens of type 0; None if the tokenizer has no types."""

    @property
    def count(self) -> int:
        """Number of tokens."""
        return sum(map(len, self.windows))

    @property
    def width(self) -> int:
        """Number of tokens of each window after padding by ``GraphModel``; a model in PyTorch pads to this or less."""
        return padded_length(max(map(len, self.windows)))

    @property
    def size(self) -> int:
        """Number of tokens of all windows together, after padding."""
        return self.width * len(self.windows)


class Model(Protocol):
    """The interface of a classifier for the server."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def id(self) -> str:
        """Name of the model, followed by the first digits of the SHA-256 of its adapter."""

    @property
    def pair(self) -> tuple[str, str] | None:
        """The column names of the two texts if the classifier reads pairs; None if it reads single texts."""

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""

    @property
    def max_tokens(self) -> int:
        """The largest number of tokens that the model reads of a text, or of each window of a long text."""

    @property
    def windows(self) -> bool:
        """Whether a longer text is read in windows."""

    def tokenise(self, texts: Sequence[Text]) -> list[Tokens]:
        """The tokens of each text."""

    def probabilities(self, batch: Sequence[Tokens]) -> NDArray[np.float64]:
        """The calibrated probability of each class, [texts, classes]."""

    def decide(self, probabilities: NDArray[np.float64]) -> list[list[str]]:
        """The labels of each text for ``probabilities`` [texts, classes]: one, or any number if ``several`` is true."""


class ServedClassifier:
    """Gives a ``Classifier`` the interface ``Model``."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.labels, self.id = classifier.labels, classifier.model_id
        data = classifier.recipe.data
        self.pair: tuple[str, str] | None = (data.text[0], data.text[1]) if data.join == "pair" else None
        self.several = classifier.task.name == "multi-label"
        long_texts = classifier.model.long_texts
        self.max_tokens, self.windows = long_texts.max_length, long_texts.windows

    def tokenise(self, texts: Sequence[Text]) -> list[Tokens]:
        """The tokens of each text."""
        from featherweight.data.sources import Rows

        rows = Rows(texts=list(texts), labels=None, label_names=self.labels, origin="texts")
        encoded = self._classifier.model.encode(rows)
        counts = np.ones(len(texts), int) if encoded.windows is None else encoded.windows
        seconds: list[int | None] = [None] * len(texts) if encoded.seconds is None else encoded.seconds.tolist()
        ids, bounds, found, place = np.asarray(encoded.tokens), encoded.offsets.tolist(), [], 0
        for count, second in zip(counts.tolist(), seconds, strict=True):
            places = range(place, place + count)
            found.append(Tokens(tuple(ids[bounds[k] : bounds[k + 1]] for k in places), second))
            place += count
        return found

    def probabilities(self, batch: Sequence[Tokens]) -> NDArray[np.float64]:
        """The calibrated probability of each class, [texts, classes]."""
        logits = self._classifier.model.logits_of(_encoded(batch))
        return self._classifier.task.probabilities(logits, self._classifier.temperature)

    def decide(self, probabilities: NDArray[np.float64]) -> list[list[str]]:
        """The labels of each text for ``probabilities`` [texts, classes]: one, or any number if ``several`` is true."""
        task = self._classifier.task
        return task.label_lists(task.decide(probabilities), self.labels)


def _encoded(batch: Sequence[Tokens]) -> Any:
    """The texts of a batch as one ``Encoded``, the form in which a model takes token ids."""
    from featherweight.data.batches import Encoded

    windows = [window for tokens in batch for window in tokens.windows]
    offsets = np.cumsum([0, *map(len, windows)], dtype=np.int64)
    seconds = None if batch[0].second is None else np.array([tokens.second for tokens in batch], np.int64)
    counts = np.array([len(tokens.windows) for tokens in batch], np.int64)
    several = counts if (counts > 1).any() else None
    return Encoded(np.concatenate(windows), offsets, None, 0, "", seconds=seconds, windows=several)
