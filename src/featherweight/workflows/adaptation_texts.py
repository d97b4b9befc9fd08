"""The texts of a task-adaptive pretraining: training texts, and further texts without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from featherweight.data.fingerprints import texts_fingerprint
from featherweight.data.pairs import Text, stripped
from featherweight.data.perturbations import is_perturbed
from featherweight.data.readers.columns import stored, taken
from featherweight.data.source_tables import source_of_test
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
    """All further texts that are in one of the two; None if no files of further texts were given."""
    unseen: list[str]
    """The fingerprints of the parts whose texts are left out; empty without further texts."""
    notes: list[str]
    """How the further texts were read, and how many texts were left out, and why."""


def adaptation_texts(splits: Splits, data: DataRecipe, further: Sequence[str], seed: int) -> AdaptationTexts:
    """The training texts of ``splits`` and the texts of the files ``further``, divided at random.

    A text is left out if it is also in the validation rows, the test rows or a shift set (further test rows, of another
    source). A further text is also left out if it is empty, or stands in the training rows or in the further texts
    before it. Raises UserError if too few texts are left, or if a file cannot be read.
    """
    unlabelled = _unlabelled_test_rows(splits, data)
    parts = (splits.validation, splits.test, unlabelled, *splits.shift.values())
    others = [rows for rows in parts if rows is not None]
    unseen = {_key(text) for rows in others for text in rows.texts}
    train = splits.train
    places = [place for place, text in enumerate(train.texts) if _key(text) not in unseen]
    notes = []
    if left_out := len(train) - len(places):
        notes.append(f"{left_out:,} training texts are left out: they are also validation or test texts")
    rows, added = train.take(np.array(places, np.int64)), None
    if further:
        own = taken(train.texts, places)
        added = _rows(stored(_new_texts(further, data, unseen | {*map(_key, own)}, notes)), "further texts")
        rows = _rows(stored(chain(own, added.texts)), train.origin)
    count = max(1, round(HELD_OUT * len(rows)))
    if len(rows) <= count:
        left = f"{len(places)} training texts are in no other set (validation, test, shift)"
        raise UserError(f"{train.origin}: {left}; an adaptation needs at least 2, so add texts")
    order = np.random.default_rng([seed, 24]).permutation(len(rows))
    kept, held_out = (rows.take(np.sort(part)) for part in (order[count:], order[:count]))
    known = evaluated_fingerprints(splits) if further else []
    if further and unlabelled is not None:
        known.append(texts_fingerprint(unlabelled))
    return AdaptationTexts(kept, held_out, added, known, notes)


def evaluated_fingerprints(splits: Splits) -> list[str]:
    """The SHA-256 of the texts of the validation rows, of the test rows and of each shift set with texts of its own."""
    shift = [rows for name, rows in splits.shift.items() if not is_perturbed(name)]
    return [texts_fingerprint(rows) for rows in (splits.validation, splits.test, *shift) if rows is not None]


def _unlabelled_test_rows(splits: Splits, data: DataRecipe) -> Rows | None:
    """The test rows if they have no labels, and are therefore not in ``splits``; else None."""
    source = source_of_test(data)
    if splits.test is not None or source is None:
        return None
    pieces = text_pieces(source, data, split="test", rows=PIECE)
    return _rows(stored(text for piece in pieces for text in piece.texts), source)


def _new_texts(files: Iterable[str], data: DataRecipe, known: set[bytes], notes: list[str]) -> Iterator[Text]:
    """The texts of ``files`` that are not in ``known``, which gets their keys; ``notes`` gets notes on each file."""
    for file in files:
        read = used = 0
        told: dict[str, None] = {}
        for rows in text_pieces(file, data, split="train", rows=PIECE):
            read += len(rows)
            told.update(dict.fromkeys(rows.notes))
            for text in rows.texts:
                if any(stripped(text)) and (key := _key(text)) not in known:
                    known.add(key)
                    used += 1
                    yield text
        left = "; the others are empty or repeated, or are validation or test texts" if used < read else ""
        notes += [
            *told,
            f"{file}: {used:,} of {counted(read, 'further text')} {'is' if used == 1 else 'are'} used{left}",
        ]


def _key(text: Text) -> bytes:
    """A hash of ``text`` without surrounding spaces: a set of hashes takes less memory than one of long texts."""
    bare = stripped(text)
    parts = [bare] if isinstance(bare, str) else bare
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _rows(texts: Sequence[Text], origin: str) -> Rows:
    return Rows(texts, None, (), origin)
