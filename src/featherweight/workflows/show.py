"""Shows results in a notebook: tables and plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from featherweight.argument_checks import described
from featherweight.budget.weigh import Weight
from featherweight.data.inspection import Inspection
from featherweight.errors import UserError
from featherweight.evaluation.comparison import Comparison
from featherweight.report.comparison.tables import Table, tables
from featherweight.report.comparison.words import headline, markdown_table, sections
from featherweight.run.folder import Run
from featherweight.workflows.check import inspection_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shown = Run | Comparison | Weight | Inspection
PIXELS, WIDEST = 100, 900
"""Displayed pixels per inch, and maximum displayed width of a plot; the files have a higher resolution."""


def show(thing: Shown, *pictures: str) -> None:
    """Show a run, a comparison, or the result of ``weigh`` or ``check`` in a notebook.

    ``pictures`` are names of plots to show instead. A run has ``curves``, ``confusion_matrix``, ``per_class``,
    ``reliability``, ``weigh_in``, ``shift``, ``summary`` and ``learning_rate``; a comparison has ``rounds``,
    ``differences``, ``frontier``, ``loss``, ``accuracy`` and ``shift``. Raises UserError outside of notebooks, and if
    there is no such plot.
    """
    if not isinstance(thing, Shown):
        raise UserError(f"show takes a run, a comparison, or the result of weigh or check, not {described(thing)}")
    display = _display_module()
    if isinstance(thing, Run):
        from featherweight.workflows.report import run_pictures

        paths = {path.stem: path for path in run_pictures(thing)}
        for name in pictures or ("summary",):
            data = _named(paths, name, thing).read_bytes()
            display.display(display.Image(data, width=_width(data)))
    elif isinstance(thing, Comparison):
        if not pictures:
            display.display(display.Markdown(comparison_markdown(thing)))
        for data in comparison_pictures(thing, pictures):
            display.display(display.Image(data, width=_width(data)))
    elif pictures:
        raise UserError(f"{type(thing).__name__} has no plots; call show without a name")
    elif isinstance(thing, Weight):
        display.display(display.Markdown(weight_markdown(thing)))
    else:
        print("\n".join(inspection_lines(thing)))


def comparison_pictures(comparison: Comparison, names: Iterable[str]) -> list[bytes]:
    """The plots ``names`` of a comparison as PNG data. Raises UserError if there is no such plot."""
    from featherweight.report.comparison.page import available, title_of
    from featherweight.report.style import drawing, png_data, title_above

    found = available(comparison)
    makers = {name: _named(found, name, comparison) for name in names}

    def titled(name: str) -> Figure:
        figure = makers[name]()
        title_above(figure.axes[0], title_of(comparison, name))
        return figure

    with drawing():
        return [png_data(titled(name)) for name in makers]


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison as Markdown: headline, notes, tables and the difference of every pair."""
    parts = [f"**{headline(comparison)}.**", *comparison.notes]
    for table in tables(comparison):
        parts += [f"**{table.title}**", markdown_table(table)]
    for title, pairs in sections(comparison).items():
        parts += [f"**{title}**", "\n".join(f"- {pair.words}" for pair in pairs)]
    return "\n\n".join(parts)


def weight_markdown(weight: Weight) -> str:
    """The result of ``weigh`` as a Markdown table: parameters by component, total, budget and remaining budget."""
    rows = [[component.name, f"{component.parameters:,}"] for component in weight.components]
    rows += [["**trainable**", f"**{weight.total:,}**"], ["budget", f"{weight.budget:,}"]]
    rows += [["left" if weight.margin >= 0 else "over budget", f"{abs(weight.margin):,}"]]
    table = markdown_table(Table("", ["component", "parameters"], rows, 1))
    return f"{table}\n\n{weight.percent:.2f}% of the backbone's {weight.backbone_parameters:,} parameters"


def _named(found: Mapping[str, Any], name: str, thing: Shown) -> Any:
    if not isinstance(name, str):
        raise UserError(
            f"show takes each name of a plot as an argument, such as show(run, 'curves'), not {described(name)}"
        )
    if name not in found:
        what = type(thing).__name__.lower()
        raise UserError(f"the {what} has no plot {name!r}; it has {', '.join(sorted(found))}")
    return found[name]


def _display_module() -> Any:
    try:
        from IPython import display
    except ImportError:
        raise UserError(
            "show works only in notebooks, and IPython is not installed; open the plots in plots/ of the run folder"
        ) from None
    return display


def _width(png: bytes) -> int:
    """Width in pixels at which a PNG is displayed; bytes 16 to 19 of the file are the width of the image."""
    from featherweight.report.style import DPI

    return min(WIDEST, round(int.from_bytes(png[16:20], "big") * PIXELS / DPI))
