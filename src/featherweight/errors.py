"""Errors that are written for people."""

from __future__ import annotations

import re

LONGEST_LINE = 600
"""Letters of a line of a message; what a file may hold can be of any length."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class FeatherweightError(Exception):
    """A failure with a message for people: the command line prints it without a traceback and exits with code 1.

    Names and values of foreign files come into the message as they are: here they are made printable, and bearable.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__("\n".join(map(_bearable, printable(message).split("\n"))))


class UserError(FeatherweightError):
    """Bad input: one or two lines that name the file, row or key, what is wrong and what to do; exit code 2."""

    exit_code = 2


class HubUnreachable(UserError):
    """A name had to be looked up on the model hub, and the hub did not answer."""


def printable(text: str) -> str:
    """``text`` with all that steers a terminal or hides escaped: control characters, turns of direction, and the like.

    Line breaks and tabs stay.
    """
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def in_a_line(text: str) -> str:
    """``text`` printable and on one line: a name that may hold anything, for the middle of a message."""
    return printable(text).replace("\n", "\\n")


def _bearable(line: str) -> str:
    # From the middle: a message begins with the place and ends with the remedy.
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE * 2 // 3]} … {line[-LONGEST_LINE // 3 :]}"
