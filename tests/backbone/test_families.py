"""An encoder family is one entry of the table: its options agree with transformers, and no other file names it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from support.backbones import FAMILIES as TINY
from support.backbones import tiny_config

import featherweight
from featherweight.backbone.families import FAMILIES, head_dropouts
from featherweight.backbone.resolve import most_tokens

SOURCES = Path(featherweight.__file__).parent
NAMED = {"backbone/families.py", "backbone/known_configs.py"}
"""Files that may name model types."""
OTHER_MEANINGS = {("backbone/wheels.py", "mpnet")}
"""Strings that are spelt like a model type: the short name of a wheel."""


def model_types_in(source: str) -> set[str]:
    """The strings of a Python file that are model types, whole."""
    constants = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and value in FAMILIES}


def test_no_other_file_names_a_model_type() -> None:
    found = set()
    for path in SOURCES.rglob("*.py"):
        name = path.relative_to(SOURCES).as_posix()
        found |= {(name, model_type) for model_type in model_types_in(path.read_text("utf-8"))}
    assert {file for file, _ in found} >= NAMED
    assert {(file, model_type) for file, model_type in found - OTHER_MEANINGS if file not in NAMED} == set()


def test_a_model_type_in_code_is_found_and_one_in_a_message_is_not() -> None:
    assert model_types_in('if model_type in ("bert", "deberta-v2"):\n    pass') == {"bert", "deberta-v2"}
    assert model_types_in('"""Of bert."""\nraise ValueError("such as bert")') == set()


def tiny_encoder(family: str) -> Any:
    from transformers import AutoConfig, AutoModel

    # 1 is the padding token of RoBERTa's published models, from which its positions are counted.
    sizes = {**tiny_config(family if family in TINY else "roberta"), "pad_token_id": 1}
    config = AutoConfig.for_model(family, **sizes)
    return AutoModel.from_config(config, attn_implementation="eager").eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_longest_text_is_the_longest_that_the_class_reads(family: str) -> None:
    import torch

    encoder = tiny_encoder(family)
    longest = most_tokens(encoder.config.to_dict())
    ids = torch.full((1, 140), 2000)
    with torch.no_grad():
        if longest is None:
            assert encoder(input_ids=ids).last_hidden_state.isfinite().all()
            return
        assert encoder(input_ids=ids[:, :longest]).last_hidden_state.shape[1] == longest
        with pytest.raises((IndexError, RuntimeError)):
            encoder(input_ids=ids[:, : longest + 1])


@pytest.mark.parametrize("family", FAMILIES)
def test_options_and_config_keys_are_those_of_the_class(family: str) -> None:
    encoder, entry = tiny_encoder(family), FAMILIES[family]
    assert entry.pooler_option == ("add_pooling_layer" in inspect.signature(type(encoder)).parameters)
    if entry.lean is not None:
        assert all(hasattr(encoder.config, key) for key in entry.lean.dropouts if key)
    own = [key for key in encoder.config.to_dict() if "dropout" in key and ("class" in key or "cls" in key)]
    assert set(own) <= head_dropouts(family)


def test_an_unknown_family_keeps_every_dropout_that_a_head_may_have() -> None:
    assert head_dropouts("roformer") == {"classifier_dropout", "seq_classif_dropout", "pooler_dropout", "cls_dropout"}


def test_an_unknown_family_reads_as_many_tokens_as_it_has_positions() -> None:
    assert most_tokens({"model_type": "roformer", "max_position_embeddings": 100}) == 100
    assert most_tokens({"model_type": "roformer"}) is None
