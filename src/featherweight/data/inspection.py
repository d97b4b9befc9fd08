"""What is in a data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from featherweight.data.cleaning import clean_texts
from featherweight.data.labels import is_missing, row_of_several, single_labels
from featherweight.data.long_texts import LongTexts
from featherweight.data.pairs import Text, joined, stripped
from featherweight.data.readers.table import Table, find_label_columns, plain_text, text_columns
from featherweight.data.sources import open_table, raw_texts, source_of_test
from featherweight.data.tokenizing import token_lengths
from featherweight.data.unlabelled import left_out, unlabelled_test, without_labels
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe


@dataclass(frozen=True)
class TokenLengths:
    """Tokens of the texts without any cut, special ones included, and what a cut would take away."""

    mean: float
    median: float
    percentile_95: float
    longest: int
    max_length: int
    cut_rows: int
    """Texts longer than ``max_length``."""
    cut_tokens: int
    """Tokens that a cut at ``max_length`` takes away; none where long texts are read in windows."""
    cut_share: float
    """The same as a share of all tokens."""
    long: str = "head"
    """What happens to long texts, as ``data.long``."""
    windows: int = 0
    """How many windows the texts longer than ``max_length`` are read in, where they are."""
    other_ways: str = ""
    """What else can be done with long texts, as a clause."""


@dataclass(frozen=True)
class PartInspection:
    """One part of the data; rows are numbered from 1."""

    origin: str
    rows: int
    columns: tuple[str, ...]
    text_columns: tuple[str, ...]
    label_column: str | None
    """None where the part has no label column."""
    labels: dict[str, int]
    """Rows of each label, the most frequent first."""
    unlabelled: int
    """Rows whose label is missing."""
    empty: list[int]
    """Rows without a text."""
    repeated: int
    """Rows whose text an earlier row has."""
    contradicting: int
    """Texts that stand under more than one label."""
    tokens: TokenLengths | None
    join: str = "text"
    """How several text columns become one input, as ``data.join``."""
    without_labels: str | None = None
    """What training says of it, where it is no training data and has no labels at all, or none that can be found."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was read."""


@dataclass(frozen=True)
class Inspection:
    """Every part of a data set, and what the parts share."""

    parts: dict[str, PartInspection]
    shared: dict[str, int] = field(default_factory=dict)
    """Rows of each part but ``train`` whose text stands in ``train``."""


def inspect_data(data: DataRecipe, tokenizer: Any = None) -> Inspection:
    """Look at the training data and at the validation and test parts that the recipe or the data set names.

    Empty texts and missing labels are counted, not refused. With a fast ``tokenizer``, token lengths are measured.
    Raises UserError where a part cannot be read or has no text column.
    """
    tables = {"train": open_table(data.train, data, "train")}
    if data.validation is not None:
        tables["validation"] = open_table(data.validation, data, "validation")
    if source := source_of_test(data):
        tables["test"] = open_table(source, data, "test")
    texts = {name: _texts(table, data) for name, table in tables.items()}
    parts = {name: _inspect(table, texts[name], data, tokenizer) for name, table in tables.items()}
    classes = _classes(tables["train"], parts["train"], data)
    for name in parts.keys() - {"train"}:
        if clause := _without_labels(name, tables[name], data, classes):
            rows = parts[name].rows
            parts[name] = replace(parts[name], labels={}, unlabelled=rows, contradicting=0, without_labels=clause)
    known = set(filter(None, texts["train"]))
    return Inspection(parts, {name: sum(text in known for text in texts[name]) for name in tables if name != "train"})


def _texts(table: Table, data: DataRecipe) -> list[Text]:
    """The texts without outer blanks, or pairs of such; an empty text where there is nothing, in a pair as well."""
    texts = map(stripped, clean_texts(raw_texts(table, text_columns(table, data), data), data.clean))
    return [text if joined(text) else "" for text in texts]


def _inspect(table: Table, texts: list[Text], data: DataRecipe, tokenizer: Any) -> PartInspection:
    column = next(iter(find_label_columns(table, data)), None)
    labels = _labels(table, column, data.labels) if column else [None] * len(texts)
    filled = [text for text in texts if text]
    pairs = {(text, label) for text, label in zip(texts, labels, strict=True) if text and label is not None}
    return PartInspection(
        origin=table.origin,
        rows=len(texts),
        columns=table.names,
        text_columns=text_columns(table, data),
        label_column=column,
        labels=dict(Counter(label for label in labels if label is not None).most_common()),
        unlabelled=labels.count(None),
        empty=[row for row, text in enumerate(texts, 1) if not text],
        repeated=len(filled) - len(set(filled)),
        contradicting=sum(count > 1 for count in Counter(text for text, _ in pairs).values()),
        tokens=_token_lengths(filled, tokenizer, data) if tokenizer is not None and filled else None,
        join=data.join,
        notes=(*table.notes, *_several_labels(table, column, data)),
    )


def _classes(train: Table, part: PartInspection, data: DataRecipe) -> tuple[str, ...]:
    carried = train.classes.get(part.label_column or "", ())
    return data.labels or carried or tuple(part.labels)


def _without_labels(name: str, table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """What training would say of the labels of a test or validation part, where it has none; else None."""
    try:
        if name != "test":
            return without_labels(table, data, classes)
        clause = unlabelled_test(table, data, classes)
        return clause and left_out(clause, data.test or data.train)
    except UserError as error:
        return str(error)


def _labels(table: Table, column: str, names: Sequence[str]) -> list[str | None]:
    names = names or table.classes.get(column, ())

    def name(value: Any) -> str | None:
        if is_missing(value):
            return None
        text = plain_text(value).strip()
        return names[int(text)] if text.isdecimal() and int(text) < len(names) else text

    return [name(value) for value in single_labels(table.read(column))]


def _several_labels(table: Table, column: str | None, data: DataRecipe) -> list[str]:
    """A note on the first row with several labels, where the recipe's task takes one."""
    clause = row_of_several(table.read(column)) if column and not data.several else None
    return [f"{table.origin}: {clause}"] if clause else []


def _token_lengths(texts: list[Text], tokenizer: Any, data: DataRecipe) -> TokenLengths:
    lengths, long_texts, pairs = token_lengths(texts, tokenizer), LongTexts.of(data), data.join == "pair"
    special = tokenizer.num_special_tokens_to_add(pair=pairs)
    longer = lengths[lengths > data.max_length]
    windows = sum(long_texts.windows_of(length - special, data.max_length - special) for length in longer.tolist())
    cut = 0 if long_texts.windows else int((longer - data.max_length).sum())
    return TokenLengths(
        mean=float(lengths.mean()),
        median=float(np.median(lengths)),
        percentile_95=float(np.percentile(lengths, 95)),
        longest=int(lengths.max()),
        max_length=data.max_length,
        cut_rows=len(longer),
        cut_tokens=cut,
        cut_share=float(cut / lengths.sum()),
        long=data.long,
        windows=windows if long_texts.windows else 0,
        other_ways=long_texts.other_ways(pairs=pairs),
    )
