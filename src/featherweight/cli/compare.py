"""The command `featherweight compare RUN RUN ...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from featherweight.evaluation.comparison import Comparison

NAME = "compare"


def command(
    runs: Annotated[
        list[str],
        typer.Argument(help="Finished run folders; runs that differ only in the seed count as one, by their mean."),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the comparison as HTML, Markdown, CSV and plots.")
    ] = None,
) -> None:
    """Compare finished runs on their test rows, and test which differences are significant."""
    from featherweight.run.folder import Run

    for run in runs:
        Run(run)  # a folder that is not a run is refused before scipy and scikit-learn are imported

    from featherweight.evaluation.comparison import compare_runs
    from featherweight.report.comparison.page import require_own_folder, write_comparison

    if out is not None:
        require_own_folder(out)
    comparison = compare_runs(runs)
    print_comparison(comparison)
    if out is None:
        print("-o DIR writes this comparison as HTML, Markdown, CSV and plots.")
        return
    print(f"Comparison: {write_comparison(comparison, out)[0]}")


def print_comparison(comparison: Comparison) -> None:
    """Print the result, the tables, and the difference between each pair of runs or recipes."""
    from rich.table import Table

    from featherweight.console import plain_console
    from featherweight.report.comparison.tables import tables
    from featherweight.report.comparison.words import headline, sections

    console = plain_console()
    if not console.is_terminal:
        console.width = 160  # in a file, tables need not fit the width of a terminal
    console.print(headline(comparison), style="bold", soft_wrap=True)
    for note in comparison.notes:
        console.print(note, soft_wrap=True)
    for table in tables(comparison):
        console.print()
        shown = Table(*table.columns, title=table.title, title_justify="left", title_style="bold", box=None)
        shown.pad_edge = False
        for column in shown.columns[table.words :]:
            column.justify = "right"
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for title, pairs in sections(comparison).items():
        console.print(f"\n{title}", style="bold")
        for pair in pairs:
            console.print(pair.words, soft_wrap=True)
    for note in comparison.baseline_notes:
        console.print(note, soft_wrap=True)
    console.print()
