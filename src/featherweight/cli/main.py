"""`featherweight`: the verbs together, and how errors reach a person."""

from __future__ import annotations

import errno
import os
import sys

import typer

from featherweight.cli import check, doctor, evaluate, plan, predict, recipes, report, train, weigh
from featherweight.errors import FeatherweightError

app = typer.Typer(
    name="featherweight",
    help="Fine-tune a pre-trained encoder into a text classifier with LoRA, under a hard budget of trainable parameters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (train, weigh, plan, evaluate, report, predict, check, recipes, doctor):
    app.command(verb.NAME)(verb.command)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Options of every verb."""
    if debug:
        os.environ["FEATHERWEIGHT_DEBUG"] = "1"


def main() -> None:
    """Run the command line; errors are one or two lines, exit code 2 for bad input and 1 for failure."""
    try:
        app()
    except FeatherweightError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader (head, say) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG):
            raise
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror}; free some space or name another folder", 2)


def _fail(message: str, code: int) -> None:
    if os.environ.get("FEATHERWEIGHT_DEBUG"):
        raise  # noqa: PLE0704 (called from an except clause alone)
    print(f"featherweight: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
