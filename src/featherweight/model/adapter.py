"""Build the network that a recipe describes, save what is trained in PEFT's format, and load it again."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import EvaConfig, LoraConfig, TaskType, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from featherweight.data.batches import Encoded, collate
from featherweight.errors import UserError
from featherweight.model.architectures import Architecture, architecture_of
from featherweight.model.backbones import Backbone
from featherweight.model.network import LinearHead, Network
from featherweight.model.weigh import adapted_linears
from featherweight.recipe import AdapterRecipe, Recipe

FORMAT = 1
"""Version of the adapter folder's layout; a newer one is refused."""
DESCRIPTION = "featherweight.json"
ADAPTER_NAME = "default"


def build_network(
    recipe: Recipe, backbone: Backbone, labels: Sequence[str], *, attention: str | None = "eager"
) -> Network:
    """The network of ``recipe`` on ``backbone``, in fp32 on the CPU, with exactly the adapter's parameters trainable.

    The recipe's seed is set before any weight is drawn and the caller's random state is left as it was:
    the same seed gives the same adapter. Raises UserError where the weights cannot be read.
    """
    architecture = architecture_of(backbone.config, recipe.backbone.roles)
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(recipe.seed)
        native = recipe.adapter.head == "native"
        base = _load_base(backbone, labels, native, attention, recipe.training.encoder_dropout)
        encoder = _attach_lora(base, recipe, architecture, backbone)
        head = None if native else LinearHead(architecture.hidden, len(labels), recipe.adapter.pooling)
    network = Network(encoder, head, tuple(labels), architecture)
    _mark_trainable(network, recipe.adapter, architecture)
    return network


def unfreeze(network: Network) -> None:
    """Train every parameter of a network without LoRA: full fine-tuning, as a baseline. Call it before ``settle``."""
    for parameter in network.parameters():
        parameter.requires_grad_(True)


def save_adapter(
    network: Network, folder: Path, recipe: Recipe, backbone: Backbone, tokenizer: Any, *, temperature: float = 1.0
) -> None:
    """Write ``folder``: PEFT's format plus head, trained biases, labels, recipe and tokenizer; whole or not at all.

    Raises OSError where the disk is full or closed to writing; an earlier adapter in ``folder`` then still stands.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    wrapped = hasattr(network.encoder, "peft_config")
    trained = {peft_name(name): tensor for name, tensor in network.trainable().items()}
    inside = {name: tensor for name, tensor in trained.items() if wrapped and not name.startswith("head.")}
    outside = {name: tensor for name, tensor in trained.items() if name not in inside}
    if inside:
        save_file(_cpu(inside), part / "adapter_model.safetensors", metadata={"format": "pt"})
        _save_peft_config(network, part, folder, recipe, backbone)
    if outside:
        save_file(_cpu(outside), part / "head.safetensors", metadata={"format": "pt"})
    description = {"format": FORMAT, "labels": list(network.labels), "temperature": temperature}
    (part / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    (part / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    tokenizer.save_pretrained(part)
    for weights in part.glob("*.safetensors"):
        # safetensors writes for the owner alone; a run is shared like any other file.
        weights.chmod((part / DESCRIPTION).stat().st_mode)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def read_description(folder: Path) -> dict[str, Any]:
    """Labels and temperature of a saved adapter. Raises UserError where the folder is none or of a newer version."""
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run or adapter folder")
    if not path.is_file():
        raise UserError(f"{folder}: no adapter here ({DESCRIPTION} is missing); name a finished run's folder")
    try:
        description = json.loads(path.read_text("utf-8"))
        version = int(description["format"])
        if version > FORMAT:
            newer = f"layout {version}, this one reads {FORMAT}"
            raise UserError(f"{folder}: written by a newer Featherweight ({newer}); update it")
        if not isinstance(description["labels"], list) or float(description["temperature"]) <= 0:
            raise ValueError("labels or temperature are not what they must be")
    except KeyError as error:
        raise UserError(f"{path}: damaged: it lacks {error}") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: damaged: {error}") from None
    return description


def load_adapter(network: Network, folder: Path) -> None:
    """Put a saved adapter into a freshly built ``network``; every trained tensor must be there, with its shape.

    Raises UserError, naming the file and tensor, where one is missing, unknown or of another shape.
    """
    tensors: dict[str, Tensor] = {}
    for name in ("adapter_model.safetensors", "head.safetensors"):
        if (folder / name).is_file():
            tensors |= _read_tensors(folder / name)
    live = {peft_name(name): parameter for name, parameter in network.trainable().items()}
    missing, unknown = sorted(live.keys() - tensors.keys()), sorted(tensors.keys() - live.keys())
    if missing or unknown:
        problem = f"lacks {missing[0]}" if missing else f"holds {unknown[0]}, which this recipe does not train"
        raise UserError(f"{folder}: the saved adapter {problem}; it belongs to another recipe or is incomplete")
    for name, parameter in live.items():
        if parameter.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(parameter.shape)}"
            raise UserError(f"{folder}: {name} has shape {shapes}; it belongs to another recipe")
        parameter.data.copy_(tensors[name])


def peft_name(name: str) -> str:
    """The name under which PEFT saves the trained tensor that the network calls ``name``."""
    name = name.removeprefix("encoder.").replace(f".modules_to_save.{ADAPTER_NAME}.", ".")
    return name.replace(f".{ADAPTER_NAME}.weight", ".weight").replace(f"_vector.{ADAPTER_NAME}", "_vector")


def _load_base(
    backbone: Backbone, labels: Sequence[str], native: bool, attention: str | None, dropout: bool
) -> nn.Module:
    config = AutoConfig.from_pretrained(backbone.folder)
    if native:
        config.num_labels = len(labels)
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
    if not dropout:
        _switch_off_dropout(config, native)
    options: dict[str, Any] = {"config": config, "attn_implementation": attention, "dtype": torch.float32}
    if not native and config.model_type in ("bert", "roberta", "mpnet", "xlm-roberta", "camembert"):
        options["add_pooling_layer"] = False
    kind = AutoModelForSequenceClassification if native else AutoModel
    try:
        return kind.from_pretrained(backbone.folder, use_safetensors=True, **options)
    except (OSError, SafetensorError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"{backbone.folder}: the weights of {backbone.name} cannot be read: {first}") from None


def _switch_off_dropout(config: Any, native: bool) -> None:
    # The frozen encoder's own dropout; a native head keeps the dropout that its class gives it.
    head = {"classifier_dropout", "seq_classif_dropout", "pooler_dropout", "cls_dropout"} if native else set()
    if native and getattr(config, "classifier_dropout", 0) is None:
        config.classifier_dropout = getattr(config, "hidden_dropout_prob", 0.0)
    for key, value in config.to_dict().items():
        if "dropout" in key and key not in head and isinstance(value, float):
            setattr(config, key, 0.0)


def _attach_lora(base: nn.Module, recipe: Recipe, architecture: Architecture, backbone: Backbone) -> nn.Module:
    native = recipe.adapter.head == "native"
    targets = adapted_linears(recipe.adapter, architecture)
    if not targets:
        return base
    prefix = f"{architecture.prefix}." if native else ""
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS if native else TaskType.FEATURE_EXTRACTION,
        base_model_name_or_path=str(backbone.folder),
        target_modules=[prefix + name for name in targets],
        rank_pattern={prefix + name: table.rank for name, table in targets.items()},
        alpha_pattern={prefix + name: table.effective_alpha for name, table in targets.items()},
        r=1,
        lora_dropout=recipe.adapter.dropout,
        use_rslora=recipe.adapter.rslora,
        use_dora=recipe.adapter.dora,
        init_lora_weights={"default": True}.get(recipe.adapter.initialisation, recipe.adapter.initialisation),
        eva_config=EvaConfig(rho=1.0) if recipe.adapter.initialisation == "eva" else None,
        modules_to_save=[name.rpartition(".")[2] for name in architecture.head_modules] if native else None,
        bias="none",
    )
    return get_peft_model(base, config, adapter_name=ADAPTER_NAME)


def _mark_trainable(network: Network, adapter: AdapterRecipe, architecture: Architecture) -> None:
    """Train exactly what the recipe says: PEFT's own marking knows neither all heads nor which biases are true."""
    prefix = f"{architecture.prefix}." if adapter.head == "native" else ""
    adapted = adapted_linears(adapter, architecture)
    biases = {"none": set(), "lora": {f"{name}.bias" for name in adapted}, "all": set()}[adapter.bias]
    if adapter.bias == "all":
        biases = {f"{linear.name}.bias" for linear in architecture.linears if linear.bias}
        biases |= {name for name, _ in architecture.other_biases}
    biases = {prefix + name for name in biases}
    heads = tuple(f"{name}." for name in architecture.head_modules) if adapter.head == "native" else ()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_is_trained(name, biases, heads))


def _is_trained(name: str, biases: set[str], heads: tuple[str, ...]) -> bool:
    if name.startswith("head.") or ".lora_" in name:
        return True
    if ".original_module." in name:
        return False
    plain = name.removeprefix("encoder.").removeprefix("base_model.model.")
    plain = plain.replace(f".modules_to_save.{ADAPTER_NAME}.", ".").replace(".base_layer.", ".")
    return plain in biases or plain.startswith(heads or ("\0",))


def _save_peft_config(network: Network, part: Path, home: Path, recipe: Recipe, backbone: Backbone) -> None:
    wrapped: Any = network.encoder
    values = wrapped.peft_config[ADAPTER_NAME].to_dict()
    values["inference_mode"] = True
    values["base_model_name_or_path"] = str(backbone.folder)
    if recipe.adapter.initialisation == "eva":
        # EVA only chooses the start of A; a loaded adapter has its trained A and must not ask for data again.
        values |= {"init_lora_weights": True, "eva_config": None}
    if recipe.adapter.head == "native":
        _write_labelled_base(network, part / "backbone", backbone)
        values["base_model_name_or_path"] = str((home / "backbone").resolve())
    (part / "adapter_config.json").write_text(json.dumps(values, indent=2, default=_jsonable) + "\n", "utf-8")


def _write_labelled_base(network: Network, base: Path, backbone: Backbone) -> None:
    """A folder for PEFT's auto class: the backbone's weights (linked) under a config that knows the labels.

    ``AutoPeftModelForSequenceClassification`` takes the number of labels from the base model's config alone.
    """
    assert backbone.folder is not None
    base.mkdir()
    config = {**backbone.config, "id2label": dict(enumerate(network.labels))}
    config["label2id"] = {label: number for number, label in enumerate(network.labels)}
    (base / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    for weights in sorted(backbone.folder.glob("*.safetensors*")):
        (base / weights.name).symlink_to(weights.resolve())


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file: {error}") from None


def _cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().float().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _jsonable(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(getattr(value, "value", value))


@contextmanager
def _quiet() -> Iterator[None]:
    # transformers and PEFT announce new head weights and unused pooler weights; both are what was asked for.
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("peft").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)


def initialise_from_data(network: Network, recipe: Recipe, train: Encoded, pad_id: int, *, rows: int = 256) -> None:
    """EVA's start (Paischer et al. 2024): A holds the main directions of each layer's inputs on some training rows.

    Does nothing for other initialisations. The ranks stay as the recipe gives them, so the weight stays as weighed.
    """
    if recipe.adapter.initialisation != "eva" or not hasattr(network.encoder, "peft_config"):
        return
    if network.architecture.model_type == "deberta-v2":
        # Its layers also see the table of relative positions, which has no batch; PEFT's EVA stumbles over that.
        raise UserError("adapter.initialisation = 'eva' does not work with DeBERTa; use 'default' or 'pissa'")
    from peft import initialize_lora_eva_weights

    chosen = np.random.default_rng(recipe.seed).permutation(len(train))[:rows]
    batches = [collate(train, chosen[start : start + 32], pad_id) for start in range(0, len(chosen), 32)]
    loader = [{"input_ids": batch.input_ids, "attention_mask": batch.attention_mask} for batch in batches]
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(recipe.seed)
        initialize_lora_eva_weights(network.encoder, loader, show_progress_bar=False)
