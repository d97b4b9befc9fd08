"""Names of data sources and backbones without folders, hosts and passwords, for what others can read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath, PureWindowsPath

from featherweight.recipe.data_files import is_data_file


def public_name(source: str) -> str:
    """The name of a data source or backbone without its folders: ``/home/me/rows.csv`` gives ``rows.csv``.

    Of a URL, host, user and query are left out, too: ``https://me@host/rows.csv?key=1`` gives ``rows.csv``.
    """
    if "://" in source:
        kind, _, rest = source.partition("://")
        return (
            source if kind == "hf" else (PurePath(rest.partition("?")[0]).name if "/" in rest else f"a {kind} source")
        )
    windows = re.match(r"[A-Za-z]:[\\/]|\\\\", source)
    if windows:
        return PureWindowsPath(source).name
    if "\\" in source or source.count("/") > 1:  # the name of a data set on the hub has at most one slash
        return PureWindowsPath(source).name
    local = source.startswith(("/", "~", ".")) or is_data_file(source) or Path(source).exists()
    return PurePath(source).name if local else source


def public_names(sources: Iterable[str]) -> dict[str, str]:
    """{source: its public name}; further sources with the same name get numbers: ``rows.csv``, ``rows.csv (2)``."""
    names: dict[str, str] = {}
    for source in dict.fromkeys(sources):
        name = public_name(source)
        number = 1 + list(map(public_name, names)).count(name)
        names[source] = f"{name} ({number})" if number > 1 else name
    return names
