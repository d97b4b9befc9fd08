"""`featherweight report RUN`."""

from __future__ import annotations

from featherweight.cli.arguments import RunArgument

NAME = "report"


def command(run: RunArgument) -> None:
    """Draw a run's pictures and write its report.html anew."""
    from featherweight.report.page import write_report
    from featherweight.report.plots import draw_plots

    pictures = draw_plots(run)
    print(f"Report: {write_report(run)}" + (f"\nPictures: {pictures[0].parent}" if pictures else ""))
