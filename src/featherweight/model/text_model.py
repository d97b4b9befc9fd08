"""From texts to logits: a network with its tokenizer, its engine and its maximum length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featherweight.data.batches import Encoded, encode
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.model.engine import Engine
from featherweight.model.network import Network
from featherweight.model.predict import predict_logits


@dataclass
class TextModel:
    """A network, the tokenizer that produces its input, and the engine (device and precision) that it runs on."""

    network: Network
    tokenizer: Any
    """A fast tokenizer of transformers."""
    engine: Engine
    long_texts: LongTexts
    """The maximum number of tokens, special tokens included, and what happens to longer texts."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.network.labels

    def encode(self, rows: Rows, cache: Path | None = None) -> Encoded:
        """Token ids of the texts of ``rows``; if ``cache`` is a folder, they are stored there and reused."""
        return encode(rows, self.tokenizer, self.long_texts, cache)

    def logits(
        self, rows: Rows, *, cache: Path | None = None, advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Logits, float64 [rows, classes], in the order of ``rows``.

        ``advance`` is called after each batch with its number of rows.
        """
        return self.logits_of(self.encode(rows, cache), advance=advance)

    def logits_of(self, encoded: Encoded, *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        """Logits, float64 [rows, classes], of texts that were encoded by ``encode``."""
        return predict_logits(self.network, encoded, self.engine, self.tokenizer.pad_token_id, advance=advance)
