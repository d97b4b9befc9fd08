"""What a run came to, and in how far two runs came to the same; and what a killed run has half-written."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILES = ("adapter/*", "evaluation.json", "predictions.parquet", "verification.json", "recipe.toml", "weigh.json")
_CLOCK = ("seconds", "peak_memory_bytes")
"""What differs from one time to the next, and is no result."""


@dataclass(frozen=True)
class Outcome:
    """Of one run folder, or of all those of some rounds: files by name, lines of the histories."""

    files: dict[str, bytes]
    histories: dict[str, list[dict[str, Any]]]
    torn: int
    """Lines that are no record."""
    leftovers: tuple[str, ...]

    def epoch_after(self, step: int) -> float | None:
        """Epochs done after a step of the first run, or None where it has no such step."""
        records = next(iter(self.histories.values()))
        return next((record["epoch"] for record in records if record.get("epoch") and record["step"] == step), None)


def outcome(folder: Path) -> Outcome:
    """Read what stands in ``folder``; the run's files that tell of the clock and the machine are left out."""
    files, histories, torn = {}, {}, 0
    for history in sorted(folder.glob("**/history.jsonl")):
        name = str(history.parent.relative_to(folder))
        for path in sorted(path for pattern in _FILES for path in history.parent.glob(pattern) if path.is_file()):
            files[str(path.relative_to(folder))] = path.read_bytes()
        # Of these it matters that they are there; what they show is the clock's too.
        pages = [path for name in ("report.html", "manifest.json") for path in history.parent.glob(name)]
        files |= {f"{name}/{page.name}": b"" for page in pages}
        files |= {f"{name}/{picture.name}": b"" for picture in history.parent.glob("plots/*.png")}
        histories[name], bad = _records(history)
        torn += bad
    files |= {page.name: b"" for page in folder.glob("comparison.*")}
    leftovers = (path for path in folder.rglob("*") if path.suffix == ".part" or path.name == "part")
    return Outcome(files, histories, torn, tuple(sorted(path.name for path in leftovers)))


def unlike(found: Outcome, expected: Outcome) -> Counter[str]:
    """Lost steps, doubled lines, torn lines, other records, differing files and bytes, leftovers; none is the aim."""
    counts: Counter[str] = Counter(torn_lines=found.torn, leftovers=len(found.leftovers))
    for name, records in expected.histories.items():
        wanted, got = Counter(map(_key, records)), Counter(map(_key, found.histories.get(name, [])))
        counts["lost_steps"] += (wanted - got).total()
        counts["doubled_lines"] += (got - wanted).total()
        counts["other_records"] += found.histories.get(name) != records
    for name in expected.files.keys() | found.files.keys():
        one, other = expected.files.get(name), found.files.get(name)
        if one != other:
            counts["differing_files"] += 1
            counts["differing_bytes"] += _differing_bytes(one or b"", other or b"")
    return +counts


def half_written(folder: Path) -> Iterator[str]:
    """Names of files that stand half-written under their own names; history.jsonl may end in half a line."""
    for path in sorted(folder.rglob("*")):
        beside = any(part == "part" or part.endswith(".part") for part in path.relative_to(folder).parts)
        if path.is_file() and not beside and (read := _READERS.get(path.suffix)):
            try:
                read(path)
            except Exception:  # each reader has its own
                yield path.name


def _records(history: Path) -> tuple[list[dict[str, Any]], int]:
    records, torn = [], 0
    for line in history.read_text("utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line if line.endswith("\n") else "")
        except json.JSONDecodeError:
            torn += 1
            continue
        records.append({key: value for key, value in record.items() if key not in _CLOCK})
    return records, torn


def _key(record: dict[str, Any]) -> tuple[str, int]:
    return record["kind"], record["step"]


def _differing_bytes(one: bytes, other: bytes) -> int:
    return sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))


def _read_history(path: Path) -> None:
    from featherweight.run.folder import read_history

    read_history(path)


def _read_weights(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        file.keys()


def _read_table(path: Path) -> None:
    import pyarrow.parquet as pq

    pq.read_metadata(path)


def _read_picture(path: Path) -> None:
    if not path.read_bytes().endswith(b"IEND\xaeB`\x82"):
        raise ValueError("cut short")


def _read_page(path: Path) -> None:
    if not path.read_text("utf-8").rstrip().endswith("</html>"):
        raise ValueError("cut short")


_READERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".jsonl": _read_history,
    ".toml": lambda path: tomllib.loads(path.read_text("utf-8")),
    ".safetensors": _read_weights,
    ".parquet": _read_table,
    ".png": _read_picture,
    ".html": _read_page,
}
