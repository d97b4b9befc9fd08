"""`featherweight predict RUN FILE -o OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.arguments import RunArgument

NAME = "predict"


def command(
    run: RunArgument,
    file: Annotated[
        str, typer.Argument(help="Texts to classify: a file or a folder saved by `datasets`; labels are not needed.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to write: .csv, .jsonl or .parquet.")],
    kaggle: Annotated[
        bool, typer.Option("--kaggle", help="Write exactly the columns ID,Label (label numbers) as CSV.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output file.")] = False,
) -> None:
    """Classify every text of a file: label and calibrated probability of each class."""
    from featherweight.predictions import predict_file

    rows = predict_file(run, file, out, kaggle=kaggle, replace=force)
    print(f"{out}: {rows:,} predictions")
