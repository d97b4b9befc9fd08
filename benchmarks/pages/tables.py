"""Make docs/results/speed.md with its pictures, reliability.md and design/speed.md's tables, from results/*.json.

python benchmarks/tables.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.recording import RESULTS, load_all
from pages import charts, design_page, reliability_page
from pages.sections import AIMS, SECTIONS, changes

Record = dict[str, Any]
DOCS = Path(__file__).parents[2] / "docs"
INTRODUCTION = """# Speed

Made by `python benchmarks/tables.py` from the files in `benchmarks/results`; change those, not this page. Every
contestant ran in a process of its own, turn by turn with the others. Figures are medians of the turns; what stands in
brackets is the least and the greatest. Ratios are taken turn by turn, because a shared machine is fast one minute and
slow the next. Times and rates hold on the machine that is named; ratios travel better.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of JSON files (default: benchmarks/results)"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="where results/speed.md and images go (default: docs)")
    options = parser.parse_args(arguments)

    records = load_all(options.results)
    pages: list[Path | None] = (
        [write_page(records, options.docs)] if any(one.get("benchmark") in SECTIONS for one in records) else []
    )
    design = options.docs / "design" / "speed.md"
    design_page.write_aims(records, design, AIMS)
    pages += [design_page.write_changes(records, design, decisions), reliability_page.write_page(records, options.docs)]
    for page in filter(None, pages):
        print(f"{page.name}: from {len(list(options.results.glob('*.json')))} files")


def write_page(records: Sequence[Record], docs: Path) -> Path:
    """Draw the pictures and write the page; returns its path."""
    images, page = docs / "images", docs / "results" / "speed.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    parts = [INTRODUCTION]
    order = {kind: place for place, kind in enumerate(SECTIONS)}
    known = [record for record in records if record.get("benchmark") in order]
    for record in sorted(known, key=lambda record: (order[record["benchmark"]], record["name"])):
        body = SECTIONS[record["benchmark"]](record)
        parts += [part for part in (f"## {title(record)}", charts_of(record, images), body, footnote(record)) if part]
    part = page.with_suffix(".part")
    part.write_text("\n\n".join(part.strip() for part in parts) + "\n", "utf-8")
    return part.replace(page)


def charts_of(record: Record, images: Path) -> str:
    """The record's pictures, drawn, as Markdown."""
    paths = charts.draw(record, images)
    return "\n".join(f"![{title(record)}](../images/{path.name})" for path in paths)


def title(record: Record) -> str:
    """A heading that says what was measured on what."""
    backbone = record["settings"].get("backbone", "")
    kind = {
        "train": "Training", "predict": "Prediction", "limit": "Share of the processor's peak", "scale": "Growth",
        "startup": "Start", "changes": "What each decision brings", "prefix": "Kept states of frozen layers",
        "gpu-train": "Training on a GPU", "gpu-predict": "Prediction on a GPU",
    }[record["benchmark"]]  # fmt: skip
    what = record["name"].partition(design_page.ON)[0]
    # What the name says beyond benchmark and backbone, such as "speed" or "longer-peers".
    more = what.removeprefix(record["benchmark"]).removeprefix(f"-{backbone}").strip("-").replace("-", ", ")
    where = (f" ({more})" if more else "") + design_page.on_machine(record)
    return f"{kind}{where}" if record["benchmark"] == "startup" else f"{kind}: {backbone}{where}"


def decisions(record: Record) -> str:
    """The same with a heading and what it was measured on, for the page on the engine's design."""
    settings = record["settings"]
    amounts = (("texts of", "length", "tokens"), ("", "steps", "steps"), ("", "repeats", "turns"))
    said = [f"{word} {settings[key]} {what}".strip() for word, key, what in amounts if key in settings]
    heading = ", ".join([f"On {settings['backbone']}{design_page.on_machine(record)}", *said])
    return f"### {heading}\n\n{changes(record)}\n\n{footnote(record)}"


def footnote(record: Record) -> str:
    """Machine, versions, seeds, data, settings and date in one small paragraph."""
    machine, data = record["machine"], {**record["data"]}
    counts = {key.replace("_", " "): value for key, value in data.items() if isinstance(value, int)}
    data_words = ", ".join(f"{value:,} {key}" for key, value in counts.items())
    shell = ", ".join(f"{key}={value}" for key, value in machine.get("environment", {}).items())
    shown = [key for key in ("torch", "transformers", "peft") if key in record["versions"]]
    versions = ", ".join(f"{key} {record['versions'][key]}" for key in shown)
    settings = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in record["settings"].items())
    device = f", {record['device_name']}" if "device_name" in record else ""
    return (
        f"<sub>{record['name']}: {machine['processor']}, {machine['cores']} cores "
        f"({', '.join(machine['instructions'])}){device}, load {machine['load_before']} before; {versions}"
        f"{'; ' + shell if shell else ''}; data {data['name']}{': ' + data_words if data_words else ''}; "
        f"seeds {_plain(record['seeds'])}; {settings}{_command(record)}; "
        f"commit {record.get('commit')}; {record['date'][:10]}.</sub>"
    )


def _command(record: Record) -> str:
    return f"; made by `{record['command']}`" if "command" in record else ""


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
