"""Reads the training, validation and test rows of a recipe, and its shift sets (texts of other sources).

All of them get the same classes, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from featherweight.data.class_names import label_names_of
from featherweight.data.cleaning import clean_texts
from featherweight.data.dropping import without_dropped
from featherweight.data.gaps import LeftOut
from featherweight.data.iterative_draw import iterative_draw
from featherweight.data.kept_tables import release_tables
from featherweight.data.label_lists import several_in_one
from featherweight.data.labels import drop_remedy
from featherweight.data.pairs import Text, joined
from featherweight.data.part_columns import require_training_texts
from featherweight.data.perturbations import headline_of, is_perturbed, perturb
from featherweight.data.readers.columns import taken
from featherweight.data.readers.table import joined_texts, text_columns
from featherweight.data.source_tables import open_table, source_of_test
from featherweight.data.sources import Rows, read_rows, rows_of
from featherweight.data.split_warnings import reading_notes, remedies_of, split_warnings
from featherweight.data.unlabelled import left_out, no_test_remedy, read_labelled, require_all_labelled, unlabelled_test
from featherweight.data.used_classes import require_classes
from featherweight.environment import quick_imports
from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.hints import Caller, called_with, to_set
from featherweight.recipe import PERTURBED, DataRecipe, Recipe
from featherweight.recipe.schema import require_recipe

__all__ = [
    "Splits",
    "label_names_of",
    "lacking_test",
    "load_part",
    "load_splits",
    "split_off",
]


@dataclass(frozen=True)
class Splits:
    """All rows that a run uses, with the same class numbers in every part."""

    train: Rows
    validation: Rows
    test: Rows | None
    shift: dict[str, Rows] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """Notes about the data for readers of the results, one line each."""
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    """Number of rows without a text or a label that ``data.empty`` left out, by part."""
    remedies: dict[str, str] = field(default_factory=dict)
    """Commands that remove the reason for a warning, by warning; they contain paths, so they are not published."""

    @property
    def notes(self) -> list[str]:
        """The warnings, each with its remedy if it has one, for the person who starts the training."""
        return [
            f"{warning}: {self.remedies[warning]}" if warning in self.remedies else warning for warning in self.warnings
        ]


@called_with(Caller.RECIPE)
def load_splits(recipe: Recipe) -> Splits:
    """Read, clean and split the data of a recipe; the same recipe and seed give the same rows.

    If the recipe names no validation data, validation rows are split off the training rows, stratified by class. With
    ``data.train_rows``, only that many training rows are kept, a stratified sample. Test rows without labels are left
    out, with a warning; rows with gaps are left out with ``data.empty = "drop"``. Raises UserError if a part cannot be
    read, if a part other than the test rows has no labels, if a class has too few rows, or if there is only one class.
    """
    require_recipe(recipe, "load_splits")
    data = recipe.data
    train = read_rows(data.train, data)
    release_tables()
    require_classes(train, recipe)
    names = train.label_names
    test, unlabelled = test_rows(data, names)
    shift = {source: _shift_rows(source, data, test or unlabelled, names) for source in recipe.evaluation.shift}
    read = {"train": train, "test": test, **{name: rows for name, rows in shift.items() if not is_perturbed(name)}}
    if data.validation is not None:
        read["validation"] = validation = validation_rows(data, data.validation, names)
    else:
        train, validation = split_off(train, data.validation_size, recipe.seed)
    gaps_of = {name: rows.left_out for name, rows in read.items() if rows is not None and rows.left_out is not None}
    train, dropped = without_dropped(train, data.drop)
    train, notes = sample(train, data.train_rows, recipe.seed)
    notes = [*dropped, *notes]
    if unlabelled:
        notes = [left_out(unlabelled, data.test or data.train), *notes]
    reading = reading_notes((train, validation, test, *shift.values()), data)
    warnings = split_warnings(train, validation, test, shift)
    notes = [*(gaps.in_words() for gaps in gaps_of.values()), *notes, *reading, *warnings]
    return Splits(train, validation, test, shift, notes, gaps_of, remedies_of(train, data))


def load_part(recipe: Recipe, part: str, names: Sequence[str]) -> Rows:
    """The rows of one part, as in ``load_splits``, with the classes ``names``.

    ``part`` is train, validation, test, or a shift set of the recipe. Raises UserError if it cannot be read.
    """
    data = recipe.data
    if part == "validation" and data.validation is not None:
        return validation_rows(data, data.validation, names)
    if part in ("train", "validation"):
        train, validation = read_rows(data.train, data, label_names=names), None
        if data.validation is None:
            train, validation = split_off(train, data.validation_size, recipe.seed)
        if part == "validation" and validation:
            return validation
        train, _ = without_dropped(train, data.drop)
        return sample(train, data.train_rows, recipe.seed)[0]
    test, unlabelled = test_rows(data, names) if part == "test" or is_perturbed(part) else (None, None)
    if part != "test":
        return _shift_rows(part, data, test or unlabelled, names)
    if test is None:
        raise UserError(unlabelled or f"{data.train}: has no test rows now; restore the original data of the run")
    return test


def split_off(rows: Rows, size: float, seed: int) -> tuple[Rows, Rows]:
    """Training and validation rows: a stratified split of ``rows``.

    ``size`` below 1 is the fraction of validation rows, from 1 on their number. Both parts keep the order of ``rows``.
    Raises UserError if a class is too small to be split, or too few rows remain.
    """
    _require_two_of_each(rows, "a validation split by class")
    wanted = round(size * len(rows)) if size < 1 else int(size)
    classes = _least_rows(rows)
    if not classes <= wanted <= len(rows) - classes:
        of_classes, needed = (
            ("", "at least one row each") if rows.several else (f" of {classes} classes", "a row of each class")
        )
        raise UserError(
            f"{rows.origin}: {counted(len(rows), 'row')}{of_classes} cannot give "
            f"{counted(wanted, 'validation row')}: training and validation need {needed}\n"
            "Change data.validation_size, or name a data.validation file"
        )
    kept, held_out = _stratified_sample(rows, wanted, seed)
    train = rows.take(kept)
    _require_all_left(train, rows, "data.validation_size")
    return train, rows.take(held_out)


def lacking_test(data: DataRecipe) -> str | None:
    """A clause that says why a run on ``data`` has no test rows; None if it has some.

    Raises UserError if the test rows cannot be read.
    """
    source = source_of_test(data)
    if source is None:
        return "there are none"
    return unlabelled_test(open_table(source, data, "test"), data, label_names_of(data))


def test_rows(data: DataRecipe, names: Sequence[str]) -> tuple[Rows | None, str | None]:
    """(test rows, None); or (None, clause) if the test rows have no labels; or (None, None) if there are none.

    The clause says why the rows count as unlabelled. ``names`` are the classes.
    """
    source = source_of_test(data)
    if source is None:
        return None, None
    table = open_table(source, data, "test")
    require_training_texts(table, data)
    if unlabelled := unlabelled_test(table, data, names):
        return None, unlabelled
    require_all_labelled(table, source, data, names, drop_remedy(), no_test_remedy())
    return rows_of(table, source, data, label_names=names), None


def validation_rows(data: DataRecipe, source: str, names: Sequence[str]) -> Rows:
    """The validation rows, read from ``source`` (``data.validation``). Raises UserError as ``load_splits`` does."""
    remedy = "validation needs labelled rows: leave data.validation out, and some training rows are split off for it"
    return read_labelled(source, data, "validation", names, remedy)


def _shift_rows(source: str, data: DataRecipe, test: Rows | str | None, names: Sequence[str]) -> Rows:
    """The labelled set ``source``, or the test rows with the perturbation ``source``.

    ``test`` are the test rows; None if there are none; if they have no labels, a text for the error that says so.
    """
    if source in ("validation", "test"):
        # Predictions and metrics are stored under the name of the set.
        raise UserError(
            f"evaluation.shift: {source!r} is the name of the run's own {source} rows; "
            f"for a file of that name write ./{source}"
        )
    if not is_perturbed(source):
        remedy = "evaluation.shift takes only labelled sets: leave it out there, and classify it with predict"
        return read_labelled(source, data, "test", names, remedy)
    if test is None:
        raise UserError(f"evaluation.shift: {source} changes the test rows, and there are none; set data.test")
    if isinstance(test, str):
        raise UserError(
            f"evaluation.shift: {source} changes the test rows, but {test}\n"
            f"Name labelled rows as data.test, or leave {source} out"
        )
    headline = source == f"{PERTURBED}headline"
    texts = _headlines(data, test) if headline else perturb(test.texts, source)
    return replace(test, texts=texts, origin=f"{test.origin}, {source}")


def _headlines(data: DataRecipe, test: Rows) -> Sequence[Text]:
    """A headline per test row: its first text column if there are several, otherwise the first words of its text."""
    table = open_table(data.test or data.train, data, "test")
    columns = text_columns(table, data)
    if len(columns) == 1 or data.join == "pair":
        return perturb(test.texts, f"{PERTURBED}headline")
    titles = clean_texts(joined_texts(table, columns[:1]), data.clean)
    titles = titles if test.places is None else taken(titles, test.places.tolist())
    return [headline_of(*map(joined, both)) for both in zip(titles, test.texts, strict=True)]


def sample(rows: Rows, wanted: int | None, seed: int) -> tuple[Rows, list[str]]:
    """A stratified sample of ``wanted`` rows, and a list of notes; without ``wanted`` (None), all rows.

    There is one note if ``wanted`` is more than the number of rows; then all rows are returned.
    """
    if wanted is None:
        return rows, []
    if wanted >= len(rows):
        short = (
            [f"data.train_rows asks for {counted(wanted, 'row')}; there are {len(rows):,}"]
            if wanted > len(rows)
            else []
        )
        return rows, short
    if wanted < _least_rows(rows):
        raise UserError(
            f"data.train_rows = {wanted}: there are {len(rows.label_names)} classes; "
            f"set it to {_least_rows(rows)} or more"
        )
    _require_two_of_each(rows, "a sample by class")
    drawn = rows.take(_stratified_sample(rows, wanted, seed, for_training=True)[1])
    _require_all_left(drawn, rows, "data.train_rows")
    return drawn, []


def _least_rows(rows: Rows) -> int:
    """The minimum number of rows for a part with all classes; 1 if a text may have several labels."""
    return 1 if rows.several else len(rows.label_names)


def _stratified_sample(
    rows: Rows, wanted: int, seed: int, *, for_training: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted row indices (rest, sample) of a stratified split; the sample has ``wanted`` rows.

    ``for_training`` says whether the sample becomes the training rows; otherwise the rest does. It matters only if a
    text may have several labels: then rows of rare labels go to the training side.
    """
    assert rows.labels is not None
    if rows.several:
        drawn = iterative_draw(rows.labels, wanted, seed, for_training=for_training)
        return np.setdiff1d(np.arange(len(rows)), drawn), drawn
    with quick_imports():
        from sklearn.model_selection import train_test_split
    # The split cannot be stratified if fewer rows remain than there are classes.
    by_class = rows.labels if len(rows) - wanted >= len(rows.label_names) else None
    stay, drawn = train_test_split(np.arange(len(rows)), test_size=wanted, random_state=seed, stratify=by_class)
    return np.sort(stay), np.sort(drawn)


def _require_two_of_each(rows: Rows, purpose: str) -> None:
    if rows.several:
        return  # the only row of a label goes to the training; no other part needs one
    counts = rows.counts
    if counts.min() < 2:
        name = rows.label_names[int(counts.argmin())]
        validation = to_set("data.validation=FILE")
        remedy = f"Add rows, remove this one, or name a file of validation rows: {validation}"
        if found := several_in_one(rows.label_names, several=False):
            remedy = f"If {found[0]} is several labels: {found[1]}; else {remedy[0].lower()}{remedy[1:]}"
        raise UserError(
            f"{rows.origin}: class {name!r} has {counts.min()} row; {purpose} needs two rows of each class\n{remedy}"
        )


def _require_all_left(train: Rows, rows: Rows, key: str) -> None:
    lost = [place for place, count in enumerate(train.counts.tolist()) if not count]
    if lost:
        name, count = rows.label_names[lost[0]], rows.counts[lost[0]]
        raise UserError(
            f"{rows.origin}: class {name!r} has {count} of {len(rows):,} rows, and {key} leaves none for the training\n"
            f"Change {key}, or add rows of that class"
        )
