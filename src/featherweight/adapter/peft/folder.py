"""Reads and checks the folder of a classifier that was saved by PEFT or by transformers' Trainer.

Only the settings and the headers of the weight files are read here. ``network.py`` loads the weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.adapter.peft.settings import FILE, LoraSettings, read_settings
from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_without_roles
from featherweight.backbone.folder import TensorHeader, has_tokenizer, read_config, read_header
from featherweight.backbone.resolve import Backbone, config_of, local_tensors, resolve_backbone
from featherweight.errors import HubUnreachable, UserError
from featherweight.recipe import BackboneRecipe, DataRecipe

WEIGHTS = "adapter_model.safetensors"
_PICKLED = "adapter_model.bin"
_OUTER = "base_model.model."
_TYPES = ("F32", "F16", "BF16")
_COPY = re.compile(r"\.modules_to_save\.[^.]+\.")
_FACTOR = re.compile(r"\.lora_(?:embedding_)?([AB])(?=\.weight$|$)")
_GENERIC = re.compile(r"LABEL_\d+")


class BaseUnreachable(HubUnreachable):
    """The base is neither on this machine nor to be had from the hub."""


@dataclass(frozen=True)
class PeftFolder:
    """A checked folder with a LoRA classifier, ready to be weighed or loaded."""

    folder: Path
    settings: LoraSettings
    tensors: dict[str, TensorHeader]
    """All trained tensors, each listed once, by their names in transformers' classification class."""
    repeated: int
    """Number of further elements in the file: second copies of trained tensors, and originals of replaced modules."""
    base: BackboneRecipe
    config: dict[str, Any]
    """The config.json of the base model."""
    architecture: Architecture
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    """Notes for the user, one line each."""

    @property
    def data(self) -> DataRecipe:
        """Settings for reading data files for this classifier: the default columns, and its classes."""
        return DataRecipe(labels=self.labels)

    @property
    def total(self) -> int:
        """Number of trained parameters."""
        return sum(header.parameters for header in self.tensors.values())


def is_peft_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder that was saved by PEFT, and is neither a run nor an adapter of Featherweight."""
    folder = Path(path)
    own = any((folder / name).exists() for name in ("recipe.toml", "featherweight.json"))
    return not own and any((folder / name).exists() for name in (FILE, WEIGHTS, _PICKLED))


def read_peft_folder(path: str | Path, labels: Sequence[str] = (), base: str | Path | None = None) -> PeftFolder:
    """Read and check the folder ``path``; ``labels`` are the class names to use if the folder does not name them.

    ``base`` is the folder of the base model, if it is not where the settings in the folder say.

    Raises UserError, before anything large is allocated, if the folder is not a LoRA classifier, its weights are a
    pickle or too large for the base model, its head is missing, or its number of classes is unknown.
    """
    folder = Path(path)
    _require_safetensors(folder)
    settings = read_settings(folder)
    backbone = _base(folder, settings, base)
    tensors, repeated = _trained(folder / WEIGHTS)
    try:
        config = config_of(backbone)
        architecture = architecture_without_roles(config)
    except UserError as error:
        raise _base_refused(folder, error, backbone.name) from None
    _require_size(folder / WEIGHTS, tensors, architecture)
    _require_pairs(folder / WEIGHTS, tensors)
    classes = _classes(folder, tensors, _base_tensors(folder, backbone), architecture)
    names, notes = _labels(folder, config, classes, tuple(labels))
    return PeftFolder(folder, settings, tensors, repeated, backbone, config, architecture, names, notes)


def resolve_base(saved: PeftFolder) -> Backbone:
    """The base model with checked weights. It needs a tokenizer only if the folder has none."""
    try:
        return resolve_backbone(saved.base, tokenizer=not has_tokenizer(saved.folder))
    except UserError as error:
        raise _base_refused(saved.folder, error, saved.base.name) from None


def tensors_of(path: str | Path) -> tuple[dict[str, TensorHeader], str]:
    """The trained tensors, each once, from the header of the weight file alone; and the name of the base model.

    The base model itself is not needed. Raises UserError if the folder is not a LoRA classifier or is damaged.
    """
    folder = Path(path)
    _require_safetensors(folder)
    tensors, _ = _trained(folder / WEIGHTS)
    _require_pairs(folder / WEIGHTS, tensors)
    return tensors, read_settings(folder).base_model_name_or_path


def _base_refused(folder: Path, error: UserError, base: str) -> UserError:
    """``error`` about the base model, with the adapter folder that refers to this base model."""
    moved = "no such folder" in str(error)
    if moved or isinstance(error, HubUnreachable):
        problem = "no such folder" if moved else "it is not on this machine, and the hub cannot be reached"
        return BaseUnreachable(
            f"{folder}: its base model {base}: {problem}\n"
            "Add --base FOLDER: a folder with that model's config.json, model.safetensors and tokenizer"
        )
    hint = " (set as base_model_name_or_path in adapter_config.json)" if "\n" not in str(error) else ""
    return UserError(f"{folder}: its base model: {error}{hint}")


def plain_name(name: str) -> str:
    """The name in transformers' classification class of the tensor that PEFT's file calls ``name``.

    A trained copy of a module (``modules_to_save``) has the name of the original module.
    """
    return _COPY.sub(".", name.removeprefix(_OUTER))


def is_original(name: str) -> bool:
    """Whether ``name`` in PEFT's file is a head tensor from before the training, which PEFT stores but does not use."""
    return ".original_module." in name


def _require_safetensors(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    if (folder / WEIGHTS).is_file():
        return
    if not (folder / _PICKLED).exists():
        raise UserError(f"{folder / WEIGHTS}: missing; PEFT's save_pretrained writes it next to {FILE}")
    convert = "m.load_adapter(d, 'default'); m.save_pretrained('converted')"
    raise UserError(
        f"{folder / _PICKLED}: a pickle can run any code when it is opened; only safetensors are read\n"
        f"If you trust it, load it once with PEFT and save it again: {convert}"
    )


def _base(folder: Path, settings: LoraSettings, given: str | Path | None) -> BackboneRecipe:
    if given is not None:
        if not Path(given).is_dir():
            raise UserError(f"--base {given}: no such folder; name the folder of {settings.base_model_name_or_path}")
        return BackboneRecipe(name=str(given))
    name = settings.base_model_name_or_path
    if not name.isprintable() or (not Path(name).is_absolute() and ".." in Path(name).parts):
        raise UserError(
            f"{folder / FILE}: base_model_name_or_path = {name[:200]!r} points outside the folder; write the full path"
        )
    return BackboneRecipe(name=name, revision=settings.revision or None)


def _trained(path: Path) -> tuple[dict[str, TensorHeader], int]:
    """The trained tensors in the file, each once, and the number of elements of all other tensors in it."""
    trained: dict[str, TensorHeader] = {}
    repeated = 0
    for name, header in read_header(path).items():
        if not name.startswith(_OUTER) or not name.isprintable() or len(name) > 500:
            raise UserError(f"{path}: {name[:100]!r} was not written by PEFT, whose tensor names begin with {_OUTER}")
        if not header.parameters:
            raise UserError(f"{path}: {plain_name(name)} has the empty shape {header.shape}; the file is damaged")
        if header.dtype not in _TYPES:
            raise UserError(f"{path}: {plain_name(name)} has type {header.dtype}; only F32, F16 and BF16 are supported")
        plain = plain_name(name)
        if is_original(name) or plain in trained:
            repeated += header.parameters
        if is_original(name):
            continue
        if trained.setdefault(plain, header).shape != header.shape:
            shapes = f"{trained[plain].shape} and {header.shape}"
            raise UserError(f"{path}: contains {plain} twice, with the shapes {shapes}; the file is damaged")
    return trained, repeated


def _require_pairs(path: Path, tensors: dict[str, TensorHeader]) -> None:
    """Raise UserError unless every A [rank, inputs] has a B [outputs, rank] of the same rank."""
    for name, header in tensors.items():
        factor = _FACTOR.search(name)
        if not factor:
            continue
        other = "B" if factor[1] == "A" else "A"
        partner = tensors.get(f"{name[: factor.start(1)]}{other}{name[factor.end(1) :]}")
        if partner is None or len(header.shape) != 2 or len(partner.shape) != 2:
            raise UserError(f"{path}: {name} has no matching {other} matrix; the file is damaged")
        ranks = (header.shape[0], partner.shape[1]) if other == "B" else (header.shape[1], partner.shape[0])
        if ranks[0] != ranks[1]:
            raise UserError(f"{path}: {name} has rank {ranks[0]}, but its {other} matrix has rank {ranks[1]}")


def _require_size(path: Path, tensors: dict[str, TensorHeader], architecture: Architecture) -> None:
    total = sum(header.parameters for header in tensors.values())
    # Even a full-rank LoRA of every layer has fewer parameters than this.
    if total > 2 * architecture.encoder_parameters:
        base = f"the base model has only {architecture.encoder_parameters:,}"
        raise UserError(f"{path}: has {total:,} parameters, too many for an adapter: {base}")


def _base_tensors(folder: Path, base: BackboneRecipe) -> dict[str, TensorHeader] | None:
    try:
        return local_tensors(base)
    except UserError as error:
        raise _base_refused(folder, error, base.name) from None


def _classes(
    folder: Path, tensors: dict[str, TensorHeader], base: dict[str, TensorHeader] | None, architecture: Architecture
) -> int:
    """Number of classes: the number of rows of the head's last layer, in the adapter or in its base model.

    Raises UserError if a tensor of the head is in neither of them.
    """
    outputs = {tensor.name for tensor in architecture.head_tensors if tensor.per_label}
    for tensor in architecture.head_tensors:
        known = tensor.name in tensors or _in_base(tensor.name, base, architecture) is not None
        if not known and (base is not None or tensor.name in outputs):
            raise UserError(head_is_missing(folder, tensor.name))
    weight = next((name for name in outputs if name.endswith(".weight")), None)
    header = weight and (tensors.get(weight) or _in_base(weight, base, architecture))
    if not header:
        raise UserError(f"{folder}: transformers has no classification head for {architecture.model_type}")
    if len(header.shape) != 2 or header.shape[0] < 2:
        raise UserError(
            f"{folder / WEIGHTS}: {weight} has shape {header.shape}; a classifier has one row per class, at least two"
        )
    return header.shape[0]


def head_is_missing(folder: Path, name: str) -> str:
    """The message for a tensor of the head that is neither in the adapter nor in its base model."""
    module = name.split(".")[-3 if name.count(".") > 1 else 0]
    return (
        f"{folder}: {name} is neither in the adapter nor in its base model; PEFT would initialise it at random\n"
        f"It was not saved with the adapter: train again with {module!r} in modules_to_save of LoraConfig"
    )


def _in_base(name: str, base: dict[str, TensorHeader] | None, architecture: Architecture) -> TensorHeader | None:
    return (base or {}).get(name) or (base or {}).get(name.removeprefix(f"{architecture.prefix}."))


def _labels(
    folder: Path, base: dict[str, Any], classes: int, given: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes, and notes for the user.

    The names are ``given``, or taken from the folder's config, or from the base model's config; if there are none, they
    are LABEL_0, LABEL_1 and so on, and a note says so.
    """
    own = read_config(folder) if (folder / "config.json").is_file() else {}
    for config in (own, base):
        if config.get("problem_type") in ("multi_label_classification", "regression"):
            raise UserError(
                f"{folder}: was trained for {config['problem_type']}; only models with one label per text are supported"
            )
    if given:
        return _checked(given, classes, f"--labels for {folder}"), ()
    candidates = []
    if named := _named(own):
        candidates.append(_checked(named, classes, f"{folder / 'config.json'}: id2label"))
    if len(named := _named(base)) == classes:
        candidates.append(_checked(named, classes, f"{folder}: id2label of its base model"))
    for names in candidates:
        if not all(_GENERIC.fullmatch(name) for name in names):
            return names, ()
    generic = tuple(f"LABEL_{number}" for number in range(classes))
    return generic, (
        f"{folder} does not name its {classes} classes; pass their names in the order of the outputs: --labels A,B,...",
    )


def _named(config: dict[str, Any]) -> tuple[str, ...]:
    """The names in ``id2label`` in the order of their numbers; empty if numbers from 0 to n - 1 are not all there."""
    table = config.get("id2label")
    if not isinstance(table, dict):
        return ()
    by_number = {str(number): name for number, name in table.items()}
    names = [by_number.get(str(number)) for number in range(len(table))]
    return tuple(str(name) for name in names) if None not in names else ()


def _checked(names: tuple[str, ...], classes: int, where: str) -> tuple[str, ...]:
    if len(names) != classes:
        raise UserError(f"{where}: {len(names)} names, but the head has {classes} classes")
    if len(set(names)) < classes or not all(name.strip() for name in names):
        raise UserError(f"{where}: a class name is empty or used twice; each class needs a different name")
    return names
