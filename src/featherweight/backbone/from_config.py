"""Builds the architecture of an encoder of a built-in family from its config.json and the family's table entry."""

from __future__ import annotations

from featherweight.backbone.architecture import Architecture, HeadTensor, Linear
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.family import Config, Family, HeadLayer, LinearSpec, OtherModule
from featherweight.errors import UserError


def architecture_from_config(config: Config) -> Architecture:
    """The architecture of an encoder of a built-in family: ``config["model_type"]`` must be in ``FAMILIES``.

    Missing keys get the defaults of transformers. Raises UserError for an impossible size.
    """
    model_type = config["model_type"]
    family = FAMILIES[model_type]
    try:
        return _built_in(model_type, family, _completed(family, config))
    except (TypeError, AttributeError, KeyError) as error:
        raise UserError(f"config.json: not a valid {model_type} configuration: {error}; get the file again") from None


def _completed(family: Family, config: Config) -> Config:
    """``config`` with transformers' defaults for missing keys. Raises UserError for an impossible size."""
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
        head_modules=_head_modules(family),
        head_tensors=tuple(tensor for layer in family.head for tensor in _head_tensors(layer, hidden, config)),
        encoder_parameters=sum(x.parameters for x in linears) + sum(p.weights + p.biases for p in parts),
    )


def _linear(family: Family, spec: LinearSpec, layer: int, config: Config) -> Linear:
    name = f"{family.layer.format(layer)}.{spec.module}"
    inputs, outputs = _width(spec.inputs, family, config), _width(spec.outputs, family, config)
    return Linear(name, spec.roles, layer, inputs, outputs, bias=not spec.bias or bool(config.get(spec.bias)))


def _width(text: str, family: Family, config: Config) -> int:
    # "3*hidden" means three times the hidden width of the config.
    factor, _, base = text.rpartition("*")
    return int(factor or 1) * int(config[{"hidden": family.hidden, "mlp": family.mlp}[base]])


def _parts(family: Family, config: Config) -> list[OtherModule]:
    """All modules of the encoder except its adaptable linear layers."""
    hidden: int = config[family.hidden]
    width: int = config.get(family.table_width, hidden)
    tables = [OtherModule(name, config[rows] * width) for name, rows in family.tables.items()]
    inside = [f"{family.layer.format(i)}.{norm}" for i in range(config[family.layers]) for norm in family.layer_norms]
    # A norm scales each element of a state: it has one weight and one bias per element.
    norms = [(name, width if name.startswith("embeddings.") else hidden) for name in (*family.norms, *inside)]
    has_bias = not family.norm_bias or bool(config.get(family.norm_bias))
    sized = [
        OtherModule(name, size, size if has_bias else 0) for name, size in norms if name not in family.missing_norms
    ]
    return [*tables, *sized, *family.extra(config)]


def _head_modules(family: Family) -> tuple[str, ...]:
    """The outermost modules of the native head, for PEFT's ``modules_to_save``.

    ``classifier.dense`` and ``classifier.out_proj`` give ``classifier``.
    """
    owners = (
        layer.module.removesuffix(".dense").removesuffix(".out_proj").removesuffix(".norm") for layer in family.head
    )
    return tuple(dict.fromkeys(owners))


def _head_tensors(layer: HeadLayer, hidden: int, config: Config) -> list[HeadTensor]:
    # Weights are [outputs, inputs]: [hidden, hidden] for a dense layer, [labels, hidden] for the last layer.
    fixed, per_label = {"dense": (hidden * hidden, 0), "norm": (hidden, 0), "out": (0, hidden)}[layer.kind]
    tensors = [HeadTensor(f"{layer.module}.weight", fixed, per_label, is_bias=False)]
    if not layer.bias or config.get(layer.bias):
        size = (0, 1) if layer.kind == "out" else (hidden, 0)
        tensors.append(HeadTensor(f"{layer.module}.bias", *size, is_bias=True))
    return tensors
