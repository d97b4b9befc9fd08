"""Objects of a label and a list of its texts, such as the intents of chat bots, as a row for each text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from featherweight.data.readers.reading import Reading

_TEXTS = ("patterns", "examples", "utterances", "texts", "sentences", "phrases", "questions")
_LABELS = ("tag", "intent", "label", "class", "category", "name")
_FEW_WORDS = 4  # a label with more words is a text of the row itself, and so is another value of several words


def keys_of_texts(row: Any, reading: Reading) -> tuple[str, str] | None:
    """The keys of the texts and of their label in ``row``, such as ``("patterns", "tag")``; None for other rows.

    The answer is also None if a column that the recipe names would be lost, or if another value may be the text.
    """
    if not isinstance(row, Mapping):
        return None
    lists = [key for key in _TEXTS if _are_texts(row.get(key))]
    labels = [key for key in _LABELS if isinstance(row.get(key), str)]
    if len(lists) != 1 or not labels or "text" in row or any(name in row for name in {*reading.known} - {"label"}):
        return None
    if any(isinstance(value, str) and len(value.split()) > _most_words(key) for key, value in row.items()):
        return None
    return lists[0], labels[0]


def _most_words(key: str) -> int:
    return _FEW_WORDS if key in _LABELS else 1


def rows_of_texts(rows: Iterable[Any], texts: str, label: str) -> Iterator[Any]:
    """A row for each text under the key ``texts`` of the ``rows``; rows without a list of texts do not change."""
    for row in rows:
        if not isinstance(row, Mapping) or not _are_texts(row.get(texts)):
            yield row
            continue
        for text in row[texts]:
            yield {"text": text, "label": row.get(label)}


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)
