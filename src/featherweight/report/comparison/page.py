"""Writes a comparison as one self-contained HTML file, and as Markdown, CSV and PNG files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.errors import UserError
from featherweight.evaluation.comparison import Comparison
from featherweight.files import file_in_the_way, write_whole
from featherweight.report.comparison.curves import curves, draw_curves
from featherweight.report.comparison.plots import draw_differences, draw_frontier, draw_rounds, draw_shift
from featherweight.report.comparison.tables import tables
from featherweight.report.comparison.words import (
    headline,
    markdown,
    method,
    pairs_csv,
    provenance,
    rounds_csv,
    sections,
)
from featherweight.report.fonts import key_of, set_numbers
from featherweight.report.pages import page_templates
from featherweight.report.style import drawing, save_png, single_plot, title_above, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "rounds": "Accuracy",
    "differences": "Round against round",
    "against_baselines": "Rounds against baselines",
    "frontier": "Accuracy against trained parameters",
    "loss": "Training loss",
    "accuracy": "Validation accuracy",
    "shift": "Accuracy on shift sets",
}


SECTIONS = {title: key for key, title in TITLES.items()}


def require_own_folder(folder: Path) -> None:
    """Raise UserError unless ``compare -o`` may write to ``folder``: it is new, empty, or has an earlier comparison."""
    if file := file_in_the_way(folder):
        raise UserError(f"-o {folder}: cannot be created, because {file} is a file; choose another folder")
    own = {*_TEXTS, "plots", *(f"plots/{name}.png" for name in TITLES)}
    found = [path.relative_to(folder).as_posix() for path in (*folder.glob("*"), *folder.glob("plots/*"))]
    visible = sorted(name.removesuffix(".part") for name in found if not Path(name).name.startswith("."))
    if other := next((name for name in visible if name not in own), None):
        raise UserError(
            f"-o {folder}: has other files than those of a comparison, such as {other}; choose a new folder"
        )


def write_comparison(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Write comparison.html, .md and .csv, differences.csv and plots/*.png into ``folder``, and return their paths.

    Raises OSError if the folder is not writable.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: written(comparison) for name, written in _TEXTS.items()}  # all before the first is written
    for name, text in texts.items():
        write_whole(folder / name, text)
    with drawing():
        pictures = {name: draw() for name, draw in available(comparison).items()}
        for name, figure in pictures.items():
            title_above(figure.axes[0], title_of(comparison, name))
        paths = [save_png(figure, folder / "plots" / f"{name}.png") for name, figure in pictures.items()]
    return [*(folder / name for name in texts), *paths]


def render(comparison: Comparison) -> str:
    """The comparison as the text of an HTML file."""
    from markupsafe import Markup

    pages = page_templates()
    with drawing():
        # Markup: the drawing library has escaped the texts inside.
        drawn = {
            name: to_svg(draw(), title_of(comparison, name))
            for name, draw in available(comparison, fonts_of_reader=True).items()
        }
    pictures = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    return pages.get_template("comparison.html.j2").render(
        comparison=comparison,
        headline=headline(comparison),
        tables=tables(comparison),
        sections=[(SECTIONS[title], title, pairs) for title, pairs in sections(comparison).items()],
        pictures=pictures,
        several=any(len(round_.runs) > 1 for round_ in comparison.rounds),
        method=method(comparison),
        name_key=key_of(numbered) if (numbered := set_numbers(comparison.shift_sets)) else "",
        provenance=provenance(comparison),
        reports=[
            (round_.name, [(run.recipe.seed, str(run.folder)) for run in round_.runs]) for round_ in comparison.rounds
        ],
    )  # fmt: skip


_TEXTS: dict[str, Callable[[Comparison], str]] = {
    "comparison.html": render,
    "comparison.md": markdown,
    "comparison.csv": rounds_csv,
    "differences.csv": pairs_csv,
}
"""The files of a comparison beside its plots, and the functions that give their texts."""


def title_of(comparison: Comparison, name: str) -> str:
    """The title of the plot ``name``, such as "Accuracy on shift sets" for ``shift``."""
    title = TITLES[name]
    if name == "accuracy":
        return "Validation micro-F1" if comparison.several else title
    return title.replace("Accuracy", comparison.metric.title)


def available(comparison: Comparison, *, fonts_of_reader: bool = False) -> dict[str, Callable[[], Figure]]:
    """{plot name: function that returns its figure} for each plot with data; call it inside ``with drawing():``.

    A shift set whose name no installed font can draw is shown as a number. With ``fonts_of_reader`` all names stay:
    the plot becomes an SVG, which a browser draws with the fonts of the reader.
    """
    numbers = {} if fonts_of_reader else set_numbers(comparison.shift_sets)
    names = [round_.name for round_ in comparison.rounds]
    makers: dict[str, Callable[[], Figure]] = {
        "rounds": lambda: _rows(names, partial(draw_rounds, comparison=comparison))
    }
    for key, pairs in (
        ("differences", comparison.differences),
        ("against_baselines", comparison.against_baselines),
    ):
        if pairs:
            labels = [f"{pair.first} over {pair.second}" for pair in pairs]
            makers[key] = partial(_rows, labels, partial(draw_differences, pairs=pairs))
    if any(round_.parameters for round_ in comparison.rounds):
        makers["frontier"] = lambda: single_plot(5.2, 3.0, partial(draw_frontier, comparison=comparison))
    for kind, rounds in curves(comparison).items():
        if rounds:
            makers[kind] = partial(
                single_plot, 4.9, 3.1, partial(draw_curves, comparison=comparison, kind=kind, seeds_of=rounds)
            )
    if comparison.shift_sets:
        makers["shift"] = lambda: _rows(names, partial(draw_shift, comparison=comparison, numbers=numbers))
    return makers


def _rows(names: list[str], draw: Callable[[Axes], None]) -> Figure:
    """A figure that ``draw`` fills, high enough for one row per name and wide enough for the longest name."""
    letters = min(54, max(map(len, names)))
    return single_plot(4.4 + max(0.0, 0.062 * (letters - 10)), 0.85 + 0.28 * len(names), draw)
