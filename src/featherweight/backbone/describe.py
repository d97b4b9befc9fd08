"""Describes an encoder by its config.json alone: linear layers with their roles, biases, native head and sizes.

The built-in families (``families.FAMILIES``) need no weights and no torch. For any other encoder, transformers' model
class is built without weights, and the recipe says in ``[backbone.roles]`` which linear layer has which role (computes
query, key, value and so on).
"""

from __future__ import annotations

from collections.abc import Mapping

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.family import Config
from featherweight.backbone.from_config import architecture_from_config
from featherweight.errors import UserError
from featherweight.recipe import Role

MAX_LAYERS = 1_000
"""A limit far above the number of layers of any encoder: the deepest have a few dozen."""


def architecture_of(config: Config, roles: Mapping[Role, str] | None = None) -> Architecture:
    """The architecture that a parsed config.json describes.

    ``roles`` maps roles to module names inside a layer; a family that is not built in needs it. Such a family, and any
    family with ``roles``, is described by its transformers class (imported only then). Raises UserError for a decoder,
    for an unknown family without ``roles`` (the message lists its linear layers), and for impossible sizes (0 layers).
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise UserError('config.json: the key "model_type" is missing; it names the encoder\'s family, such as "bert"')
    refuse_decoder(config)
    _require_plausible_depth(config)
    if model_type not in FAMILIES or roles:
        from featherweight.backbone.introspection import architecture_from_class

        return architecture_from_class(config, roles or {})
    return architecture_from_config(config)


def architecture_without_roles(config: Config) -> Architecture:
    """The architecture that a parsed config.json describes; for an unknown family it has no ``linears``.

    That is enough for a saved adapter, whose layers are already chosen. Raises UserError for a decoder and for an
    impossible size.
    """
    if not isinstance(config.get("model_type"), str) or config["model_type"] in FAMILIES:
        return architecture_of(config)
    refuse_decoder(config)
    _require_plausible_depth(config)
    from featherweight.backbone.introspection import architecture_from_class_without_roles

    return architecture_from_class_without_roles(config)


def refuse_decoder(config: Config) -> None:
    """Raise UserError if a parsed config.json describes a model that generates text instead of encoding it."""
    named = config.get("architectures")
    classes = [name for name in named if isinstance(name, str)] if isinstance(named, list | tuple) else []
    generative = [c for c in classes if c.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"))]
    if config.get("is_encoder_decoder") or config.get("is_decoder") or generative:
        reason = (
            generative[0] if generative else "is_encoder_decoder" if config.get("is_encoder_decoder") else "is_decoder"
        )
        raise UserError(
            f"backbone.name: {config.get('model_type')} with {reason} is a decoder or sequence-to-sequence model; "
            "Featherweight trains encoders such as roberta-base or answerdotai/ModernBERT-base"
        )


def _require_plausible_depth(config: Config) -> None:
    """Raise UserError if config.json has more layers than any encoder; describing so many would take too long."""
    for key, value in config.items():
        if key.endswith(("layers", "n_layer")) and isinstance(value, int) and value > MAX_LAYERS:
            raise UserError(f"config.json: {key} must be at most {MAX_LAYERS:,}; it is {value:,}")
