"""`featherweight predict RUN FILE -o OUT`, or with a folder that PEFT saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.arguments import ClassifierArgument, LabelsOption, label_names, notes_on, tell
from featherweight.errors import UserError

NAME = "predict"


def command(
    run: ClassifierArgument,
    file: Annotated[
        str | None,
        typer.Argument(help="Texts to classify: a file or a folder saved by `datasets`; labels are not needed."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A text to classify instead of a file; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Where to write: .csv, .jsonl or .parquet; with --kaggle: submission.csv."),
    ] = None,
    kaggle: Annotated[
        bool,
        typer.Option("--kaggle", help="Write a contest's submission: ids and labels, called as in the data."),
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option("--like", help="Write like this sample submission: its header, order of ids, kind of values."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="The column of ids; row: row numbers, from 0.")
    ] = None,
    label_name: Annotated[
        str | None, typer.Option("--label-name", metavar="NAME", help="With --kaggle: name of the label column.")
    ] = None,
    as_numbers: Annotated[
        bool | None,
        typer.Option(
            "--as-numbers/--as-names",
            help="With --kaggle: class numbers from 0, or labels as the training data has them.",
            show_default=False,
        ),
    ] = None,
    safe: Annotated[
        bool,
        typer.Option("--safe-csv", help="For spreadsheets: put an apostrophe before texts that begin like a formula."),
    ] = False,
    labels: LabelsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output file.")] = False,
) -> None:
    """Classify every text of a file, or the texts given: label and calibrated probability of each class."""
    if text:
        options = {"file": file, "out": out, "kaggle": kaggle, "like": like, "id": id_column, "label-name": label_name}
        options |= {"as-numbers": as_numbers, "as-names": as_numbers is False, "safe-csv": safe, "force": force}
        _show(run, text, label_names(labels), **options)
        return
    if file is None:
        raise UserError('FILE is missing: name a file of texts, or give a text by --text "..."')
    if out is None and not kaggle and like is None:
        raise UserError("-o is missing: name the file to write, such as labels.csv, labels.jsonl or labels.parquet")
    out = out or Path("submission.csv")

    from featherweight.console import follow_rows
    from featherweight.inference.output_files import predict_file

    names = label_names(labels)
    tell(notes_on(run, names))
    with follow_rows("predicting") as follow:
        rows = predict_file(
            run,
            file,
            out,
            kaggle=kaggle,
            like=like,
            id_column=id_column,
            label_name=label_name,
            as_numbers=as_numbers,
            replace=force,
            safe=safe,
            labels=names,
            follow=follow,
            note=lambda line: tell([line]),
        )
    print(f"{out}: {rows:,} predictions")


def _show(run: str, texts: list[str], names: tuple[str, ...], **of_files: object) -> None:
    """Print the predictions for ``texts``; the options ``of_files`` have no place beside them."""
    if given := next((name for name, value in of_files.items() if value), None):
        option = "FILE" if given == "file" else f"--{given}"
        raise UserError(f"{option} and --text exclude each other: --text prints its predictions and writes no file")

    from featherweight.cli.tables import prediction_table
    from featherweight.console import plain_console
    from featherweight.inference.output_files import predict_texts

    tell(notes_on(run, names))
    plain_console().print(prediction_table(texts, predict_texts(run, texts, labels=names)))
