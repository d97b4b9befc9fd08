"""Converts labels to class numbers, and finds the names of the classes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featherweight.data.label_spelling import WHOLE, alike, by_spelling, class_names, meant_name, numbers_for_booleans
from featherweight.data.readers.table import is_blank
from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.hints import option, to_set

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?\d+(?:,\d+)?", re.ASCII)
"""A number with a decimal comma, or a whole one."""
_ROW = re.compile(r"(?<=: row )\d+")
_HARMFUL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
NO_NAMES = frozenset({"nan", "null", "<na>", "n/a", "na", "#n/a", "?", "-"})
"""Texts that mean a missing label rather than a class, in lower case."""
_KEY = "the recipe's data.labels"
_FEW = 12  # maximum number of classes that a message lists to be typed


class UnknownLabel(UserError):
    """A label is none of the classes. The message is the ``problem``, and on a second line the ``remedy``."""

    def __init__(
        self,
        problem: str,
        remedy: str = "Correct the label, remove the rows with it, or add rows with it to the training data",
    ) -> None:
        super().__init__(f"{problem}\n{remedy}")
        self.problem, self.remedy = problem, remedy


def drop_remedy() -> str:
    """The end of error messages about rows without a text or a label."""
    return f"leave such rows out: {to_set('data.empty=drop')}"


def code_labels(
    values: Sequence[Any],
    origin: str,
    *,
    carried: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    numbered: bool = False,
    rename: bool = False,
    of_lists: bool = False,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The class number of each row (int64), and the class names in the order of their numbers.

    ``values`` are the labels: texts (which are trimmed), whole numbers or booleans. Spellings that differ only in
    format (``label_spelling.alike``) are one class. Raises UserError, naming the row, for a missing, fractional or
    unknown label.

    ``carried``: the class names that the data set itself stores for its class numbers.
    ``names``: the classes to use, if they are already known, from the recipe or from the training data.
    ``numbered``: whether the number n in the data means ``names[n]``, because the user listed the names in this order.
    ``rename``: whether ``names`` are new names for ``carried``, in the same order.
    ``of_lists``: whether each row had a list of labels. A row without a label has an empty list there, and not -1.
    """
    import numpy as np

    if not values:
        raise UserError(f"{origin}: the data set is empty; it needs at least one row")
    if not names:
        _require_no_fractions(values, origin)
    plain = _plain(values, origin)
    wanted = tuple(names) if names else None
    if carried:
        _require_distinct(carried, origin)
    if carried and not isinstance(plain[0], str):
        _require_in_range(plain, len(carried), origin, gaps=not of_lists)
        if wanted is None or (rename and _renames(carried, wanted)):
            return np.array(plain, np.int64), wanted or tuple(carried)
        plain = [carried[number] for number in plain]
    if wanted is None:
        _require_classes(plain, origin)
        wanted = class_names(plain)
    if not isinstance(plain[0], str) and not _are_names(plain, wanted, numbered):
        _require_numbered(wanted, origin, numbered)
        # -1 may be a class, unless all classes have numbers beside it.
        _require_in_range(plain, len(wanted), origin, gaps=not of_lists and {*plain} == {-1, *range(len(wanted))})
        return np.array(plain, np.int64), wanted
    return _looked_up(list(map(str, plain)), wanted, origin), wanted


def renumbered(error: UserError, places: NDArray[np.int64]) -> UserError:
    """``error``, about a selection of rows, with the row number (``: row 3``) that the row has in the data.

    ``places`` are the indices in the data, from 0, of the selected rows.
    """

    def in_the_data(message: str) -> str:
        return _ROW.sub(lambda number: str(int(places[int(number[0]) - 1]) + 1), message, count=1)

    if isinstance(error, UnknownLabel):
        return UnknownLabel(in_the_data(error.problem), error.remedy)
    return UserError(in_the_data(str(error)))


def is_missing(value: Any) -> bool:
    """Whether ``value`` is a missing label: None, NaN or an empty text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def unlikely_names(labels: Iterable[str]) -> frozenset[str]:
    """The texts among ``labels`` that mean a missing label rather than a class, such as ``nan`` and ``-``.

    A minus is a class if a plus is one, too, and ``NA`` if most classes have two letters, as the codes of countries.
    """
    found = set(labels)
    codes = sum(len(text) == 2 and text.isalpha() for text in found if text.casefold() != "na")
    classes = {"-": "+" in found, "na": codes > len(found) / 2}
    return frozenset(text for text in found if text.casefold() in NO_NAMES and not classes.get(text.casefold()))


def _plain(values: Sequence[Any], origin: str) -> list[Any]:
    """The values as integers if all of them are whole numbers, else all values as trimmed texts."""
    plain = [_plain_value(value, origin, row) for row, value in enumerate(values, 1)]
    if all(isinstance(value, int) for value in plain):
        return plain
    texts = list(map(str, plain))
    whole = [WHOLE.fullmatch(text) for text in texts]
    return [int(match[1]) for match in whole if match] if all(whole) else texts


def _require_no_fractions(values: Sequence[Any], origin: str) -> None:
    """Raise UserError if a label is a number such as 3.75, which is an amount unless the recipe lists it as a class."""
    broken = (row for row, value in enumerate(values) if isinstance(value, float) and value == value)
    place = next((row for row in broken if not values[row].is_integer()), None)
    if place is None:
        return
    found = dict.fromkeys(str(value) for value in values if not is_missing(value))
    raise UserError(
        f"{origin}: row {place + 1}: label {values[place]} is not a whole number; labels are classes, not amounts\n"
        f"Replace the amounts by classes, such as low and high; if these are names, such as versions or half stars, "
        f"{_how_to_list(list(found))}"
    )


def _plain_value(value: Any, origin: str, row: int) -> int | str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == value:
        return int(value) if value.is_integer() else str(value)
    if isinstance(value, int):
        return value
    if is_missing(value):
        raise UserError(f"{origin}: row {row}: the label is missing\nFill it in, or {drop_remedy()}")
    if isinstance(value, Mapping):
        keys = f"; choose one of its keys, such as data.label = 'label.{next(iter(value))}'" if value else ""
        raise UserError(f"{origin}: row {row}: the label is a dict ({listed(list(map(str, value)))}){keys}")
    if not isinstance(value, str):
        if _is_span(value) or (isinstance(value, list | tuple) and any(map(_is_span, value))):
            raise UserError(
                f"{origin}: row {row}: the label marks a part of the text, but a classifier has labels of whole texts\n"
                f"Export one label per text, or name another column with {option('label')}"
            )
        kind = type(value).__name__
        raise UserError(f"{origin}: row {row}: the label is a {kind}; it must be a text or a whole number")
    return value.strip()


def _is_span(value: Any) -> bool:
    """Whether a value marks a part of a text: its start, its end and a label, as doccano exports it."""
    start_end_label = (int, int, str)
    return isinstance(value, list | tuple) and tuple(map(type, value)) == start_end_label


def _require_classes(plain: Sequence[Any], origin: str) -> None:
    """Raise UserError if a label looks like an amount (3.75), a missing value (n/a) or a text in a wrong encoding.

    This check is only made if neither the recipe nor the data lists the classes.
    """
    found = [text for text in dict.fromkeys(plain) if isinstance(text, str)]
    if fraction := _fraction(found):
        several = to_set("task=multi-label", 'data.label_separator=","')
        more = f"; if a cell is a list of labels, add {several}" if "," in fraction else ""
        raise UserError(
            f"{origin}: row {plain.index(fraction) + 1}: label {fraction} is not a whole number; labels are classes, "
            f"not amounts\nIf these are names, such as versions or half stars, {_how_to_list(found)}{more}"
        )
    unlikely = unlikely_names(found)
    for text in found:
        if text in unlikely:
            raise UserError(
                f"{origin}: row {plain.index(text) + 1}: the label is missing ({text})\n"
                f"Fill it in, or {drop_remedy()}; if it is a class, {_how_to_list(found)}"
            )
        if is_blank(text) or _HARMFUL.search(text):
            row = plain.index(text) + 1
            raise UserError(
                f"{origin}: row {row}: label {text!r} contains an invisible, control or damaged character\n"
                "Correct the file"
            )


def _fraction(found: Sequence[str]) -> str | None:
    """The first of the labels ``found`` that is no whole number, if all are numbers; None if one is not."""
    if all(map(_NUMBER.fullmatch, found)):
        return next((text for text in found if "." in text and not WHOLE.fullmatch(text)), None)
    if all(map(_WITH_COMMA.fullmatch, found)):
        return next((text for text in found if text.partition(",")[2].strip("0")), None)
    return None


def _how_to_list(found: Sequence[str]) -> str:
    """The end of a message: ``list all of them``, with the option that lists the labels ``found`` if they are few."""
    how = _option_of(sorted(found))
    return f"list all of them as {how}" if how == _KEY else f"list all of them: {how}"


def _option_of(names: Sequence[str]) -> str:
    """The option that sets the classes to ``names`` in this order, or the name of its key if that would be long."""
    if len(names) > _FEW or any("'" in name for name in names):
        return _KEY
    return to_set(f"data.labels={json.dumps(list(names), ensure_ascii=False)}")


def _require_distinct(carried: Sequence[str], origin: str) -> None:
    if len(set(carried)) < len(carried) or not all(name.strip() for name in carried):
        raise UserError(f"{origin}: its list of classes ({listed(carried)}) has a duplicate or an empty name; fix it")


def _renames(carried: Sequence[str], wanted: Sequence[str]) -> bool:
    # Names are matched by number, unless a common name has two different numbers: then they are matched by name.
    shared = [name for name in carried if name in wanted]
    return len(carried) == len(wanted) and all(carried.index(name) == wanted.index(name) for name in shared)


def _require_numbered(wanted: Sequence[str], origin: str, numbered: bool) -> None:
    if all(map(str.isdecimal, wanted)):
        raise UserError(
            f"{origin}: its labels are numbers without the leading zeros of the classes ({listed(wanted)})\n"
            "Write the labels with these zeros in all files; pandas keeps them with read_csv(..., dtype=str)"
        )
    # Sorted names were probably collected from label texts, so the number of each class is not known.
    if not numbered and len(wanted) > 1 and list(wanted) == sorted(wanted):
        raise UserError(
            f"{origin}: its labels are numbers, and nothing says which class ({listed(wanted)}) each of them means\n"
            "Write the names in the file, or train with the classes in the order of their numbers, from 0: "
            f"{_option_of(wanted)}"
        )


def _require_in_range(numbers: Sequence[int], classes: int, origin: str, *, gaps: bool) -> None:
    """Raise UserError if a number is that of no class; ``gaps``: whether -1 probably means no label."""
    for row, number in enumerate(numbers, 1):
        if number == -1 and gaps:  # as in SNLI, for rows on which the annotators did not agree
            raise UserError(
                f"{origin}: row {row}: the label is -1, but the classes are numbered 0 to {classes - 1}\n"
                f"If -1 means no label, fill it in, or {drop_remedy()}"
            )
        if not 0 <= number < classes:
            raise UserError(
                f"{origin}: row {row}: unknown label {number}; the classes are numbered 0 to {classes - 1}: "
                "correct the label, or the list of classes"
            )


def _are_names(numbers: Sequence[int], wanted: Sequence[str], numbered: bool) -> bool:
    """Whether the ``numbers`` in the data are names of the classes ``wanted`` (such as 1 to 5 stars), not indices.

    0 and 1 are also names of the classes false and true, unless the classes are ``numbered``: then they are indices.
    """
    if all(WHOLE.fullmatch(name) for name in wanted):
        return True
    known = by_spelling(wanted) | ({} if numbered else numbers_for_booleans(wanted))
    return all(str(number) in known for number in set(numbers))


def _looked_up(texts: Sequence[str], wanted: Sequence[str], origin: str) -> NDArray[np.int64]:
    import numpy as np

    known = numbers_for_booleans(wanted) | by_spelling(wanted)
    numbers = {text: known.get(text, known.get(alike(text))) for text in dict.fromkeys(texts)}
    unknown = [text for text, number in numbers.items() if number is None]
    if not unknown:
        return np.array([numbers[text] for text in texts], np.int64)
    text, *others = unknown
    near = meant_name(text, wanted)
    more = f" (also {listed(list(map(repr, others)), _FEW)})" if others else ""
    problem = f"{origin}: row {texts.index(text) + 1}: unknown label {text!r}{more}"
    if near:
        raise UserError(f"{problem}; did you mean {near!r}?")
    raise UnknownLabel(f"{problem}; the classes are {listed(wanted)}")
