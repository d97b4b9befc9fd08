"""The small notations inside a recipe: counts such as ``100k``, and layers such as ``upper-half`` or ``0,2,8-11``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

Role = Literal["query", "key", "value", "attention_output", "mlp_up", "mlp_down"]
ROLES: tuple[Role, ...] = ("query", "key", "value", "attention_output", "mlp_up", "mlp_down")
Tracker = Literal["tensorboard", "mlflow", "trackio", "wandb"]
TaskName = Literal["single-label", "multi-label"]
PERTURBED = "perturbed:"
"""Prefix of the name of a shift set that is made by perturbing the test set."""
PERTURBATIONS = ("casing", "typos", "headline", "entities")

# Thousands may be grouped by "_" or ","; "1,5" is refused, because it could also mean 1.5.
_COUNT = re.compile(r"(?P<digits>\d{1,3}(?:[,_]\d{3})+|\d+(?:\.\d+)?(?:[eE]\+?\d{1,2})?)\s*(?P<unit>[kKmM]?)", re.ASCII)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_RANGE = re.compile(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", re.ASCII)
_SIDE = re.compile(r"(top|bottom)-(\d{1,6})", re.ASCII)


def one_or_all(names: Iterable[str]) -> str | list[str]:
    """The name itself if there is exactly one, otherwise a list: ["a"] gives "a", and ["a", "b"] gives ["a", "b"].

    Recipes and cells of data are written in this way.
    """
    names = list(names)
    return names[0] if len(names) == 1 else names


def parse_count(value: Any) -> Any:
    """Turn ``"100k"``, ``"1M"``, ``"1_000_000"`` or ``1e6`` into an integer; return other types unchanged.

    Raises ValueError if a text does not stand for a whole number.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    match = _COUNT.fullmatch(value.strip())
    if match is None:
        raise ValueError("must be a count such as 1000000, 100k or 1M")
    count = Decimal(match["digits"].replace(",", "").replace("_", "")) * _UNITS[match["unit"].lower()]
    if count != int(count):
        raise ValueError("must be a whole count such as 1000000, 100k or 1M")
    return int(count)


def layer_numbers(spec: str, layers: int) -> tuple[int, ...]:
    """Layer numbers (0 is the lowest) that ``spec`` names in an encoder of ``layers`` layers, in ascending order.

    ``spec`` is ``all``, ``lower-half``, ``upper-half``, ``top-K``, ``bottom-K``, or numbers and ranges such as ``0-5``
    or ``0,2,8-11``. Raises ValueError for a layer that the encoder does not have, and for any other text.
    """
    named = {"all": range(layers), "lower-half": range(layers // 2), "upper-half": range(layers // 2, layers)}
    if spec in named:
        return tuple(named[spec])
    if side := _SIDE.fullmatch(spec):
        return _layers_at_one_end(spec, side[1], int(side[2]), layers)
    numbers: set[int] = set()
    for first, last in _ranges(spec):
        if last >= layers:
            raise ValueError(f"layers = {spec!r}: the backbone has layers 0 to {layers - 1}; name only these")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def layers_as_text(value: Any) -> Any:
    """Return ``value``, but layer numbers in a list, ``[0, 1]`` or the text ``"[0, 1]"``, as the text ``0,1``."""
    if isinstance(value, str) and (listed := re.fullmatch(r"\s*\[([\d\s,-]+)\]\s*", value)):
        return listed[1].replace(" ", "").strip(",")
    if isinstance(value, list | tuple) and value and all(type(one) is int for one in value):
        return ",".join(map(str, value))
    return str(value) if type(value) is int else value


def check_layers(spec: str) -> str:
    """Return ``spec`` unchanged; raises ValueError if ``layer_numbers`` would refuse it for every encoder."""
    if spec in ("all", "lower-half", "upper-half"):
        return spec
    if side := _SIDE.fullmatch(spec):
        if int(side[2]) < 1:
            raise ValueError(f"must name at least one layer; {side[1]}-1 is one")
    else:
        _ranges(spec)
    return spec


def check_shift(source: str) -> str:
    """Return ``source``, an item of ``evaluation.shift`` (further test sets), unchanged.

    Raises ValueError if it names an unknown perturbation of the test set, such as ``perturbed:colours``.
    """
    if source.startswith(PERTURBED) and source.removeprefix(PERTURBED) not in PERTURBATIONS:
        raise ValueError(
            f"{source!r} is not a known perturbation; use one of "
            f"{', '.join(PERTURBED + name for name in PERTURBATIONS)}"
        )
    return source


def _layers_at_one_end(spec: str, side: str, wanted: int, layers: int) -> tuple[int, ...]:
    if not 1 <= wanted <= layers:
        raise ValueError(f"layers = {spec!r}: the backbone has {layers} layers; write {side}-1 to {side}-{layers}")
    return tuple(range(layers - wanted, layers) if side == "top" else range(wanted))


def _ranges(spec: str) -> list[tuple[int, int]]:
    """First and last layer of each range: ``0,2,8-11`` gives [(0, 0), (2, 2), (8, 11)].

    Raises ValueError if ``spec`` has another form, or a range goes down, such as ``11-8``.
    """
    ranges = []
    for part in spec.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError("must be all, lower-half, upper-half, top-4, bottom-4, or layers such as 0-5 or 0,2,8-11")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"must go from low to high: write {last}-{first}, not {first}-{last}")
        ranges.append((first, last))
    return ranges
