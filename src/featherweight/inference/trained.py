"""Loads a run, or a classifier that PEFT saved, with PyTorch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from featherweight.adapter.bare_network import bare_network
from featherweight.adapter.merge import merge_adapter
from featherweight.adapter.peft.folder import WEIGHTS, read_peft_folder, resolve_base
from featherweight.adapter.peft.given import PeftOptions
from featherweight.adapter.storage import adapter_files, check_adapter, load_adapter, read_description
from featherweight.backbone.folder import has_tokenizer
from featherweight.backbone.resolve import Backbone, NoSuchFolder, most_tokens, resolve_backbone
from featherweight.backbone.tokenizer import load_tokenizer, saved_tokenizer
from featherweight.data.long_texts import LongTexts
from featherweight.errors import UserError
from featherweight.files import sha256_of
from featherweight.inference.engines import engine_for
from featherweight.inference.runner import Loaded
from featherweight.model.engine import Engine, bound_memory, move_to_engine
from featherweight.model.lean.forward_only import drop_gradients
from featherweight.model.network import Network
from featherweight.model.text_model import TextModel
from featherweight.recipe import Recipe
from featherweight.task.interface import task_of


def load_run(path: str | Path, *, precision: str, device: str | None, lean: bool, merge: bool) -> Loaded:
    """The classifier in a run folder or in its subfolder ``adapter``; options are those of ``Classifier.load``."""
    bound_memory()
    folder = Path(path)
    folder = folder / "adapter" if (folder / "adapter").is_dir() else folder
    description = read_description(folder)
    for name in ("recipe.toml", "tokenizer.json"):
        # If the file is missing, transformers would create an empty tokenizer.
        if not (folder / name).is_file():
            raise UserError(
                f"{folder / name}: missing; the saved adapter is incomplete: restore it from a copy, or train again"
            )
    recipe = Recipe.load(folder / "recipe.toml")
    backbone = _backbone(folder, recipe)
    _require_same_weights(folder, description, backbone)
    check_adapter(folder, recipe, backbone, description["labels"])
    engine = replace(engine_for(recipe, precision, device), lean=lean)
    network = _network(recipe, backbone, description["labels"], engine)
    load_adapter(network, folder)
    if merge and lean:
        merge_adapter(network)
    move_to_engine(network, engine)
    if merge and lean:
        drop_gradients(network)
    tokenizer = saved_tokenizer(folder, backbone.config.get("vocab_size"))
    model = TextModel(network.eval(), tokenizer, engine, LongTexts.for_evaluation(recipe))
    task = task_of(recipe).with_thresholds(description.get("thresholds") or ())
    model_id = f"{recipe.name}-{_fingerprint(adapter_files(folder))}"
    return Loaded(model, recipe, float(description["temperature"]), task, model_id)


def _backbone(folder: Path, recipe: Recipe) -> Backbone:
    """The backbone of the adapter in ``folder``. Raises UserError if it is not on this machine or damaged."""
    try:
        return resolve_backbone(recipe.backbone)
    except NoSuchFolder:
        raise UserError(
            f"{folder}: its backbone, the folder {recipe.backbone.name}, is not there; move it back, or put a link to "
            "it there\n"
            f"If you cannot, write its new folder as backbone.name into {folder / 'recipe.toml'}; "
            "verify then reports this file as changed"
        ) from None


def _network(recipe: Recipe, backbone: Backbone, labels: Sequence[str], engine: Engine) -> Network:
    """A network for ``recipe`` into which the adapter can be loaded.

    On a CPU it is built without PEFT if ``bare_network`` supports the recipe, because importing PEFT takes long.
    """
    if engine.lean and engine.device == "cpu" and (network := bare_network(recipe, backbone, labels)):
        return network
    from featherweight.adapter.build import build_network

    attention = engine.attention if engine.lean else None  # None: what transformers takes by itself
    return build_network(recipe, backbone, labels, attention=attention)


def load_peft_folder(path: str | Path, given: PeftOptions, precision: str, device: str | None) -> Loaded:
    """The classifier in a folder that PEFT saved; ``given`` has what the user adds, such as class names.

    Its temperature is 1, because PEFT saves none.
    """
    from featherweight.adapter.peft.network import build_peft_network

    bound_memory()
    found = read_peft_folder(path, given)
    backbone = resolve_base(found)
    assert backbone.folder is not None
    tokenizer = load_tokenizer(found.folder if has_tokenizer(found.folder) else backbone.folder)
    if len(tokenizer) > (most := int(found.config.get("vocab_size", len(tokenizer)))):
        raise UserError(
            f"{path}: its tokenizer has {len(tokenizer):,} tokens, but its base model embeds only {most:,}\n"
            "Use the base model and the tokenizer that the adapter was trained with"
        )
    longest = most_tokens(found.config) or found.config.get("max_position_embeddings", 512)
    length = max(4, min(tokenizer.model_max_length, longest))
    data = {"labels": list(found.labels), "max_length": length, "text": list(found.data.text), "join": found.data.join}
    settings = {"task": found.task, "backbone": {"name": found.base.name}, "training": {"precision": "fp32"}}
    recipe = Recipe.parse({"data": data, **settings})
    network = build_peft_network(found, backbone)
    engine = replace(engine_for(recipe, precision, device), lean=False)
    move_to_engine(network, engine)
    model = TextModel(network, tokenizer, engine, LongTexts.of(recipe.data))
    weights = _fingerprint([found.folder / WEIGHTS], backbone.sha256 or "")
    return Loaded(model, recipe, 1.0, task_of(recipe), f"{found.folder.name}-{weights}")


def _require_same_weights(folder: Path, description: dict[str, Any], backbone: Backbone) -> None:
    trained_on = description.get("backbone_sha256")
    if trained_on and backbone.sha256 and trained_on != backbone.sha256:
        raise UserError(
            f"{folder}: the weights of {backbone.name} on this machine are not those of the training "
            f"(sha256 {backbone.sha256[:12]}..., not {trained_on[:12]}...); restore them or train again"
        )


def _fingerprint(files: Sequence[Path], more: str = "") -> str:
    """The first 12 hexadecimal digits of a sha256 over the contents of all ``files``, and the text ``more``."""
    return hashlib.sha256(("".join(map(sha256_of, files)) + more).encode()).hexdigest()[:12]
