"""Predictions in a pipe: one text per input line, one JSON object per output line, written as lines arrive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from featherweight.errors import UserError

if TYPE_CHECKING:
    from featherweight.inference.classifier import Classifier

PIPE = "-"
"""Stands for standard input and standard output."""
_MOST_LINES = 1000  # in one computation


def write_lines(columns: Mapping[str, list], output: TextIO) -> None:
    """Write a JSON object for each row of ``columns``, and flush the output."""
    for values in zip(*columns.values(), strict=True):
        output.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")
    output.flush()


def predict_lines(
    classifier: Classifier,
    read: Callable[[], bytes],
    output: TextIO,
    note: Callable[[str], None] = lambda line: None,
) -> int:
    """Classify each line of the input, and write the predictions to ``output`` as JSON Lines.

    ``read`` returns the bytes that are available, and empty bytes at the end of the input.

    Returns the number of lines. A blank line gets the label of an empty text; at the end, ``note`` gets their number.
    Raises UserError for a classifier of pairs, and for a line that is not UTF-8.
    """
    if classifier.recipe.data.join == "pair":
        both = " and ".join(classifier.recipe.data.text)
        raise UserError(f"-: this run classifies pairs of {both}; pass a file with both columns instead")
    from featherweight.data.gaps import Blanks  # not above: the command line needs PIPE, but no NumPy

    done, blanks = 0, Blanks(PIPE)
    for lines in _lines(read):
        texts = [_decoded(line, done + number) for number, line in enumerate(lines, 1)]
        write_lines(prediction_lines(classifier, texts, done), output)
        blanks.add(texts, done)
        done += len(texts)
    if blanks.note:
        note(blanks.note)
    return done


def prediction_lines(classifier: Classifier, texts: list[str], before: int) -> dict[str, list]:
    """The columns of the output for some ``texts``: row number, label and the probability of each class.

    The row numbers start at ``before``, the number of texts that were classified earlier.
    """
    probabilities = classifier.probabilities(texts, warn=False)
    named: list[Any] = classifier.task.named(classifier.task.decide(probabilities), classifier.labels)
    columns: dict[str, list] = {"row": [str(row) for row in range(before, before + len(texts))], "label": named}
    return columns | {f"p_{name}": probabilities[:, place].tolist() for place, name in enumerate(classifier.labels)}


def _lines(read: Callable[[], bytes]) -> Iterator[list[bytes]]:
    """Yield the complete lines from ``read`` in lists, as soon as they are available."""
    begun: list[bytes] = []  # the pieces of a line that has not ended; joined once, as a line may be very long
    while piece := read():
        end, *more = piece.split(b"\n")
        begun.append(end)
        if not more:
            continue
        lines, begun = [b"".join(begun), *more[:-1]], more[-1:]
        for start in range(0, len(lines), _MOST_LINES):
            yield lines[start : start + _MOST_LINES]
    if rest := b"".join(begun):
        yield [rest]


def _decoded(line: bytes, number: int) -> str:
    try:
        text = line.removesuffix(b"\r").decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"-: line {number} is not UTF-8 ({error.reason}); convert the input, for example with iconv"
        ) from None
    return text if text.strip() else ""
