"""The report: one page that opens anywhere, with every picture inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featherweight.files import write_whole
from featherweight.formatting import duration, rounded_size
from featherweight.report.fonts import key_of
from featherweight.report.run import headline
from featherweight.report.run.bars import MOST_CLASSES
from featherweight.report.run.confusion import MOST_NUMBERED, most_confused
from featherweight.report.run.contents import Contents, read_contents
from featherweight.report.run.plots import available, title_of
from featherweight.report.style import drawing, to_svg
from featherweight.run.best import metric_of
from featherweight.run.figures import SCALED

LONGEST_TEXT = 600
"""Letters of a mistaken text that the table shows."""


def write_report(run_folder: str | Path) -> Path:
    """Write ``run_folder``/report.html, self-contained, and return its path.

    Everything that a run may hold has its section; what is missing is said. Raises UserError where ``run_folder`` is
    no run or one of its files is damaged.
    """
    run = read_contents(run_folder)
    path = run.folder / "report.html"
    write_whole(path, render(run))
    return path


def write_page(contents: Contents, path: Path) -> None:
    """Write the page of what is no run into a file of its own, whole or not at all."""
    write_whole(path, render(contents))


def render(run: Contents) -> str:
    """The page of ``run`` as HTML."""
    from jinja2 import Environment, PackageLoader

    pages = Environment(
        loader=PackageLoader("featherweight.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters |= {"percent": lambda share: f"{share:.1%}", "count": lambda n: f"{n:,}"}
    pages.filters["cut"] = lambda text: text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    pages.filters["labels"] = lambda found: found if isinstance(found, str) else ", ".join(found) or "none"
    return pages.get_template("report.html.j2").render(
        run=run,
        sentence=headline.sentence(run),
        facts=headline.facts(run),
        pictures=_pictures(run),
        missing=run.missing(),
        warnings=run.warnings(),
        training=_training(run),
        environment=_environment(run),
        verification=_verification(run),
        several=run.several,
        confused=most_confused(run.evaluated[1]) if run.evaluated and not run.several else [],
        scaled=SCALED,
        label_key=key_of(run.numbered_labels),
        best_by=metric_of(run.best_by, several=run.several).name,
        numbered=MOST_NUMBERED,
        bars=MOST_CLASSES,
    )


def _pictures(run: Contents) -> dict[str, Any]:
    from markupsafe import Markup

    with drawing():
        # Markup: the drawing library has escaped the texts inside.
        return {name: Markup(to_svg(draw(), title_of(run, name))) for name, draw in available(run).items()}  # noqa: S704


def _training(run: Contents) -> dict[str, str]:
    """What the curves do not say: how long, how fast, where the saved adapter is from."""
    steps = run.steps["step"]
    rows = {}
    if len(steps):
        rows["Steps"] = f"{int(steps[-1]):,}"
    if run.validations:
        rows["Evaluations"] = f"{len(run.validations):,}"
    if run.evaluation.get("best_step") is not None:
        rows["Best step"] = f"{run.evaluation['best_step']:,}"
    metric = metric_of(run.best_by, several=run.several)
    if (best := run.evaluation.get(f"best_validation_{run.best_by}")) is not None:
        rows[f"Best validation {metric.name}"] = metric.words(best)
    if start := run.recipe.get("adapter", {}).get("start_from"):
        rows["Started from"] = start
    if "seconds" in run.environment:
        rows["Time, all in all"] = duration(run.environment["seconds"])
    if "peak_memory_bytes" in run.environment:
        rows["Peak memory"] = rounded_size(run.environment["peak_memory_bytes"])
    return rows


def _environment(run: Contents) -> dict[str, str]:
    """The environment as rows of a table; nested tables become rows of their own."""
    rows: dict[str, str] = {}
    for key, value in run.environment.items():
        if key == "warnings" or value is None:
            continue
        name = key.replace("_", " ")
        if isinstance(value, dict):
            rows |= {f"{name}: {part}": _plain(inner) for part, inner in value.items() if inner is not None}
        else:
            size = key.endswith("_bytes")
            rows[name.removesuffix(" bytes")] = rounded_size(value) if size else _plain(value)
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


def _verification(run: Contents) -> list[str]:
    """What was compared after the training, a sentence each."""
    subjects = {"reloaded": "Reloaded in a fresh process", "peft": "Loaded by PEFT alone"}
    said = []
    if tensors := run.verification.get("tensors"):
        said.append(
            f"Loaded by PEFT: all {tensors:,} tensors of the file are in the model, and none was initialised at random."
        )
    for key, subject in subjects.items():
        compared = run.verification.get(key)
        if compared and not compared["largest_difference"]:
            said.append(f"{subject}: the same logits for {compared['rows']:,} rows, bit for bit.")
        elif compared:
            largest = compared["largest_difference"]
            rounding = f", which is rounding (up to {compared['allowed']:.2g})" if compared.get("allowed") else ""
            said.append(
                f"{subject}: the logits of {compared['rows']:,} rows differ by {largest:.2g} at the most{rounding}."
            )
    return said
