"""Suppresses the output of transformers while it loads a backbone, and turns its errors into one line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

from featherweight.backbone.resolve import Backbone
from featherweight.errors import UserError


def unreadable(backbone: Backbone, error: Exception) -> UserError:
    """The error to raise if a library cannot load ``backbone``; it quotes the first line of the library's ``error``."""
    first = (str(error).strip().splitlines() or [""])[0]
    if "ignore_mismatched_sizes" in first:
        first = "config.json and the weights do not match"
    elif not isinstance(error, (OSError, ValueError)):
        first = f"{type(error).__name__}: {first}"
    return UserError(
        f"{backbone.folder}: {backbone.name} cannot be loaded: {first}; get its files again, or choose another backbone"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Within the context, transformers and PEFT print no warnings and no progress bars."""
    # They warn about new head weights and unused pooler weights; both are intended here.
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("peft").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)
