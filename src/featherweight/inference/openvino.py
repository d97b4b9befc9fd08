"""Imports OpenVINO and NNCF, without the reports of use (telemetry) that both send to their maker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_REPORTS = "openvino_telemetry"
"""The package that sends them; it also writes into the home folder. Both libraries work without it."""


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Within the context, openvino and nncf can be imported, but not the package that reports their use."""
    earlier = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == _REPORTS}
    for name in earlier:
        del sys.modules[name]
    sys.modules[_REPORTS] = None  # type: ignore[assignment]  # importing it fails
    try:
        yield
    finally:
        del sys.modules[_REPORTS]
        sys.modules.update(earlier)
