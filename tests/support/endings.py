"""Ends of a training without a new process and with small pictures: both take longer than a small training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def quick_endings() -> Iterator[None]:
    """While this is open, the reload check runs in this process, and pictures are empty files of their format."""
    from matplotlib.figure import Figure

    from featherweight.verification import reload

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reload, "reload_check", reload.check_in_this_process)
        patch.setattr(Figure, "savefig", _save_small_picture)
        yield


def _save_small_picture(figure: Any, file: Any, *, format: str, **_: Any) -> None:
    file.write(b"\x89PNG\r\n" if format == "png" else '<svg width="9pt" height="9pt"></svg>')
