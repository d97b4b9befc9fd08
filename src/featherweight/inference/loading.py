"""Loads a classifier from a run, adapter, export or PEFT folder, and imports only the libraries that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featherweight.adapter.peft.folder import is_peft_folder
from featherweight.adapter.peft.given import NOTHING_GIVEN, PeftOptions
from featherweight.environment import quick_imports
from featherweight.errors import UserError
from featherweight.inference.exported import is_export, read_export, require_unchanged_weights
from featherweight.inference.runner import Loaded
from featherweight.model.probes import check_probes
from featherweight.recipe import Recipe
from featherweight.task.interface import Task, task_of


def load(path: str | Path, given: PeftOptions, **options: Any) -> Loaded:
    """The classifier in ``path``: a run, its adapter, an export, or a folder that PEFT saved.

    ``given`` has what only a folder of PEFT needs, such as class names. ``options`` are those of ``Classifier.load``.
    """
    if not is_peft_folder(path) and given != NOTHING_GIVEN:
        kind, names = "an export" if is_export(path) else "a run", "labels, base, task and join"
        raise UserError(f"{path}: is {kind}; leave out {names}, which are only for folders that PEFT saved")
    if is_export(path):
        return _checked(Path(path), _load_export(path, **options))
    with quick_imports():
        from featherweight.inference.trained import load_peft_folder, load_run
    if is_peft_folder(path):
        return load_peft_folder(path, given, options["precision"], options["device"])
    adapter = Path(path) / "adapter"
    return _checked(adapter if adapter.is_dir() else Path(path), load_run(path, **options))


def _checked(folder: Path, loaded: Loaded) -> Loaded:
    """``loaded``. Raises UserError if its tokens or logits for a few fixed texts are not those stored in ``folder``.

    They differ if a file or a library has changed since the model was saved.
    """
    check_probes(folder, loaded.model, pairs=loaded.recipe.data.join == "pair")
    return loaded


def _load_export(path: str | Path, **options: Any) -> Loaded:
    """The classifier of an export; ``options`` are those of ``Classifier.load``.

    Raises UserError as ``read_export`` does, and if the weights were changed.
    """
    folder = Path(path)
    described = read_export(folder)
    require_unchanged_weights(folder, described)
    recipe = Recipe.load(folder / "recipe.toml")
    if described.target == "merged":
        from featherweight.inference.merged_model import load_merged

        model: Any = load_merged(folder, described, recipe, **options)
    else:
        from featherweight.inference.graph_model import load_graph

        for name, default in (("precision", "auto"), ("device", None)):
            if options.get(name, default) not in (default, "cpu"):
                kind = f"an export to {described.target}, whose {name} cannot be changed"
                raise UserError(f"{folder}: is {kind}; leave out {name}=...")
        model = load_graph(folder, described)
    task: Task = task_of(recipe).with_thresholds(described.thresholds)
    return Loaded(model, recipe, described.temperature, task, described.model_id)
