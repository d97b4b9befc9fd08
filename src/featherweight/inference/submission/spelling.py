"""Finds how a sample submission writes the classes in its label column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from unicodedata import normalize

from featherweight.data.label_column import are_whole
from featherweight.data.label_spelling import meant_name
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.hints import flag, for_command_line
from featherweight.inference.submission.sample import Sample
from featherweight.inference.submission.trained_labels import TrainedLabels, with_points

_STYLES: tuple[Callable[[str], str], ...] = (str.lower, str.capitalize, str.title, str.upper)

Spelling = tuple[tuple[str, ...], list[str]]
"""The value written for each class, in the order of the class numbers, and notes about the choice."""


def spelling_of(sample: Sample, column: str, trained: TrainedLabels) -> Spelling:
    """The text to write for each class, spelled as in ``column`` of the sample, and notes for the user.

    Raises UserError, naming the first row in question, if a value in ``column`` is not a class.
    """
    filled = {text: row for text, row in sample.values[column].items() if text}
    place, as_trained = f"{sample.origin}: {column!r}", f"labels are written as {listed(trained.written)}"
    if not filled:
        return trained.written, [f"{place} is empty; {as_trained}"]
    for values in _spellings(filled, trained):
        if filled.keys() <= {*values}:
            return values, _note_on_points(sample, column, filled)
    for names in (trained.written, trained.classes):
        if styled := _in_style(place, filled, names):
            return styled
    if (only := _placeholder(sample.values[column], trained)) is not None:
        note = f"{place} is {in_a_line(only[:80])} in all rows, which is not a class and is read as a placeholder"
        return trained.written, [f"{note}; {as_trained}"]
    raise _refusal(sample, column, filled, trained)


def close_name(text: str, trained: TrainedLabels) -> str | None:
    """The class name of which ``text`` may be a misspelling, ignoring case; None if there is none."""
    return meant_name(text, (*trained.classes, *trained.written))


def _spellings(filled: Iterable[str], trained: TrainedLabels) -> list[tuple[str, ...]]:
    """The ways in which a sample may write the classes; each is a tuple with one text per class.

    They are the class names, then numbers: the labels of the training data if these are whole numbers, or the class
    numbers from 0 if the class names are no whole numbers. The numbers end in ``.0`` if a text in ``filled`` has
    a point.
    """
    found = [trained.written, trained.classes]
    # Files from macOS often have accents as separate characters (decomposed Unicode).
    found += [tuple(normalize(form, name) for name in names) for form in ("NFC", "NFD") for names in found[:2]]
    point = any("." in text for text in filled)
    if trained.are_whole:
        whole = tuple(str(int(float(text))) for text in trained.written)
        found.append(with_points(whole) if point else whole)
    elif not are_whole(trained.classes):
        found.append(with_points(trained.numbers) if point else trained.numbers)
    return found


def _in_style(place: str, filled: Mapping[str, int], names: Sequence[str]) -> Spelling | None:
    """The ``names`` in upper or lower case as in the sample, and notes; None if a cell is no name, ignoring case.

    ``filled`` has the texts of the cells, each with the first row that contains it. ``place`` (file and column) is the
    start of each note.
    """
    numbers = {name.casefold(): number for number, name in enumerate(names)}
    called = [numbers.get(text.casefold()) for text in filled]
    if None in called or len(numbers) < len(names):
        return None
    if len({*called}) == len(called) == len(names):  # every class occurs, each in one spelling
        return tuple(sorted(filled, key=lambda text: numbers[text.casefold()])), []
    styled = {tuple(style(name) for name in names) for style in _STYLES}
    fitting = [values for values in styled if filled.keys() <= {*values}]
    values = fitting[0] if len(fitting) == 1 else tuple(names)
    text = next(text for text in filled if text not in names)
    return values, [f"{place} writes {in_a_line(text)!r} for a class; labels are written as {listed(values)}"]


def _placeholder(values: Mapping[str, int], trained: TrainedLabels) -> str | None:
    """The value of a column if it is a placeholder, such as "?", which says nothing about the classes; else None.

    ``values`` has the texts of the cells, each with the first row that contains it. A placeholder is the same in all
    rows, and is a whole number or does not resemble a class name.
    """
    only = next(iter(values))
    if len(values) > 1 or (close_name(only, trained) is not None and not are_whole([only])):
        return None
    return only


def _refusal(sample: Sample, column: str, filled: Mapping[str, int], trained: TrainedLabels) -> UserError:
    # The spelling that fits most values, so that the message names a value that does not fit it.
    nearest = max(_spellings(filled, trained), key=lambda values: len(filled.keys() & {*values}))
    unknown = next(text for text in filled if text not in nearest)
    near = close_name(unknown, trained)
    hint = f"did you mean {near!r}?" if near else f"the classes are {listed(trained.written)}"
    remedy = "" if near else "\nCheck that the sample and the training data are from the same contest"
    if filled.keys() <= {*trained.numbers}:
        options = (" " if for_command_line() else ", ").join(map(flag, ("--kaggle", "--as-numbers")))
        remedy = f"\nIf these are class numbers, leave out {flag('--like')}: {options} writes them"
    shown = repr(in_a_line(unknown[:80]))
    return UserError(
        f"{sample.origin}: row {filled[unknown]}: {shown} in {column!r} is not a class; {in_a_line(hint)}{remedy}"
    )


def _note_on_points(sample: Sample, column: str, filled: Iterable[str]) -> list[str]:
    text = next((text for text in filled if "." in text and are_whole([text])), None)
    if text is None:
        return []
    return [f"{sample.origin}: values such as {text} in {column!r} are read as classes, not as probabilities"]
