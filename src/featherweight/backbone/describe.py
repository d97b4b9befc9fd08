"""What an encoder is made of, by its config.json alone: linear layers with their roles, biases, native head, size.

The built-in families (``families.FAMILIES``) need no weights and no torch. Any other encoder is looked at as a
skeleton without weights, and its recipe says which linear layer plays which role (``[backbone.roles]``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from featherweight.backbone.architecture import Architecture, HeadTensor, Linear
from featherweight.backbone.families import FAMILIES, Config, Family, HeadLayer, LinearSpec, Part
from featherweight.backbone.known_configs import KNOWN
from featherweight.errors import UserError
from featherweight.recipe import Role

__all__ = ["KNOWN", "Architecture", "HeadTensor", "Linear", "architecture_of", "outline_of", "refuse_decoder"]

MOST_LAYERS = 1_000
"""The deepest encoders have some dozens."""


def architecture_of(config: Config, roles: Mapping[Role, str] | None = None) -> Architecture:
    """The architecture that a parsed config.json describes.

    ``roles`` maps roles to module names inside a layer and is needed for a family that is not built in; such a
    family, or any with ``roles``, is looked at through transformers (imported only then). Raises UserError for a
    decoder, for an unknown family without ``roles`` (naming its linear layers), and for a size that makes no sense.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise UserError('config.json: the key "model_type" is missing; it names the encoder\'s family, such as "bert"')
    refuse_decoder(config)
    _require_bearable(config)
    if model_type not in FAMILIES or roles:
        from featherweight.backbone.introspection import skeleton_architecture

        return skeleton_architecture(config, roles or {})
    family = FAMILIES[model_type]
    try:
        return _built_in(model_type, family, _checked(family, config))
    except (TypeError, AttributeError, KeyError) as error:
        raise UserError(f"config.json: not a sound {model_type} configuration: {error}") from None


def outline_of(config: Config) -> Architecture:
    """As ``architecture_of``, but any family that transformers knows will do: of others no layer has a role.

    That is enough for what was trained elsewhere, where nothing is left to choose. Raises UserError likewise.
    """
    if not isinstance(config.get("model_type"), str) or config["model_type"] in FAMILIES:
        return architecture_of(config)
    refuse_decoder(config)
    _require_bearable(config)
    from featherweight.backbone.introspection import outline

    return outline(config)


def refuse_decoder(config: Config) -> None:
    """Raise UserError where a parsed config.json says that the model generates text instead of encoding it."""
    named = config.get("architectures")
    classes = [name for name in named if isinstance(name, str)] if isinstance(named, list | tuple) else []
    generative = [c for c in classes if c.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"))]
    if config.get("is_encoder_decoder") or config.get("is_decoder") or generative:
        what = (
            generative[0] if generative else "is_encoder_decoder" if config.get("is_encoder_decoder") else "is_decoder"
        )
        raise UserError(
            f"backbone.name: {config.get('model_type')} with {what} is a decoder or sequence-to-sequence model; "
            "Featherweight trains encoders such as roberta-base or answerdotai/ModernBERT-base"
        )


def _require_bearable(config: Config) -> None:
    """Raise UserError where a config.json asks for more layers than any encoder has: each is gone through."""
    for key, value in config.items():
        if key.endswith(("layers", "n_layer")) and isinstance(value, int) and value > MOST_LAYERS:
            raise UserError(f"config.json: {key} must be at most {MOST_LAYERS:,}; it is {value:,}")


def _checked(family: Family, config: Config) -> Config:
    """``config`` over the family's defaults, as transformers would complete it; sizes must be whole and positive."""
    complete = {**family.defaults, **config}
    for key, default in family.defaults.items():
        value = complete[key]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(default, int) and not isinstance(default, bool) and not whole:
            raise UserError(f"config.json: {key} must be a whole number; it is {value!r}")
    for key in (family.hidden, family.mlp, family.layers, "vocab_size"):
        if complete[key] < 1:
            raise UserError(f"config.json: {key} must be at least 1; it is {complete[key]}")
    return complete


def _built_in(model_type: str, family: Family, config: Config) -> Architecture:
    layers, hidden = config[family.layers], config[family.hidden]
    linears = tuple(_linear(family, spec, layer, config) for layer in range(layers) for spec in family.linears)
    parts = _parts(family, config)
    return Architecture(
        model_type=model_type,
        layers=layers,
        hidden=hidden,
        linears=linears,
        other_biases=tuple((f"{part.name}.bias", part.biases) for part in parts if part.biases),
        prefix=family.prefix,
        head_modules=_modules_of(family),
        head_tensors=tuple(tensor for layer in family.head for tensor in _head_tensors(layer, hidden, config)),
        encoder_parameters=sum(x.parameters for x in linears) + sum(p.weights + p.biases for p in parts),
    )


def _linear(family: Family, spec: LinearSpec, layer: int, config: Config) -> Linear:
    name = f"{family.layer.format(layer)}.{spec.module}"
    inputs, outputs = _width(spec.inputs, family, config), _width(spec.outputs, family, config)
    return Linear(name, spec.roles, layer, inputs, outputs, bias=not spec.bias or bool(config.get(spec.bias)))


def _width(text: str, family: Family, config: Config) -> int:
    factor, _, base = text.rpartition("*")
    return int(factor or 1) * int(config[{"hidden": family.hidden, "mlp": family.mlp}[base]])


def _parts(family: Family, config: Config) -> list[Part]:
    """Everything in the encoder but the linear layers with a role: tables, norms and the family's own."""
    hidden: int = config[family.hidden]
    width: int = config.get(family.table_width, hidden)
    tables = [Part(name, config[rows] * width) for name, rows in family.tables.items()]
    inside = [f"{family.layer.format(i)}.{norm}" for i in range(config[family.layers]) for norm in family.layer_norms]
    norms = [(name, width if name.startswith("embeddings.") else hidden) for name in (*family.norms, *inside)]
    has_bias = not family.norm_bias or bool(config.get(family.norm_bias))
    kept = [Part(name, size, size if has_bias else 0) for name, size in norms if name not in family.without]
    return [*tables, *kept, *family.extra(config)]


def _modules_of(family: Family) -> tuple[str, ...]:
    """Head modules as PEFT would be told them: ``classifier`` stands for ``classifier.dense`` and ``.out_proj``."""
    owners = (
        layer.module.removesuffix(".dense").removesuffix(".out_proj").removesuffix(".norm") for layer in family.head
    )
    return _distinct(owners)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _head_tensors(layer: HeadLayer, hidden: int, config: Config) -> list[HeadTensor]:
    fixed, per_label = {"dense": (hidden * hidden, 0), "norm": (hidden, 0), "out": (0, hidden)}[layer.kind]
    tensors = [HeadTensor(f"{layer.module}.weight", fixed, per_label, is_bias=False)]
    if not layer.bias or config.get(layer.bias):
        size = (0, 1) if layer.kind == "out" else (hidden, 0)
        tensors.append(HeadTensor(f"{layer.module}.bias", *size, is_bias=True))
    return tensors
