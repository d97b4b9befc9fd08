"""The page on the architecture names every module, names nothing that is not there, and shows the real layers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "featherweight"
PAGE = (ROOT / "docs" / "design" / "architecture.md").read_text("utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
LAYERS, PACKAGE_TREE, OTHER_TREE = BLOCKS
COMMENTS = re.findall(r"<!-- to come: (.*?) -->", PAGE, re.DOTALL)
TO_COME = {path for comment in COMMENTS for path in comment.split()}


def paths_in(tree: str) -> list[str]:
    """Paths of a tree that is drawn by indentation: a folder ends in a slash, what follows two spaces is a remark."""
    paths, above = [], [""]
    for line in filter(str.strip, tree.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        entries = re.split(r" {2,}", line.strip())
        names = entries if all(entry.endswith(".py") for entry in entries) else entries[:1]
        names = [name for entry in names for name in entry.split() if name.endswith((".py", "/"))]
        above[depth + 1 :] = names[:1]
        paths += [above[depth] + name for name in names]
        above[depth + 1] = above[depth] + names[0]
    return paths


def is_to_come(path: str) -> bool:
    return any(path.endswith(name) or f"/{name}" in path for name in TO_COME)


def test_the_tree_is_the_package() -> None:
    shown = {path.removeprefix("src/featherweight/") for path in paths_in(PACKAGE_TREE)} - {""}
    modules = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    folders = {f"{module.removesuffix('__init__.py')}" for module in modules if module.endswith("/__init__.py")}
    needed = {module for module in modules if not module.endswith("/__init__.py")} | folders
    assert not {path for path in needed - shown if not is_to_come(path)}, "name these in docs/design/architecture.md"
    assert not {path for path in shown if not (PACKAGE / path).exists() and not is_to_come(path)}


def test_the_other_folders_are_there() -> None:
    assert [path for path in paths_in(OTHER_TREE) if not (ROOT / path).exists() and not is_to_come(path)] == []


def test_every_path_in_the_text_leads_somewhere() -> None:
    text = re.sub(r"^```text\n.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    paths = re.findall(r"`([\w./-]+(?:\.py|\.toml|\.j2|\.md|/))`", text)
    assert len(paths) > 50
    assert [
        path for path in paths if not (PACKAGE / path).exists() and not (ROOT / path).exists() and not is_to_come(path)
    ] == ["workflows/resume.py"], "the page says that there is no such file"


def test_the_picture_has_the_rows_of_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    shown = [re.split(r" {3,}", line)[0] for line in LAYERS.splitlines()]
    assert shown == [layer.replace("(", "").replace(")", "") for layer in layers]
