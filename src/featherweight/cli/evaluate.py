"""`featherweight evaluate RUN`."""

from __future__ import annotations

from typing import Annotated

import typer

from featherweight.cli.arguments import RunArgument

NAME = "evaluate"


def command(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Option(help="A labelled file or data set; by default the run's own test set.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Judge a finished run on its own test set, or on another labelled set."""
    from featherweight.judge import evaluate_run
    from featherweight.run import Run

    evaluation = evaluate_run(Run(run), data)
    if json_output:
        import json

        print(json.dumps(evaluation, indent=2, ensure_ascii=False))
        return

    from featherweight.cli.tables import evaluation_lines, figures_line, per_class_table, plain_console

    console = plain_console()
    if data is None:
        for line in evaluation_lines(evaluation):
            console.print(line, soft_wrap=True)
        console.print(per_class_table(evaluation.get("test", evaluation["validation"])))
    else:
        console.print(f"{data}: {figures_line(evaluation)}", soft_wrap=True)
        console.print(per_class_table(evaluation))
