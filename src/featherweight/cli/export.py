"""The command `featherweight export RUN --to merged|onnx|onnx-int8|openvino-int8`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from featherweight.cli.arguments import RunArgument, tell

NAME = "export"


def command(
    run: RunArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="TARGET", help="merged (transformers), onnx, onnx-int8 or openvino-int8.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The folder to write; default: RUN/exports/TARGET.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace an earlier export; keep the new one even if it differs from the run."),
    ] = False,
) -> None:
    """Export a run as a transformers folder, for ONNX Runtime or for OpenVINO, and compare the export with the run."""
    from featherweight.workflows.export import export_run

    done = export_run(run, to, out, force=force, note=lambda line: tell([line]))

    from featherweight.console import plain_console

    console = plain_console()
    console.print(comparison_table(done))
    console.print(f"{done['out']}: {done['target']}, {done['model_id']}", soft_wrap=True)
    if done["kept_by_force"]:
        tell([f"kept by --force: {done['kept_by_force']}"])


def comparison_table(done: dict[str, Any]) -> Any:
    """The comparison of an export with its run, as a table for the terminal."""
    from rich.table import Table

    from featherweight.formatting import percent, size_in_words

    found = done["comparison"]
    rows, rates = found["rows"], found["rows_per_second"]
    table = Table(title=f"{rows:,} {found['source']}")
    for name, justify in (("", "left"), ("run, fp32", "right"), (done["target"], "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    if "run_accuracy" in found:
        table.add_row("accuracy", *(_accuracy(found, name) for name in ("run", "export")))
    table.add_row("rows/s", f"{rates['run']:,.0f}", f"{rates['export']:,.0f}")
    table.add_row(
        "same label",
        "",
        f"{percent(found['agreement'], rows)} (differs for {found['other_labels']:,})",
    )
    table.add_row("largest difference of a logit", "", f"{found['largest_difference']:.2g}")
    table.add_row("weights", "", size_in_words(found["bytes"]))
    table.add_row("seconds to load", "", f"{found['load_seconds']:.2f}")
    return table


def _accuracy(found: dict[str, Any], name: str) -> str:
    from featherweight.formatting import percent

    rows = found["rows"]
    low, high = (percent(value, rows) for value in found[f"{name}_interval"])
    return f"{percent(found[f'{name}_accuracy'], rows)} ({low} to {high})"
