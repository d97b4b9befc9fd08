"""Writes a label audit as one self-contained HTML file, and its suspects and near-duplicates as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from featherweight.data.near_duplicates import Pair
from featherweight.evaluation.multi_label_noise import MultiLabelNoise
from featherweight.files import write_whole
from featherweight.formatting import QUOTED, counted, safe_cell
from featherweight.report.noise.contents import Audit
from featherweight.report.noise.suspects import card, in_words, label_table, row_number, shown, suspects_csv
from featherweight.report.pages import page_templates

SUSPECTS_ON_THE_PAGE = 300
PAIRS_ON_THE_PAGE = 100
LINES_ON_THE_PAGE = 20
"""Of the table of labels."""


def write_audit(audit: Audit, folder: Path) -> list[Path]:
    """Write noise.html, suspects.csv and near-duplicates.csv into ``folder``, and return their paths."""
    tables = {"suspects.csv": suspects_csv(audit), "near-duplicates.csv": near_duplicates_csv(audit)}
    texts = {**tables, "noise.html": render(audit)}
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def near_duplicates_csv(audit: Audit) -> str:
    """The pairs of training texts that are nearly equal as CSV, the most similar first; rows are counted from 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=QUOTED)
    writer.writerow(["similarity", *(f"{key}_{side}" for key in ("row", "label", "text") for side in "ab")])
    for pair in audit.near_duplicates:
        both = (pair.first, pair.second)
        writer.writerow([
            round(float(pair.similarity), 4), *(row_number(audit, row) for row in both),
            *(safe_cell(audit.label_of(row)) for row in both), *(safe_cell(audit.texts[row]) for row in both),
        ])  # fmt: skip
    return text.getvalue()


def render(audit: Audit) -> str:
    """The audit as the text of an HTML file."""
    noise = audit.noise
    several = isinstance(noise, MultiLabelNoise)
    opposed = set(contradictions := audit.contradictions)
    alike = [pair for pair in audit.near_duplicates if pair not in opposed]
    same = "the same labels" if several else "the same label"
    lines = label_table(audit)
    template = page_templates().get_template("noise.html.j2")
    return template.render(
        audit=audit,
        several=several,
        rows=f"{len(audit.texts):,}",
        score=f"{noise.micro_f1 if isinstance(noise, MultiLabelNoise) else noise.accuracy:.2%}",
        lines=lines[:LINES_ON_THE_PAGE],
        more_lines=_more(len(lines) - LINES_ON_THE_PAGE, "label" if several else "pair"),
        suspects=[card(audit, one) for one in noise.suspects[:SUSPECTS_ON_THE_PAGE]],
        more=max(0, len(noise.suspects) - SUSPECTS_ON_THE_PAGE),
        near_duplicates=[
            (title, len(pairs), [_both(audit, pair) for pair in pairs[:PAIRS_ON_THE_PAGE]])
            for title, pairs in (("different labels", contradictions), (same, alike))
            if pairs
        ],
        leaks=[_leak(audit, pair) for pair in (audit.leaks or [])[:PAIRS_ON_THE_PAGE]],
        shown=PAIRS_ON_THE_PAGE,
    )


def _more(count: int, thing: str) -> str:
    """The beginning of a sentence on ``count`` more things with suspects; empty if there are none."""
    return f"{counted(count, f'more {thing}')} with suspects {'is' if count == 1 else 'are'}" if count > 0 else ""


def _leak(audit: Audit, pair: Pair) -> dict[str, str]:
    return {
        "similarity": _similarity(pair),
        "first": shown(audit.test_texts[pair.first]),
        "second": shown(audit.texts[pair.second]),
        "label": in_words(audit.names_of(pair.second)),
    }


def _both(audit: Audit, pair: Pair) -> dict[str, str]:
    return {
        "similarity": _similarity(pair),
        "first_row": f"{row_number(audit, pair.first):,}",
        "second_row": f"{row_number(audit, pair.second):,}",
        "first": shown(audit.texts[pair.first]),
        "second": shown(audit.texts[pair.second]),
        "first_label": in_words(audit.names_of(pair.first)),
        "second_label": in_words(audit.names_of(pair.second)),
    }


def _similarity(pair: Pair) -> str:
    return "equal" if pair.similarity == 1 else f"{pair.similarity:.0%} alike"
