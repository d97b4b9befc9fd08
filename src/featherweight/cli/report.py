"""`featherweight report RUN`, or a folder that PEFT saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.arguments import (
    BaseOption,
    ClassifierArgument,
    LabelsOption,
    label_names,
    refuse_peft_options,
    tell,
)

NAME = "report"


def command(
    run: ClassifierArgument,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Page to write on a folder that PEFT saved.")] = None,
    data: Annotated[str | None, typer.Option(help="Labelled rows to evaluate a folder that PEFT saved on.")] = None,
    labels: LabelsOption = None,
    base: BaseOption = None,
) -> None:
    """Draw a run's pictures and its report.html again; or a page on what PEFT saved."""
    from featherweight.adapter.peft.folder import is_peft_folder

    if is_peft_folder(run):
        _report_peft(run, out, data, labels, base)
        return
    refuse_peft_options(run, out=out, data=data, labels=labels, base=base)
    from featherweight.run.folder import Run
    from featherweight.workflows.report import report_run

    pictures = report_run(run, lambda line: tell([line]))
    print(f"Report: {Run(run).report}" + (f"\nPictures: {pictures[0].parent}" if pictures else ""))


def _report_peft(folder: str, out: Path | None, data: str | None, labels: str | None, base: str | None) -> None:
    from featherweight.errors import UserError
    from featherweight.workflows.report import report_peft_folder

    if out is None:
        raise UserError(f"{folder}: is no run, and nothing is written into it; name the page by --out PAGE.html")
    tell(report_peft_folder(folder, out, data, label_names(labels), base).notes)
    print(f"Report: {out}")
