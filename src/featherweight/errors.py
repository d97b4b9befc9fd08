"""Errors with messages for the user."""

from __future__ import annotations

import re

LONGEST_LINE = 600
"""Maximum number of characters in a line of a message; texts from files can have any length."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class FeatherweightError(Exception):
    """An error with a message for the user: the command line prints it without a traceback and exits with code 1.

    The message may contain names and values from files: special characters are escaped, and long lines shortened.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__("\n".join(map(_shortened, printable(message).split("\n"))))


class UserError(FeatherweightError):
    """Wrong input; exit code 2. The message has one or two lines: file, row or key, what is wrong, and what to do."""

    exit_code = 2


class DiskError(UserError):
    """The disk is full, or a path on it cannot be used."""


class HubUnreachable(UserError):
    """The model hub is needed but does not answer."""


def printable(text: str) -> str:
    """``text`` with control, invisible and text-direction characters escaped; line breaks and tabs do not change."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def in_a_line(text: str) -> str:
    """``text`` on one line with special characters escaped, for a message that quotes a name from a file."""
    return printable(text).replace("\n", "\\n")


def first_line(error: BaseException) -> str:
    """The first line of the error's message; the name of its type if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def lacks_memory(error: BaseException) -> bool:
    """Whether ``error`` says that the memory is full: Python's error, or PyTorch's for a GPU or the processor."""
    names = {kind.__name__ for kind in type(error).__mro__}
    words = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # the last two are CUDA's and cuBLAS's
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or any(word in str(error) for word in words)


def damaged(file: object, what: str, remedy: str = "restore the file from a copy, or train again") -> UserError:
    """The error "FILE: damaged: WHAT; REMEDY" for a file of a run or export that was changed or is incomplete."""
    return UserError(f"{file}: damaged: {what}; {remedy}")


def _shortened(line: str) -> str:
    # Cut in the middle: a message starts with the file and ends with the remedy.
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE * 2 // 3]} … {line[-LONGEST_LINE // 3 :]}"
