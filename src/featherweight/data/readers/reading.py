"""What a recipe says of how its files are read."""

from __future__ import annotations

from dataclasses import dataclass

from featherweight.recipe import DataRecipe

USUAL_TEXTS = ("text", "title", "description")
"""Columns that hold texts where a recipe names none: the first alone, else the two others together."""


@dataclass(frozen=True)
class Reading:
    """Settings for reading a file. They decide what its file extension and its content leave open."""

    columns: tuple[str, ...] = ()
    """Names of the columns of a table without a header."""
    encoding: str | None = None
    """Encoding of text files; None: UTF-8, and for tables of text cp1252 where the bytes are not UTF-8."""
    separator: str | None = None
    """The character between two fields; None: told by the content."""
    format: str = "auto"
    """The recipe's `data.format`."""
    split: str = "train"
    """The part that is wanted of a file that holds several."""
    known: tuple[str, ...] = ()
    """Names of columns, in lower case, that tell a header from a row."""
    any_header: bool = False
    """Whether the first line is the header, whatever stands in it."""


def reading_of(data: DataRecipe, split: str) -> Reading:
    """How the files of a recipe are read, for its part ``split``."""
    names = {name.casefold() for name in (*(data.text or USUAL_TEXTS), *data.label_columns, "id")}
    return Reading(data.columns, data.encoding, data.separator, data.format, split, tuple(sorted(names)))
