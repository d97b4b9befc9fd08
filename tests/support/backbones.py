"""Tiny backbones with random weights, one for each encoder family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featherweight.backbone.resolve import resolve_backbone
from featherweight.recipe import BackboneRecipe
from support.made_once import MadeOnce

WORDS = """apple pear plum cherry iron copper zinc silver robin crow heron owl
    quark boson lepton meson protein genome enzyme tissue court statute appeal judge holds"""
"""The words of the tests' made-up texts."""

FAMILIES = ("bert", "roberta", "distilbert", "mpnet", "deberta-v2", "electra", "modernbert")


def tiny_config(family: str) -> dict[str, Any]:
    """A two-layer configuration of a family."""
    common = {"vocab_size": 30522, "pad_token_id": 0, "max_position_embeddings": 130}
    wide = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    if family == "distilbert":
        return {**common, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    if family == "electra":
        return {**common, **wide, "embedding_size": 16}
    if family == "deberta-v2":
        relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
        shared = {"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False}
        return {**common, **wide, **relative, **shared, "type_vocab_size": 0}
    if family == "modernbert":
        tokens = {"bos_token_id": 101, "cls_token_id": 101, "eos_token_id": 102, "sep_token_id": 102}
        return {**common, **wide, **tokens, "global_attn_every_n_layers": 2, "local_attention": 16}
    return {**common, **wide}


def save_tiny_backbone(folder: Path, family: str, seed: int = 0, **config: Any) -> Path:
    """Write config, random weights and tokenizer of a tiny backbone; ``config`` replaces values of its config."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.for_model(family, **{**tiny_config(family), **config}))
    # Zero biases would hide a lost bias; give every vector something to lose.
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    save_small_tokenizer(folder)
    return folder


def save_small_tokenizer(folder: Path, tokens: int = 4_000) -> None:
    """Write MiniLM's tokenizer with its first ``tokens`` of 30,522: to read all takes longer than a tiny training.

    The tokens of ``WORDS`` that come later take the places of [unused0] and so on.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve_backbone(BackboneRecipe(name="minilm")).folder)
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    ids = content["model"]["vocab"]
    first = {number: token for token, number in ids.items() if number < tokens}
    first |= dict(enumerate((token for token in tokenizer.tokenize(WORDS) if ids[token] >= tokens), 1))
    content["model"]["vocab"] = {token: number for number, token in first.items()}
    file.write_text(json.dumps(content), "utf-8")


class TinyBackbones(dict[str, Path]):
    """Folder of a tiny backbone for each family, made when it is first asked for."""

    def __init__(self, made_once: MadeOnce) -> None:
        self._made_once = made_once

    def __missing__(self, family: str) -> Path:
        import torch

        with torch.random.fork_rng(devices=[]):  # whoever asks keeps his random numbers
            self[family] = self._made_once(family, lambda folder: save_tiny_backbone(folder, family))
        return self[family]


TINY_CONFIG = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 16}


def named(name: str | Path, revision: str | None = None) -> BackboneRecipe:
    return BackboneRecipe(name=str(name), revision=revision)


def tiny_weights(values: int = 4) -> bytes:
    """A sound safetensors file of one tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4 * values)
