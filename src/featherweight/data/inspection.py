"""Describes the data of a recipe before a training: rows, labels, lengths, repeated texts, and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from featherweight.data.cleaning import clean_texts
from featherweight.data.flags import code_label_columns
from featherweight.data.gaps import LeftOut, label_cells
from featherweight.data.label_cells import label_notes, label_values, row_of_several, single_labels
from featherweight.data.label_lists import code_label_lists, separator_note, separator_of
from featherweight.data.label_spelling import alike, is_class, names_in_training
from featherweight.data.labels import is_missing
from featherweight.data.long_texts import LongTexts
from featherweight.data.numbered_columns import numbered_columns_note
from featherweight.data.pairs import Text, joined, stripped
from featherweight.data.part_columns import require_training_texts
from featherweight.data.readers.columns import taken
from featherweight.data.readers.table import Table, find_label_columns, plain_text, text_columns
from featherweight.data.source_tables import open_table, source_of_test
from featherweight.data.sources import raw_texts, without_gaps
from featherweight.data.tokenizing import token_lengths
from featherweight.data.unknown_tokens import UnknownTokens, count_unknown
from featherweight.data.unlabelled import left_out, unlabelled_test, without_labels
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe


@dataclass(frozen=True)
class TokenLengths:
    """Number of tokens per text, untruncated and with special tokens, and how much truncation would remove."""

    mean: float
    median: float
    percentile_95: float
    longest: int
    max_length: int
    cut_rows: int
    """Number of texts longer than ``max_length``."""
    cut_tokens: int
    """Number of tokens that truncation at ``max_length`` removes; 0 if long texts are read in windows."""
    cut_share: float
    """``cut_tokens`` as a share of all tokens."""
    long: str = "head"
    """The recipe's ``data.long``."""
    windows: int = 0
    """Number of windows of the texts longer than ``max_length``; 0 if texts are not read in windows."""
    other_ways: str = ""
    """A clause that names the other values of ``data.long``."""


@dataclass(frozen=True)
class PartInspection:
    """Statistics of one part of the data, such as the test rows. Rows are numbered from 1."""

    origin: str
    rows: int
    """Number of rows, without those that a training leaves out."""
    columns: tuple[str, ...]
    text_columns: tuple[str, ...]
    label_column: str | None
    """None if the part has no label column."""
    labels: dict[str, int]
    """Number of rows of each label, the most frequent first."""
    unlabelled: int
    """Number of rows whose label is missing."""
    empty: list[int]
    """Numbers of the rows without a text."""
    repeated: int
    """Number of rows whose text is that of an earlier row."""
    contradicting: int
    """Number of texts that occur with more than one label."""
    tokens: TokenLengths | None
    join: str = "text"
    """How several text columns become one input: the recipe's ``data.join``."""
    without_labels: str | None = None
    """The message of a training about a validation or test part without labels; None if the part has labels."""
    notes: tuple[str, ...] = ()
    """Notes on how the part was read."""
    strange: dict[str, int] = field(default_factory=dict)
    """For a validation or test part: number of rows of each label that is not a class of the training rows."""
    unknown: UnknownTokens | None = None
    """Counts of unknown tokens; None without a tokenizer, or if the tokenizer has no token for unknown characters."""
    without_any: int = 0
    """If a text may have several labels: number of rows without any label."""
    left_out: LeftOut | None = None
    """The rows that a training leaves out because of ``data.empty``; None if there are none."""


@dataclass(frozen=True)
class Inspection:
    """Statistics of all parts of a data set, and how many texts of the other parts are also training texts."""

    parts: dict[str, PartInspection]
    shared: dict[str, int] = field(default_factory=dict)
    """For each part except ``train``: number of rows whose text is also in ``train``."""
    refusals: tuple[str, ...] = ()
    """The errors that a training would raise for the data, one for each part and cause."""
    backbone: str = ""
    """The backbone whose tokenizer counted the tokens."""


def inspect_data(data: DataRecipe, tokenizer: Any = None) -> Inspection:
    """Describe the training data, and the validation and test parts that the recipe or the data set names.

    Empty texts and missing labels are counted, not refused. With a fast ``tokenizer``, token lengths are measured.
    Raises UserError if a part cannot be read or has no text column.
    """
    tables = {"train": open_table(data.train, data, "train")}
    if data.validation is not None:
        tables["validation"] = open_table(data.validation, data, "validation")
    if source := source_of_test(data):
        tables["test"] = open_table(source, data, "test")
    for name in tables.keys() - {"train"}:
        require_training_texts(tables[name], data)
    parts, texts, classes = dict[str, PartInspection](), dict[str, list[Text]](), tuple[str, ...]()
    for name, table in tables.items():
        rows, texts[name], left = _complete(table, _texts(table, data), data, classes)
        part = _inspect(rows, texts[name], data, tokenizer)
        parts[name] = part = replace(part, notes=(*part.notes, *_several_labels(table, data)), left_out=left)
        if name == "train":
            parts[name] = _with_notes_on_labels(part, rows, data)
            classes = _classes(rows, part, data)
            continue
        strange = {label: count for label, count in part.labels.items() if not is_class(label, classes)}
        parts[name] = replace(part, strange=strange)
        if clause := _without_labels(name, table, data, classes):
            parts[name] = replace(
                part, labels={}, unlabelled=part.rows, contradicting=0, without_labels=clause, left_out=None
            )
    known = set(filter(None, texts["train"]))
    return Inspection(parts, {name: sum(text in known for text in texts[name]) for name in tables if name != "train"})


def _texts(table: Table, data: DataRecipe) -> list[Text]:
    """The texts or pairs without outer blanks; a blank text or pair becomes an empty text."""
    texts = map(stripped, clean_texts(raw_texts(table, text_columns(table, data), data), data.clean))
    return [text if joined(text) else "" for text in texts]


def _inspect(table: Table, texts: list[Text], data: DataRecipe, tokenizer: Any) -> PartInspection:
    columns = find_label_columns(table, data)
    labels = _labels(table, columns, data) if columns else [None] * len(texts)
    filled = [text for text in texts if text]
    pairs = {(text, label) for text, label in zip(texts, labels, strict=True) if text and label is not None}
    return PartInspection(
        origin=table.origin,
        rows=len(texts),
        columns=table.names,
        text_columns=text_columns(table, data),
        label_column=", ".join(columns) or None,
        labels=dict(_counted(labels).most_common()),
        unlabelled=labels.count(None),
        without_any=sum(label == () for label in labels),
        empty=[row for row, text in enumerate(texts, 1) if not text],
        repeated=len(filled) - len(set(filled)),
        contradicting=sum(count > 1 for count in Counter(text for text, _ in pairs).values()),
        tokens=_token_lengths(filled, tokenizer, data) if tokenizer is not None and filled else None,
        join=data.join,
        notes=(*table.notes, *(label_notes(table, columns) if columns else ())),
        unknown=count_unknown(filled, tokenizer) if tokenizer is not None and filled else None,
    )


def _classes(train: Table, part: PartInspection, data: DataRecipe) -> tuple[str, ...]:
    carried = train.classes.get(part.label_column or "", ())
    return data.labels or carried or tuple(part.labels)


def _complete(
    table: Table, texts: list[Text], data: DataRecipe, classes: Sequence[str]
) -> tuple[Table, list[Text], LeftOut | None]:
    """With ``data.empty = "drop"``: the rows with a text and a label, and a description of the others.

    All rows and None if there are no others, or if a training would refuse the part. ``classes`` are those of the
    training rows; empty if these are the training rows.
    """
    if data.empty != "drop" or not find_label_columns(table, data):
        return table, texts, None
    try:
        kept, left = without_gaps(table, texts, data.train, data, classes)
    except UserError:  # Inspection.refusals has its message
        return table, texts, None
    places = kept.tolist()
    rest = replace(table, read=lambda name: taken(table.read(name), places)) if left else table
    return rest, [texts[place] for place in places], left


def _without_labels(name: str, table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """What a training would say about the part ``name`` (error or note) if it has no labels; None if it has labels."""
    try:
        if name != "test":
            return without_labels(table, data, classes)
        clause = unlabelled_test(table, data, classes)
        return clause and left_out(clause, data.test or data.train)
    except UserError as error:
        return str(error)


_Label = str | tuple[str, ...] | None
"""A label; all labels of a row, if a text may have several; or None if the label is missing."""


def _labels(table: Table, columns: Sequence[str], data: DataRecipe) -> list[_Label]:
    """The labels of each row as class names: ``1.0`` in a cell becomes ``1``; None if the label is missing."""
    cells = list(label_cells(table, columns, data, of_rows=True))
    if data.several:
        return _several(table, columns, cells, data)
    cells = list(single_labels(cells))
    names = data.labels or table.classes.get(columns[0], ())
    texts = [None if is_missing(cell) else _text_of(cell) for cell in cells]
    texts = [names[int(text)] if text and text.isdecimal() and int(text) < len(names) else text for text in texts]
    spelled = {alike(name): name for name in names or names_in_training(text for text in texts if text is not None)}
    return [None if text is None else spelled.get(alike(text), text) for text in texts]


def _several(table: Table, columns: Sequence[str], cells: list[Any], data: DataRecipe) -> list[_Label]:
    try:
        if len(columns) > 1:
            matrix = code_label_columns({name: table.read(name) for name in columns}, table.origin)
            names: Sequence[str] = columns
        else:
            filled = [[] if is_missing(cell) else cell for cell in label_values(table, columns[0])]
            known: dict[str, Any] = {"names": data.labels or None, "carried": table.classes.get(columns[0])}
            known |= {"numbered": True, "rename": bool(data.labels)}  # a part may have only the labels 0 and 1
            matrix, names = code_label_lists(filled, table.origin, separator=data.label_separator, **known)
    except UserError:  # Inspection.refusals has its message
        return [None] * len(cells)
    rows = ((cell, flags) for cell, flags in zip(cells, matrix, strict=True))
    return [
        None if is_missing(cell) else tuple(names[k] for k in np.flatnonzero(flags).tolist()) for cell, flags in rows
    ]


def _text_of(cell: Any) -> str:
    return str(cell).lower() if isinstance(cell, bool) else plain_text(cell).strip()


def _counted(labels: Sequence[_Label]) -> Counter[str]:
    several = ((label,) if isinstance(label, str) else label for label in labels if label is not None)
    return Counter(name for names in several for name in names)


def _several_labels(table: Table, data: DataRecipe) -> list[str]:
    """A note on the first row with several labels, if the recipe's task allows only one."""
    columns = () if data.several else find_label_columns(table, data)
    clause = row_of_several(label_values(table, columns[0])) if columns else None
    return [f"{table.origin}: {clause}"] if clause else []


def _with_notes_on_labels(part: PartInspection, table: Table, data: DataRecipe) -> PartInspection:
    """``part`` with a note if its class names seem to be several labels each, or other columns hold further labels."""
    columns = find_label_columns(table, data)
    if len(columns) == 1 and not data.several and (note := numbered_columns_note(table, columns[0])):
        part = replace(part, notes=(*part.notes, note))
    if len(columns) != 1 or data.label_separator is not None:
        return part
    separator = separator_of(label_values(table, columns[0]), None, data.labels) if data.several else None
    note = separator_note(columns[0], separator, tuple(part.labels), several=data.several)
    return replace(part, notes=(*part.notes, f"{table.origin}: {note}")) if note else part


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
