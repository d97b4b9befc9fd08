"""What a sample submission asks for: labels in one of their spellings, or the probabilities of classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from featherweight.data.label_column import are_whole
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.inference.submission.layout import Layout
from featherweight.inference.submission.positive_class import folded_name, positive_class, require_positive_class
from featherweight.inference.submission.sample import Sample
from featherweight.inference.submission.spelling import close_name, spelling_of
from featherweight.inference.submission.trained_labels import TrainedLabels


def layout_like(sample: Sample, trained: TrainedLabels, as_probabilities: bool = False) -> tuple[Layout, list[str]]:
    """The layout of ``sample`` for a classifier's classes, and notes on what could be read in two ways.

    One further column holds labels, or fractions for the probability of the positive one of two classes, which
    ``as_probabilities`` asks for whatever stands there; several hold the probabilities of the classes that they are
    called by. Raises UserError, with row or column, for anything else.
    """
    if len(sample.other_columns) > 1:
        shares, notes = _classes_of_columns(sample, trained)
        return _probabilities(sample, shares, "one column a class means probabilities"), notes
    column = sample.other_columns[0]
    if place := _asks_for_probabilities(sample, column, trained, as_probabilities):
        number = require_positive_class(column, trained, place)
        means, why = "holds fractions, so it gets", "its other values are fractions, so they are no classes"
        if as_probabilities:
            means, why = "gets", "leave out --as-probabilities for a sample of labels"
        note = f"{sample.origin}: {column!r} {means} the probability of {trained.written[number]!r}"
        return _probabilities(sample, {column: number}, why), [in_a_line(note)]
    values, notes = spelling_of(sample, column, trained)
    notes += _note_on_probabilities(sample, column, trained)
    return Layout(sample.names, sample.id_column, values), notes


def _asks_for_probabilities(sample: Sample, column: str, trained: TrainedLabels, asked: bool) -> str:
    """The start of a message on the probability that a single ``column`` holds; empty where it holds labels."""
    if asked:
        return f"{sample.origin}: --as-probabilities: {column!r} holds the probability of one class"
    filled = {text: row for text, row in sample.values[column].items() if text}
    if filled.keys() <= {*trained.written} or filled.keys() <= {*trained.classes}:
        return ""
    fractions = [text for text in filled if _is_fraction(text)]
    for text in fractions:
        if not 0 < float(text) < 1:
            raise UserError(
                f"{sample.origin}: row {filled[text]}: {column!r} holds {_shown(text)}, which is neither a class nor "
                f"a probability; the classes are {listed(trained.written)}"
            )
    if not fractions:
        return ""
    return f"{sample.origin}: row {filled[fractions[0]]}: {column!r} holds {_shown(fractions[0])}, a probability"


def _note_on_probabilities(sample: Sample, column: str, trained: TrainedLabels) -> list[str]:
    """How to ask for probabilities, where one value throughout may stand for them as well as for a label."""
    only = next(iter(sample.values[column]))
    number = _number(only or "0")
    if len(trained.classes) != 2 or len(sample.values[column]) > 1 or number is None or not 0 <= number <= 1:
        return []
    positive = positive_class(column, trained)
    how = "for probabilities name a sample whose column is called like the class, or with a column a class"
    if positive is not None:
        how = f"--as-probabilities writes the probability of {trained.written[positive]!r}"
    return [f"{sample.origin}: {column!r} is {only or 'empty'} throughout, so it gets labels; {how}"]


def _probabilities(sample: Sample, shares: Mapping[str, int], why: str) -> Layout:
    """The layout with probabilities; ``why`` says in a message what means that there should be some."""
    for name in shares:
        for text, row in sample.values[name].items():
            if text and not (_number(text) is not None and 0 <= float(text) <= 1):
                raise UserError(
                    f"{sample.origin}: row {row}: {name!r} holds {_shown(text)}, which is no probability; {why}"
                )
    return Layout(sample.names, sample.id_column, shares=shares)


def _classes_of_columns(sample: Sample, trained: TrainedLabels) -> tuple[dict[str, int], list[str]]:
    """The class that each further column is called by, and notes on the choice."""
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
                return {column: wanted.index(name) for column, name in zip(columns, called, strict=True)}, []
    if (counted := _counted_columns(columns, trained)) is not None:
        ordered = sorted(counted, key=counted.__getitem__)
        note = f"columns {listed(ordered)} are taken for the classes {listed(trained.written)}, in this order"
        return counted, [f"{sample.origin}: {note}"]
    raise UserError(f"{sample.origin}: {_what_differs(columns, trained)}")


def _counted_columns(columns: Sequence[str], trained: TrainedLabels) -> dict[str, int] | None:
    """The class of each column where they count from 0 as many classes as there are, which are other whole numbers."""
    ascending = trained.are_whole and sorted(trained.written, key=float) == [*trained.written]
    for called in (_folded_all(columns), _without_common_start(columns)):
        if ascending and len(columns) == len(trained.numbers) and {*called} == {*trained.numbers}:
            return {column: int(name) for column, name in zip(columns, called, strict=True)}
    return None


def _what_differs(columns: Sequence[str], trained: TrainedLabels) -> str:
    known = {*_folded_all(trained.written), *_folded_all(trained.classes)}
    remedy = "beside the ids a sample has one column of labels, or one column a class"
    if unknown := next((name for name in columns if folded_name(name) not in known), None):
        near = close_name(unknown, trained)
        hint = f"did you mean {near!r}?" if near else f"the classes are {listed(trained.written)}"
        return f"column {_shown(unknown)} is no class; {hint}\n{remedy.capitalize()}"
    called = {*_folded_all(columns)}
    missing = [
        shown
        for shown, name in zip(trained.written, trained.classes, strict=True)
        if not called & {folded_name(shown), folded_name(name)}
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
    return [folded_name(name) for name in names]


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
