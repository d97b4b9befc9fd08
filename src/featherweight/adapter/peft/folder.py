"""Reads and checks the folder of a classifier that was saved by PEFT or by transformers' Trainer.

Only the settings and the headers of the weight files are read here. ``network.py`` loads the weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.adapter.peft.given import NOTHING_GIVEN, PAIR_COLUMNS, PeftOptions, class_names, task_of_folder
from featherweight.adapter.peft.settings import FILE, LoraSettings, read_settings
from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_without_roles
from featherweight.backbone.folder import TensorHeader, has_tokenizer, read_config, read_header
from featherweight.backbone.resolve import Backbone, config_of, local_tensors, resolve_backbone
from featherweight.backbone.wheels import WHEELS, is_installed
from featherweight.errors import HubUnreachable, UserError
from featherweight.hints import flag
from featherweight.recipe import BackboneRecipe, DataRecipe
from featherweight.recipe.values import TaskName

WEIGHTS = "adapter_model.safetensors"
_PICKLED = "adapter_model.bin"
_OUTER = "base_model.model."
_TYPES = ("F32", "F16", "BF16")
_COPY = re.compile(r"\.modules_to_save\.(?:[^.]+\.)?")
_MAGNITUDE = re.compile(r"(?<=\.lora_magnitude_vector)\.weight$")
_FACTOR = re.compile(r"\.lora_(?:embedding_)?([AB])(?=\.weight$|$)")


class BaseUnreachable(HubUnreachable):
    """The base model is not on this machine and cannot be downloaded from the hub."""


@dataclass(frozen=True)
class PeftFolder:
    """A checked folder with a LoRA classifier, ready to be weighed or loaded."""

    folder: Path
    settings: LoraSettings
    tensors: dict[str, TensorHeader]
    """All trained tensors, each listed once, by their names in transformers' classification class."""
    repeated: int
    """Number of elements in the file that do not count: repeated tensors, and tensors from before the training."""
    base: BackboneRecipe
    config: dict[str, Any]
    """The config.json of the base model."""
    architecture: Architecture
    labels: tuple[str, ...]
    task: TaskName
    pairs: bool
    """Whether each input is a pair of texts."""
    notes: tuple[str, ...]
    """Notes for the user, one line each."""

    @property
    def data(self) -> DataRecipe:
        """Settings for reading data files for this classifier: the default columns, its classes and its task."""
        pairs = {"text": PAIR_COLUMNS, "join": "pair"} if self.pairs else {}
        return DataRecipe.model_validate({"labels": self.labels, **pairs}).for_task(self.task)

    @property
    def total(self) -> int:
        """Number of trained parameters."""
        return sum(header.parameters for header in self.tensors.values())


def is_peft_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder that was saved by PEFT, and is neither a run nor an adapter of Featherweight."""
    folder = Path(path)
    own = any((folder / name).exists() for name in ("recipe.toml", "featherweight.json"))
    return not own and any((folder / name).exists() for name in (FILE, WEIGHTS, _PICKLED))


def folder_of_file(path: str | Path) -> Path | None:
    """The folder that PEFT saved of which ``path`` is the settings or the weights; None if it is another path."""
    file = Path(path)
    return file.parent if file.name in (FILE, WEIGHTS, _PICKLED) and is_peft_folder(file.parent) else None


def read_peft_folder(path: str | Path, given: PeftOptions = NOTHING_GIVEN) -> PeftFolder:
    """Read and check the folder ``path``; ``given`` are the user's options, such as the names of the classes.

    Raises UserError, before anything large is allocated, if the folder is not a LoRA classifier, its weights are a
    pickle or larger than any adapter of the base model, its head is missing, or its number of classes is unknown.
    """
    folder, given = Path(path), given.checked()
    _require_safetensors(folder)
    settings = read_settings(folder)
    backbone = _base(folder, settings, given.base)
    tensors, repeated = _trained(folder / WEIGHTS)
    try:
        config = config_of(backbone)
        architecture = architecture_without_roles(config)
    except UserError as error:
        raise _base_refused(folder, error, backbone.name) from None
    _require_size(folder / WEIGHTS, tensors, architecture)
    _require_pairs(folder / WEIGHTS, tensors)
    classes = _classes(folder, tensors, _base_tensors(folder, backbone), architecture)
    own = read_config(folder) if (folder / "config.json").is_file() else {}
    task, notes = task_of_folder(folder, own, config, given.task)
    names, more = class_names(folder, own, config, classes, tuple(given.labels))
    described = backbone, config, architecture, names, task, given.join == "pair", (*notes, *more)
    return PeftFolder(folder, settings, tensors, repeated, *described)


def resolve_base(saved: PeftFolder) -> Backbone:
    """The base model of ``saved`` with checked weights; it needs a tokenizer only if ``saved.folder`` has none."""
    try:
        return resolve_backbone(saved.base, tokenizer=not has_tokenizer(saved.folder))
    except UserError as error:
        raise _base_refused(saved.folder, error, saved.base.name) from None


def tensors_of(path: str | Path) -> tuple[dict[str, TensorHeader], str]:
    """The headers of the trained tensors by name, and the name of the base model.

    A tensor that the file contains twice, under two of PEFT's names, is listed once. Only the header of the weight file
    is read; the base model itself is not needed. Raises UserError if the folder is not a LoRA classifier or is damaged.
    """
    folder = Path(path)
    _require_safetensors(folder)
    tensors, _ = _trained(folder / WEIGHTS)
    _require_pairs(folder / WEIGHTS, tensors)
    return tensors, read_settings(folder).base_model_name_or_path or "a base model that it does not name"


def _base_refused(folder: Path, error: UserError, base: str) -> UserError:
    """The error to raise instead of ``error`` about the base model; it also names the adapter folder."""
    moved = "no such folder" in str(error)
    if moved or isinstance(error, HubUnreachable):
        problem = "was not found: no such folder" if moved else "is not on this machine, and the hub cannot be reached"
        return BaseUnreachable(f"{folder}: its base model {base} {problem}\n{_add_base()}")
    hint = " (set as base_model_name_or_path in adapter_config.json)" if "\n" not in str(error) else ""
    return UserError(f"{folder}: its base model: {error}{hint}")


def plain_name(name: str) -> str:
    """PEFT's tensor name ``name`` without what PEFT adds to the name in transformers' classification class.

    ``base_model.model.classifier.modules_to_save.default.dense.bias`` gives ``classifier.dense.bias``. For a head of
    one layer, PEFT leaves its adapter's name out: ``base_model.model.classifier.modules_to_save.bias``. DoRA's
    magnitudes end in ``.lora_magnitude_vector``. PEFT also loads them with ``.weight`` after it, as in the adapters of
    runs.
    """
    return _MAGNITUDE.sub("", _COPY.sub(".", name.removeprefix(_OUTER)))


def is_original(name: str) -> bool:
    """Whether tensor ``name`` in PEFT's file has values from before the training, which PEFT saves but does not use."""
    return ".original_module." in name


def _require_safetensors(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    if (folder / WEIGHTS).is_file():
        return
    if not (folder / _PICKLED).exists():
        raise UserError(f"{folder / WEIGHTS}: missing; save the adapter again with PEFT's save_pretrained")
    convert = f"PeftModel.from_pretrained(m, {str(folder)!r}).save_pretrained('converted')"
    raise UserError(
        f"{folder / _PICKLED}: a pickle can run any code when it is opened; only safetensors are read\n"
        f"If you trust it, load its base model as m and convert it in Python: {convert}"
    )


def _add_base() -> str:
    return f"Add {flag('--base', 'FOLDER')}: a folder with that model's config.json, model.safetensors and tokenizer"


def _base(folder: Path, settings: LoraSettings, given: str | Path | None) -> BackboneRecipe:
    name = settings.base_model_name_or_path
    if given is not None:
        if not Path(given).is_dir() and not (str(given) in WHEELS and is_installed(str(given))):
            raise UserError(
                f"{flag('--base', str(given))}: no such folder; name the folder of {name or 'the base model'}"
            )
        return BackboneRecipe(name=str(given))
    if not name:
        raise BaseUnreachable(f"{folder / FILE}: base_model_name_or_path names no base model\n{_add_base()}")
    if not name.isprintable() or (not Path(name).is_absolute() and ".." in Path(name).parts):
        outside = f"base_model_name_or_path = {name[:200]!r} is a relative path out of the folder"
        raise UserError(f"{folder / FILE}: {outside}; write an absolute one, or add {flag('--base', 'FOLDER')}")
    return BackboneRecipe(name=name, revision=settings.revision or None)


def _trained(path: Path) -> tuple[dict[str, TensorHeader], int]:
    """The headers of the trained tensors by their plain names, and the number of elements of all other tensors.

    The others are second copies of a trained tensor under another name of PEFT, and values from before the training.
    """
    trained: dict[str, TensorHeader] = {}
    repeated = 0
    for name, header in read_header(path).items():
        if not name.startswith(_OUTER) or not name.isprintable() or len(name) > 500:
            raise UserError(
                f"{path}: {name[:100]!r} was not written by PEFT, whose tensor names begin with {_OUTER}; "
                "save the adapter again with PEFT's save_pretrained"
            )
        if not header.parameters:
            raise UserError(f"{path}: {plain_name(name)} has the empty shape {header.shape}; save the adapter again")
        if header.dtype not in _TYPES:
            raise UserError(f"{path}: {plain_name(name)} has type {header.dtype}; only F32, F16 and BF16 are supported")
        plain = plain_name(name)
        if is_original(name) or plain in trained:
            repeated += header.parameters
        if is_original(name):
            continue
        if trained.setdefault(plain, header).shape != header.shape:
            shapes = f"{trained[plain].shape} and {header.shape}"
            raise UserError(f"{path}: contains {plain} twice, with the shapes {shapes}; save the adapter again")
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
            raise UserError(f"{path}: {name} has no matching {other} matrix; save the adapter again")
        ranks = (header.shape[0], partner.shape[1]) if other == "B" else (header.shape[1], partner.shape[0])
        if ranks[0] != ranks[1]:
            raise UserError(
                f"{path}: {name} has rank {ranks[0]}, but its {other} matrix has rank {ranks[1]}; "
                "save the adapter again"
            )


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
        raise UserError(
            f"{folder}: transformers has no classification head for {architecture.model_type}; "
            "use an adapter for another kind of base model"
        )
    if len(header.shape) != 2 or header.shape[0] < 2:
        raise UserError(
            f"{folder / WEIGHTS}: {weight} has shape {header.shape}, but a classifier has one row per class, at least "
            "two; pass the folder of a classifier with two or more classes"
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
