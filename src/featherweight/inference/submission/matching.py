"""Finds out what a sample submission asks for: class labels (and how they are spelled) or class probabilities."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from featherweight.data.label_column import are_whole
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.hints import flag
from featherweight.inference.submission.layout import Layout
from featherweight.inference.submission.positive_class import folded_name, positive_class, require_positive_class
from featherweight.inference.submission.sample import Sample
from featherweight.inference.submission.spelling import close_name, spelling_of
from featherweight.inference.submission.trained_labels import TrainedLabels


def layout_like(sample: Sample, trained: TrainedLabels, as_probabilities: bool = False) -> tuple[Layout, list[str]]:
    """The layout of the submission that ``sample`` asks for, and notes for the user about ambiguous parts.

    - One column besides the ids gets labels. If it contains fractions in the sample, or ``as_probabilities`` is set, it
      gets the probability of the positive class; then there must be two classes.
    - Several columns besides the ids are named after the classes. Each gets the probability of its class.

    Raises UserError, naming row or column, if the sample fits neither case.
    """
    if len(sample.other_columns) > 1:
        shares, notes = classes_of_columns(sample, trained)
        return probabilities_like(sample, shares, "one column per class means probabilities: correct the sample"), notes
    column = sample.other_columns[0]
    if problem := _reason_for_probabilities(sample, column, trained, as_probabilities):
        number = require_positive_class(column, trained, problem)
        means = "contains fractions, so it gets"
        why = "its other values are fractions, so they cannot be classes: correct the sample"
        if as_probabilities:
            means, why = "gets", f"leave out {flag('--as-probabilities')} for a sample of labels"
        note = f"{sample.origin}: {column!r} {means} the probability of {trained.written[number]!r}"
        return probabilities_like(sample, {column: number}, why), [in_a_line(note)]
    values, notes = spelling_of(sample, column, trained)
    notes += _note_on_probabilities(sample, column, trained)
    return Layout(sample.names, sample.id_column, values), notes


def _reason_for_probabilities(sample: Sample, column: str, trained: TrainedLabels, asked: bool) -> str:
    """Why ``column`` must get probabilities, as the start of an error message; empty if it gets labels.

    Callers refuse such a column if it cannot get probabilities. An example of the start is "sample.csv: row 1:
    'target' is '0.5', a probability".
    ``asked`` is whether the user passed --as-probabilities. Raises UserError for a number that is neither a class nor
    a probability.
    """
    if asked:
        return f"{sample.origin}: {flag('--as-probabilities')}: {column!r} is for the probability of one class"
    filled = {text: row for text, row in sample.values[column].items() if text}
    if filled.keys() <= {*trained.written} or filled.keys() <= {*trained.classes}:
        return ""
    fractions = [text for text in filled if _is_fraction(text)]
    for text in fractions:
        if not 0 < float(text) < 1:
            raise UserError(
                f"{sample.origin}: row {filled[text]}: {column!r} is {_shown(text)}, which is neither a class nor "
                f"a probability; the classes are {listed(trained.written)}: correct the sample"
            )
    if not fractions:
        return ""
    return f"{sample.origin}: row {filled[fractions[0]]}: {column!r} is {_shown(fractions[0])}, a probability"


def _note_on_probabilities(sample: Sample, column: str, trained: TrainedLabels) -> list[str]:
    """A list with a note on how to get probabilities, if it is unclear whether ``column`` is for them; else empty.

    It is unclear if there are two classes, and all cells are empty or have the same number from 0 to 1.
    """
    only = next(iter(sample.values[column]))
    number = _number(only or "0")
    if len(trained.classes) != 2 or len(sample.values[column]) > 1 or number is None or not 0 <= number <= 1:
        return []
    positive = positive_class(column, trained)
    how = "for probabilities use a sample whose column is named after the class, or which has one column per class"
    if positive is not None:
        how = f"{flag('--as-probabilities')} writes the probability of {trained.written[positive]!r}"
    return [f"{sample.origin}: {column!r} is {only or 'empty'} in all rows, so it gets labels; {how}"]


def probabilities_like(sample: Sample, shares: Mapping[str, int], why: str) -> Layout:
    """A layout in which each column of ``shares`` (column name: class number) gets the probability of its class.

    Raises UserError, which ends with ``why``, if such a column of ``sample`` has a value that is no probability.
    """
    for name in shares:
        for text, row in sample.values[name].items():
            if text and not (_number(text) is not None and 0 <= float(text) <= 1):
                raise UserError(
                    f"{sample.origin}: row {row}: {name!r} is {_shown(text)}, which is not a probability; {why}"
                )
    return Layout(sample.names, sample.id_column, shares=shares)


def fractions_in(sample: Sample, columns: Iterable[str]) -> bool:
    """Whether any of these ``columns`` of ``sample`` contains a number with a fraction, such as 0.5."""
    return any(_is_fraction(text) for name in columns for text in sample.values[name])


def classes_of_columns(sample: Sample, trained: TrainedLabels) -> tuple[dict[str, int], list[str]]:
    """{column name: class number} for all columns of ``sample`` except the ids, and notes for the user.

    Columns are named after the classes. Raises UserError if a column or a class has no counterpart.
    """
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
        note = f"columns {listed(ordered)} are read as the classes {listed(trained.written)}, in this order"
        return counted, [f"{sample.origin}: {note}"]
    raise UserError(f"{sample.origin}: {_what_differs(columns, trained)}")


def _counted_columns(columns: Sequence[str], trained: TrainedLabels) -> dict[str, int] | None:
    """{column name: class number} for columns that are numbered from 0 although the classes are other whole numbers.

    Columns 0, 1, 2 are then the classes 1, 2, 3, for example. None for all other columns.
    """
    ascending = trained.are_whole and sorted(trained.written, key=float) == [*trained.written]
    for called in (_folded_all(columns), _without_common_start(columns)):
        if ascending and len(columns) == len(trained.numbers) and {*called} == {*trained.numbers}:
            return {column: int(name) for column, name in zip(columns, called, strict=True)}
    return None


def _what_differs(columns: Sequence[str], trained: TrainedLabels) -> str:
    known = {*_folded_all(trained.written), *_folded_all(trained.classes)}
    remedy = "besides the ids, a sample has one column of labels, or one column per class"
    if unknown := next((name for name in columns if folded_name(name) not in known), None):
        near = close_name(unknown, trained)
        hint = f"the classes are {listed(trained.written)}\n{remedy.capitalize()}"
        return f"column {_shown(unknown)} is not a class; {f'did you mean {near!r}?' if near else hint}"
    called = {*_folded_all(columns)}
    missing = [
        shown
        for shown, name in zip(trained.written, trained.classes, strict=True)
        if not called & {folded_name(shown), folded_name(name)}
    ]
    if not missing:
        return f"two columns are named after the same class\n{remedy.capitalize()}"
    return f"there is no column for the class {_shown(missing[0])}\n{remedy.capitalize()}"


def _without_common_start(names: Sequence[str]) -> list[str]:
    """The names in lower case without the first words that all of them share: p_cat, p_dog give cat, dog."""
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
