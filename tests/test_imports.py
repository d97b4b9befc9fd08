"""Modules do not import each other in circles, not even inside functions or for types alone."""

from __future__ import annotations

import sys
from pathlib import Path

import grimp
import pytest


def circles(package: str) -> list[str]:
    """Each module that reaches itself by imports, with the way from it back to it."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    found = []
    for module in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if chain := graph.find_shortest_chain(importer=imported, imported=module):
                found.append(" -> ".join([module, *chain]))
                break
    return found


def test_there_are_no_circles() -> None:
    assert circles("featherweight") == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("ending.py", "from copied.middle import two\n"),
        ("ending.py", "def late():\n    from copied.start import one\n"),
        ("ending.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from copied.start import one\n"),
    ],
    ids=["plain", "inside a function", "for types"],
)
def test_a_circle_of_any_kind_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, line: str) -> None:
    folder = tmp_path / "copied"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "start.py").write_text("from copied.middle import two\none = two\n")
    (folder / "middle.py").write_text("from copied.ending import three\ntwo = three\n")
    (folder / "ending.py").write_text("three = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert circles("copied") == []
    (folder / file).write_text("three = 3\n" + line)
    assert circles("copied")
    sys.modules.pop("copied", None)
