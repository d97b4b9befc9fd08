"""The names of the classes in the features of a data set, as `datasets` and the viewer of the hub describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def classes_of(features: Any) -> dict[str, tuple[str, ...]]:
    """Class names by column, from ``features`` in JSON; empty if there are none, or if it is not in a known form.

    ``features`` are the types by column, or a list of objects with ``name`` and ``type``. A type is that of a class,
    or of a list of classes.
    """
    if isinstance(features, list):
        objects = [one for one in features if isinstance(one, Mapping)]
        features = {one["name"]: one.get("type") for one in objects if isinstance(one.get("name"), str)}
    if not isinstance(features, Mapping):
        return {}
    return {str(column): names for column, kind in features.items() if (names := _names(kind))}


def _names(kind: Any) -> tuple[str, ...]:
    while isinstance(kind, list) or (isinstance(kind, Mapping) and "feature" in kind):  # for lists, that of the items
        kind = (kind[0] if kind else None) if isinstance(kind, list) else kind["feature"]
    if not isinstance(kind, Mapping) or kind.get("_type") != "ClassLabel" or not isinstance(kind.get("names"), list):
        return ()
    return tuple(map(str, kind["names"]))
