"""The command `featherweight`: all subcommands, and how errors are printed."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import typer

from featherweight.cli import (
    adapt,
    cache,
    check,
    compare,
    doctor,
    evaluate,
    export,
    new,
    noise,
    plan,
    predict,
    push,
    recipes,
    report,
    rounds,
    search,
    serve,
    soup,
    train,
    verify,
    weigh,
)
from featherweight.errors import FeatherweightError, UserError, lacks_memory
from featherweight.hints import on_the_command_line

# The base class of all errors in arguments; typer does not export it by name.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

SECONDS_FOR_THE_FIRST = 15.0
"""Seconds that the other processes wait before they print an error, so that the first process can print it instead."""
_NO_WAY = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)

app = typer.Typer(
    name="featherweight",
    help="Fine-tune an encoder into a text classifier with LoRA, under a hard budget of trainable parameters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    train,
    new,
    weigh,
    plan,
    evaluate,
    verify,
    report,
    export,
    predict,
    serve,
    push,
    rounds,
    search,
    soup,
    compare,
    check,
    noise,
    adapt,
    recipes,
    cache,
    doctor,
):
    app.command(verb.NAME)(verb.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from featherweight import __version__

        print(f"featherweight {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
) -> None:
    """Options of all commands."""
    if debug:
        os.environ["FEATHERWEIGHT_DEBUG"] = "1"


def main() -> None:
    """Run the command line. An error is one or two lines; the exit code is 2 for wrong input and 1 for a failure."""
    # Python collects garbage once more when it exits; with torch's objects that takes half a second or more.
    atexit.register(gc.freeze)
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name can contain bytes that are not valid text and cannot be encoded. Files and pipes get UTF-8, which
        # JSON and TOML are, whatever the encoding of the terminal is.
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    try:
        with on_the_command_line():
            code = app(sys.argv[1:] or ["--help"], prog_name="featherweight", standalone_mode=False)
        sys.stdout.flush()
    except FeatherweightError as error:
        _fail(str(error), error.exit_code)
    except UsageError as error:
        from featherweight.cli.usage import usage_message

        _fail(usage_message(error), 2)
    except (BrokenPipeError, SystemExit) as error:
        # The program that reads the output (such as head) has closed the pipe. Rich turns the error into SystemExit(1).
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        from featherweight.files import disk_refusal

        if refusal := disk_refusal(error, Path("the output")) or _path_refusal(error):
            _fail(str(refusal), 2)
        what = str(error).strip().partition("\n")[0]
        if lacks_memory(error):
            smaller = "--set training.batch_size=8 --set training.accumulate=4"
            _fail(f"not enough memory ({what or type(error).__name__})\nA training needs less with {smaller}", 1)
        hint = "This is a bug in Featherweight; `featherweight --debug COMMAND ...` shows the traceback"
        _fail(f"{type(error).__name__}: {what}\n{hint}", 1)
    else:
        if code == 130:  # the code that typer returns for Ctrl-C
            print("featherweight: interrupted", file=sys.stderr)
        sys.exit(code)


def _open_streams() -> None:
    """Connect closed standard streams with the null device: some programs start others without them.

    A file that is opened next would otherwise get the number of a closed stream, and what libraries print with it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _path_refusal(error: Exception) -> UserError | None:
    """The UserError to raise if ``error`` is about a path that does not exist or is invalid; None for other errors."""
    if not isinstance(error, OSError) or error.errno not in _NO_WAY or error.filename is None:
        return None
    return UserError(f"{error.filename}: {os.strerror(error.errno)}; check the path")


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get("FEATHERWEIGHT_DEBUG"):
        raise  # re-raise the error that the calling except clause caught
    from featherweight.environment import is_first_process

    if not is_first_process():
        # The launcher ends this process as soon as the first one has failed with the same message. If only this process
        # failed, its message is printed after the wait.
        time.sleep(SECONDS_FOR_THE_FIRST)
    print(f"featherweight: {FeatherweightError(message)}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
