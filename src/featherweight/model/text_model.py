"""Texts to logits: a network with the tokenizer, the engine and the length that it needs for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featherweight.data.batches import Encoded, encode
from featherweight.data.sources import Rows
from featherweight.model.engine import Engine
from featherweight.model.network import Network
from featherweight.model.predict import predict_logits


@dataclass
class TextModel:
    """A network on its engine, and the tokenizer that makes its input."""

    network: Network
    tokenizer: Any
    """A fast tokenizer of transformers."""
    engine: Engine
    max_length: int
    """Tokens that a text is cut to, special ones included."""

    def encode(self, rows: Rows, cache: Path | None = None) -> Encoded:
        """Token numbers of the texts of ``rows``; with a ``cache`` folder they are kept there and found again."""
        return encode(rows, self.tokenizer, self.max_length, cache)

    def logits(
        self, rows: Rows, *, cache: Path | None = None, advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Logits, float64 [rows, classes], in the order of ``rows``.

        ``advance`` is told after each batch how many rows it had.
        """
        return self.logits_of(self.encode(rows, cache), advance=advance)

    def logits_of(self, encoded: Encoded, *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        """Logits, float64 [rows, classes], of texts that ``encode`` gave."""
        return predict_logits(self.network, encoded, self.engine, self.tokenizer.pad_token_id, advance=advance)
