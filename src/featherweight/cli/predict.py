"""The command `featherweight predict RUN FILE -o OUT`, where RUN is a run, an export or a folder that PEFT saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featherweight.cli.arguments import (
    BaseOption,
    ClassifierArgument,
    JoinOption,
    LabelsOption,
    ReadOption,
    TaskOption,
    notes_on,
    peft_options,
    tell,
)
from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.inference.pipes import PIPE

if TYPE_CHECKING:
    from featherweight.adapter.peft.given import PeftOptions

NAME = "predict"


FileArgument = Annotated[
    str | None,
    typer.Argument(help="Texts to classify: a file, a folder, a data set on the hub, or - to read a text per line."),
]
TextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="Without FILE: a text to classify, or two for a pair. With FILE: its text column. Repeatable.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Where to write: .csv, .jsonl, .parquet, or - for JSON Lines; with --kaggle: submission.csv.",
    ),
]
KaggleOption = Annotated[
    bool, typer.Option("--kaggle", help="Write a submission for a contest: ids and labels, named as in the data.")
]
LikeOption = Annotated[
    Path | None,
    typer.Option("--like", help="A sample submission; its header, its order of ids and its kind of values are used."),
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="COLUMN", help="The id column; `row` means row numbers from 0.")
]
LabelNameOption = Annotated[
    str | None, typer.Option("--label-name", metavar="NAME", help="With --kaggle: name of the label column.")
]
AsNumbersOption = Annotated[
    bool | None,
    typer.Option(
        "--as-numbers/--as-names",
        help="With --kaggle: write class numbers from 0 (numbers), or labels as in the training data (names).",
        show_default=False,
    ),
]
AsProbabilitiesOption = Annotated[
    bool,
    typer.Option(
        "--as-probabilities",
        help="With --kaggle or --like: write the probability of the positive one of two classes; if a text may have "
        "several labels, that of each label.",
    ),
]
SafeOption = Annotated[
    bool,
    typer.Option("--safe-csv", help="For spreadsheets: put an apostrophe before texts that start like a formula."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing output file.")]


def command(
    run: ClassifierArgument,
    file: FileArgument = None,
    text: TextOption = None,
    out: OutOption = None,
    kaggle: KaggleOption = False,
    like: LikeOption = None,
    id_column: IdOption = None,
    label_name: LabelNameOption = None,
    as_numbers: AsNumbersOption = None,
    as_probabilities: AsProbabilitiesOption = False,
    safe: SafeOption = False,
    labels: LabelsOption = None,
    base: BaseOption = None,
    task: TaskOption = None,
    join: JoinOption = None,
    force: ForceOption = False,
    overrides: ReadOption = [],  # noqa: B006 (typer copies it)
) -> None:
    """Classify every text of a file, or the given texts: label and calibrated probability of each class."""
    choices: dict[str, Any] = {"kaggle": kaggle, "like": like, "label_name": label_name, "as_numbers": as_numbers}
    choices |= {"id_column": id_column, "as_probabilities": as_probabilities, "safe": safe, "replace": force}
    choices["overrides"] = overrides
    given = peft_options(labels, base, task, join)
    if text and file is None:
        _show(run, text, given, out=out, **choices)
        return
    if file == PIPE:
        _pipe(run, given, out=None if str(out) == PIPE else out, text=text, **choices)
        return
    if file is None:
        raise UserError('FILE is missing: pass a file of texts, or a text with --text "..."')
    if out is None and not kaggle and like is None:
        from featherweight.data.texts import require_no_text

        require_no_text(file)
        raise UserError("-o is missing: pass the file to write, such as labels.csv, labels.jsonl or labels.parquet")
    out = out or Path("submission.csv")

    from featherweight.console import follow_rows
    from featherweight.inference.output_files import predict_file

    tell(notes_on(run, given))
    with follow_rows("predicting") as follow:
        choices |= {"text": text or (), "follow": follow, "note": lambda line: tell([line])}
        rows = predict_file(run, file, out, **vars(given), **choices)
    if str(out) != PIPE:
        print(f"{out}: {counted(rows, 'prediction')}")


def _pipe(run: str, given: PeftOptions, **of_files: Any) -> None:
    """Classify the lines of standard input, and print a JSON object for each on standard output.

    Raises UserError if an option that only applies to files (``of_files``) is set.
    """
    if name := _first_set(of_files):
        remedy = "to write a file, add > FILE" if name == "--out" else "leave it out"
        raise UserError(f"{name}: cannot be used with -, which reads one text per line and prints JSON Lines; {remedy}")

    import os
    import sys

    from featherweight.inference.classifier import Classifier
    from featherweight.inference.pipes import predict_lines

    tell(notes_on(run, given))
    classifier = Classifier.load(run, **vars(given))
    source = sys.stdin.fileno()
    predict_lines(classifier, lambda: os.read(source, 1 << 16), sys.stdout, lambda line: tell([line]))


def _first_set(of_files: dict[str, Any]) -> str | None:
    """The first option in ``of_files`` that the user has set, such as ``--kaggle``; None if there is none."""
    of_files["as_names"] = of_files["as_numbers"] is False
    name = next((name for name, value in of_files.items() if value), None)
    return name and _SPELLED.get(name, f"--{name.replace('_', '-')}")


_SPELLED = {"id_column": "--id", "safe": "--safe-csv", "replace": "--force", "overrides": "--set"}
"""Names of the options that are not spelled like their arguments in this file."""


def _show(run: str, texts: list[str], given: PeftOptions, **of_files: Any) -> None:
    """Print the predictions for ``texts`` as a table.

    Raises UserError if an option that only applies to files (``of_files``) is set.
    """
    if option := _first_set(of_files):
        raise UserError(f"{option} and --text exclude each other: --text prints its predictions and writes no file")

    from featherweight.cli.tables import prediction_table
    from featherweight.console import plain_console
    from featherweight.inference.output_files import in_pairs, predict_texts

    inputs = in_pairs(run, texts, given)
    tell(notes_on(run, given))
    plain_console().print(prediction_table(inputs, predict_texts(run, inputs, **vars(given))))
