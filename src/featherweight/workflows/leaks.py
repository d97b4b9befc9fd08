"""Finds validation and test rows that the teachers of a training, or the runs it starts from, were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featherweight.adapter.storage import read_description
from featherweight.data.fingerprints import differing_keys, rows_fingerprint
from featherweight.data.pairs import stripped
from featherweight.data.run_rows import rows_of_run
from featherweight.data.sources import Rows
from featherweight.data.split_warnings import repeated_rows
from featherweight.data.splits import Splits, load_part
from featherweight.errors import UserError, first_line
from featherweight.formatting import counted
from featherweight.recipe import Recipe
from featherweight.run.doubts import TOO_GOOD
from featherweight.run.folder import Run
from featherweight.workflows.continuation import starts_of


def start_notes(recipe: Recipe, splits: Splits) -> list[str]:
    """Notes on validation and test rows of ``splits`` that a run was trained on whose adapter ``recipe`` starts from.

    Such a run may have started from another one, whose rows count, too.
    """
    remedy = "keep the data and the seed of that run, or name other rows as data.{part}"
    return _of_starts(recipe, "the run it starts from", remedy, recipe, splits)


def teacher_leaks(folder: Path, theirs: Recipe, labels: Sequence[str], recipe: Recipe, splits: Splits) -> list[str]:
    """Notes on validation and test rows of ``splits`` that a teacher, or a run that it started from, was trained on.

    The teacher in ``folder`` has the recipe ``theirs`` and the classes ``labels``.
    """
    remedy = "a teacher with the same data and seed has the same split"
    found = _leaks(folder, "a teacher", theirs, labels, remedy, recipe, splits)
    return [*found, *_of_starts(theirs, f"the run that the teacher {folder} started from", remedy, recipe, splits)]


def evaluation_notes(run: Run, labels: Sequence[str], rows: Rows) -> list[str]:
    """A note if ``rows``, on which the finished ``run`` is evaluated, have training texts of it; else an empty list.

    ``labels`` are the classes of the run. If its training rows cannot be read any more, or have changed, there is none.
    """
    try:
        train = rows_of_run(run, "train", labels, lambda rows: _difference(run, rows))
    except UserError:
        return []
    count = repeated_rows(rows, train)
    repeat = "repeats" if count == 1 else "repeat"
    which = f"{count:,} of {counted(len(rows), 'row')} {repeat} a training text of the run"
    return [f"{which}: the metrics may be {TOO_GOOD}"] if count else []


def _of_starts(theirs: Recipe, role: str, remedy: str, recipe: Recipe, splits: Splits) -> list[str]:
    notes = []
    of_a_soup = bool(theirs.training.soup)
    try:
        for run in starts_of(theirs):
            labels = read_description(run.adapter)["labels"]
            notes += _leaks(run.folder, role, run.recipe, labels, remedy, recipe, splits)
            role, of_a_soup = f"the run that {run.folder} started from", bool(run.recipe.training.soup)
    except UserError as error:
        # Only the runs of a soup know whether they started from another run.
        notes.append(_unknown(f"{role}, if there is one" if of_a_soup else role, error))
    return notes


def _leaks(
    folder: Path, role: str, theirs: Recipe, labels: Sequence[str], remedy: str, recipe: Recipe, splits: Splits
) -> list[str]:
    """Notes on evaluated rows that are training rows of the classifier in ``folder``, but not of ``splits``.

    ``theirs`` and ``labels`` are its recipe and its classes; ``role`` says in words what it is for this training.
    """
    run, ours = Run(folder), splits.train.label_names
    same = (_split_by(theirs, labels), theirs.seed) == (_split_by(recipe, ours), recipe.seed)
    if same and not _difference(run, splits.train):
        return []
    try:
        if (folder / "environment.json").is_file():
            rows = rows_of_run(run, "train", labels, lambda rows: _difference(run, rows))
        else:  # an export
            rows = load_part(theirs, "train", labels)
    except UserError as error:
        return [_unknown(f"{folder}, {role}", error)]
    known = set(map(stripped, rows.texts)) - set(map(stripped, splits.train.texts))
    parts = {"validation": splits.validation, "test": splits.test}
    counts = {name: sum(stripped(text) in known for text in rows.texts) for name, rows in parts.items() if rows}
    return [
        f"{folder}, {role}, was trained on {count:,} of {len(parts[name] or ()):,} {name} rows: the metrics "
        f"may be {TOO_GOOD}; {remedy.format(part=name)}"
        for name, count in counts.items()
        if count
    ]


def _split_by(recipe: Recipe, labels: Sequence[str]) -> object:
    """The section [data] with the classes, whether the recipe lists them or they were found in the rows."""
    return recipe.data.model_copy(update={"labels": tuple(labels)})


def _difference(run: Run, rows: Rows) -> str:
    """How ``rows`` differ from the training rows of ``run`` in number or labels; empty if they do not."""
    data = run.environment.get("data", {}) if (run.folder / "environment.json").is_file() else {}
    then = data.get("train", {})
    changed = differing_keys(then, rows_fingerprint(rows))  # of these rows, it stored no fingerprint of the texts alone
    if "rows" in changed:
        return f"has {counted(len(rows), 'training row')} now, and had {then['rows']:,}"
    return "has other labels than at the training" if changed else ""


def _unknown(who: str, error: UserError) -> str:
    return f"{who}: whether it was trained on validation or test rows cannot be checked: {first_line(error)}"
