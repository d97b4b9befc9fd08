"""Runs the command line where only the packages of a list can be imported: python only_listed.py LIST ARGUMENTS."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def others(listed: set[str]) -> set[str]:
    """The modules of all packages that are installed and not listed."""
    owners = importlib.metadata.packages_distributions()
    return {module for module, packages in owners.items() if not listed & set(map(canonical, packages))}


class Block:
    """Refuses to import them."""

    def __init__(self, blocked: set[str]) -> None:
        self.blocked = blocked

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] in self.blocked:
            raise ModuleNotFoundError(f"{name} is not in the list", name=name)


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text("utf-8").splitlines()
    listed = {canonical(line) for line in lines if not line.startswith("#")}
    sys.meta_path.insert(0, Block(others(listed) - {"featherweight"} - sys.stdlib_module_names))  # type: ignore[arg-type]
    sys.argv = ["featherweight", *sys.argv[2:]]
    from featherweight.cli.main import main

    main()
