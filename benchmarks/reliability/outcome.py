"""What a run came to, and in how far two runs came to the same; and what a killed run has half-written."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

_FILES = ("adapter/*", "evaluation.json", "predictions.parquet", "verification.json", "recipe.toml", "weigh.json")
_SHOWN = ("report.html", "manifest.json", "plots/*.png")
"""Of these it matters that they are there; what they show is the clock's too."""
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
    files, histories, torn = {page.name: b"" for page in folder.glob("comparison.*")}, {}, 0
    for history in sorted(folder.glob("**/history.jsonl")):
        run = history.parent
        shown = {path: b"" for pattern in _SHOWN for path in run.glob(pattern)}
        read = {path: path.read_bytes() for pattern in _FILES for path in run.glob(pattern) if path.is_file()}
        files |= {str(path.relative_to(folder)): content for path, content in {**read, **shown}.items()}
        histories[str(run.relative_to(folder))], bad = _records(history)
        torn += bad
    leftovers = (path for path in folder.rglob("*") if path.suffix == ".part" or path.name == "part")
    return Outcome(files, histories, torn, tuple(sorted(path.name for path in leftovers)))


def unlike(found: Outcome, expected: Outcome) -> Counter[str]:
    """Lost steps, doubled lines, torn lines, other records, differing files and bytes, leftovers; none is the aim."""
    counts: Counter[str] = Counter(torn_lines=found.torn, leftovers=len(found.leftovers))
    for name, records in expected.histories.items():
        got = found.histories.get(name, [])
        lines, own = (Counter((record["kind"], record["step"]) for record in one) for one in (records, got))
        counts["lost_steps"] += (lines - own).total()
        counts["doubled_lines"] += (own - lines).total()
        counts["other_records"] += got != records
    for name in expected.files.keys() | found.files.keys():
        both = expected.files.get(name, b""), found.files.get(name, b"")
        counts["differing_files"] += expected.files.get(name) != found.files.get(name)
        counts["differing_bytes"] += sum(a != b for a, b in zip_longest(*both)) if both[0] != both[1] else 0
    return +counts


def half_written(folder: Path) -> Iterator[str]:
    """Names of files that stand half-written under their own names; history.jsonl may end in half a line."""
    for path in sorted(folder.rglob("*")):
        beside = any(part == "part" or part.endswith(".part") for part in path.relative_to(folder).parts)
        if path.is_file() and not beside and not _is_whole(path):
            yield path.name


def _is_whole(path: Path) -> bool:
    import pyarrow.parquet as parquet
    from safetensors import safe_open

    from featherweight.run.folder import read_history

    readers: dict[str, Callable[[Path], Any]] = {
        ".json": lambda path: json.loads(path.read_text("utf-8")),
        ".jsonl": read_history,
        ".toml": lambda path: tomllib.loads(path.read_text("utf-8")),
        ".safetensors": lambda path: safe_open(path, "np").keys(),
        ".parquet": parquet.read_metadata,
    }
    ends = {".png": b"IEND\xaeB`\x82", ".html": b"</html>"}
    if path.suffix in ends:
        return path.read_bytes().rstrip(b"\n").endswith(ends[path.suffix])
    try:
        readers.get(path.suffix, bool)(path)
    except Exception:  # each reader has its own
        return False
    return True


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
