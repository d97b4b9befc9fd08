"""The command `featherweight evaluate RUN`, where RUN is a run, an export or a folder that PEFT saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from featherweight.cli.arguments import (
    BaseOption,
    ClassifierArgument,
    JoinOption,
    LabelColumnsOption,
    LabelsOption,
    ReadOption,
    TaskOption,
    TextOption,
    notes_on,
    peft_options,
    tell,
)
from featherweight.errors import UserError

if TYPE_CHECKING:
    from featherweight.adapter.peft.given import PeftOptions

NAME = "evaluate"


def command(
    run: ClassifierArgument,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File or data set with labels; by default the run's own rows, as stored."),
    ] = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    drop_empty: Annotated[
        bool,
        typer.Option("--drop-empty", help="Leave out rows of --data that lack a text or a label, and say how many."),
    ] = False,
    labels: LabelsOption = None,
    base: BaseOption = None,
    task: TaskOption = None,
    join: JoinOption = None,
    overrides: ReadOption = [],  # noqa: B006 (typer copies it)
    json_output: Annotated[bool, typer.Option("--json", help="Print all metrics as JSON.")] = False,
) -> None:
    """Print the metrics of a finished run, or evaluate a run, an export or a PEFT folder on other labelled rows."""
    if drop_empty and data is None:
        raise UserError("--drop-empty needs --data; for the run's own rows, data.empty of its recipe decides")
    if overrides and data is None:
        raise UserError("--set says how the file in --data is read; add --data as well")
    gaps: dict[str, Any] = {"drop_empty": drop_empty, "overrides": overrides, "note": lambda line: tell([line])}
    given = peft_options(labels, base, task, join)
    evaluation = _evaluation(run, data, given, {"text": text or [], "label": label or [], **gaps})
    if json_output:
        import json

        print(json.dumps(evaluation, indent=2, ensure_ascii=False))
        return

    from featherweight.cli.tables import doubt_lines, evaluation_lines, figures_line, per_class_table
    from featherweight.console import plain_console

    console = plain_console()
    if data is None:
        for line in evaluation_lines(evaluation, _sections(run)):
            console.print(line, soft_wrap=True)
        console.print(per_class_table(evaluation.get("test", evaluation["validation"]), console.width))
    else:
        for line in (f"{data}: {figures_line(evaluation)}", *doubt_lines(data, evaluation, _sections(run))):
            console.print(line, soft_wrap=True)
        console.print(per_class_table(evaluation, console.width))


def _sections(run: str) -> dict[str, Any]:
    """The recipe of a run as a dict of its sections; empty for a folder that PEFT saved."""
    from featherweight.adapter.peft.folder import is_peft_folder
    from featherweight.run.folder import Run

    return {} if is_peft_folder(run) else Run(run).recipe.model_dump(mode="json")


def _evaluation(run: str, data: str | None, given: PeftOptions, reading: dict[str, Any]) -> dict[str, Any]:
    from featherweight.adapter.peft.folder import is_peft_folder
    from featherweight.console import follow_rows
    from featherweight.run.folder import Run
    from featherweight.workflows.evaluate import evaluate_peft_folder, evaluate_run

    if data is None and is_peft_folder(run):
        raise UserError(f"{run}: PEFT saves no metrics and no test set; add --data with labelled rows")
    if data is None and (named := next((key for key in ("text", "label") if reading[key]), None)):
        raise UserError(f"--{named} names a column of the data in --data; add --data as well")
    tell(notes_on(run, given))
    if data is None:
        return evaluate_run(Run(run))
    with follow_rows("evaluating") as follow:
        if is_peft_folder(run):
            return evaluate_peft_folder(run, data, given, follow, **reading)
        return evaluate_run(Run(run), data, follow=follow, **reading)
