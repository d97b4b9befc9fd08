"""What a sample submission asks for: labels in one of their spellings, or the probabilities of classes."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from featherweight.data.label_column import are_whole
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.inference.submission.layout import Layout
from featherweight.inference.submission.sample import Sample
from featherweight.inference.submission.trained_labels import TrainedLabels

_POSITIVE = (("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("neg", "pos"), ("negative", "positive"))
"""Pairs of classes of which everybody takes the second for the positive one."""


def layout_like(sample: Sample, trained: TrainedLabels) -> tuple[Layout, list[str]]:
    """The layout of ``sample`` for a classifier's classes, and notes on what could be read in two ways.

    One further column holds labels, or fractions for the probability of the positive one of two classes; several hold
    the probabilities of the classes that they are called by. Raises UserError, with row or column, for anything else.
    """
    if len(sample.other_columns) > 1:
        return _probabilities(sample, trained, _classes_of_columns(sample, trained)), []
    column = sample.other_columns[0]
    filled = {text: row for text, row in sample.values[column].items() if text}
    named = filled.keys() <= {*trained.written} or filled.keys() <= {*trained.classes}
    if not named and any(_is_fraction(text) for text in filled):
        number = _positive_class(sample, column, trained)
        note = f"{sample.origin}: {column!r} holds fractions, so it gets the probability of {trained.written[number]!r}"
        return _probabilities(sample, trained, {column: number}), [note]
    values, notes = _spelling(sample, column, filled, trained)
    return Layout(sample.names, sample.id_column, values), notes


def _probabilities(sample: Sample, trained: TrainedLabels, shares: Mapping[str, int]) -> Layout:
    for name in shares:
        for text, row in sample.values[name].items():
            if text and not (_number(text) is not None and 0 <= float(text) <= 1):
                raise UserError(
                    f"{sample.origin}: row {row}: {name!r} holds {_shown(text)}, which is no probability; "
                    f"{_too_many(sample, trained)}"
                )
    return Layout(sample.names, sample.id_column, shares=shares)


def _too_many(sample: Sample, trained: TrainedLabels) -> str:
    if len(sample.other_columns) > 1:
        return "one column a class means probabilities"
    return "its other values are fractions, so they are no classes"


def _spelling(
    sample: Sample, column: str, filled: Mapping[str, int], trained: TrainedLabels
) -> tuple[tuple[str, ...], list[str]]:
    """What is written for each class, in the spelling of the sample's values."""
    if not filled:
        return trained.written, [f"{sample.origin}: {column!r} is empty; labels are written as in the training data"]
    for values in (trained.written, trained.classes, *_more_spellings(filled, trained)):
        if filled.keys() <= {*values}:
            return values, _note_on_points(sample, column, filled)
    if trained.are_whole and len(filled) == 1 and are_whole([*filled]):
        only = next(iter(filled))
        note = f"{sample.origin}: {column!r} is {only} throughout, which is no class and taken for a placeholder"
        return trained.written, [f"{note}; labels are written as in the training data"]
    unknown = next(text for text in filled if text not in _nearest_spelling(filled, trained))
    near = difflib.get_close_matches(unknown, trained.written, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the classes are {listed(trained.written)}"
    raise UserError(f"{sample.origin}: row {filled[unknown]}: {_shown(unknown)} in {column!r} is no class; {hint}")


def _more_spellings(filled: Mapping[str, int], trained: TrainedLabels) -> Iterable[tuple[str, ...]]:
    """Other ways to write the classes that the ``filled`` cells may follow."""
    if trained.are_whole:
        whole = tuple(int(float(text)) for text in trained.written)
        point = any("." in text for text in filled)
        yield tuple(f"{number}.0" if point else str(number) for number in whole)
        return
    if {text.casefold() for text in trained.written} == {"false", "true"}:
        for styled in (str.lower, str.capitalize, str.upper):
            yield tuple(styled(text) for text in trained.written)
    if not are_whole(trained.classes):
        yield trained.numbers


def _nearest_spelling(filled: Mapping[str, int], trained: TrainedLabels) -> tuple[str, ...]:
    """The spelling that most of the values follow: the message then names one that does not."""
    spellings = [trained.written, trained.classes, *_more_spellings(filled, trained)]
    return max(spellings, key=lambda values: len(filled.keys() & {*values}))


def _note_on_points(sample: Sample, column: str, filled: Iterable[str]) -> list[str]:
    text = next((text for text in filled if "." in text and are_whole([text])), None)
    if text is None:
        return []
    return [f"{sample.origin}: values such as {text} in {column!r} are taken for classes, not for probabilities"]


def _positive_class(sample: Sample, column: str, trained: TrainedLabels) -> int:
    """Which class a single column of fractions gives the probability of."""
    text, row = next((text, row) for text, row in sample.values[column].items() if _is_fraction(text))
    place = f"{sample.origin}: row {row}: {column!r} holds {_shown(text)}, a probability"
    if len(trained.classes) > 2:
        raise UserError(f"{place}, but there are {len(trained.classes)} classes; name a sample with a column for each")
    for names in (trained.written, trained.classes):
        folded = [_folded(name) for name in names]
        if folded.count(_folded(column)) == 1:
            return folded.index(_folded(column))
    if trained.are_whole:
        return max((0, 1), key=lambda number: float(trained.written[number]))
    for names in (trained.written, trained.classes):
        pair = tuple(name.casefold() for name in names)
        if tuple(sorted(pair)) in {tuple(sorted(known)) for known in _POSITIVE}:
            return next(pair.index(positive) for _, positive in _POSITIVE if positive in pair)
    raise UserError(
        f"{place}, but of which class?\nName a sample whose column is called like the class, or with a column for "
        f"each of {listed(trained.written)}"
    )


def _classes_of_columns(sample: Sample, trained: TrainedLabels) -> dict[str, int]:
    """The class that each further column is called by."""
    columns = sample.other_columns
    spellings = [trained.written, trained.classes]
    if not are_whole(trained.written) and not are_whole(trained.classes):
        spellings.append(trained.numbers)
    ways: list[Callable[[Sequence[str]], list[str]]] = [list, _folded_all, _without_common_start]
    for way in ways:
        for names in spellings:
            wanted = list(names) if way is list else _folded_all(names)
            called = way(columns)
            if len({*wanted}) == len(wanted) == len(called) and sorted(wanted) == sorted(called):
                return {column: wanted.index(name) for column, name in zip(columns, called, strict=True)}
    raise UserError(f"{sample.origin}: {_what_differs(columns, trained)}")


def _what_differs(columns: Sequence[str], trained: TrainedLabels) -> str:
    known = {*_folded_all(trained.written), *_folded_all(trained.classes)}
    remedy = "beside the ids a sample has one column of labels, or one column a class"
    if unknown := next((name for name in columns if _folded(name) not in known), None):
        near = difflib.get_close_matches(unknown, trained.written, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the classes are {listed(trained.written)}"
        return f"column {_shown(unknown)} is no class; {hint}\n{remedy.capitalize()}"
    called = {*_folded_all(columns)}
    missing = [
        shown
        for shown, name in zip(trained.written, trained.classes, strict=True)
        if not called & {_folded(shown), _folded(name)}
    ]
    if not missing:
        return f"two columns are called by the same class\n{remedy.capitalize()}"
    return f"there is no column for the class {_shown(missing[0])}\n{remedy.capitalize()}"


def _without_common_start(names: Sequence[str]) -> list[str]:
    """Names without the words that all of them begin with, such as ``p_``."""
    parts = [name.split("_") for name in _folded_all(names)]
    alike = itertools.takewhile(lambda words: len({*words}) == 1, zip(*parts, strict=False))
    common = len([*alike])
    return ["_".join(words[common:]) for words in parts]


def _folded_all(names: Sequence[str]) -> list[str]:
    return [_folded(name) for name in names]


def _folded(name: str) -> str:
    return re.sub(r"[\s_/.]+", "_", name.strip()).casefold()


def _is_fraction(text: str) -> bool:
    number = _number(text)
    return number is not None and not number.is_integer()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _shown(text: str) -> str:
    return repr(in_a_line(text[:80]))
