"""Checks the output file of a prediction before anything is read: its name, and what it would replace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featherweight.errors import UserError
from featherweight.hints import flag
from featherweight.inference.pipes import PIPE
from featherweight.inference.submission.choices import Choices
from featherweight.inference.writers import FORMATS


def check_target(
    out: Path, *, kaggle: bool, replace: bool, inputs: Mapping[str, str | Path | None] | None = None
) -> None:
    """Raise UserError unless the predictions may be written to ``out``; ``-`` is standard output.

    ``inputs`` are the sources that are read, by what they hold. None of their files may be ``out``, even with
    ``replace``: the output has no texts, so they would be lost.
    """
    named = flag("-o", str(out))
    if str(out) == PIPE:
        if kaggle:
            raise UserError(f"{named}: a submission is a CSV file; name it, such as {flag('-o', 'submission.csv')}")
        return
    if out.suffix not in FORMATS:
        raise UserError(f"{named}: unknown file extension; use one of {', '.join(FORMATS)}")
    if kaggle and out.suffix != ".csv":
        raise UserError(f"{named}: a submission is a CSV file; name it .csv")
    if out.is_dir():
        raise UserError(f"{named}: is a folder; choose a new file")
    if out.exists():
        _require_no_input(out, named, inputs or {})
    if out.exists() and not replace:
        raise UserError(f"{named}: exists; choose a new file, or replace it with {flag('--force')}")
    if not out.parent.is_dir():
        raise UserError(f"{named}: the folder {out.parent} does not exist; create it first")


def _require_no_input(out: Path, named: str, inputs: Mapping[str, str | Path | None]) -> None:
    from featherweight.data.source_tables import files_of

    for what, source in inputs.items():
        if source is not None and any(map(out.samefile, files_of(str(source)))):
            raise UserError(f"{named}: is the file with the {what}, which would be lost; choose a new file")


def check_safe(out: Path, choices: Choices, *, kaggle: bool, safe: bool) -> None:
    """Raise UserError if ``safe``, which changes texts in a CSV, is set for another format or for a submission."""
    if safe and kaggle:
        asked = flag("--kaggle" if choices.like is None else "--like")
        raise UserError(
            f"{flag('--safe-csv')} and {asked} exclude each other: the ids of a submission must not be changed"
        )
    if safe and out.suffix != ".csv":
        raise UserError(f"{flag('--safe-csv')}: {out} is not a CSV file; leave the option out, or name a .csv file")
