"""Finds the texts and labels inside objects, such as ``doc.body``, for messages that name the option to type."""

from __future__ import annotations

from collections.abc import Sequence

from featherweight.data.candidate_columns import Columns, best_named
from featherweight.data.column_profile import ColumnProfile
from featherweight.hints import option


def nested_text(columns: Columns, words: Sequence[Sequence[str]]) -> str | None:
    """The path that most likely holds the texts: by its name, which is one of ``words``, or the longest texts."""
    paths = _inside(columns)
    running = [path for path, profile in paths.items() if profile.is_running_text]
    found = running or [path for path, profile in paths.items() if profile.holds_texts and profile.values > 1]
    named = best_named(found, words) or found
    return max(named, key=lambda path: paths[path].characters, default=None)


def nested_label(columns: Columns, words: Sequence[Sequence[str]]) -> str | None:
    """The path that most likely holds the labels: by its name, or the only one with few different values."""
    found = [path for path, profile in _inside(columns).items() if profile.may_be_labels]
    named = best_named(found, words) or found
    return named[0] if len(named) == 1 else None


def options_of_paths(text: str | None, label: str | None) -> str:
    """What names the paths, such as ``--text doc.body --label meta.kind``; ``--text COLUMN`` if there are none."""
    between = " " if option("text").startswith("--") else ", "
    given = {"text": text or "COLUMN", **({"label": label} if text and label else {})}
    return between.join(option(name, [path]) for name, path in given.items())


def _inside(columns: Columns) -> dict[str, ColumnProfile]:
    """The profiles of the paths into nested columns."""
    table = columns.table
    return {path: columns.profile(path) for path in table.paths if path not in table.names}
