"""Make the pages of docs/results that hold results alone (speed, reliability, serving, budget), and the tables of
docs/design/speed.md.

python benchmarks/run.py pages
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.recording import load_all
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pages import budget, charts, paired

from featherweight.errors import UserError
from featherweight.files import write_whole
from featherweight.recipe import Recipe
from featherweight.workflows.weigh import weigh

Record = dict[str, Any]
KINDS = {
    "train": "Training", "predict": "Prediction", "limit": "Share of the processor's peak", "scale": "Growth",
    "startup": "Start", "prefix": "Stored states of frozen layers", "gpu-train": "Training on a GPU",
    "gpu-predict": "Prediction on a GPU",
}  # fmt: skip
"""What the pages of the machines have sections of, in this order."""
MACHINES = {
    "epyc": "EPYC, 2 cores, bf16",
    "zen4": "EPYC (Zen 4), 2 cores, bf16",
    "emerald-rapids": "Xeon (Emerald Rapids), 2 cores, bf16 by tiles (AMX)",
    "h200": "NVIDIA H200",
}
"""Folders of results in the order of the pages, and what each machine is; others follow by name."""
_PADDING_OF_A_LONG_RUN = 0.1
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    extensions=["jinja2.ext.do"],
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701 (Markdown of our own figures)
)


def main(options: argparse.Namespace) -> None:
    """Write all pages, pictures included."""
    for page in write_pages(load_all(options.results), options.docs):
        print(page)


def write_pages(records: Sequence[Record], docs: Path) -> list[Path]:
    """Write what can be made of ``records``, and return the paths of the pages."""
    results = docs / "results"
    results.mkdir(parents=True, exist_ok=True)
    machines = by_machine(records)
    written = {results / f"speed-{machine}.md": machine_page(machine, own, docs) for machine, own in machines.items()}
    if machines:
        written[results / "speed.md"] = overview(machines)
    more = {"reliability.md": reliability(records), "serving.md": serving(records)}
    if text := budget_page(results, records):
        more[budget.PAGE] = text
        budget.draw(budget.points(results), docs / "images")
    written |= {results / name: text for name, text in more.items() if text}
    design = docs / "design" / "speed.md"
    if design.is_file():
        written[design] = with_design_tables(design.read_text("utf-8"), records)
    for page, text in written.items():
        write_whole(page, text)
    return list(written)


def by_machine(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The results that the pages of the machines show, by machine, each in the order of its page."""
    shown = [record for record in records if record.get("benchmark") in KINDS]
    shown.sort(key=lambda record: (list(KINDS).index(record["benchmark"]), record["name"]))
    folders = sorted({record["machine_folder"] for record in shown})
    ordered = sorted(folders, key=lambda folder: [*MACHINES, folder].index(folder))
    return {folder: [record for record in shown if record["machine_folder"] == folder] for folder in ordered}


def overview(machines: dict[str, list[Record]]) -> str:
    """The page with one row a question and one column a machine."""
    named = {machine: MACHINES.get(machine, machine) for machine in machines}
    found = {(machine, record["name"]): record for machine, own in machines.items() for record in own}
    titles = {machine: list(map(title, own)) for machine, own in machines.items()}
    return rendered("speed.md", machines=named, records=found, titles=titles)


def machine_page(machine: str, records: Sequence[Record], docs: Path) -> str:
    """All results of one machine, with pictures, which are drawn."""
    sections = []
    for record in records:
        pictures = [f"![{title(record)}](../images/{path.name})" for path in charts.draw(record, docs / "images")]
        body = rendered(f"{record['benchmark'].removeprefix('gpu-')}.md", r=record)
        sections.append([f"## {title(record)}", "\n".join(pictures), body, record])
    return rendered("machine.md", machine=MACHINES.get(machine, machine), sections=sections)


def reliability(records: Sequence[Record]) -> str:
    """What kills, checkpoints, bad inputs and fuzzing came to, the newest of each; empty without a result of them."""
    found = newest(records, "reliability-")
    return rendered("reliability.md", **found) if found else ""


def serving(records: Sequence[Record]) -> str:
    """The exports of all results, and the newest of the server with each model; empty without a result of them."""
    found: dict[str, Any] = {}
    if exports := by_date(records, "serving-exports"):
        found["exports"] = exports[::-1]
    if tests := by_date(records, "serving-server"):
        found["servers"] = {record["settings"].get("model", "run"): record for record in tests}
        found["server"] = found["servers"].get("run", tests[-1])
    return rendered("serving.md", **found) if found else ""


def budget_page(results: Path, records: Sequence[Record] = ()) -> str:
    """Accuracy against trainable parameters, from the result files in ``results``; empty without any.

    Of the benchmarks' ``records`` the page takes how long the changes of a recipe train.
    """
    shown = budget.points(results)
    published = next(point for point in shown if point.published)
    if shown == [published]:
        return ""
    return rendered(
        "budget.md",
        picture=budget.PICTURE,
        test_rows=budget.TEST_ROWS,
        published=published,
        counted=weigh(Recipe.load(budget.PUBLISHED_ROUND)).total,
        points=shown,
        pairs=paired.pairs(budget.runs(results)),
        ablations=budget.finished(results, "ablation"),
        timed_with=lambda ablation: budget.timed(ablation, records),
        time_of=budget.time_of,
        planned=tomllib.loads(budget.CHANGES.read_text("utf-8"))["changes"],
        audits=budget.finished(results, "noise"),
        t95=budget.t95,
        outcomes=budget.outcomes,
    )


def newest(records: Sequence[Record], prefix: str) -> dict[str, Record]:
    """The newest result of each kind that begins with ``prefix``, by the rest of its name."""
    ours = by_date(records, prefix)
    return {record["benchmark"].removeprefix(prefix).replace("-", "_"): record for record in ours}


def by_date(records: Sequence[Record], prefix: str) -> list[Record]:
    """The results of the kinds that begin with ``prefix``, the oldest first."""
    ours = (record for record in records if record.get("benchmark", "").startswith(prefix))
    return sorted(ours, key=lambda record: str(record["date"]))


def with_design_tables(page: str, records: Sequence[Record]) -> str:
    """The page on the engine's design with its tables made anew. UserError where it has no place for them."""
    changes = [record for record in records if record.get("benchmark") == "changes"]
    changes.sort(key=lambda record: (record["machine_folder"], record["name"]))
    found = {(record["machine_folder"], record["name"]): record for record in records}
    folders = {record["machine_folder"]: None for record in records}
    parts = {"changes": rendered("changes.md", records=changes)} if changes else {}
    parts["aims"] = rendered("aims.md", records=found, folders=[*folders])
    return filled(page, **{name: text.strip() for name, text in parts.items()})


def title(record: Record) -> str:
    """A heading that says what was measured on what."""
    backbone = record["settings"].get("backbone", "")
    # What the name says beyond benchmark and backbone, such as "speed" or "longer-peers".
    more = record["name"].removeprefix(record["benchmark"]).removeprefix(f"-{backbone}").strip("-").replace("-", ", ")
    subject = "" if record["benchmark"] == "startup" else f": {backbone}"
    return f"{KINDS[record['benchmark']]}{subject}" + (f" ({more})" if more else "")


def rendered(template: str, **values: Any) -> str:
    """A template of Markdown with the values in it; no more than one empty line stands in a row."""
    text = _TEMPLATES.get_template(template).render(**values)
    return re.sub(r"\n\s*\n", "\n\n", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)).strip() + "\n"


def filled(page: str, **parts: str) -> str:
    """The page with each part between ``<!-- NAME -->`` and ``<!-- end of NAME -->``. UserError where they lack."""
    for name, text in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, begun, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not begun or not ended:
            raise UserError(f"the page has no place between {begin.strip()!r} and {end!r}")
        page = f"{before}{begin}{text}{chr(10) if text else ''}{end}{after}"
    return page


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without the columns that are empty everywhere; figures stand on the right."""
    shown = [place for place in range(len(head)) if place == 0 or any(row[place] for row in rows)]
    lines = [[head[place] for place in shown], ["---", *["---:"] * (len(shown) - 1)]]
    lines += [[row[place].replace("|", "\\|") for place in shown] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(figures: dict[str, Any] | None, unit: str = "", digits: int | None = None, scale: float = 1) -> str:
    """Median with least and greatest in brackets, where there were several runs; empty where there was none."""
    if not figures:
        return ""
    median, low, high = (scale * figures[key] for key in ("median", "low", "high"))
    places = digits if digits is not None else 0 if median >= 100 else 1
    text = f"{median:,.{places}f}{unit}"
    return f"{text} ({low:,.{places}f}–{high:,.{places}f})" if figures["runs"] > 1 else text


def did_not_run(label: str, figures: dict[str, Any], columns: int) -> list[str]:
    """The row of a competitor without figures, with the reason."""
    return [label, f"did not run: {figures['failed']}", *[""] * (columns - 2)]


def is_of_a_weak_peer(record: dict[str, Any]) -> bool:
    """Whether the tuned Trainer of a training's result padded more than it would on all rows of the data."""
    padding = record["summary"].get("tuned", {}).get("padding_share")
    return bool(padding) and padding["median"] > _PADDING_OF_A_LONG_RUN


# What the templates call.
_TEMPLATES.globals |= {"max": max, **{one.__name__: one for one in (table, spread, did_not_run, is_of_a_weak_peer)}}
FIGURES = _TEMPLATES.get_template("figures.md").module
"""Macros that all templates may call."""
_TEMPLATES.globals |= {name: value for name, value in vars(FIGURES).items() if name[0] != "_"}
