"""Writes a label audit as one self-contained HTML file, and its suspects and near-duplicates as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from featherweight.data.near_duplicates import Pair
from featherweight.evaluation.label_noise import Suspect
from featherweight.files import write_whole
from featherweight.formatting import QUOTED, safe_cell
from featherweight.report.noise.contents import Audit
from featherweight.report.pages import page_templates
from featherweight.report.style import shorten

SUSPECTS_ON_THE_PAGE = 300
PAIRS_ON_THE_PAGE = 100
LONGEST_TEXT = 600
"""Characters of a text on the page; the CSV file has all of it."""


def write_audit(audit: Audit, folder: Path) -> list[Path]:
    """Write noise.html, suspects.csv and near-duplicates.csv into ``folder``, and return their paths."""
    tables = {"suspects.csv": suspects_csv(audit), "near-duplicates.csv": near_duplicates_csv(audit)}
    texts = {**tables, "noise.html": render(audit)}
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def suspects_csv(audit: Audit) -> str:
    """The suspects as CSV, the most doubtful first.

    With the recipe key ``data.drop``, a training leaves out the rows that this file lists. To keep a row, a user
    removes its line.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=QUOTED)
    writer.writerow(["row", "label", "suggested", "probability_of_label", "probability_of_suggested", "text"])
    for one in audit.noise.suspects:
        names = audit.label_names
        writer.writerow([
            int(audit.places[one.row]) + 1, safe_cell(names[one.label]), safe_cell(names[one.suggested]),
            round(float(one.quality), 4), round(float(one.suggested_probability), 4), safe_cell(audit.texts[one.row]),
        ])  # fmt: skip
    return text.getvalue()


def near_duplicates_csv(audit: Audit) -> str:
    """The pairs of training texts that are nearly equal as CSV, the most similar first; rows are counted from 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=QUOTED)
    writer.writerow(["similarity", *(f"{key}_{side}" for key in ("row", "label", "text") for side in "ab")])
    for pair in audit.near_duplicates:
        both = (pair.first, pair.second)
        writer.writerow([
            round(float(pair.similarity), 4), *(int(audit.places[row]) + 1 for row in both),
            *(safe_cell(audit.label_of(row)) for row in both), *(safe_cell(audit.texts[row]) for row in both),
        ])  # fmt: skip
    return text.getvalue()


def render(audit: Audit) -> str:
    """The audit as the text of an HTML file."""
    pages = page_templates()
    noise, names = audit.noise, audit.label_names
    contradictions = audit.contradictions
    opposed = set(contradictions)
    alike = [pair for pair in audit.near_duplicates if pair not in opposed]
    confusions = [(names[given], names[other], f"{count:,}") for (given, other), count in noise.confusions.items()]
    return pages.get_template("noise.html.j2").render(
        audit=audit,
        rows=f"{len(audit.texts):,}",
        accuracy=f"{noise.accuracy:.2%}",
        confusions=confusions[:20],
        suspects=[_card(audit, one) for one in noise.suspects[:SUSPECTS_ON_THE_PAGE]],
        more=max(0, len(noise.suspects) - SUSPECTS_ON_THE_PAGE),
        near_duplicates=[
            (title, len(pairs), [_both(audit, pair) for pair in pairs[:PAIRS_ON_THE_PAGE]])
            for title, pairs in (("different labels", contradictions), ("the same label", alike))
            if pairs
        ],
        leaks=[_leak(audit, pair) for pair in (audit.leaks or [])[:PAIRS_ON_THE_PAGE]],
        shown=PAIRS_ON_THE_PAGE,
    )


def _card(audit: Audit, one: Suspect) -> dict[str, str]:
    return {
        "row": f"{int(audit.places[one.row]) + 1:,}",
        "label": audit.label_names[one.label],
        "suggested": audit.label_names[one.suggested],
        "given": f"{one.quality:.1%}",
        "other": f"{one.suggested_probability:.1%}",
        "text": _shown(audit.texts[one.row]),
    }


def _leak(audit: Audit, pair: Pair) -> dict[str, str]:
    return {
        "similarity": _similarity(pair),
        "first": _shown(audit.test_texts[pair.first]),
        "second": _shown(audit.texts[pair.second]),
        "label": audit.label_of(pair.second),
    }


def _both(audit: Audit, pair: Pair) -> dict[str, str]:
    return {
        "similarity": _similarity(pair),
        "first_row": f"{int(audit.places[pair.first]) + 1:,}",
        "second_row": f"{int(audit.places[pair.second]) + 1:,}",
        "first": _shown(audit.texts[pair.first]),
        "second": _shown(audit.texts[pair.second]),
        "first_label": audit.label_of(pair.first),
        "second_label": audit.label_of(pair.second),
    }


def _similarity(pair: Pair) -> str:
    return "equal" if pair.similarity == 1 else f"{pair.similarity:.0%} alike"


def _shown(text: str) -> str:
    return shorten(text, LONGEST_TEXT)
