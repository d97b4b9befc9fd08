"""Imports go one way, and never in circles: not even inside functions or for types alone."""

from __future__ import annotations

import sys
import tomllib
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


def turned_back(package: str, rows: list[str]) -> list[str]:
    """Each import that does not lead from a folder of one of ``rows`` to a folder of a later one."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    row_of = {name.strip(" ()"): number for number, row in enumerate(rows) for name in row.split("|")}
    found = []
    for module in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            here, there = (name.removeprefix(package).strip(".").split(".")[0] for name in (module, imported))
            if here in row_of and there in row_of and here != there and row_of[here] >= row_of[there]:
                found.append(f"{module} -> {imported}")
    return found


def layers() -> list[str]:
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    return next(x for x in settings["tool"]["importlinter"]["contracts"] if x["type"] == "layers")["layers"]


def test_every_import_leads_to_a_lower_row() -> None:
    assert turned_back("featherweight", layers()) == []


def test_an_import_that_turns_back_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("high", "low", "beside"):
        (tmp_path / "layered" / name).mkdir(parents=True)
        (tmp_path / "layered" / name / "__init__.py").write_text("")
    (tmp_path / "layered" / "__init__.py").write_text("")
    (tmp_path / "layered" / "high" / "__init__.py").write_text("from layered.low import __doc__\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = ["high", "low | beside"]
    assert turned_back("layered", rows) == []
    for name, imported in (("low", "high"), ("beside", "low")):
        line = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from layered.{imported} import __doc__\n"
        (tmp_path / "layered" / name / "__init__.py").write_text(line)
    assert turned_back("layered", rows) == ["layered.beside -> layered.low", "layered.low -> layered.high"]
    sys.modules.pop("layered", None)


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
