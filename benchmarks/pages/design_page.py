"""The tables in docs/design/speed.md, each between its two marks, from the result files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accuracy.publish import filled
from pages.figures import table

from featherweight.errors import UserError
from featherweight.files import write_whole

Record = dict[str, Any]
ON = "-on-"
"""Before the name of another machine in a result's name: train-minilm-speed-on-zen4."""
AGAINST = [
    ("training", "train", "-speed", "trainer", "Trainer's defaults"),
    ("training", "train", "-speed", "tuned", "Trainer, tuned"),
    ("prediction", "predict", "", "pipeline", "the pipeline's defaults"),
]
"""A job of limit.py each: the contest, how its result's name ends, the contestant to beat, and what it is called."""
_PADDING_OF_A_LONG_RUN = 0.1
_UNEVEN = 1.5  # times the least share is the greatest one, where a machine is too uneven for any conclusion from it


def on_machine(record: Record) -> str:
    """Where a result is from, for a heading: ``, on zen4``; empty where its name names no machine."""
    _, _, machine = record.get("name", "").partition(ON)
    return f", on {machine}" if machine else ""


def write_changes(records: Sequence[Record], page: Path, section: Callable[[Record], str]) -> Path | None:
    """Put every result of changes.py into ``page``, as ``section`` words it; None where there is neither."""
    found = [record for record in records if record.get("benchmark") == "changes"]
    if not found or not page.is_file():
        return None
    return _put(page, "changes", "\n\n".join(map(section, sorted(found, key=lambda record: record["name"]))))


def write_aims(records: Sequence[Record], page: Path, aims: dict[tuple[str, str, str], float]) -> Path | None:
    """Put into ``page`` what each ratio aimed at would take of the peak, if it grew with the share of it.

    A share that came out very different from turn to turn is left out. None where there is no page, or no backbone of
    which both the ratio and the share are measured.
    """
    rows = [row for record in records if record.get("benchmark") == "limit" for row in _aims_of(record, records, aims)]
    if not rows or not page.is_file():
        return None
    head = ["", "measured", "at this share of the peak", "aimed at", "would take"]
    return _put(page, "aims", table(head, rows))


def _aims_of(record: Record, records: Sequence[Record], aims: dict[tuple[str, str, str], float]) -> list[list[str]]:
    backbone, rows = record["settings"]["backbone"], []
    _, on, machine = record.get("name", "").partition(ON)
    for job, contest, ending, other, label in AGAINST:
        name = f"{contest}-{backbone}{ending}{on}{machine}"
        found = next((one for one in records if one.get("name") == name), None)
        aim = aims.get((contest, backbone, other))
        times = found and found["summary"].get(other, {}).get("times_faster")
        if not aim or not times or (other == "tuned" and is_of_a_weak_peer(found)):
            continue
        reached, ratio = record["summary"][job]["share"], times["median"]
        if reached["high"] > _UNEVEN * reached["low"]:
            continue
        share = reached["median"]
        what = f"{job}, {backbone}, against {label}{on_machine(record)}"
        rows.append([what, f"{ratio:.1f}×", f"{share:.0%}", f"{aim:g}×", f"{share * aim / ratio:.0%}"])
    return rows


def is_of_a_weak_peer(record: Record) -> bool:
    """Whether the tuned Trainer of a training's result padded more than it would on all rows of the data."""
    padding = record["summary"].get("tuned", {}).get("padding_share")
    return bool(padding) and padding["median"] > _PADDING_OF_A_LONG_RUN


def _put(page: Path, name: str, body: str) -> Path:
    """Put ``body`` between the marks of ``name`` into ``page``."""
    try:
        write_whole(page, filled(page.read_text("utf-8"), name, body))
    except UserError as error:
        raise UserError(f"{page.name}: {error}") from None
    return page
