"""Collects the files of a run or export for an upload: what is needed to load it, without local paths and texts."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

from featherweight.adapter.storage import read_description
from featherweight.backbone.wheels import HUB_NAMES
from featherweight.errors import UserError, damaged
from featherweight.export.contents import without_mistakes, write_description
from featherweight.files import read_object, write_json
from featherweight.formatting import without_paths
from featherweight.hints import to_resume
from featherweight.inference.exported import AGAIN, FILE, is_export, read_export, require_unchanged_weights
from featherweight.recipe import Recipe
from featherweight.recipe.public_names import public_name, public_names
from featherweight.run.folder import refuse_adapter

_OF_ADAPTER = re.compile(
    r"(adapter_config|featherweight|probes|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|(adapter_model|head)\.safetensors|recipe\.toml|vocab\.txt|merges\.txt|.*\.model"
)


def base_model(recipe: Recipe) -> str | None:
    """The name of the backbone on the hub; None for a local folder."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    name = recipe.backbone.name
    if name in HUB_NAMES:
        return HUB_NAMES[name]
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return None if Path(name).is_dir() else name


def require_shareable(folder: Path) -> None:
    """Raise UserError unless ``folder`` is an export, or a finished run with an adapter."""
    if is_export(folder):
        require_unchanged_weights(folder, read_export(folder))
        return
    if not (folder / "recipe.toml").is_file():
        raise UserError(f"{folder}: neither a run nor an export; pass the folder that train or export has written")
    refuse_adapter(folder)
    read_description(folder / "adapter")
    if not (folder / "evaluation.json").is_file():
        raise UserError(
            f"{folder}: the run is not finished (evaluation.json is missing)\nTo finish it: {to_resume(folder)}"
        )


def write_shareable(folder: Path, target: Path, card: str) -> list[Path]:
    """Fill the empty folder ``target`` with what may be uploaded, and return its files.

    Files that may contain paths of this machine or texts are written anew without them; all other files, such as the
    weights, are symbolic links to those in ``folder``. Raises UserError if a file of a run is itself a link.
    """
    exported = is_export(folder)
    source = folder if exported else folder / "adapter"
    names = list(read_export(folder).files) if exported else [path.name for path in source.iterdir()]
    if outside := next((name for name in names if not _is_inside(name)), None):
        raise damaged(folder / FILE, f"its key 'files' names {outside}, a path outside the folder", AGAIN)
    for name in sorted(names):
        path = source / name
        if not path.is_file() or not (exported or _OF_ADAPTER.fullmatch(name)):
            continue
        if path.is_symlink() and not exported:  # the files of an export have a sha256 in export.json
            remedy = "copy the folder with the files themselves (cp -rL)"
            raise UserError(f"{path}: is a link, which may lead to a file that is not of this run; {remedy}")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _write(path, target / name, source)
    if exported:
        described = read_object(folder / FILE)
        write_description(target, {key: value for key, value in described.items() if key != "files"})
    (target / "README.md").write_text(card, "utf-8")
    return sorted(path for path in target.rglob("*") if path.is_file())


def _is_inside(name: str) -> bool:
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts


def _write(path: Path, copy: Path, source: Path) -> None:
    recipe = source / "recipe.toml"
    if path == recipe:
        copy.write_text(_shareable_recipe(Recipe.load(recipe)).to_toml(), "utf-8")
    elif path.name == "adapter_config.json":
        loaded = Recipe.load(recipe)
        write_json(copy, read_object(path) | {"base_model_name_or_path": base_model(loaded) or _name(loaded)})
    elif path.name == "evaluation.json":
        write_json(copy, _shareable_results(read_object(path)))
    elif path.name in ("config.json", "tokenizer_config.json"):
        paths = ("_name_or_path", "name_or_path")
        write_json(copy, {key: value for key, value in read_object(path).items() if key not in paths})
    else:
        copy.symlink_to(path.resolve())


def _name(recipe: Recipe) -> str:
    return public_name(recipe.backbone.name)


def _shareable_recipe(recipe: Recipe) -> Recipe:
    """``recipe`` with names instead of paths, and without the keys that name other runs.

    These are the run whose adapter the training started from, the teachers (runs whose predictions are learned) and
    the soup (runs whose adapters are averaged).
    """
    data = {part: getattr(recipe.data, part) for part in ("train", "validation", "test", "drop")}
    return recipe.with_values(
        description=without_paths(recipe.description),
        data={part: public_name(name) for part, name in data.items() if name},
        backbone={"name": _name(recipe)},
        adapter={"start_from": None} if recipe.adapter.start_from else {},
        training={"teacher": [], "soup": []},
        evaluation={"shift": list(public_names(recipe.evaluation.shift).values())},
    )


def _shareable_results(evaluation: dict[str, Any]) -> dict[str, Any]:
    """``evaluation`` with names of shift sets instead of paths, and without the texts that were classified wrongly."""
    shift = evaluation.get("shift") or {}
    names = public_names(shift)
    return without_mistakes({**evaluation, "shift": {names[source]: found for source, found in shift.items()}})
