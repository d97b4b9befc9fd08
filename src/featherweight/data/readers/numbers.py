"""Numbers of JSON and Parquet with all of their digits, which a float may not have: ids, and labels such as 4.5."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_WHOLE = 2**53  # from here on, not every whole number is a float
_SHORT = 16  # characters; a shorter number has no more digits than every float
_LONGEST = 400  # characters; a longer number is beyond all floats, or has digits that nobody needs


def json_number(text: str) -> int | float | str:
    """The number ``text``, which has a point or an exponent, as a float; if that lacks digits, as an int or a text."""
    value = float(text)
    infinite = value - value != 0
    # A number that is 0 or infinite as a float may have an exponent beyond those of Decimal.
    if infinite or not value or len(text) > _LONGEST or (len(text) <= _SHORT and abs(value) < _WHOLE):
        return value
    exact = Decimal(text)
    if abs(value) >= _WHOLE and exact == exact.to_integral_value():
        return int(exact)
    return value if _is(value, exact) else text


def exact_number(value: Decimal) -> int | float | str:
    """``value`` as an int if it is whole, else as a float, or if a float lacks its digits, as a text."""
    if value == value.to_integral_value():
        return int(value)
    return float(value) if _is(float(value), value) else f"{value:f}".rstrip("0")


def without_decimals(value: Any) -> Any:
    """``value`` with ``exact_number`` in the place of each Decimal, also inside lists and objects."""
    if isinstance(value, Decimal):
        return exact_number(value)
    if isinstance(value, list):
        return [without_decimals(item) for item in value]
    return {key: without_decimals(item) for key, item in value.items()} if isinstance(value, dict) else value


def _is(value: float, exact: Decimal) -> bool:
    """Whether ``exact`` is how a float is written: in the shortest way, or as many programs do, with 17 digits."""
    return exact in (Decimal(repr(value)), Decimal(f"{value:.17g}"))
