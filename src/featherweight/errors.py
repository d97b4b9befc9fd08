"""Errors that are written for people."""

from __future__ import annotations


class UserError(Exception):
    """Bad input: the message is one or two lines that name the file, row or key, what is wrong and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """


class HubUnreachable(UserError):
    """A name had to be looked up on the model hub, and the hub did not answer."""
