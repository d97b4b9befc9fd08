"""Predictions for a whole file, written as CSV, JSONL, Parquet or a contest's submission."""

from __future__ import annotations

import json
from pathlib import Path

from featherweight.errors import UserError
from featherweight.run import Run, disk_refusal

FORMATS = (".csv", ".jsonl", ".parquet")


def predict_file(run: str | Path, source: str, out: Path, *, kaggle: bool = False, replace: bool = False) -> int:
    """Classify every text of ``source`` and write ``out``, whole or not at all; returns the number of rows.

    Columns: the text's id or row number, the label, the calibrated probability of each class; with ``kaggle`` exactly
    ``ID,Label`` with label numbers. Raises UserError on a wrong ending, an existing file, or texts that cannot be read.
    """
    _check_target(out, kaggle, replace)
    recipe = Run(run).recipe

    from featherweight.classifier import Classifier
    from featherweight.data.sources import read_rows

    rows = read_rows(source, recipe.data, split="test", labelled=False)
    classifier = Classifier.load(run)
    probabilities = classifier.probabilities(rows.texts)
    best = probabilities.argmax(1)
    ids = rows.ids or [str(number) for number in range(len(rows.texts))]
    if kaggle:
        columns = {"ID": ids, "Label": best.tolist()}
    else:
        columns = {"row" if rows.ids is None else "id": ids, "label": [classifier.labels[choice] for choice in best]}
        columns |= {f"p_{name}": probabilities[:, place].tolist() for place, name in enumerate(classifier.labels)}
    _write(columns, out)
    return len(rows.texts)


def _check_target(out: Path, kaggle: bool, replace: bool) -> None:
    if out.suffix not in FORMATS:
        raise UserError(f"-o {out}: the ending says the format; use one of {', '.join(FORMATS)}")
    if kaggle and out.suffix != ".csv":
        raise UserError(f"-o {out}: a submission is a CSV file; name it .csv")
    if out.exists() and not replace:
        raise UserError(f"-o {out}: exists; name a new file, or replace it by --force")
    if not out.parent.is_dir():
        raise UserError(f"-o {out}: the folder {out.parent} does not exist")


def _write(columns: dict[str, list], out: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(columns)
    part = out.with_name(out.name + ".part")
    try:
        if out.suffix == ".csv":
            table.to_csv(part, index=False)
        elif out.suffix == ".jsonl":
            records = table.to_dict(orient="records")
            part.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
        else:
            table.to_parquet(part, index=False)
        part.replace(out)
    except OSError as error:
        raise disk_refusal(error, out) or error from None
    finally:
        part.unlink(missing_ok=True)
