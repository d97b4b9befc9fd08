"""Evaluates a classifier at the end of its run, and later on other labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from featherweight.adapter.peft.folder import read_peft_folder
from featherweight.adapter.peft.given import NOTHING_GIVEN, PeftOptions
from featherweight.environment import quick_imports
from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.hints import Caller, called_with, for_command_line
from featherweight.inference.exported import classes_and_thresholds, is_export
from featherweight.progress import running_count
from featherweight.recipe import DataRecipe, EvaluationRecipe
from featherweight.run.folder import Run, refuse_adapter
from featherweight.task.interface import SINGLE_LABEL, Task
from featherweight.workflows.leaks import evaluation_notes
from featherweight.workflows.rows_in_memory import as_file

if TYPE_CHECKING:
    import numpy as np

    from featherweight.data.sources import Rows
    from featherweight.data.splits import Splits
    from featherweight.inference.classifier import Classifier

Names = str | Sequence[str] | None
"""A column, or several."""
_OF_UNKNOWN = "Correct the labels; to leave their rows out, empty these labels and add "


def other_sets(splits: Splits) -> dict[str, Rows]:
    """The test rows, with the key ``test``, and the rows of each shift set, with the key ``shift NAME``.

    A shift set has texts of another source or style than the training data, and is evaluated like the test rows.
    """
    test = {"test": splits.test} if splits.test is not None else {}
    return test | {f"shift {name}": rows for name, rows in splits.shift.items()}


def evaluate_splits(
    folder: Path,
    splits: Splits,
    validation: np.ndarray,
    others: Mapping[str, np.ndarray],
    temperature: float,
    settings: EvaluationRecipe,
    task: Task = SINGLE_LABEL,
    **more: Any,
) -> None:
    """Evaluate the validation, test and shift rows of a run, and write evaluation.json and predictions.parquet.

    ``validation`` [rows, classes] are the logits of the validation rows, ``others`` those of ``other_sets``. ``more``
    are further keys for evaluation.json, such as ``best_step``.
    """
    from featherweight.evaluation.results import write_evaluation

    evaluated = {"validation": (splits.validation, validation)}
    if splits.test is not None:
        evaluated["test"] = splits.test, others["test"]
    shifted = {name: (rows, others[f"shift {name}"]) for name, rows in splits.shift.items()}
    write_evaluation(folder, evaluated, shifted, temperature, settings, task, **more)


@called_with(Caller.ARGUMENTS)
def evaluate_run(
    run: Run | str | Path,
    data: Any = None,
    *,
    text: Names = (),
    label: Names = (),
    drop_empty: bool = False,
    overrides: Sequence[str] = (),
    note: Callable[[str], None] | None = None,
    follow: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The metrics of a finished run or an export: as stored in the run, or computed on the labelled rows ``data``.

    ``data`` is a file, a folder, a data set, or rows in memory such as a DataFrame. ``text`` and ``label`` are its
    columns, if their names differ from those in the training data. ``drop_empty``, ``overrides`` and ``note`` are
    arguments of ``labelled_rows``; ``note`` also tells if ``data`` has training texts of the run. ``follow`` is called
    with the number of rows that are done and the total number. Raises UserError if the run is unfinished, or the rows
    have a label that is not a class of the run.
    """
    run = run if isinstance(run, Run) else Run(run)
    if data is None:
        if is_export(run.folder):
            asked = "add --data FILE" if for_command_line() else "pass data"
            raise UserError(f"{run.folder}: is an export, and stores no test rows; {asked} with labelled rows")
        refuse_adapter(run.folder)
        return run.evaluation
    # The rows come first: what is wrong with them is said before a model is loaded.
    further = (
        "" if is_export(run.folder) else f"; to teach them: featherweight train --from {quote(str(run.folder))} FILE"
    )
    labels = classes_and_thresholds(run.folder)["labels"]
    with as_file(data, "evaluate_run") as (source, called):

        def tell(line: str) -> None:
            if note:
                note(line.replace(source, called))

        reading: dict[str, Any] = {"drop_empty": drop_empty, "overrides": overrides, "note": note and tell}
        rows = labelled_rows(run.recipe.data, labels, source, text, label, further=further, **reading)
    if note and not is_export(run.folder):
        for line in evaluation_notes(run, labels, rows):
            note(f"{called}: {line}")
    with quick_imports():
        from featherweight.inference.classifier import Classifier
    advance = running_count(follow, 0, len(rows))
    return figures_on(rows, Classifier.load(run.folder, merge=False), advance)


def evaluate_peft_folder(
    folder: str | Path,
    data: str,
    given: PeftOptions = NOTHING_GIVEN,
    follow: Callable[[int, int], None] | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """The metrics of the classifier in a folder that PEFT saved, on the labelled set ``data``.

    ``given`` has what PEFT does not save; ``follow`` is called with the number of rows that are done and the total
    number; ``reading`` are further arguments of ``labelled_rows``. Raises UserError, before the model is loaded, if the
    folder or the set cannot be read, or the set has a label that is not a class.
    """
    peft = read_peft_folder(folder, given)
    rows = labelled_rows(peft.data, peft.labels, data, **reading)
    with quick_imports():
        from featherweight.inference.classifier import Classifier
    advance = running_count(follow, 0, len(rows))
    return figures_on(rows, Classifier.load(folder, **vars(given)), advance)


def labelled_rows(
    recipe: DataRecipe,
    labels: Sequence[str],
    data: str,
    text: Names = (),
    label: Names = (),
    *,
    drop_empty: bool = False,
    overrides: Sequence[str] = (),
    note: Callable[[str], None] | None = None,
    further: str = "",
) -> Rows:
    """The rows of the labelled set ``data`` for a classifier with these ``labels`` and the data section ``recipe``.

    ``text`` and ``label`` are the columns of ``data``, if their names differ from those in the recipe: one column of
    labels, or a column of yes and no for each label. With ``drop_empty``, rows without a text or a label are left out,
    and ``note`` is called with their number. ``overrides`` say how ``data`` is read, such as
    ``"data.encoding=cp1251"``. Raises UserError if the set cannot be read, or has a label that is not a
    class of the classifier; ``further`` is the end of that message.
    """
    from featherweight.data.labels import UnknownLabel
    from featherweight.data.new_columns import read_as, with_new_columns
    from featherweight.data.source_tables import note_on_part
    from featherweight.data.unlabelled import read_labelled

    remedy = "there are no labels to compare with; to classify the texts, use featherweight predict"
    drop = "--drop-empty" if for_command_line() else "drop_empty=True"
    texts, named = ((given,) if isinstance(given, str) else tuple(given or ()) for given in (text, label))
    columns = with_new_columns(read_as(recipe, overrides), data, texts, named, labelled=True, classes=labels)
    if drop_empty:
        columns = columns.model_copy(update={"empty": "drop"})
    if note and (part := note_on_part(data, columns, "test")):
        note(part)
    try:
        rows = read_labelled(data, columns, "test", tuple(labels), remedy, f"leave such rows out: {drop}")
    except UnknownLabel as error:
        raise UnknownLabel(error.problem, _OF_UNKNOWN + drop + further) from None
    if rows.left_out and note:
        note(rows.left_out.in_words())
    if rows.label_names != tuple(labels):  # one column for each label, in the order of the labels
        if note and set(map(str.casefold, rows.label_names)) != set(map(str.casefold, labels)):
            pairs = [f"{name} = {column}" for name, column in zip(labels, rows.label_names, strict=True)]
            order = "its label columns are not named like the classes, so they are assigned in the given order"
            note(f"{data}: {order} (class = column): {listed(pairs, 12)}")
        rows = replace(rows, label_names=tuple(labels))
    if not rows.texts:
        raise UserError(f"{data}: has no rows to evaluate; name a file with rows")
    return rows


def figures_on(rows: Rows, classifier: Classifier, advance: Callable[[int], None] | None = None) -> dict[str, Any]:
    """The metrics of a loaded classifier on labelled ``rows``; ``advance`` is called after each batch with its rows."""
    from featherweight.evaluation.results import evaluate_rows

    fit = classifier.temperature, classifier.recipe.evaluation, classifier.task
    return evaluate_rows(rows, classifier.model.logits(rows, advance=advance), *fit)
