"""A run and its exports, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.exports import Exports, in_this_process

from featherweight.export import gate


@pytest.fixture
def run(exports: Exports, tiny_recipe: Any) -> Path:
    """A run with a native head and random weights, of which ``exports`` has all targets by the key ``bert``."""
    adapter = {"head": "native", "bias": "all", "lora": [{"roles": ["query", "value", "mlp_up"], "rank": 2}]}
    return exports.add("bert", tiny_recipe("bert", adapter=adapter))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "in_fresh_process", in_this_process)
