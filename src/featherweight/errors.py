"""Errors that are written for people."""

from __future__ import annotations


class FeatherweightError(Exception):
    """A failure with a message for people: the command line prints it without a traceback and exits with code 1."""

    exit_code = 1


class UserError(FeatherweightError):
    """Bad input: one or two lines that name the file, row or key, what is wrong and what to do; exit code 2."""

    exit_code = 2


class HubUnreachable(UserError):
    """A name had to be looked up on the model hub, and the hub did not answer."""
