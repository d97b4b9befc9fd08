"""A classifier that PEFT or transformers' Trainer saved: what it is, by its settings and the headers of its weights.

Nothing is allocated here but names and shapes. The weights are loaded in ``peft_network``.
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
    """A LoRA classifier that stands ready to be weighed or loaded."""

    folder: Path
    settings: LoraSettings
    tensors: dict[str, TensorHeader]
    """All that was trained, each tensor once, by its name in the classification class."""
    repeated: int
    """Numbers that the file holds beside these: second copies of the same, and originals that serve no more."""
    base: BackboneRecipe
    config: dict[str, Any]
    """The base's config.json."""
    architecture: Architecture
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    """What a reader should know, a line each."""

    @property
    def data(self) -> DataRecipe:
        """How rows for it are read: by the usual columns, with its classes."""
        return DataRecipe(labels=self.labels)

    @property
    def total(self) -> int:
        """Trained parameters."""
        return sum(header.parameters for header in self.tensors.values())


def is_peft_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder that PEFT saved, and neither a run nor an adapter of this program."""
    folder = Path(path)
    own = any((folder / name).exists() for name in ("recipe.toml", "featherweight.json"))
    return not own and any((folder / name).exists() for name in (FILE, WEIGHTS, _PICKLED))


def read_peft_folder(path: str | Path, labels: Sequence[str] = (), base: str | Path | None = None) -> PeftFolder:
    """Read and check what ``path`` says of itself; ``labels`` name the classes where it does not.

    ``base`` is the folder of its base, in place of the one that its settings name.

    Raises UserError, before anything large is allocated, where the folder is no LoRA classifier, its weights are a
    pickle or not of the sizes that the base allows, its head is missing, or the number of classes cannot be known.
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


def base_at_hand(found: PeftFolder) -> Backbone:
    """The base with its weights, checked; its tokenizer only matters where the folder has none of its own."""
    try:
        return resolve_backbone(found.base, tokenizer=not has_tokenizer(found.folder))
    except UserError as error:
        raise _base_refused(found.folder, error, found.base.name) from None


def tensors_of(path: str | Path) -> tuple[dict[str, TensorHeader], str]:
    """All that was trained, by the header of the weights alone, each tensor once; and the name of the base.

    Needs no base. Raises UserError as ``read_peft_folder`` does.
    """
    folder = Path(path)
    _require_safetensors(folder)
    tensors, _ = _trained(folder / WEIGHTS)
    _require_pairs(folder / WEIGHTS, tensors)
    return tensors, read_settings(folder).base_model_name_or_path


def _base_refused(folder: Path, error: UserError, base: str) -> UserError:
    """What is wrong with the base, said of the folder that names it."""
    moved = "no such folder" in str(error)
    if moved or isinstance(error, HubUnreachable):
        problem = "no such folder" if moved else "it is not on this machine, and the hub cannot be reached"
        return BaseUnreachable(
            f"{folder}: its base {base}: {problem}\n"
            "Add --base FOLDER: a folder with that model's config.json, model.safetensors and tokenizer"
        )
    hint = " (base_model_name_or_path in adapter_config.json names it)" if "\n" not in str(error) else ""
    return UserError(f"{folder}: its base: {error}{hint}")


def plain_name(name: str) -> str:
    """The name of a tensor in PEFT's file as the classification class has it; of a copy, the name of what is copied."""
    return _COPY.sub(".", name.removeprefix(_OUTER))


def is_original(name: str) -> bool:
    """Whether a tensor in PEFT's file is what a head was before its training: kept by PEFT, and used no more."""
    return ".original_module." in name


def _require_safetensors(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    if (folder / WEIGHTS).is_file():
        return
    if not (folder / _PICKLED).exists():
        raise UserError(f"{folder / WEIGHTS}: missing; PEFT's save_pretrained writes it beside {FILE}")
    convert = "m.load_adapter(d, 'default'); m.save_pretrained('converted')"
    raise UserError(
        f"{folder / _PICKLED}: a pickle can run any code when it is opened; only safetensors are read\n"
        f"If you trust it, load it with PEFT once and save it again ({convert})"
    )


def _base(folder: Path, settings: LoraSettings, given: str | Path | None) -> BackboneRecipe:
    if given is not None:
        if not Path(given).is_dir():
            raise UserError(f"--base {given}: no such folder; name the folder of {settings.base_model_name_or_path}")
        return BackboneRecipe(name=str(given))
    name = settings.base_model_name_or_path
    if not name.isprintable() or (not Path(name).is_absolute() and ".." in Path(name).parts):
        raise UserError(
            f"{folder / FILE}: base_model_name_or_path = {name[:200]!r} leads out of here; write the full path"
        )
    return BackboneRecipe(name=name, revision=settings.revision or None)


def _trained(path: Path) -> tuple[dict[str, TensorHeader], int]:
    """What the file holds, each tensor once, and how many numbers it holds more than once or for nothing."""
    found: dict[str, TensorHeader] = {}
    repeated = 0
    for name, header in read_header(path).items():
        if not name.startswith(_OUTER) or not name.isprintable() or len(name) > 500:
            raise UserError(f"{path}: {name[:100]!r} is no tensor of PEFT's; its names begin with {_OUTER}")
        if header.dtype not in _TYPES or not header.parameters:
            what = f"type {header.dtype}" if header.parameters else f"the empty shape {header.shape}"
            raise UserError(f"{path}: {plain_name(name)} has {what}; F32, F16 and BF16 numbers are read")
        plain = plain_name(name)
        if is_original(name) or plain in found:
            repeated += header.parameters
        if is_original(name):
            continue
        if found.setdefault(plain, header).shape != header.shape:
            raise UserError(f"{path}: {plain} is there twice, as {found[plain].shape} and {header.shape}")
    return found, repeated


def _require_pairs(path: Path, tensors: dict[str, TensorHeader]) -> None:
    """Each A [rank, inputs] needs its B [outputs, rank]."""
    for name, header in tensors.items():
        factor = _FACTOR.search(name)
        if not factor:
            continue
        other = "B" if factor[1] == "A" else "A"
        partner = tensors.get(f"{name[: factor.start(1)]}{other}{name[factor.end(1) :]}")
        if partner is None or len(header.shape) != 2 or len(partner.shape) != 2:
            raise UserError(f"{path}: {name} stands without the {other} that belongs to it; the file is damaged")
        ranks = (header.shape[0], partner.shape[1]) if other == "B" else (header.shape[1], partner.shape[0])
        if ranks[0] != ranks[1]:
            raise UserError(f"{path}: {name} has rank {ranks[0]}, its {other} {ranks[1]}; they do not belong together")


def _require_size(path: Path, tensors: dict[str, TensorHeader], architecture: Architecture) -> None:
    total = sum(header.parameters for header in tensors.values())
    # A full-rank LoRA of every layer stays below this; nothing that is worth its name comes near.
    if total > 2 * architecture.encoder_parameters:
        size = f"the base itself has {architecture.encoder_parameters:,}"
        raise UserError(f"{path}: {total:,} numbers are no adapter; {size}")


def _base_tensors(folder: Path, base: BackboneRecipe) -> dict[str, TensorHeader] | None:
    try:
        return local_tensors(base)
    except UserError as error:
        raise _base_refused(folder, error, base.name) from None


def _classes(
    folder: Path, tensors: dict[str, TensorHeader], base: dict[str, TensorHeader] | None, architecture: Architecture
) -> int:
    """Number of classes, by the rows of the head's last layer, wherever it is; every part of the head must be known."""
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
            f"{folder / WEIGHTS}: {weight} has shape {header.shape}; a classifier has a row a class, two at least"
        )
    return header.shape[0]


def head_is_missing(folder: Path, name: str) -> str:
    """The message for a part of the head that is neither in the adapter nor in its base."""
    module = name.split(".")[-3 if name.count(".") > 1 else 0]
    return (
        f"{folder}: {name} is neither in the adapter nor in its base; PEFT would draw it at random\n"
        f"It was lost when the adapter was saved: train again, with {module!r} among LoraConfig's modules_to_save"
    )


def _in_base(name: str, base: dict[str, TensorHeader] | None, architecture: Architecture) -> TensorHeader | None:
    return (base or {}).get(name) or (base or {}).get(name.removeprefix(f"{architecture.prefix}."))


def _labels(
    folder: Path, base: dict[str, Any], classes: int, given: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes: those given, the folder's own, the base's, else generic ones with a note."""
    own = read_config(folder) if (folder / "config.json").is_file() else {}
    for config in (own, base):
        if config.get("problem_type") in ("multi_label_classification", "regression"):
            raise UserError(f"{folder}: it was trained for {config['problem_type']}; here a text has exactly one label")
    if given:
        return _checked(given, classes, f"--labels for {folder}"), ()
    candidates = []
    if named := _named(own):
        candidates.append(_checked(named, classes, f"{folder / 'config.json'}: id2label"))
    if len(named := _named(base)) == classes:
        candidates.append(_checked(named, classes, f"{folder}: its base's id2label"))
    for names in candidates:
        if not all(_GENERIC.fullmatch(name) for name in names):
            return names, ()
    generic = tuple(f"LABEL_{number}" for number in range(classes))
    return generic, (
        f"{folder} does not name its {classes} classes; --labels A,B,... in the order of their numbers does",
    )


def _named(config: dict[str, Any]) -> tuple[str, ...]:
    """The names in ``id2label`` in the order of their numbers; empty where there are none, or not from 0 on."""
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
        raise UserError(f"{where}: each class needs a name of its own")
    return names
