"""The suspects of a label audit as CSV, and as cards and a table for its page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from featherweight.evaluation.label_noise import LabelNoise, Suspect
from featherweight.evaluation.multi_label_noise import MultiLabelNoise, MultiLabelSuspect
from featherweight.formatting import QUOTED, safe_cell
from featherweight.report.noise.contents import Audit
from featherweight.report.style import shorten

LONGEST_TEXT = 600
"""Characters of a text on the page; the CSV file has all of it."""
NO_LABEL = "no label"
"""What the page says of a text without labels."""
_ONE = ("row", "label", "suggested", "probability_of_label", "probability_of_suggested", "text")
_SEVERAL = ("row", "label", "suggested", "superfluous", "missing", "probabilities", "quality", "text")


def suspects_csv(audit: Audit) -> str:
    """The suspects as CSV, the most doubtful first.

    With the recipe key ``data.drop``, a training leaves out the rows that this file lists. To keep a row, a user
    removes its line. Several labels are one cell, such as ``a|b``; ``probabilities`` is a JSON object with the
    probability of each superfluous or missing label.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=QUOTED)
    several = isinstance(audit.noise, MultiLabelNoise)
    writer.writerow(_SEVERAL if several else _ONE)
    writer.writerows([*map(safe_cell, line)] for line in (_lines_of_several(audit) if several else _lines(audit)))
    return text.getvalue()


def _lines(audit: Audit) -> Iterator[Sequence[Any]]:
    assert isinstance(audit.noise, LabelNoise)
    names = audit.label_names
    for one in audit.noise.suspects:
        probabilities = (round(float(one.quality), 4), round(float(one.suggested_probability), 4))
        yield row_number(audit, one.row), names[one.label], names[one.suggested], *probabilities, audit.texts[one.row]


def _lines_of_several(audit: Audit) -> Iterator[Sequence[Any]]:
    assert isinstance(audit.noise, MultiLabelNoise)
    for one in audit.noise.suspects:
        parts = (one.labels, one.suggested, one.superfluous, one.missing)
        cells = (audit.cell_of(_named(audit, part)) for part in parts)
        probabilities = {audit.label_names[label]: round(value, 4) for label, value in one.probabilities.items()}
        text = json.dumps(probabilities, ensure_ascii=False)
        yield row_number(audit, one.row), *cells, text, round(one.quality, 4), audit.texts[one.row]


def card(audit: Audit, one: Suspect | MultiLabelSuspect) -> dict[str, Any]:
    """The values that the page shows of a suspect; those that do not apply to its task are missing.

    Superfluous and missing labels are pairs of the name and its probability.
    """
    found: dict[str, Any] = {"row": f"{row_number(audit, one.row):,}", "text": shown(audit.texts[one.row])}
    if isinstance(one, Suspect):
        given, suggested = (audit.label_names[label] for label in (one.label, one.suggested))
        probabilities = {"given": f"{one.quality:.1%}", "other": f"{one.suggested_probability:.1%}"}
        return found | probabilities | {"label": given, "suggested": suggested}
    return found | {
        "label": in_words(_named(audit, one.labels)),
        "suggested": in_words(_named(audit, one.suggested)),
        "superfluous": _with_probabilities(audit, one, one.superfluous),
        "missing": _with_probabilities(audit, one, one.missing),
    }


def label_table(audit: Audit) -> list[tuple[str, ...]]:
    """The cells of the table of labels, the most doubtful first.

    A line is given label, suggested label and number of suspects. If a text may have several labels, it is the label,
    the number of rows that have it, and how often it is superfluous and missing.
    """
    names, noise = audit.label_names, audit.noise
    if isinstance(noise, LabelNoise):
        return [(names[given], names[other], f"{count:,}") for (given, other), count in noise.confusions.items()]
    return [(names[one.label], f"{one.rows:,}", f"{one.superfluous:,}", f"{one.missing:,}") for one in noise.counts]


def row_number(audit: Audit, row: int) -> int:
    """The number in the data, from 1, of ``row``."""
    return int(audit.places[row]) + 1


def in_words(names: Sequence[str]) -> str:
    """The labels of a text for the page."""
    return ", ".join(names) or NO_LABEL


def shown(text: str) -> str:
    """``text`` in the length that the page shows."""
    return shorten(text, LONGEST_TEXT)


def _named(audit: Audit, labels: Iterable[int]) -> list[str]:
    return [audit.label_names[label] for label in labels]


def _with_probabilities(audit: Audit, one: MultiLabelSuspect, labels: Iterable[int]) -> list[tuple[str, str]]:
    return [(audit.label_names[label], f"{one.probabilities[label]:.1%}") for label in labels]
