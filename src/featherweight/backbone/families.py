"""The built-in encoder families: all facts about a family, in one entry of ``FAMILIES``.

An entry has the names of the linear layers, embedding tables, norms and classification head, the number of the first
position, the options of the transformers class, and the settings of the lean pass (Featherweight's own forward pass).
Names and shapes are those of transformers' model classes; tests compare each family with the real class.
"""

from __future__ import annotations

from dataclasses import replace

from featherweight.backbone.family import Config, Family, HeadLayer, LeanPass, LinearSpec, OtherModule
from featherweight.recipe import ROLES


def _six_linears(*modules: str) -> tuple[LinearSpec, ...]:
    """The six linear layers of a usual encoder layer: query, key, value and so on, as ``ROLES`` orders them.

    ``modules`` are their module names inside the layer, in the same order.
    """
    widths = [("hidden", "hidden")] * 4 + [("hidden", "mlp"), ("mlp", "hidden")]
    return tuple(LinearSpec(m, (r,), i, o) for m, r, (i, o) in zip(modules, ROLES, widths, strict=True))


def _dense_and_out(dense: str, out: str) -> tuple[HeadLayer, ...]:
    return (HeadLayer(dense, "dense"), HeadLayer(out, "out"))


def _deberta_parts(config: Config) -> list[OtherModule]:
    """DeBERTa's embedding tables, its modules for relative positions (He et al. 2021), and the convolution of v2."""
    hidden, layers = config["hidden_size"], range(config["num_hidden_layers"])
    embedding = config.get("embedding_size", hidden)
    tables = [("word", config["vocab_size"]), ("token_type", config["type_vocab_size"])]
    if config["position_biased_input"]:
        tables.append(("position", config["max_position_embeddings"]))
    parts = [OtherModule(f"embeddings.{kind}_embeddings", rows * embedding) for kind, rows in tables]
    if embedding != hidden:
        parts.append(OtherModule("embeddings.embed_proj", embedding * hidden))
    if config["relative_attention"]:
        reach = config["max_relative_positions"]
        reach = reach if reach >= 1 else config["max_position_embeddings"]
        buckets = config.get("position_buckets", -1)
        # One row for each relative position, from -reach to reach - 1.
        parts.append(OtherModule("encoder.rel_embeddings", 2 * (buckets if buckets > 0 else reach) * hidden))
        for module in _position_projections(config):
            name = "encoder.layer.{}.attention.self." + module
            parts += [OtherModule(name.format(layer), hidden * hidden, hidden) for layer in layers]
    if "layer_norm" in config.get("norm_rel_ebd", "none").lower():
        parts.append(OtherModule("encoder.LayerNorm", hidden, hidden))
    if kernel := config.get("conv_kernel_size", 0):
        groups = config.get("conv_groups", 1)
        # Weight of a grouped convolution: [hidden, hidden / groups, kernel].
        parts.append(OtherModule("encoder.conv.conv", hidden * hidden // groups * kernel, hidden))
        parts.append(OtherModule("encoder.conv.LayerNorm", hidden, hidden))
    return parts


def _position_projections(config: Config) -> list[str]:
    if config.get("share_att_key", False):
        return []
    kinds = config["pos_att_type"] or ""
    return [module for kind, module in (("c2p", "pos_key_proj"), ("p2c", "pos_query_proj")) if kind in kinds]


def _electra_parts(config: Config) -> list[OtherModule]:
    embedding, hidden = config["embedding_size"], config["hidden_size"]
    return [OtherModule("embeddings_project", embedding * hidden, hidden)] if embedding != hidden else []


def _mpnet_parts(config: Config) -> list[OtherModule]:
    # Despite its name this is an embedding table [buckets, heads], not a bias.
    return [
        OtherModule(
            "encoder.relative_attention_bias", config["relative_attention_num_buckets"] * config["num_attention_heads"]
        )
    ]


_BASE_SIZES = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
}
_EMBEDDINGS = {
    "embeddings.word_embeddings": "vocab_size",
    "embeddings.position_embeddings": "max_position_embeddings",
    "embeddings.token_type_embeddings": "type_vocab_size",
}

_BERT = Family(
    prefix="bert",
    linears=_six_linears(
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ),
    layer_norms=("attention.output.LayerNorm", "output.LayerNorm"),
    tables=_EMBEDDINGS,
    norms=("embeddings.LayerNorm",),
    head=_dense_and_out("bert.pooler.dense", "classifier"),
    defaults=_BASE_SIZES | {"vocab_size": 30522, "type_vocab_size": 2},
    pooler_option=True,
    tokenizer="BertTokenizer",
    lean=LeanPass(head=("bert.pooler", "dropout", "classifier")),
)
_ROBERTA = replace(
    _BERT,
    prefix="roberta",
    head=_dense_and_out("classifier.dense", "classifier.out_proj"),
    defaults=_BASE_SIZES | {"vocab_size": 50265, "type_vocab_size": 2},
    # Position numbers start after the id of the padding token, 1.
    position_offset=2,
    tokenizer="RobertaTokenizer",
    lean=LeanPass(),
)

FAMILIES: dict[str, Family] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": replace(
        _ROBERTA, defaults=_ROBERTA.defaults | {"vocab_size": 30522}, tokenizer="XLMRobertaTokenizer"
    ),
    "camembert": replace(_ROBERTA, defaults=_ROBERTA.defaults | {"vocab_size": 30522}, tokenizer="CamembertTokenizer"),
    "distilbert": Family(
        prefix="distilbert",
        layer="transformer.layer.{}",
        linears=_six_linears(
            "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"
        ),
        layer_norms=("sa_layer_norm", "output_layer_norm"),
        tables={
            "embeddings.word_embeddings": "vocab_size",
            "embeddings.position_embeddings": "max_position_embeddings",
        },
        norms=("embeddings.LayerNorm",),
        head=_dense_and_out("pre_classifier", "classifier"),
        defaults={"vocab_size": 30522, "max_position_embeddings": 512, "n_layers": 6, "dim": 768, "hidden_dim": 3072},
        hidden="dim",
        mlp="hidden_dim",
        layers="n_layers",
        head_dropouts=("seq_classif_dropout",),
        tokenizer="BertTokenizer",
        lean=LeanPass(
            dropouts=("attention_dropout", "", "dropout"),
            head=("first_token", "pre_classifier", "relu", "dropout", "classifier"),
            heads="n_heads",
            activation="activation",
            norm_epsilon="",
        ),
    ),
    "mpnet": replace(
        _BERT,
        prefix="mpnet",
        linears=_six_linears(
            "attention.attn.q",
            "attention.attn.k",
            "attention.attn.v",
            "attention.attn.o",
            "intermediate.dense",
            "output.dense",
        ),
        layer_norms=("attention.LayerNorm", "output.LayerNorm"),
        tables={
            "embeddings.word_embeddings": "vocab_size",
            "embeddings.position_embeddings": "max_position_embeddings",
        },
        head=_dense_and_out("classifier.dense", "classifier.out_proj"),
        defaults=_BASE_SIZES | {"vocab_size": 30527, "relative_attention_num_buckets": 32},
        extra=_mpnet_parts,
        position_offset=2,  # as in RoBERTa
        tokenizer="MPNetTokenizer",
        lean=LeanPass(padding="", relative_positions=True),
    ),
    "electra": replace(
        _BERT,
        prefix="electra",
        head=_dense_and_out("classifier.dense", "classifier.out_proj"),
        defaults=_BASE_SIZES
        | {
            "vocab_size": 30522,
            "type_vocab_size": 2,
            "embedding_size": 128,
            "hidden_size": 256,
            "num_attention_heads": 4,
            "intermediate_size": 1024,
        },
        table_width="embedding_size",
        extra=_electra_parts,
        pooler_option=False,
        lean=LeanPass(head_activation="gelu"),
    ),
    "deberta-v2": replace(
        _BERT,
        prefix="deberta",
        linears=_six_linears(
            "attention.self.query_proj",
            "attention.self.key_proj",
            "attention.self.value_proj",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        ),
        tables={},
        head=_dense_and_out("pooler.dense", "classifier"),
        defaults={
            "vocab_size": 128100,
            "hidden_size": 1536,
            "num_hidden_layers": 24,
            "intermediate_size": 6144,
            "max_position_embeddings": 512,
            "type_vocab_size": 0,
            "relative_attention": False,
            "max_relative_positions": -1,
            "position_biased_input": True,
            "pos_att_type": None,
        },
        extra=_deberta_parts,
        head_dropouts=("pooler_dropout", "cls_dropout"),
        limits_length=False,  # positions are relative
        pooler_option=False,
        # A DeBERTa layer also takes the table of relative positions as input. It has no batch dimension, so EVA fails.
        eva=False,
        tokenizer="",
        lean=None,
    ),
    "modernbert": Family(
        prefix="model",
        layer="layers.{}",
        linears=(
            LinearSpec("attn.Wqkv", ("query", "key", "value"), "hidden", "3*hidden", "attention_bias"),
            LinearSpec("attn.Wo", ("attention_output",), "hidden", "hidden", "attention_bias"),
            LinearSpec("mlp.Wi", ("mlp_up",), "hidden", "2*mlp", "mlp_bias"),
            LinearSpec("mlp.Wo", ("mlp_down",), "mlp", "hidden", "mlp_bias"),
        ),
        layer_norms=("attn_norm", "mlp_norm"),
        # The first layer directly follows the embeddings' norm and has no norm of its own before attention.
        missing_norms=("layers.0.attn_norm",),
        tables={"embeddings.tok_embeddings": "vocab_size"},
        norms=("embeddings.norm", "final_norm"),
        head=(
            HeadLayer("head.dense", "dense", "classifier_bias"),
            HeadLayer("head.norm", "norm", "norm_bias"),
            HeadLayer("classifier", "out"),
        ),
        defaults={
            "vocab_size": 50368,
            "hidden_size": 768,
            "num_hidden_layers": 22,
            "intermediate_size": 1152,
            "norm_bias": False,
            "attention_bias": False,
            "mlp_bias": False,
            "classifier_bias": False,
        },
        norm_bias="norm_bias",
        limits_length=False,  # rotary positions
    ),
}
"""The built-in families, by the ``model_type`` in config.json."""


def head_dropouts(model_type: str) -> set[str]:
    """The keys in config.json that set the dropout of the native head.

    For a family that is not built in, they are the keys of all built-in families.
    """
    families = [FAMILIES[model_type]] if model_type in FAMILIES else FAMILIES.values()
    return {key for family in families for key in family.head_dropouts}
