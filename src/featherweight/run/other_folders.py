"""What a path is that is no run folder, and what to name instead; for messages."""

from __future__ import annotations

import difflib
from pathlib import Path

from featherweight.errors import UserError
from featherweight.files import read_object

_MARKS = {"recipe.toml": "a run", "export.json": "an export", "adapter_config.json": "a folder that PEFT saved"}
"""A file by which a folder is recognised, and what the folder is."""
_LISTED = 3
"""Most folders that a message names."""


def kind_of_folder(folder: Path) -> str | None:
    """What ``folder`` is, such as "an export"; None if it is none of the folders that Featherweight reads."""
    marks = [mark for mark in ("export.json", "recipe.toml", "adapter_config.json") if (folder / mark).is_file()]
    return _MARKS[marks[0]] if marks else None


def folders_inside(folder: Path) -> list[Path]:
    """The folders directly in ``folder`` that are runs, exports or folders that PEFT saved, sorted by name."""
    return sorted(path for path in folder.glob("*") if path.is_dir() and kind_of_folder(path))


def is_model(folder: Path) -> bool:
    """Whether transformers saved a model in ``folder``: its config.json names a type of model, or its class."""
    try:
        config = read_object(folder / "config.json")
    except UserError:
        return False
    return not {"model_type", "architectures"}.isdisjoint(config)


def no_run_because(folder: Path) -> str:
    """The end of the message that ``folder``, which has no recipe.toml, is no run folder: the reason, and what to name.

    Such as "(it does not exist; did you mean runs/reviews?); name a folder that train wrote".
    """
    name_one = "name a folder that train wrote"
    if not folder.exists():
        beside = [path.name for path in folder.parent.glob("*") if path.is_dir()]
        near = difflib.get_close_matches(folder.name, beside, n=1)
        return f"(it does not exist{f'; did you mean {folder.parent / near[0]}?' if near else ''}); {name_one}"
    if folder.is_file():
        kind = kind_of_folder(folder.parent)
        return f"(it is a file); {f'name the folder, {folder.parent}, which is {kind}' if kind else name_one}"
    if (folder / "adapter_config.json").is_file():
        return "(PEFT saved it); only predict, evaluate, weigh and report read such a folder"
    if (folder / "config.json").is_file():
        instead = f"as a backbone it can be trained further: featherweight train FILE --backbone {folder}"
        return f"(it has a config.json, as transformers saves whole models); {instead}"
    inside = folders_inside(folder)[: _LISTED + 1]
    named = ", ".join(map(str, inside[:_LISTED])) + (", ..." if len(inside) > _LISTED else "")
    return f"(it contains no recipe.toml); {f'name one of the folders in it: {named}' if inside else name_one}"
