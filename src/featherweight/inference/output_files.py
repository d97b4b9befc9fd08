"""Predictions for a whole file, piece by piece, written as CSV, JSONL, Parquet or a contest's submission."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder
from featherweight.adapter.peft.given import NOTHING_GIVEN, PeftOptions
from featherweight.argument_checks import list_of, require_path
from featherweight.data.gaps import Blanks
from featherweight.data.texts import inputs_of, require_source
from featherweight.environment import quick_imports
from featherweight.errors import UserError, in_a_line
from featherweight.files import disk_refusal, written_whole
from featherweight.formatting import QUOTED, safe_columns
from featherweight.inference.submission.choices import Choices
from featherweight.run.folder import Run

if TYPE_CHECKING:
    import numpy as np

    from featherweight.data.pairs import Text
    from featherweight.data.sources import Rows
    from featherweight.inference.classifier import Classifier, Prediction
    from featherweight.inference.submission.submission import Submission
    from featherweight.recipe import DataRecipe

FORMATS = (".csv", ".jsonl", ".parquet")
PIECE = 20_000
"""Rows that are in memory at once: enough that texts of one length fill whole batches, and a few megabytes."""

Write = Callable[[dict[str, list]], None]
"""Takes the columns of the next rows."""


def predict_file(
    run: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    kaggle: bool = False,
    like: str | Path | None = None,
    id_column: str | None = None,
    label_name: str | None = None,
    as_numbers: bool | None = None,
    as_probabilities: bool = False,
    replace: bool = False,
    safe: bool = False,
    labels: Sequence[str] = (),
    base: str | Path | None = None,
    task: str | None = None,
    join: str | None = None,
    text: str | Sequence[str] = (),
    follow: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> int:
    """Classify every text of ``source`` and write ``out``, whole or not at all; returns the number of rows.

    Columns: the text's id or row number, the label, the calibrated probability of each class. Where a text may have
    several labels they are a list, and in a CSV one text such as ``a|b``. ``id_column`` names the
    column of ids; ``row`` asks for row numbers. With ``safe`` no text in a CSV begins like a formula, for spreadsheets.
    ``run`` may be a folder that PEFT saved: ``labels``, ``base``, ``task`` and ``join`` are as for ``Classifier.load``.
    ``text`` names the column of the texts (or several, which are joined), where it is not called as in the training
    data.

    With ``kaggle`` it is a contest's submission: the id column and the label column, called as in the test data and in
    the training data (or ``label_name``), with labels as the training data writes them (or class numbers with
    ``as_numbers``, the probability of the positive one of two with ``as_probabilities``); ``ID,Label`` with class
    numbers where the data has no such names. ``like`` is a sample submission, which decides all of that and the order
    of the ids instead. ``note`` is told what a reader should know of these choices, a line at a time; by default it is
    printed on standard error.

    The data may be larger than memory: it is read twice, piece by piece, the first time to find what is wrong with it
    before anything is classified. ``follow`` is told the rows done and the rows in all. Raises UserError on a wrong
    ending, an existing file, options that exclude each other, texts or ids that cannot be used. Every row has a
    prediction: a blank or missing text gets the label of an empty one, and a note says so.
    """
    source = require_source(source, "predict_file")
    require_path(out, "out", "the path of the file to write")
    peft = PeftOptions(labels, base, task, join).checked()
    out, kaggle = Path(out), kaggle or like is not None
    choices = Choices(like, id_column, label_name, as_numbers, as_probabilities)
    choices.check(kaggle)
    _check_target(out, kaggle, replace)
    _check_safe(out, choices, kaggle, safe)
    text = [text] if isinstance(text, str) else list_of(text, "text=...", "names of columns")

    from featherweight.data.new_columns import with_new_columns

    data = with_new_columns(_data_of(run, peft), source, text)

    from featherweight.inference.submission.submission import plan_submission
    from featherweight.inference.submission.trained_labels import trained_labels

    submission = plan_submission(run, source, data, choices, trained_labels(run, peft), PIECE) if kaggle else None
    read = _reader(source, data, submission, id_column)
    total, notes, blanks = 0, dict.fromkeys(submission.notes if submission else ()), Blanks(in_a_line(source))
    for piece in submission.checked(read()) if submission else read():
        blanks.add(piece.texts, total)
        total += len(piece)
        notes |= dict.fromkeys(piece.notes)
    for line in [*notes, *([blanks.note] if blanks.note else [])]:
        (note or _print_note)(line)

    classifier = _classifier(run, peft)
    with _whole_file(out, classifier.labels, safe=safe) as write:
        return _classify(read(), classifier, submission, write, follow, total)


def _classify(
    pieces: Iterator[Rows],
    classifier: Classifier,
    submission: Submission | None,
    write: Write,
    follow: Callable[[int, int], None] | None,
    total: int,
) -> int:
    """Write the predictions for all pieces, of ``total`` rows; returns the number of rows."""
    done = 0
    for piece in pieces:
        counted = _counted(follow, done, total) if follow else None
        probabilities = classifier.probabilities(piece.texts, advance=counted, warn=False)
        if submission:
            submission.add(piece, done, probabilities, write)
        else:
            write(_columns(piece, done, probabilities, classifier))
        done += len(piece)
    if submission:
        submission.finish(PIECE, write)
    return done


def _reader(
    source: str, data: DataRecipe, submission: Submission | None, id_column: str | None
) -> Callable[[], Iterator[Rows]]:
    """Reads the texts and ids from the start, piece by piece."""
    from featherweight.data.id_column import named_ids
    from featherweight.data.sources import text_pieces

    find_ids = submission.find_ids if submission else named_ids(id_column)
    return lambda: text_pieces(source, data, split="test", rows=PIECE, find_ids=find_ids)


def predict_texts(
    run: str | Path,
    texts: Iterable[Text],
    *,
    labels: Sequence[str] = (),
    base: str | Path | None = None,
    task: str | None = None,
    join: str | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Prediction]:
    """Label and calibrated probabilities of each text, taken as it is. Raises UserError as ``predict_file`` does.

    Texts come in whatever holds them in an order, as ``Classifier.predict`` takes them; ``note`` is told of blank ones,
    by default on standard error.
    """
    peft = PeftOptions(labels, base, task, join).checked()
    given = inputs_of(texts, _data_of(run, peft), "predict_texts(run, ...)")
    blanks = Blanks()
    blanks.add(given)
    if blanks.note:
        (note or _print_note)(blanks.note)

    return _classifier(run, peft).predict(given, warn=False)


def _classifier(run: str | Path, peft: PeftOptions) -> Classifier:
    with quick_imports():  # not before everything else is checked: it imports torch
        from featherweight.inference.classifier import Classifier
    return Classifier.load(run, **vars(peft))


def in_pairs(run: str | Path, texts: Sequence[str], peft: PeftOptions = NOTHING_GIVEN) -> Sequence[Text]:
    """``texts`` unchanged, or grouped into pairs if ``run`` classifies pairs: the first two are a pair, and so on.

    Raises UserError if the last text of a pair is missing.
    """
    data = _data_of(run, peft)
    if data.join != "pair":
        return texts
    if len(texts) % 2:
        both = " and ".join(data.text)
        raise UserError(f'this run classifies pairs of {both}: give both texts, --text "..." --text "..."')
    return [*zip(texts[::2], texts[1::2], strict=True)]


def _data_of(run: str | Path, peft: PeftOptions) -> DataRecipe:
    require_path(run, "run", "the path of a run folder")
    return read_peft_folder(run, peft).data if is_peft_folder(run) else Run(run).recipe.data


def _counted(follow: Callable[[int, int], None], done: int, total: int) -> Callable[[int], None]:
    """Tells ``follow`` the rows done so far, of which ``done`` lie before this piece."""

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        follow(done, total)

    return advance


def _print_note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def _columns(piece: Rows, before: int, probabilities: np.ndarray, classifier: Classifier) -> dict[str, list]:
    ids = list(piece.ids) if piece.ids else [str(row) for row in range(before, before + len(piece))]
    labels = classifier.labels
    best = classifier.task.named(classifier.task.decide(probabilities), labels)
    columns = {"row" if piece.ids is None else "id": ids, "label": best}
    return columns | {f"p_{name}": probabilities[:, place].tolist() for place, name in enumerate(labels)}


def _check_target(out: Path, kaggle: bool, replace: bool) -> None:
    if out.suffix not in FORMATS:
        raise UserError(f"-o {out}: the ending says the format; use one of {', '.join(FORMATS)}")
    if kaggle and out.suffix != ".csv":
        raise UserError(f"-o {out}: a submission is a CSV file; name it .csv")
    if out.exists() and not replace:
        raise UserError(f"-o {out}: exists; choose a new file, or replace it by --force")
    if not out.parent.is_dir():
        raise UserError(f"-o {out}: the folder {out.parent} does not exist")


def _check_safe(out: Path, choices: Choices, kaggle: bool, safe: bool) -> None:
    if safe and kaggle:
        asked = "--kaggle" if choices.like is None else "--like"
        raise UserError(f"--safe-csv and {asked} exclude each other: the ids of a submission must not be changed")
    if safe and out.suffix != ".csv":
        raise UserError(f"--safe-csv: {out} is no CSV file; leave the option out, or name a .csv file")


@contextmanager
def _whole_file(out: Path, names: Sequence[str], *, safe: bool) -> Iterator[Write]:
    """Takes columns and writes them beside ``out``; the file gets its name at the end, and a failure leaves none."""
    writer = {".csv": _csv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}[out.suffix]
    try:
        with written_whole(out) as part, writer(part, safe) as write:
            if out.suffix != ".csv":
                yield write
                return

            def write_cells(columns: dict[str, list]) -> None:
                cells = {name: [_cell(value, names) for value in values] for name, values in columns.items()}
                write(safe_columns(cells) if safe else cells)

            yield write_cells
    except OSError as error:
        raise disk_refusal(error, out) or error from None


def _cell(value: Any, names: Sequence[str]) -> Any:
    """A value as a cell of a CSV: the labels of a text as one text."""
    from featherweight.data.label_lists import cell_of

    return cell_of(value, names) if isinstance(value, list) else value


@contextmanager
def _csv_writer(path: Path, quoted: bool) -> Iterator[Write]:
    import pandas as pd

    quoting = QUOTED if quoted else csv.QUOTE_MINIMAL

    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda columns: pd.DataFrame(columns).to_csv(file, index=False, header=not file.tell(), quoting=quoting)


@contextmanager
def _jsonl_writer(path: Path, quoted: bool) -> Iterator[Write]:
    def write(columns: dict[str, list]) -> None:
        for values in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")

    with path.open("w", encoding="utf-8") as file:
        yield write


@contextmanager
def _parquet_writer(path: Path, quoted: bool) -> Iterator[Write]:
    import pyarrow.parquet as pq

    from featherweight.data.label_lists import arrow_table

    def write(columns: dict[str, list]) -> None:
        table = arrow_table(columns)
        if not opened:
            opened.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
        opened[0].write_table(table)

    opened: list[Any] = []
    with ExitStack() as stack:
        yield write
