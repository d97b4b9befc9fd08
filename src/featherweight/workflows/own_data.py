"""Makes a recipe from data: chooses columns, backbone, adapter and schedule for a file of texts and labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featherweight.argument_checks import code_to_save, described, list_of
from featherweight.backbone.known_configs import refuse_backbone
from featherweight.backbone.resolve import best_at_hand
from featherweight.data.candidate_columns import Columns
from featherweight.data.column_guess import Guess, columns_in_words, guess_columns, guess_texts
from featherweight.data.label_cells import label_values, single_labels
from featherweight.data.label_guess import Labels, find_labels, guess_label, separated_labels
from featherweight.data.label_spelling import label_text, names_in_training
from featherweight.data.labels import is_missing, unlikely_names
from featherweight.data.numbered_columns import numbered_columns_note
from featherweight.data.readers.table import Table, label_columns
from featherweight.data.source_tables import open_table
from featherweight.data.sources import complete_rows, rows_of
from featherweight.data.used_classes import only_one_class
from featherweight.errors import UserError
from featherweight.formatting import counted, listed
from featherweight.hints import Caller, called_with, option
from featherweight.recipe import Recipe
from featherweight.recipe.commented import commented_toml
from featherweight.recipe.data_files import name_after
from featherweight.recipe.overrides import option_overrides
from featherweight.recipe.values import one_or_all
from featherweight.workflows.own_length import chosen_length
from featherweight.workflows.own_validation import own_validation, short_name
from featherweight.workflows.schedule import schedule_for


@dataclass(frozen=True)
class Draft:
    """A recipe that was made from data, and notes for the user about the choices."""

    recipe: Recipe
    values: dict[str, Any]
    """The keys that were given or chosen; the others have their defaults."""
    notes: tuple[str, ...]

    def to_toml(self) -> str:
        """The recipe as TOML for the user to edit: only the keys that were chosen, each with a comment."""
        test = (
            "" if "test" in self.values["data"] else '\nTest rows, evaluated at the end: test = "test.csv" in [data].'
        )
        often = 'Often added: in [data] empty = "drop" and long = "windows", in [training] class_weights = "balanced".'
        return commented_toml(
            self.values, f"All keys and their defaults: the recipe reference, in docs/.{test}\n{often}"
        )


@called_with(Caller.ARGUMENTS)
def recipe_for(
    data: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    text: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    budget: int | str | None = None,
    backbone: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """A recipe that trains on ``data``: a file, a folder saved by `datasets`, or a data set on the hub.

    ``test`` is evaluated at the end; ``text`` and ``label`` name columns, which are guessed otherwise. ``overrides``
    are texts such as ``"training.epochs=2"``. Raises UserError if the data cannot be read, or if its columns cannot be
    guessed; the message lists the columns and says what to write.
    """
    if not isinstance(data, str | os.PathLike):
        how, file = code_to_save(data)
        raise UserError(
            f"recipe_for takes the path of a file or the name of a data set, not {described(data)}\n"
            f"Save the rows by {how}, and write recipe_for({file!r}); or write train(rows), which needs no recipe"
        )
    options = option_overrides(test=test, text=text, label=label, budget=budget, backbone=backbone)
    overrides = list_of(overrides, "overrides=...", "texts such as 'training.epochs=2'")
    return draft_recipe(os.fspath(data), [*options, *overrides]).recipe


def draft_recipe(
    source: str, overrides: Sequence[str] = (), *, table: Table | None = None, trains: bool = True
) -> Draft:
    """The recipe for the data ``source``; keys in ``overrides`` keep their values, all others are chosen.

    ``table`` are the training rows, if they are in memory. Raises UserError as ``recipe_for`` does, and if a classifier
    is to be trained (``trains``), but all rows have the same label.
    """
    refuse_backbone(source)
    given = Recipe.parse({"data": {"train": source}}, source, overrides)
    values = given.model_dump(mode="json", exclude_unset=True)
    called = table.origin if table else short_name(given.data.train)
    table = table or open_table(given.data.train, given.data, "train")
    columns = Columns(table)
    several = given.data.several if "task" in values else None
    try:
        guess = guess_columns(columns, given.data.text, _named_labels(given), several=several)
    except UserError:
        _require_rows(table)
        raise
    if guess.several and several is None:
        values = {"task": "multi-label", **values}
        given = Recipe.parse(values, source)
    several = guess.several
    values = _with_names_in_table(values, guess)
    names, rows = _labels(given, table, guess, trains=trains)
    backbone, why = (given.backbone.name, "as given") if "backbone" in values else best_at_hand()
    classes = counted(len(names), "label" if several else "class")
    of_texts = f"{counted(rows, 'text')} of {called} {'with' if several else 'in'} {classes}"
    data, notes = _data(given, guess, table, rows, names)
    chosen = {
        "name": name_after(given.data.train, "texts"),
        "budget": given.budget,
        "description": f"{of_texts}: {listed(names, 6)}.",
        "data": data,
        "backbone": {"name": backbone},
        "adapter": {"lora": "auto"},
    }
    given = Recipe.parse(_merged(chosen, values), source)
    fixed = "max_length" in given.data.model_fields_set
    length, of_length = (given.data.max_length, "") if fixed else chosen_length(given, table)
    chosen = _merged(chosen, {"data": {"max_length": length}, "training": schedule_for(given, rows, len(names))})
    whole = _in_order(_merged(chosen, values))
    recipe = Recipe.parse(whole, source)
    training = recipe.training
    of_rate = f"learning rate {training.learning_rate:g}, " if "learning_rate" in whole["training"] else ""
    notes = (
        f"{called}: {counted(rows, 'row')}, {classes}; {columns_in_words(guess, table)}",
        f"backbone {recipe.backbone.name} ({why}), at most {counted(recipe.budget, 'trainable parameter')}, "
        f"{counted(training.epochs, 'epoch')}, {of_rate}an evaluation every "
        f"{counted(training.evaluate_every or 0, 'step')}{of_length}",
        *notes,
    )
    return Draft(recipe, whole, (*notes, *_notes_on_lora(values), *_notes_on_labels(guess, columns, called)))


def _notes_on_lora(values: Mapping[str, Any]) -> list[str]:
    tables = values.get("adapter", {}).get("lora")
    if not isinstance(tables, list) or all("roles" in table for table in tables):
        return []
    return ['adapter.lora names no roles: only query and value are adapted; "auto" adapts all linear layers']


def _notes_on_labels(guess: Guess, columns: Columns, called: str) -> list[str]:
    """A note if a text seems to have several labels, in one cell or in several columns, but is read with one."""
    if guess.several:
        return []
    column = guess.label_columns[0]
    note = separated_labels(columns.table.read(column), columns) or numbered_columns_note(columns.table, column)
    return [f"{called}: {note}"] if note else []


def _with_names_in_table(values: Mapping[str, Any], guess: Guess) -> dict[str, Any]:
    """``values`` with the columns that the user named spelled as in the table: ``text`` where ``TEXT`` was given."""
    names = {"text": list(guess.text), "label": one_or_all(guess.label_columns)}
    return _merged(values, {"data": {key: name for key, name in names.items() if key in values["data"]}})


def with_guessed_columns(recipe: Recipe) -> Recipe:
    """``recipe`` with its text and label columns; those that it does not name are guessed from its training data.

    The task is guessed too if the recipe does not name it. If no column seems to have labels, the label column is not
    set, because data can be inspected without labels. Raises UserError if several columns are possible, or if a label
    column that the recipe names is missing.
    """
    data = recipe.data
    columns = Columns(open_table(data.train, data, "train"))
    table = columns.table
    if named := _named_labels(recipe):
        label_columns(table, data)
    texts = tuple(table.find(name) or name for name in data.text) or guess_texts(columns, named)[0]
    changes: dict[str, Any] = {"text": list(texts)}
    several = data.several if "task" in recipe.model_fields_set else None
    found: Labels | None = None
    if not named:
        # The column that a recipe takes by default, ``label``, cannot have the labels if it has the texts.
        find = guess_label if set(texts) & set(map(table.find, data.label_columns)) else find_labels
        found = find(columns, texts, several)
    elif several is None and len(named) == 1 and (column := table.find(named[0])):
        found = Labels((column,), "as given", bool(columns.profile(column).longer))
    if found:
        changes["label"] = one_or_all(found.columns)
        if "empty" not in data.model_fields_set:
            changes |= _gaps_left_out(table, found.columns, several=found.several)
    task = {"task": "multi-label"} if found and found.several else {}
    return recipe.with_values(**task, data=changes)


def _named_labels(recipe: Recipe) -> tuple[str, ...]:
    """The label columns that the recipe names."""
    return recipe.data.label_columns if "label" in recipe.data.model_fields_set else ()


def _labels(recipe: Recipe, table: Table, guess: Guess, *, trains: bool) -> tuple[Sequence[str], int]:
    """The names of the classes, and the number of labelled rows; with ``data.empty = "drop"``, of those with a text.

    Raises UserError if no row has a label; with ``trains`` also if all rows have the same one.
    """
    changes = {"text": list(guess.text), "label": one_or_all(guess.label_columns)}
    changes = {**_gaps_left_out(table, guess.label_columns, several=guess.several), **changes}
    data = recipe.with_values(data=changes).data
    if data.several:
        rows = rows_of(table, data.train, data)
        used = tuple(name for name, count in zip(rows.label_names, rows.counts.tolist(), strict=True) if count)
        if trains and len(used) == 1:
            raise only_one_class(table.origin, used[0])
        return rows.label_names, len(rows)
    assert isinstance(guess.label, str)
    cells = single_labels(label_values(table, guess.label))
    counts = Counter(label_text(value) for value in cells if not is_missing(value))
    for text in () if data.labels else unlikely_names(counts):  # a training refuses these, or leaves them out
        del counts[text]
    if not counts:
        _require_rows(table)
        raise UserError(
            f"{table.origin}: no row has a label in the column {guess.label!r}; "
            f"name another column with {option('label')}"
        )
    if data.empty == "drop":
        counts = Counter(label_text(cells[place]) for place in complete_rows(table, data.train, data))
    used = names_in_training(counts)
    if trains and len(used) == 1:
        raise only_one_class(table.origin, used[0])
    return data.labels or table.classes.get(guess.label) or used, counts.total()


def _require_rows(table: Table) -> None:
    """Raise UserError if ``table`` has no rows: its columns could not be guessed."""
    if not table.names and not table.repeated:
        raise UserError(f"{table.origin}: the file has no rows; add some, or name another file")
    if table.names and not len(table.read(table.names[0])):
        raise UserError(f"{table.origin}: has only a header ({listed(table.names)}), but no rows; add some")


def _data(
    given: Recipe, guess: Guess, table: Table, rows: int, names: Sequence[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The section [data], and a note if the validation part of the data is left out. ``names`` are the classes."""
    chosen: dict[str, Any] = {"train": given.data.train, "text": list(guess.text), "label": guess.label}
    chosen |= _gaps_left_out(table, guess.label_columns, several=guess.several)
    if given.data.validation is not None:
        return chosen, ()
    sized = "validation_size" in given.data.model_fields_set
    found, notes = own_validation(given.with_values(data=chosen), rows, names, several=guess.several, sized=sized)
    return chosen | found, notes


def _gaps_left_out(table: Table, labels: Sequence[str], *, several: bool) -> dict[str, Any]:
    """``{"empty": "drop"}`` if ``table`` is the export of an annotation tool with unlabelled rows, else an empty dict.

    Such exports also have the rows that nobody has annotated yet.
    """
    if not table.gaps:
        return {}
    cells = [cell for name in labels for cell in table.read(name)]
    return {"empty": "drop"} if any(map(is_missing, cells if several else single_labels(cells))) else {}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested dictionaries merged into one; ``above`` takes precedence."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = {**inner, **value} if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def _in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with sections and keys in the order of the recipe reference."""
    ordered = {key: values[key] for key in Recipe.model_fields if key in values}
    for key, section in ordered.items():
        if isinstance(section, Mapping):
            ordered[key] = {
                name: section[name] for name in type(getattr(Recipe(), key)).model_fields if name in section
            }
    return ordered
