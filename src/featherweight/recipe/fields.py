"""Types of recipe keys, and the functions that check or convert a value where a type is not enough."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict

# Strict: `rank = true` or `epochs = "3"` is a mistake in the recipe, and is reported instead of converted.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Switch = Annotated[bool, Strict()]
Text = Annotated[str, Field(min_length=1)]

MAX_COUNT = 1_000_000_000
"""Upper limit of counts of rows, steps and tokens. A larger number is a typing mistake that would only fail later."""


def not_blank(text: str) -> str:
    """Return ``text``; raises ValueError if it consists of blanks only."""
    if text.isspace():
        raise ValueError("must not be blank; name a file or a data set")
    return text


def blank_as_empty(text: str | None) -> str | None:
    """Return ``text``, or an empty text if it consists of blanks only; None stays None."""
    return text if text is None or text.strip() else ""


Source = Annotated[Text, AfterValidator(not_blank)]


def fraction_or_whole(size: float) -> float:
    """Return ``size``; raises ValueError for a number above 1 that is not whole, such as 1.5."""
    if size > 1 and not float(size).is_integer():
        raise ValueError("must be a fraction below 1 or a whole number")
    return size


FractionOrCount = Annotated[Number, AfterValidator(fraction_or_whole)]


class ListWanted(ValueError):
    """A text was given where a list is needed; ``written`` is the list in TOML, such as ``["a", "b"]``."""

    def __init__(self, written: str, wanted: str = "must be a list") -> None:
        super().__init__(f"{wanted}; write {written}")
        self.written, self.wanted = written, wanted


def names(value: Any) -> Any:
    """Return ``value``, but a text with a single name as a list of one item.

    Raises ListWanted for a text with several names, such as "a, b".
    """
    if not isinstance(value, str):
        return value
    if not value.startswith("[") and "," not in value:
        return [value]
    # An unquoted ["a", "b"] reaches the program as [a, b]: the shell takes the quotes away.
    listed = ", ".join(f'"{name.strip()}"' for name in value.strip("[] ").split(","))
    raise ListWanted(f"[{listed}]")


Listed = BeforeValidator(names)
"""For a list of names: a single name is a list of one."""


def not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``values``; raises ValueError if they are empty."""
    # Not Field(min_length=1): for a list whose only entry is misspelt, pydantic would report an empty list as well.
    if not values:
        raise ValueError("must not be empty; name at least one")
    return values


def unique(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``values``; raises ValueError if one of them is listed twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} is listed twice; remove one")
        seen.add(value)
    return values


Unique = AfterValidator(unique)


def at_least_two_classes(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``labels``; raises ValueError for a single class. If there are none, they are read from the data."""
    if len(labels) == 1:
        raise ValueError(f"{labels[0]!r} is the only class; name at least two, or leave the key out")
    return labels


def known_encoding(name: str | None) -> str | None:
    """Return ``name``; raises ValueError if Python has no text encoding of this name. None is allowed."""
    try:
        b"".decode(name or "utf-8")
    except (LookupError, ValueError):
        raise ValueError(
            f"{name!r} is not an encoding that Python knows; write one such as cp1252, utf-16, gb18030 or shift_jis"
        ) from None
    return name


def one_character(separator: str | None) -> str | None:
    """Return ``separator``; raises ValueError unless it is None or one character that can separate fields.

    Not allowed are a double quote, a space, a line break and NUL.
    """
    if separator is not None and (len(separator) != 1 or separator in '"\n\r\0 '):
        raise ValueError(f'{separator!r} cannot separate fields; write one character, such as ";", "|" or "\\t"')
    return separator


def several_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``names``; raises ValueError if there are fewer than two."""
    if len(names) < 2:
        raise ValueError(
            "must be a list of at least two columns, one per label; write a single column as a text: label = 'NAME'"
        )
    return names


def weights_in_brackets(value: Any) -> Any:
    """Return ``value``; raises ListWanted for numbers without brackets, such as "1, 2", and ValueError for a table."""
    if isinstance(value, str) and re.fullmatch(r"[\d.eE+\-\s]+([,;][\d.eE+\-\s]+)+", value):
        listed = ", ".join(number.strip() for number in re.split("[,;]", value))
        raise ListWanted(f"[{listed}]", "must be none, balanced or a list")
    if isinstance(value, dict):
        raise ValueError("must be none, balanced or a list of numbers in the order of the classes, such as [1, 2.5]")
    return value


def list_of_tables(value: Any) -> Any:
    """Return ``value``, but a single table ``[adapter.lora]`` as a list of one, as if written ``[[adapter.lora]]``.

    Raises ValueError for a number, because its rank is a key of the table.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"must be auto or tables of keys; for LoRA of rank {value} set adapter.lora.rank={value}")
    return [value] if isinstance(value, dict) else value


def word_or_list(value: Any) -> str:
    """The pydantic tag of a value that may be a text or a list: ``union:word`` for a text, else ``union:list``.

    Pydantic then validates only the type that has this tag, so that an error is about that type alone.
    """
    return "union:word" if isinstance(value, str) else "union:list"


def list_or_word(value: Any) -> str:
    """The same tag as ``word_or_list``, but ``union:list`` for a list or tuple, and ``union:word`` for all else."""
    return "union:list" if isinstance(value, list | tuple) else "union:word"


def name_or_number(value: Any) -> str:
    """The pydantic tag of a value that may be a name or a number: ``union:name`` for a text, else ``union:number``."""
    return "union:name" if isinstance(value, str) else "union:number"


class Section(BaseModel):
    """Base of all recipe sections: unknown keys are refused, and a validated section is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
