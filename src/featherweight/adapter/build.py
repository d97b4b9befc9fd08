"""Builds the network of a recipe: frozen backbone, PEFT adapter and head, with the right parameters trainable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from peft import EvaConfig, LoraConfig, TaskType, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from featherweight.adapter.trained import ADAPTER_NAME, mark_trainable
from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.families import FAMILIES, head_dropouts
from featherweight.backbone.loading import quiet, unreadable
from featherweight.backbone.resolve import Backbone
from featherweight.budget.weigh import adapted_linears
from featherweight.data.batches import Encoded, collate
from featherweight.errors import UserError
from featherweight.hints import to_set
from featherweight.model.network import LinearHead, Network
from featherweight.recipe import Recipe


def build_network(
    recipe: Recipe, backbone: Backbone, labels: Sequence[str], *, attention: str | None = "eager"
) -> Network:
    """The network of ``recipe`` on ``backbone``, in fp32 on the CPU; exactly the adapter's parameters are trainable.

    New weights are sampled with the recipe's seed, so the same seed gives the same adapter; the random state of the
    caller does not change. ``attention`` is transformers' ``attn_implementation``. Raises UserError if the weights of
    the backbone cannot be read.
    """
    architecture = architecture_of(backbone.config, recipe.backbone.roles)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(recipe.seed)
        native = recipe.adapter.head == "native"
        heads = architecture.head_modules if native else ()
        base = _load_base(backbone, labels, heads, attention, recipe.training.encoder_dropout)
        encoder = _attach_lora(base, recipe, architecture, backbone)
        head = None if native else LinearHead(architecture.hidden, len(labels), recipe.adapter.pooling)
    network = Network(encoder, head, tuple(labels), architecture)
    mark_trainable(network, recipe.adapter, architecture)
    return network


def unfreeze(network: Network) -> None:
    """Make every parameter of ``network`` trainable, for full fine-tuning.

    Call it before ``move_to_engine``, which keeps only trainable parameters in fp32.
    """
    for parameter in network.parameters():
        parameter.requires_grad_(True)


def _load_base(
    backbone: Backbone, labels: Sequence[str], heads: tuple[str, ...], attention: str | None, dropout: bool
) -> nn.Module:
    native = bool(heads)
    try:
        config = AutoConfig.from_pretrained(backbone.folder, trust_remote_code=False)
    except Exception as error:  # wrong values in the config can make the library raise any exception
        raise unreadable(backbone, error) from None
    if native:
        config.num_labels = len(labels)
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
    if not dropout:
        _switch_off_dropout(config, native)
    options: dict[str, Any] = {"config": config, "attn_implementation": attention, "dtype": torch.float32}
    family = FAMILIES.get(config.model_type)
    if not native and family is not None and family.pooler_option:
        options["add_pooling_layer"] = False
    kind = AutoModelForSequenceClassification if native else AutoModel
    try:
        model, loading = kind.from_pretrained(
            backbone.folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
        )
    except Exception as error:
        raise unreadable(backbone, error) from None
    # transformers initialises missing tensors at random. That is right for a new head and wrong for anything else.
    missing = sorted(name for name in loading["missing_keys"] if not name.startswith(heads or ("\0",)))
    if missing:
        more = f" and {len(missing) - 1} more tensors" if len(missing) > 1 else ""
        raise UserError(f"{backbone.folder}: the weights lack {missing[0]}{more}; download them again")
    return model


def head_dropout_rates(config: Mapping[str, Any]) -> list[float]:
    """The dropout rates of a native head in training; ``config`` is the config.json of its backbone.

    Empty or all 0 if the head shares its rate with the encoder, as MPNet's does: then its dropout is off, too.
    """
    values = {**config}
    of_head = AutoConfig.for_model(values.pop("model_type"), **values)
    _switch_off_dropout(of_head, native=True)
    return [getattr(of_head, key, 0.0) for key in head_dropouts(of_head.model_type)]


def _switch_off_dropout(config: Any, native: bool) -> None:
    # Only the dropout of the frozen encoder is switched off; a native head keeps the dropout of its class.
    head = head_dropouts(config.model_type) if native else set()
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


def initialise_from_data(network: Network, recipe: Recipe, train: Encoded, pad_id: int, *, rows: int = 256) -> None:
    """Initialise LoRA's A matrices from data if the recipe asks for EVA (Paischer et al. 2024); else do nothing.

    The rows of A become the principal directions of the layer's inputs on ``rows`` training rows. The ranks of the
    recipe do not change, so the number of trainable parameters does not change either. Raises UserError for an encoder
    family with which EVA does not work, and if no batch has as many tokens as the highest rank.
    """
    if recipe.adapter.initialisation != "eva" or not hasattr(network.encoder, "peft_config"):
        return
    from peft import initialize_lora_eva_weights

    train = train.by_window  # each window of a long text is one input of the layers
    chosen = np.random.default_rng(recipe.seed).permutation(len(train))[:rows]
    batches = [collate(train, chosen[start : start + 32], pad_id) for start in range(0, len(chosen), 32)]
    highest = max(table.rank for table in adapted_linears(recipe.adapter, network.architecture).values())
    # PEFT skips batches with fewer tokens, and waits for others for ever.
    batches = [batch for batch in batches if int(batch.attention_mask.sum()) >= highest]
    if not batches:
        raise UserError(
            f"adapter.initialisation = 'eva': rank {highest} needs {highest} tokens in {min(32, len(chosen))} training "
            f"rows, which have fewer; use a lower rank, or {to_set('adapter.initialisation=default')}"
        )
    loader = [
        {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, **network.types_read(batch.token_types)}
        for batch in batches
    ]
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(recipe.seed)
        initialize_lora_eva_weights(network.encoder, loader, show_progress_bar=False)
