"""The command `featherweight report RUN`, where RUN is a run or a folder that PEFT saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.arguments import (
    BaseOption,
    JoinOption,
    LabelsOption,
    TaskOption,
    peft_options,
    refuse_peft_options,
    tell,
)

if TYPE_CHECKING:
    from featherweight.adapter.peft.given import PeftOptions

NAME = "report"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, such as runs/newsbriefs, or a folder that PEFT saved.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="For a folder that PEFT saved: the HTML file to write.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="For a folder that PEFT saved: labelled rows, to evaluate it on them.")
    ] = None,
    labels: LabelsOption = None,
    base: BaseOption = None,
    task: TaskOption = None,
    join: JoinOption = None,
) -> None:
    """Write the plots and report.html of a run again, or write a report for a folder that PEFT saved."""
    from featherweight.adapter.peft.folder import is_peft_folder
    from featherweight.errors import UserError
    from featherweight.inference.exported import is_export

    if is_peft_folder(run):
        _report_peft(run, out, data, peft_options(labels, base, task, join))
        return
    if is_export(run):
        raise UserError(f"{run}: an export has no report; pass the run that was exported")
    refuse_peft_options(run, out=out, data=data, labels=labels, base=base, task=task, join=join)
    from featherweight.run.folder import Run
    from featherweight.workflows.report import report_run

    plots = report_run(run, lambda line: tell([line]))
    print(f"Report: {Run(run).report}" + (f"\nPlots: {plots[0].parent}" if plots else ""))


def _report_peft(folder: str, out: Path | None, data: str | None, given: PeftOptions) -> None:
    from featherweight.errors import UserError
    from featherweight.workflows.report import report_peft_folder

    if out is None:
        raise UserError(f"{folder}: is not a run, so the report is not written into it; add --out PAGE.html")
    tell(report_peft_folder(folder, out, data, given, lambda line: tell([line])).notes)
    print(f"Report: {out}")
