"""The texts of a task-adaptive pretraining: training texts, and further texts without labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from featherweight.data.fingerprints import texts_fingerprint
from featherweight.data.pairs import Text, stripped
from featherweight.data.sources import Rows
from featherweight.data.splits import Splits
from featherweight.data.text_pieces import text_pieces
from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.recipe import DataRecipe

HELD_OUT = 0.05
"""Share of the texts on which only the loss is measured."""
PIECE = 10_000
"""Number of rows of a file of further texts that are read at a time."""


@dataclass(frozen=True)
class AdaptationTexts:
    """The texts to train on, and those to measure the loss on."""

    train: Rows
    held_out: Rows
    further: Rows | None
    """All further texts that are in one of the two; None if none were given."""
    notes: list[str]
    """How many texts were left out, and why."""


def adaptation_texts(splits: Splits, data: DataRecipe, further: Sequence[str], seed: int) -> AdaptationTexts:
    """The training texts of ``splits`` and the texts of the files ``further``, divided at random.

    A text is left out if it is also in the validation rows, the test rows or a shift set (further test rows, of another
    source). A further text is also left out if it is empty, or stands in the training rows or in the further texts
    before it. Raises UserError if too few texts are left, or if a file cannot be read.
    """
    unseen = _unseen(splits)
    own = [text for text in splits.train.texts if stripped(text) not in unseen]
    notes = []
    if left_out := len(splits.train) - len(own):
        notes.append(f"{left_out:,} training texts are left out: they are also validation or test texts")
    added, told = _further(further, data, unseen | {stripped(text) for text in own})
    texts = [*own, *added]
    count = max(1, round(HELD_OUT * len(texts)))
    if len(texts) <= count:
        left = f"{len(own)} training texts are in no other set (validation, test, shift)"
        raise UserError(f"{splits.train.origin}: {left}; an adaptation needs at least 2, so add texts")
    order = np.random.default_rng([seed, 24]).permutation(len(texts))
    rows = _rows(texts, splits.train.origin)
    train, held_out = (rows.take(np.sort(part)) for part in (order[count:], order[:count]))
    return AdaptationTexts(train, held_out, _rows(added, "further texts") if further else None, [*notes, *told])


def unseen_fingerprint(splits: Splits) -> str:
    """The SHA-256 of all texts of the validation rows, the test rows and the shift sets, in alphabetical order."""
    return texts_fingerprint(_rows(sorted(_unseen(splits)), "unseen texts"))


def _unseen(splits: Splits) -> set[Text]:
    others = [splits.validation, *splits.shift.values(), *([splits.test] if splits.test else [])]
    return {stripped(text) for rows in others for text in rows.texts}


def _further(files: Iterable[str], data: DataRecipe, known: set[Text]) -> tuple[list[Text], list[str]]:
    """The texts of ``files`` that are not in ``known``, which gets them, and a note for each file."""
    texts: list[Text] = []
    notes = []
    for file in files:
        before, read = len(texts), 0
        for rows in text_pieces(file, data, split="train", rows=PIECE):
            read += len(rows)
            for text in rows.texts:
                if any(bare := stripped(text)) and bare not in known:
                    known.add(bare)
                    texts.append(text)
        used, left = len(texts) - before, "; the others are empty or repeated, or are validation or test texts"
        notes.append(f"{file}: {used:,} of {counted(read, 'further text')} are used{left if used < read else ''}")
    return texts, notes


def _rows(texts: Sequence[Text], origin: str) -> Rows:
    return Rows(texts, None, (), origin)
