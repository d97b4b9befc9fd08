"""Reads the adapter_config.json of a folder that PEFT saved, and checks every value before PEFT gets it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from featherweight.errors import UserError
from featherweight.files import read_object
from featherweight.recipe.fields import Number, Switch, Whole
from featherweight.recipe.messages import refuse

FILE = "adapter_config.json"
_MOST_BYTES = 4_000_000  # thousands of target modules need less than a tenth of it
_TASKS = "only text classifiers (SEQ_CLS) are supported"
_HEADLESS = "If a run of Featherweight saved it, copy the whole folder adapter of that run: it has the head, too"
_INERT = {
    "auto_mapping", "eva_config", "inference_mode", "megatron_core", "parent_library", "peft_type", "peft_version",
    "qalora_group_size", "task_type",
}  # fmt: skip
"""Keys that have no effect on the loaded network and are ignored.

``megatron_core`` and ``auto_mapping`` name Python code, which is never imported."""
_NAME = re.compile(r"[A-Za-z0-9_.]{1,300}")
_SPECIAL = re.compile(r"(?<!\\)[*+{]")
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")


def _cheap_pattern(pattern: str) -> str:
    """``pattern``; raises ValueError if it is not a regular expression, or could take extremely long to match."""
    # The time for backtracking grows as a power of the number of repetitions; with a repeated group, exponentially.
    if len(pattern) > 2_000 or len(_SPECIAL.findall(pattern)) > 3 or _REPEATED_GROUP.search(pattern):
        raise ValueError("is too complex a pattern; list the module names instead")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is not a valid regular expression: {error}") from None
    return pattern


def _names(value: Any) -> list[str] | None:
    if value is None or (isinstance(value, list) and all(isinstance(n, str) and _NAME.fullmatch(n) for n in value)):
        return value
    raise ValueError("must be a list of module names")


def _names_or_pattern(value: Any) -> list[str] | str | None:
    return _cheap_pattern(value) if isinstance(value, str) else _names(value)


def _layers(value: Any) -> list[int] | int | None:
    numbers = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("must be the number of a layer, or a list of such numbers")
    return value


def _initialisation(value: Any) -> bool | str:
    """The value of init_lora_weights to pass to PEFT when a saved adapter is loaded; ``value`` is that of the file.

    PiSSA and OLoRA also change the weights of the base model. PEFT has to repeat that, so for them it is ``value``. All
    that other initialisations do is replaced by the saved matrices, so for them it is True, PEFT's default. Raises
    ValueError if the file does not contain all that is needed to repeat the change (LoftQ, CorDA).
    """
    if isinstance(value, bool) or value in ("gaussian", "orthogonal", "eva"):
        return True
    if value not in ("pissa", "olora"):
        raise ValueError(
            "changed the weights of the base model, and this folder does not say how; convert the adapter with PEFT "
            "(path_initial_model_for_weight_conversion of save_pretrained), or train again with init_lora_weights=True"
        )
    return str(value)


Pattern = Annotated[str, AfterValidator(_cheap_pattern)]
NamesOrPattern = Annotated[list[str] | str | None, PlainValidator(_names_or_pattern)]
Names = Annotated[list[str] | None, PlainValidator(_names)]


class LoraSettings(BaseModel):
    """The settings of PEFT's LoraConfig that a classifier needs; names and meanings are those of PEFT."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    base_model_name_or_path: Annotated[str, Field(max_length=4_000)] | None = None
    revision: str | None = None
    r: Annotated[Whole, Field(ge=1)] = 8
    lora_alpha: Annotated[Number, Field(gt=0)] = 8
    lora_dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    bias: Literal["none", "all", "lora_only"] = "none"
    lora_bias: Switch = False
    use_rslora: Switch = False
    use_dora: Switch = False
    fan_in_fan_out: Switch = False
    target_modules: NamesOrPattern = None
    exclude_modules: NamesOrPattern = None
    modules_to_save: Names = None
    layers_to_transform: Annotated[list[int] | int | None, PlainValidator(_layers)] = None
    layers_pattern: NamesOrPattern = None
    rank_pattern: dict[Pattern, Annotated[Whole, Field(ge=1)]] | None = None
    alpha_pattern: dict[Pattern, Annotated[Number, Field(gt=0)]] | None = None
    init_lora_weights: Annotated[bool | str, PlainValidator(_initialisation)] = True

    def for_peft(self) -> dict[str, Any]:
        """Arguments for PEFT's LoraConfig."""
        values = self.model_dump() | {"task_type": "SEQ_CLS"}
        return values | {key: values[key] or {} for key in ("rank_pattern", "alpha_pattern")}


def read_settings(folder: Path) -> LoraSettings:
    """The settings in ``folder``. Raises UserError if they are not those of a LoRA classifier, or a value is wrong."""
    path = folder / FILE
    values = _read(path)
    kind, task = values.get("peft_type"), values.get("task_type")
    if kind != "LORA":
        raise UserError(f"{path}: peft_type is {_short(kind)}; only LORA is supported")
    if task != "SEQ_CLS":
        refusal = f"{path}: task_type is {_short(task)}; {_TASKS}"
        raise UserError(f"{refusal}\n{_HEADLESS}" if task == "FEATURE_EXTRACTION" else refusal)
    known = LoraSettings.model_fields.keys() | _INERT
    if other := next((key for key, value in values.items() if value and key not in known), None):
        raise UserError(
            f"{path}: {other[:60]} is set, which selects a variant of LoRA that is not supported; "
            "train again without it"
        )
    try:
        return LoraSettings.model_validate(values)
    except ValidationError as error:
        raise refuse(error, LoraSettings, str(path)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"{path}: missing; PEFT's save_pretrained writes it next to the weights") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from None
    if size > _MOST_BYTES:
        raise UserError(f"{path}: has {size:,} bytes, too many for an adapter_config.json; save the adapter again")
    return read_object(path)


def _short(value: Any) -> str:
    return "missing" if value is None else repr(value)[:60]
