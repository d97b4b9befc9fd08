"""The style of all plots: a few colours that colour-blind readers can distinguish, small type, no frames."""

from __future__ import annotations

import io
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.environment import quick_imports
from featherweight.files import written_whole
from featherweight.report.fonts import fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In the HTML report each colour becomes a CSS variable, so that a plot follows the reader's light or dark mode.
INK, MUTED, GRID = "#1b2430", "#5d6878", "#dfe4ea"
BLUE, ORANGE, GREEN, PURPLE, ON_COLOUR = "#2f6fb3", "#d1701a", "#2a8f77", "#9a5f99", "#fefefe"
VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", BLUE: "blue", ORANGE: "orange", GREEN: "green", PURPLE: "purple",
    ON_COLOUR: "on-colour",
}  # fmt: skip

DPI = 160
SCALE = 1.5
"""CSS pixels per point in the HTML report: small type is then nearly 13 pixels high."""
NAMESPACE = 'xmlns:xlink="http://www.w3.org/1999/xlink"'

SETTINGS: dict[str, Any] = {
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5 off"
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 5,
    "ytick.major.pad": 5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Within the context, matplotlib uses the style of Featherweight; afterwards its settings are restored."""
    import matplotlib

    with matplotlib.rc_context({**SETTINGS, "font.family": list(fonts())}), warnings.catch_warnings():
        # A character without an installed font is drawn as a box; ``class_numbers`` avoids this for class names.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of the given size in inches; its layout keeps all labels inside the figure."""
    with quick_imports():
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), layout="constrained")


def single_plot(width: float, height: float, draw: Callable[[Axes], Any]) -> Figure:
    """A figure of the given size in inches with one plot, which ``draw`` draws."""
    figure = new_figure(width, height)
    draw(figure.add_subplot())
    return figure


def save_png(figure: Figure, path: Path) -> Path:
    """Write the figure as a PNG file with a white background, atomically, and return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_bytes(png_data(figure))
    return path


def png_data(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file with a white background."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DPI, facecolor="white", bbox_inches="tight", pad_inches=0.12)
    return data.getvalue()


def to_svg(figure: Figure, label: str) -> str:
    """The figure as an inline SVG element with a transparent background, CSS variables as colours, and real text.

    ``label`` is the accessible name of the element.
    """
    import matplotlib
    from markupsafe import escape

    data = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # The salt makes the ids of several plots on one page different, and reproducible.
    with matplotlib.rc_context({"svg.hashsalt": label}):
        figure.savefig(data, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.02, metadata=nothing)
    svg = data.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, name in VARIABLES.items():
        svg = re.sub(rf"(fill|stroke): {colour}", rf"\1: var(--{name})", svg)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.S)  # it would apply to the whole page, which has its own
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # ids such as axes_1 would occur once per plot
    width, height = map(float, re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
    opening = f'<svg role="img" aria-label="{escape(label)}" style="width:{width * SCALE:.0f}px" '
    return re.sub(r"<svg [^>]*>", f'{opening}viewBox="0 0 {width} {height}" {NAMESPACE}>', svg, count=1)


def shorten(text: str, length: int) -> str:
    """``text`` on one line of at most ``length`` characters, without control characters.

    Characters are removed from the middle, because class names often have the same start and differ at the end.
    """
    line = " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(text)).split())
    tail = (length - 1) * 2 // 5
    return line if len(line) <= length else f"{line[: length - 1 - tail].rstrip()}…{line[-tail:].lstrip()}"


def percent_tick(share: float, _: int | None = None) -> str:
    """A fraction as percent, for a tick of an axis; without trailing zeros."""
    return f"{round(100 * share, 6):g}%"


def count_tick(count: float, _: int | None = None) -> str:
    """A count for a tick of an axis, such as 300k or 1.5M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.4g}{unit}"
    return f"{count:g}"


def legend_above(axes: Axes, columns: int = 4) -> None:
    """Add a legend above the axes, where it cannot hide a curve."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, labelspacing=0.25, borderaxespad=0.2, borderpad=0,
        handlelength=1.3, handletextpad=0.6, columnspacing=1.5,
    )  # fmt: skip


def title_above(axes: Axes, title: str) -> None:
    """Set a title with enough space below it for the legend or the headings above the axes."""
    legend = axes.get_legend()
    lines = math.ceil(len(legend.get_texts()) / legend._ncols) if legend else 1
    labelled = legend or any(text.get_gid() == "above" for text in axes.texts)
    axes.set_title(title, pad=8 + 14 * lines if labelled else 8)


def column(axes: Axes, place: float, heading: str, cells: list[str], *, strong: bool = False, hue: str = MUTED) -> None:
    """Add a right-aligned column of numbers next to the rows of a bar chart, ``place`` inches right of the axes.

    ``heading`` is written above the column in the colour ``hue``, so it can replace a legend.
    """
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure()
    shifted = axes.get_yaxis_transform() + ScaledTranslation(place, 0, figure.dpi_scale_trans)
    style = {"ha": "right", "va": "center_baseline", "transform": shifted}
    for row, cell in enumerate(cells):
        axes.text(1, row, cell, color=INK, weight="bold" if strong else "normal", **style)
    if heading:
        axes.annotate(
            heading, (1, 1), (place * 72, 5), xycoords="axes fraction", textcoords="offset points", color=hue,
            ha="right", va="bottom", gid="above",
        )  # fmt: skip


def rows_down(axes: Axes, names: list[str]) -> None:
    """Set up ``axes`` for horizontal rows with these names, the first one on top."""
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
