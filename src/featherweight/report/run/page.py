"""The HTML report: one self-contained file with all plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featherweight.files import write_whole
from featherweight.formatting import counted, duration, percentage, rounded_size, shortened
from featherweight.report.fonts import key_of
from featherweight.report.pages import page_templates
from featherweight.report.run import headline
from featherweight.report.run.bars import MOST_CLASSES, NONE
from featherweight.report.run.confusion import MOST_NUMBERED, most_confused
from featherweight.report.run.contents import Contents, read_contents
from featherweight.report.run.plots import available, title_of
from featherweight.report.run.reliability import error_by_chance
from featherweight.report.run.soup import soup_table
from featherweight.report.style import drawing, to_svg
from featherweight.run.best import decided_by_validation, metric_of
from featherweight.run.figures import SCALED, at_the_limit, class_figure

NOTABLE_BY_CHANCE = 0.01
"""From this calibration error on, that of right probabilities is worth a sentence."""
LONGEST_TEXT = 600
"""Maximum number of characters of a misclassified text in the table."""


def write_report(run_folder: str | Path) -> Path:
    """Write ``run_folder``/report.html, a self-contained file, and return its path.

    The report tells which parts of the run are missing. Raises UserError if ``run_folder`` is not a run or one of its
    files is damaged.
    """
    run = read_contents(run_folder)
    path = run.folder / "report.html"
    write_whole(path, render(run))
    return path


def write_page(contents: Contents, path: Path) -> None:
    """Write the report for ``contents``, of a run or of a classifier that PEFT saved, to ``path``, atomically."""
    write_whole(path, render(contents))


def render(run: Contents) -> str:
    """The report for ``run`` as HTML."""
    pages = page_templates()
    pages.filters |= {"percent": lambda share: percentage(share, 1), "count": lambda n: f"{n:,}"}
    pages.filters["join_percent"] = lambda interval: " to ".join(percentage(share, 1) for share in interval)
    pages.filters["cut"] = lambda text: shortened(text, LONGEST_TEXT)
    pages.filters["figure"] = lambda row, key: (
        NONE if (share := class_figure(row, key)) is None else percentage(share, 1)
    )
    pages.filters["labels"] = lambda found: found if isinstance(found, str) else ", ".join(found) or "none"
    return pages.get_template("report.html.j2").render(
        run=run,
        sentence=headline.sentence(run),
        facts=headline.facts(run),
        pictures=_pictures(run),
        missing=run.missing(),
        warnings=run.warnings(),
        training=_training(run),
        soup=soup_table(run),
        environment=_environment(run),
        verification=_verification(run),
        several=run.several,
        numbering=_numbering(run),
        by_chance=_error_by_chance(run),
        at_the_limit=bool(run.evaluated and at_the_limit(run.evaluated[1]["temperature"])),
        confused=most_confused(run.evaluated[1]) if run.evaluated and not run.several else [],
        scaled=SCALED,
        name_key=key_of(run.numbered_labels, run.numbered_sets),
        best_by=metric_of(run.best_by, several=run.several).name,
        numbered=MOST_NUMBERED,
        bars=MOST_CLASSES,
    )


def _error_by_chance(run: Contents) -> str:
    """The calibration error of right probabilities on so few rows, in percent; empty if it is small.

    It is not known for several labels per text, because the labels of a text are not independent.
    """
    bins = run.evaluated[1].get("reliability_scaled") if run.evaluated and not run.several else None
    expected = error_by_chance(bins) if bins else 0.0
    return f"{expected:.1%}" if expected >= NOTABLE_BY_CHANCE else ""


def _numbering(run: Contents) -> str:
    """How the rows of the most confident errors are numbered; those that were split off have no numbers in the data."""
    split_off = bool(run.evaluated and run.evaluated[0] == "validation" and run.recipe_text)
    if split_off and not run.recipe.get("data", {}).get("validation"):
        return "The validation rows, which were split off the training rows, are counted among themselves, from 1."
    return "Row numbers start at 1."


def _pictures(run: Contents) -> dict[str, Any]:
    from markupsafe import Markup

    with drawing():
        # Markup: the drawing library has escaped the texts inside.
        return {name: Markup(to_svg(draw(), title_of(run, name))) for name, draw in available(run).items()}  # noqa: S704


def _training(run: Contents) -> dict[str, str]:
    """The table about the training as {name: value}: steps, evaluations, best step, time and memory."""
    steps = run.steps["step"]
    rows = {}
    if len(steps):
        rows["Steps"] = f"{int(steps[-1]):,}"
    if run.validations and run.has_curves:
        rows["Evaluations"] = f"{len(run.validations):,}"
    if run.evaluation.get("best_step"):
        rows["Best step"] = f"{run.evaluation['best_step']:,}"
    if len(steps) and run.has_curves and not decided_by_validation(run.recipe):
        rows["Saved step"] = f"{int(steps[-1]):,} (the last)"
    metric = metric_of(run.best_by, several=run.several)
    if run.has_curves and (best := run.evaluation.get(f"best_validation_{run.best_by}")) is not None:
        rows[f"Best validation {metric.name}"] = metric.words(best)
    if start := run.recipe.get("adapter", {}).get("start_from"):
        rows["Started from"] = start
    if teachers := run.recipe.get("training", {}).get("teacher"):
        rows["Teachers"] = ", ".join(teachers)
    if "seconds" in run.environment:
        rows["Total time"] = duration(run.environment["seconds"])
    if "peak_memory_bytes" in run.environment:
        rows["Peak memory"] = rounded_size(run.environment["peak_memory_bytes"])
    return rows


def _environment(run: Contents) -> dict[str, str]:
    """The content of environment.json as {name: text}; each key of a nested table has its own entry."""
    rows: dict[str, str] = {}
    for key, value in run.environment.items():
        if key in ("warnings", "remedies", "soup") or value is None:  # they have a place of their own
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
    """One sentence for each comparison of the saved adapter with the trained model."""
    subjects = {"reloaded": "Reloaded in a fresh process", "peft": "Loaded by PEFT alone"}
    said = []
    if tensors := run.verification.get("tensors"):
        said.append(
            f"Loaded by PEFT: all {tensors:,} tensors of the file are in the model, and no tensor of the model "
            "was initialised at random."
        )
    for key, subject in subjects.items():
        compared = run.verification.get(key)
        if compared and not compared["largest_difference"]:
            said.append(f"{subject}: the same logits for {counted(compared['rows'], 'row')}, bit for bit.")
        elif compared:
            largest = compared["largest_difference"]
            rounding = f", which is rounding (up to {compared['allowed']:.2g})" if compared.get("allowed") else ""
            said.append(
                f"{subject}: the logits of {counted(compared['rows'], 'row')} differ by at most "
                f"{largest:.2g}{rounding}."
            )
    return said
