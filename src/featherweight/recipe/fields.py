"""What the fields of a recipe are made of: strict types, and checks that a type alone cannot say."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

# Strict, because a recipe that says `rank = true` or `epochs = "3"` is a slip to be shown, not to be guessed at.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Switch = Annotated[bool, Strict()]
Text = Annotated[str, Field(min_length=1)]

MOST = 1_000_000_000
"""No count of rows, steps or tokens is larger; a larger one is a slip of the finger, and would only fail later."""


def not_blank(text: str) -> str:
    """``text``; raises ValueError where it is nothing but blanks."""
    if text.isspace():
        raise ValueError("must not be blank; name a file or a data set")
    return text


def blank_as_empty(text: str | None) -> str | None:
    """``text``; the empty text where it is nothing but blanks."""
    return text if text is None or text.strip() else ""


Source = Annotated[Text, AfterValidator(not_blank)]


def whole_from_one_on(size: float) -> float:
    """``size``, a fraction below 1 or a count from 1 on; raises ValueError where it is a count and not whole."""
    if size > 1 and not float(size).is_integer():
        raise ValueError("must be a fraction below 1 or a whole number")
    return size


FractionOrCount = Annotated[Number, AfterValidator(whole_from_one_on)]


def one_at_least(values: tuple[str, ...]) -> tuple[str, ...]:
    """``values``; raises ValueError where there is none."""
    # Not as Field(min_length=1): pydantic would report a misspelt only entry as an empty list besides.
    if not values:
        raise ValueError("must not be empty; name at least one")
    return values


def each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    """``values``; raises ValueError where one of them is there twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} is there twice; keep one")
        seen.add(value)
    return values


def two_classes_at_least(labels: tuple[str, ...]) -> tuple[str, ...]:
    """``labels``, none or several; raises ValueError where there is a single one."""
    if len(labels) == 1:
        raise ValueError(f"{labels[0]!r} is the only class; name at least two, or leave the key out")
    return labels


def one_table_is_a_list(value: Any) -> Any:
    """A table, ``[adapter.lora]``, as the list of one that ``[[adapter.lora]]`` would have made."""
    return [value] if isinstance(value, dict) else value


def words_or_list(value: Any) -> str:
    """Tag of the branch that ``value`` takes in a union of words and a list: messages speak of that branch alone."""
    return "union:words" if isinstance(value, str) else "union:list"


class Section(BaseModel):
    """Base of all recipe sections: unknown keys are refused, and a validated recipe never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
