"""Classifies a file in pieces, and writes CSV, JSON Lines, Parquet or a submission to a contest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder
from featherweight.adapter.peft.given import NOTHING_GIVEN, PeftOptions
from featherweight.argument_checks import list_of, require_path
from featherweight.data.gaps import Blanks
from featherweight.data.texts import inputs_of, require_no_text, require_source
from featherweight.environment import quick_imports
from featherweight.errors import UserError, in_a_line
from featherweight.hints import Caller, called_with
from featherweight.inference.pipes import PIPE
from featherweight.inference.submission.choices import Choices
from featherweight.inference.target import check_safe, check_target
from featherweight.inference.writers import Write, only_writer, whole_file
from featherweight.progress import running_count
from featherweight.run.folder import Run

if TYPE_CHECKING:
    import numpy as np

    from featherweight.data.pairs import Text
    from featherweight.data.sources import Rows
    from featherweight.inference.classifier import Classifier, Prediction
    from featherweight.inference.finished_pieces import FinishedPieces
    from featherweight.inference.submission.submission import Submission
    from featherweight.recipe import DataRecipe

PIECE = 20_000
"""Number of rows in memory at a time: enough for full batches of texts of similar length, and only a few megabytes."""


@called_with(Caller.ARGUMENTS)
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
    overrides: Sequence[str] = (),
    follow: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> int:
    """Classify every text of ``source`` and write the predictions to ``out``; returns the number of rows.

    The columns are the id or row number of a text, its label, and the calibrated probability of each class. If a text
    may have several labels, the label is a list, in a CSV it is one text such as ``a|b``. ``id_column`` is the id
    column; ``row`` means row numbers. With ``safe``, no text in a CSV begins like a formula of a spreadsheet. ``text``
    names the text column, if it has another name than in the training data; several columns are joined. ``overrides``
    say how ``source`` is read, such as ``"data.encoding=cp1251"``. ``run`` may be
    a folder that PEFT saved: then ``labels``, ``base``, ``task`` and ``join`` are as for ``Classifier.load``.

    With ``kaggle``, ``out`` is a submission to a contest. Its id column is called as the id column of ``source``, or
    ``ID``. Its label column is called ``label_name``, or as the label column of the training data, or ``Label``. Labels
    are written as in the training data, as class numbers (``as_numbers``), or, for two classes, as the probability of
    the positive class (``as_probabilities``). If ``like`` is a sample submission, ``out`` has the same columns, writes
    the labels in the same way, and has the same order of ids. ``note`` is called with each note on these choices; by
    default they go to standard error.

    The data may be larger than memory. It is read twice, in pieces: the first time to find all errors before anything
    is classified. ``follow`` is called with the number of rows that are done and the total number. Raises UserError for
    a wrong file extension, an existing file (with ``replace`` only for one that is read), options that exclude each
    other, and texts or ids that cannot be used; then no file is written. If it is interrupted, the pieces that are done
    are kept in the folder ``<out>.pieces``, and the same call continues from there. Every row gets a prediction: blank
    and missing texts get the label of an empty text, and a note says so.
    """
    source = require_source(source, "predict_file")
    require_no_text(source)
    require_path(out, "out", "the path of the file to write")
    peft = PeftOptions(labels, base, task, join).checked()
    out, kaggle = Path(out), kaggle or like is not None
    choices = Choices(like, id_column, label_name, as_numbers, as_probabilities)
    choices.check(kaggle)
    check_target(out, kaggle=kaggle, replace=replace, inputs={"texts": source, "sample submission": like})
    check_safe(out, choices, kaggle=kaggle, safe=safe)
    text = [text] if isinstance(text, str) else list_of(text, "text=...", "names of columns")

    from featherweight.data.new_columns import read_as, with_new_columns
    from featherweight.data.source_tables import note_on_part

    data = with_new_columns(read_as(_data_of(run, peft), overrides), source, text)

    from featherweight.inference.submission.submission import plan_submission
    from featherweight.inference.submission.trained_labels import trained_labels

    submission = plan_submission(run, source, data, choices, trained_labels(run, peft), PIECE) if kaggle else None
    read = _reader(source, data, submission, id_column)
    part = note_on_part(source, data, "test")
    notes = dict.fromkeys([*([part] if part else []), *(submission.notes if submission else ())])
    total, blanks = 0, Blanks(in_a_line(source))
    for piece in submission.checked(read()) if submission else read():
        blanks.add(piece.texts, total)
        total += len(piece)
        notes |= dict.fromkeys(piece.notes)
    for line in [*notes, *([blanks.note] if blanks.note else [])]:
        (note or _print_note)(line)

    classifier = _classifier(run, peft)
    with only_writer(out):
        check_target(out, kaggle=kaggle, replace=replace)  # another process may have written it in the meantime
        with (
            _resumable(out, classifier, total, note or _print_note) as finished,
            whole_file(out, classifier.labels, safe=safe) as write,
        ):
            return _classify(read(), classifier, submission, write, follow, total, finished)


def _classify(
    pieces: Iterator[Rows],
    classifier: Classifier,
    submission: Submission | None,
    write: Write,
    follow: Callable[[int, int], None] | None,
    total: int,
    finished: FinishedPieces | None,
) -> int:
    """Write the predictions for all ``pieces``, which have ``total`` rows together; returns the number of rows."""
    done = 0
    for piece in pieces:
        advance = running_count(follow, done, total)
        probabilities = finished.read(piece.texts) if finished else None
        if probabilities is None:
            probabilities = classifier.probabilities(piece.texts, advance=advance, warn=False)
            if finished:
                finished.keep(piece.texts, probabilities)
        elif advance:
            advance(len(piece))
        if submission:
            submission.add(piece, done, probabilities, write)
        else:
            write(_columns(piece, done, probabilities, classifier))
        done += len(piece)
    if submission:
        submission.finish(PIECE, write)
    return done


def _resumable(
    out: Path, classifier: Classifier, total: int, note: Callable[[str], None]
) -> AbstractContextManager[FinishedPieces | None]:
    """A context that yields the ``FinishedPieces`` of ``out``, so that an interrupted prediction can be resumed.

    It yields None if there are at most ``PIECE`` rows, or the output is standard output.
    """
    if total <= PIECE or str(out) == PIPE:
        return nullcontext()
    from featherweight.inference.finished_pieces import finished_pieces

    return finished_pieces(out, classifier, total, note)


def _reader(
    source: str, data: DataRecipe, submission: Submission | None, id_column: str | None
) -> Callable[[], Iterator[Rows]]:
    """A function without arguments that reads texts and ids in pieces; each call starts at the first row."""
    from featherweight.data.id_column import named_ids
    from featherweight.data.text_pieces import text_pieces

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
    """The label and the calibrated probabilities of each text. Raises UserError as ``predict_file`` does.

    ``texts`` can be anything that ``Classifier.predict`` accepts. ``note`` is called with a note if some texts are
    blank; by default it goes to standard error.
    """
    peft = PeftOptions(labels, base, task, join).checked()
    given = inputs_of(texts, _data_of(run, peft), "predict_texts(run, ...)")
    blanks = Blanks()
    blanks.add(given)
    if blanks.note:
        (note or _print_note)(blanks.note)

    return _classifier(run, peft).predict(given, warn=False)


def _classifier(run: str | Path, peft: PeftOptions) -> Classifier:
    with quick_imports():  # after all checks, because it imports torch, which takes long
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


def _print_note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def _columns(piece: Rows, before: int, probabilities: np.ndarray, classifier: Classifier) -> dict[str, list]:
    ids = list(piece.ids) if piece.ids else [str(row) for row in range(before, before + len(piece))]
    labels = classifier.labels
    best = classifier.task.named(classifier.task.decide(probabilities), labels)
    columns = {"row" if piece.ids is None else "id": ids, "label": best}
    return columns | {f"p_{name}": probabilities[:, place].tolist() for place, name in enumerate(labels)}
