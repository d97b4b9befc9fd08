"""Targets of the fuzzing that read folders of models and runs, and requests to the server."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
from fuzz.workplace import (
    EXPORTED,
    LORA,
    OWN,
    base_folder,
    export_description,
    folder_with,
    make_foreign,
    workplace,
)

from featherweight.errors import UserError


def read_adapter(data: bytes) -> None:
    """A saved adapter: one of its files is foreign. The first byte says which; numbers are never read."""
    from featherweight.adapter.storage import Backbone, check_adapter, read_description
    from featherweight.backbone.resolve import config_of
    from featherweight.recipe import Recipe

    folder = folder_with("adapter", OWN, "head.safetensors")
    description = {"format": 1, "labels": ["no", "yes"], "temperature": 1.0, "backbone_sha256": None}
    recipe = Recipe.parse({"adapter": {"lora": []}, "backbone": {"name": str(base_folder())}}).to_toml()
    (folder / "featherweight.json").write_text(json.dumps(description))
    (folder / "recipe.toml").write_text(recipe)
    make_foreign(folder, ["head.safetensors", "adapter_model.safetensors", "featherweight.json", "recipe.toml"], data)
    labels = read_description(folder)["labels"]
    recipe_read = Recipe.load(folder / "recipe.toml")
    config = config_of(recipe_read.backbone)
    check_adapter(folder, recipe_read, Backbone("base", base_folder(), config, "folder", None), labels)


def read_peft(data: bytes) -> None:
    """A folder that PEFT saved: one of its files is foreign."""
    from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder

    folder = folder_with("peft", LORA, "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": str(base_folder()), "r": 1,
                "lora_alpha": 2, "target_modules": ["query"], "modules_to_save": ["classifier"]}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    make_foreign(folder, ["adapter_config.json", "adapter_model.safetensors", "config.json"], data)
    assert is_peft_folder(folder)
    read_peft_folder(folder)


def read_backbone(data: bytes) -> None:
    """A backbone's config.json, an index of its weights, or adapted.json; the first byte says which."""
    from featherweight.backbone.adapted import read_adapted
    from featherweight.backbone.describe import architecture_of, architecture_without_roles
    from featherweight.backbone.folder import read_config, weight_files

    folder = workplace() / "backbone"
    folder.mkdir(exist_ok=True)
    (folder / "model-1.safetensors").touch()
    path = make_foreign(folder, ["config.json", "model.safetensors.index.json", "adapted.json"], data)
    if path.name == "adapted.json":
        assert read_adapted(folder) is not None
        return
    if path.name != "config.json":
        assert all(file.parent == folder for file in weight_files(folder))
        return
    config = read_config(folder)
    # Other families are looked at through transformers, whose own code is no aim here.
    if config.get("model_type") in ("bert", "roberta", "distilbert", "mpnet", "deberta-v2", "electra", "modernbert"):
        architecture_of(config).head_parameters(2)
        architecture_without_roles(config)


def read_exported(data: bytes) -> None:
    """An export: its description, its stored tokens and logits, or its tokenizer is foreign; its weights are not."""
    from featherweight.data.sources import Rows
    from featherweight.inference.exported import holds_only_an_export, read_export
    from featherweight.inference.graph_model import GraphModel, tokenizer_of
    from featherweight.model.probes import check_probes

    class Model(GraphModel):
        def logits_of(self, encoded: Any, **ignored: Any) -> np.ndarray:
            return np.zeros((len(encoded), len(self.labels)))

    folder = workplace() / "export"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = dict(EXPORTED)
    names = ("export.json", "probes.json", "tokenizer.json")
    name = names[data[0] % len(names) if data else 0]
    if name == "tokenizer.json":  # one that the description knows
        files[name] = data[1:]
    files["export.json"] = json.dumps(export_description(files)).encode()
    for held, content in {**files, name: data[1:]}.items():
        (folder / held).write_bytes(content)
    described = read_export(folder)
    assert holds_only_an_export(folder) == (name != "probes.json")
    model = Model(
        lambda inputs: np.zeros(0, np.float32),
        (),
        described.labels,
        tokenizer_of(folder, described),
        described.long_texts,
    )
    model.encode(Rows(["it scored twice!"], None, described.labels, "texts"))
    check_probes(folder, model, pairs=False)


def read_run(data: bytes) -> None:
    """A run folder's JSON files and history; the first byte says which is foreign."""
    from featherweight.run.folder import Run, read_history, read_json

    folder = workplace() / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "recipe.toml").write_text("seed = 1\n")
    names = ["history.jsonl", "evaluation.json", "environment.json", "weigh.json", "verification.json"]
    path = make_foreign(folder, names, data)
    if path.name == "history.jsonl":
        assert all(isinstance(record["step"], int) for record in read_history(path))
    else:
        Run(folder)
        assert isinstance(read_json(path), dict)


def read_request(data: bytes) -> None:
    """The body of a request to the server, of each kind, and the parts of a text that is explained."""
    from support.served import FakeModel

    from featherweight.serving.explain import spans_of, without
    from featherweight.serving.limits import Limits
    from featherweight.serving.refusals import Refusal
    from featherweight.serving.schemas import read, request_models

    pairs, explained = divmod(data[0] if data else 0, 2)
    schemas = request_models(FakeModel(("premise", "hypothesis") if pairs % 2 else None), Limits())
    try:
        asked: Any = read(schemas[explained], data[1:], Limits().texts)
        if explained:
            text = tuple(asked.text) if pairs % 2 else asked.text
            for span in spans_of(text, Limits()):
                side = text[span.side] if pairs % 2 else text
                assert side[span.start : span.end].strip() and without(text, span) != text
    except Refusal as refusal:
        assert refusal.status_code in (400, 422)
        raise UserError(str(refusal.detail)) from None
