"""Configurations of well-known backbones, as in their config.json, to count parameters without weights or network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featherweight.errors import UserError
from featherweight.hints import to_set


def _bert_like(model_type: str, layers: int, hidden: int, vocabulary: int, **keys: Any) -> dict[str, Any]:
    # As in BERT (Devlin et al. 2019): attention heads of width 64, and an MLP four times as wide as the hidden states.
    sizes = {"num_attention_heads": hidden // 64, "intermediate_size": 4 * hidden, "max_position_embeddings": 512}
    shape = {"num_hidden_layers": layers, "hidden_size": hidden, "vocab_size": vocabulary}
    return {"model_type": model_type, **shape, **sizes, **keys}


def _roberta(layers: int, hidden: int) -> dict[str, Any]:
    # 512 tokens: positions start at 2, after the id of the padding token (1).
    return _bert_like("roberta", layers, hidden, 50265, max_position_embeddings=514, type_vocab_size=1)


def _deberta_v3(layers: int, hidden: int) -> dict[str, Any]:
    relative = {
        "relative_attention": True,
        "position_buckets": 256,
        "max_relative_positions": -1,
        "pos_att_type": "p2c|c2p",
    }
    plain = {"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0}
    return _bert_like("deberta-v2", layers, hidden, 128100, **relative, **plain)


_ROBERTA_BASE = _roberta(12, 768)
_ROBERTA_LARGE = _roberta(24, 1024)
_DISTILROBERTA = _roberta(6, 768)
_BERT_UNCASED = _bert_like("bert", 12, 768, 30522, type_vocab_size=2)
_BERT_CASED = _bert_like("bert", 12, 768, 28996, type_vocab_size=2)
_MINILM = _bert_like("bert", 6, 384, 30522, type_vocab_size=2, num_attention_heads=12)
_MPNET = _bert_like("mpnet", 12, 768, 30527, max_position_embeddings=514, relative_attention_num_buckets=32)
_DISTILBERT: dict[str, Any] = {
    "model_type": "distilbert",
    "n_layers": 6,
    "dim": 768,
    "hidden_dim": 3072,
    "n_heads": 12,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
}
_ELECTRA_BASE = _bert_like("electra", 12, 768, 30522, type_vocab_size=2, embedding_size=768)
_MODERNBERT_BASE: dict[str, Any] = {
    "model_type": "modernbert",
    "num_hidden_layers": 22,
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_attention_heads": 12,
    "vocab_size": 50368,
    "max_position_embeddings": 8192,
    "attention_bias": False,
    "mlp_bias": False,
    "norm_bias": False,
    "classifier_bias": False,
}
_MODERNBERT_LARGE = {
    **_MODERNBERT_BASE,
    "num_hidden_layers": 28,
    "hidden_size": 1024,
    "intermediate_size": 2624,
    "num_attention_heads": 16,
}

KNOWN: dict[str, dict[str, Any]] = {
    "minilm": _MINILM,
    "sentence-transformers/all-MiniLM-L6-v2": _MINILM,
    "mpnet": _MPNET,
    "sentence-transformers/all-mpnet-base-v2": _MPNET,
    "microsoft/mpnet-base": _MPNET,
    "roberta-base": _ROBERTA_BASE,
    "FacebookAI/roberta-base": _ROBERTA_BASE,
    "roberta-large": _ROBERTA_LARGE,
    "FacebookAI/roberta-large": _ROBERTA_LARGE,
    "distilroberta-base": _DISTILROBERTA,
    "distilbert/distilroberta-base": _DISTILROBERTA,
    "bert-base-uncased": _BERT_UNCASED,
    "google-bert/bert-base-uncased": _BERT_UNCASED,
    "bert-base-cased": _BERT_CASED,
    "google-bert/bert-base-cased": _BERT_CASED,
    "distilbert-base-uncased": _DISTILBERT,
    "distilbert/distilbert-base-uncased": _DISTILBERT,
    "google/electra-base-discriminator": _ELECTRA_BASE,
    "microsoft/deberta-v3-base": _deberta_v3(12, 768),
    "answerdotai/ModernBERT-base": _MODERNBERT_BASE,
    "answerdotai/ModernBERT-large": _MODERNBERT_LARGE,
}
"""The config.json of each backbone, reduced to keys that determine shapes, by its hub name or built-in short name."""


def refuse_backbone(given: str) -> None:
    """Raise UserError if ``given``, which should name data or a recipe, names a well-known backbone instead."""
    if given in KNOWN and not Path(given).exists():
        raise UserError(
            f"{given}: is a backbone, not data or a recipe; name it with {to_set(f'backbone.name={given}')}"
        )
