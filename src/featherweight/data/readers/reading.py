"""The settings of a recipe for reading its files."""

from __future__ import annotations

from dataclasses import dataclass

from featherweight.recipe import DataRecipe

USUAL_TEXTS = ("text", "title", "description")
"""Default text columns: the first one, or, if it is missing, the other two together."""


@dataclass(frozen=True)
class Reading:
    """Settings for reading a file. They say what its file extension and its content may not show."""

    columns: tuple[str, ...] = ()
    """Names of the columns of a table without a header."""
    encoding: str | None = None
    """Encoding of text files; None: UTF-8, or cp1252 for tables and texts that are not UTF-8."""
    separator: str | None = None
    """The character between two fields; None: detected from the content."""
    format: str = "auto"
    """The recipe's `data.format`."""
    split: str = "train"
    """The part to read of a file that holds several parts."""
    known: tuple[str, ...] = ()
    """Column names, in lower case; a first row that contains one of them is a header."""
    any_header: bool = False
    """Whether the first line is always the header, whatever it contains."""


def reading_of(data: DataRecipe, split: str) -> Reading:
    """The settings for reading the part ``split`` of a recipe's data."""
    names = {name.casefold() for name in (*(data.text or USUAL_TEXTS), *data.label_columns, "id")}
    return Reading(data.columns, data.encoding, data.separator, data.format, split, tuple(sorted(names)))
