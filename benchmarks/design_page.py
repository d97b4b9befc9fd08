"""The table of decisions in docs/design/speed.md, between its two marks, from the results of changes.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Record = dict[str, Any]
FIRST, LAST = "<!-- changes -->", "<!-- end of changes -->"


def write_changes(records: Sequence[Record], page: Path, section: Callable[[Record], str]) -> Path | None:
    """Put every result of changes.py into ``page``, as ``section`` words it; None where there is neither."""
    found = [record for record in records if record.get("benchmark") == "changes"]
    if not found or not page.is_file():
        return None
    before, _, rest = page.read_text("utf-8").partition(FIRST)
    _, mark, after = rest.partition(LAST)
    if not mark:
        raise SystemExit(f"benchmark: {page.name}: the marks {FIRST} and {LAST} are not both there")
    body = "\n\n".join(map(section, sorted(found, key=lambda record: record["name"])))
    part = page.with_suffix(".part")
    part.write_text(f"{before}{FIRST}\n{body}\n{LAST}{after}", "utf-8")
    return part.replace(page)
