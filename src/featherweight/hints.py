"""How a message says which recipe keys to set: as options where the user called a command, else as Python arguments."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

_commands: list[None] = []  # one entry while a command of the command line runs


@contextmanager
def on_the_command_line() -> Iterator[None]:
    """While this context is open, ``to_set`` returns options of the command line."""
    _commands.append(None)
    try:
        yield
    finally:
        _commands.pop()


def to_set(*overrides: str, in_python: bool | None = None) -> str:
    """What to add to the call to set recipe keys, each given as a text such as ``training.epochs=3``.

    On the command line these are options, quoted for a shell: ``--set training.epochs=3``. In Python it is the argument
    of ``train``: ``overrides=["training.epochs=3"]``. ``in_python`` says which; by default it is the place of the call.
    """
    if in_python if in_python is not None else not _commands:
        return f"overrides={json.dumps(overrides, ensure_ascii=False)}"
    return " ".join(f"--set {shlex.quote(override)}" for override in overrides)


def steadier(learning_rate: float | None = None) -> str:
    """What to do if a training diverged, as a clause; ``learning_rate`` is that of the training, if it is known."""
    lower = to_set(f"training.learning_rate={'...' if learning_rate is None else f'{learning_rate / 2:g}'}")
    return f"lower the learning rate ({lower}), or compute in fp32 ({to_set('training.precision=fp32')})"
