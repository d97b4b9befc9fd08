"""Token ids and logits of a few fixed texts, stored with a model and compared when it is loaded.

A changed tokenizer or library can give other ids or logits for the same text, and so wrong predictions without an
error.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import Field

from featherweight.data.encoding import Encoded
from featherweight.data.pairs import Text
from featherweight.data.sources import Rows
from featherweight.errors import UserError
from featherweight.files import read_object, write_json
from featherweight.run.checked import Checked, Count, Number, require

FILE = "probes.json"
TEXTS = ("Stocks fell 3.5% after the bank's forecast.", "naïve Größe", "it scored twice!")
ALLOWED = 0.1
"""Largest difference of a logit, as a share of the largest one: far above rounding in 16 bits, far below other weights.
"""


class Probed(Protocol):
    """A classifier that encodes texts to token ids and computes logits from them."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""

    def encode(self, rows: Rows) -> Encoded:
        """Token ids of texts."""

    def logits_of(self, encoded: Encoded) -> np.ndarray:
        """Logits of encoded texts, [texts, classes]."""


class Probes(Checked):
    """The schema of probes.json: the token ids and logits of each probe text when the model was saved."""

    ids: tuple[tuple[Count, ...], ...] = Field(min_length=1)
    logits: tuple[tuple[Number, ...], ...]


def probe_texts(*, pairs: bool) -> list[Text]:
    """The fixed texts in ``TEXTS``; with ``pairs``, a pair of each of them with the first one, for pair classifiers."""
    return [(text, TEXTS[0]) for text in TEXTS] if pairs else [*TEXTS]


def write_probes(folder: Path, model: Probed, *, pairs: bool) -> None:
    """Compute token ids and logits of the probe texts by ``model``, and write them into ``folder``/probes.json."""
    encoded = _encoded(model, pairs)
    logits = [[round(value, 6) for value in row] for row in model.logits_of(encoded).tolist()]
    write_json(folder / FILE, {"texts": probe_texts(pairs=pairs), "ids": _ids(encoded), "logits": logits})


def check_probes(folder: Path, model: Probed, *, pairs: bool) -> None:
    """Raise UserError if ``model`` gives other token ids or logits than are stored in ``folder``/probes.json.

    Without probes.json, as in runs of earlier versions, nothing is checked.
    """
    path = folder / FILE
    if not path.is_file():
        return
    values = read_object(path)
    require(values, Probes, path)
    probes, encoded = Probes.model_validate(values), _encoded(model, pairs)
    if values.get("texts") != [list(text) if isinstance(text, tuple) else text for text in probe_texts(pairs=pairs)]:
        return  # texts of another version
    if _ids(encoded) != [list(ids) for ids in probes.ids]:
        raise UserError(
            f"{folder}: its tokenizer gives other tokens here than when the model was saved; restore "
            "tokenizer.json, or install the version of the library tokenizers that the model was saved with"
        )
    now = model.logits_of(encoded)
    if not _close(probes.logits, now):
        exported = (folder / "export.json").is_file()
        libraries = "the libraries in its export.json" if exported else "torch and transformers"
        raise UserError(
            f"{folder}: the model gives other logits here than when it was saved; "
            "its weights are damaged, or a library computes them differently\n"
            f"Restore the weights, or install the versions of {libraries} that it was saved with"
        )


def _close(stored: Sequence[Sequence[float]], now: np.ndarray) -> bool:
    if [len(row) for row in stored] != [now.shape[1]] * len(now):
        return False
    then = np.array(stored)
    return bool(np.abs(then - now).max() <= ALLOWED * max(1.0, np.abs(then).max()))


def _encoded(model: Probed, pairs: bool) -> Encoded:
    texts: Sequence[Text] = probe_texts(pairs=pairs)
    return model.encode(Rows(texts, None, model.labels, "probe texts"))


def _ids(encoded: Encoded) -> list[list[int]]:
    tokens, bounds = np.asarray(encoded.tokens).tolist(), encoded.offsets.tolist()
    return [tokens[start:end] for start, end in itertools.pairwise(bounds)]
