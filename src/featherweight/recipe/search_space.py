"""The section [search] of a recipe file: which keys a search varies, and within which limits.

A value is a list of choices, or a table with ``low`` and ``high`` (and ``log = true`` for a logarithmic scale). A
search can vary keys of the recipe, and four keys that exist only here (``LORA_KEYS``), such as ``adapter.rank``. They
describe the LoRA matrices, and the search turns their values into tables ``[[adapter.lora]]`` that fit the budget.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from featherweight.errors import UserError
from featherweight.formatting import shortened
from featherweight.recipe.schema import Recipe
from featherweight.recipe.sections.adapter import AdapterRecipe
from featherweight.recipe.sections.training import TrainingRecipe
from featherweight.recipe.values import ROLES

BACKBONE = "backbone.name"
"""The key whose choices are backbones: each has sizes and weights of its own."""
TARGETS, LAYERS, RANK, UPPER_SHARE = "adapter.targets", "adapter.layers", "adapter.rank", "adapter.upper_share"
LORA_KEYS = (TARGETS, LAYERS, RANK, UPPER_SHARE)
"""Roles to adapt, layers to adapt, the rank (at most what the budget allows), and the share of the LoRA parameters that
the upper half of the layers gets."""

NAMED_TARGETS: dict[str, tuple[str, ...]] = {
    "all": ROLES,
    "attention": ("query", "key", "value", "attention_output"),
    "query+value": ("query", "value"),
    "value": ("value",),
    "mlp": ("mlp_up", "mlp_down"),
}

_FIXED = (
    *(f"training.{key}" for key in ("teacher", "soup", "soup_choice", "trackers")),
    *(f"adapter.{key}" for key in ("lora", "start_from")),
)
"""The keys of [training] and [adapter] that a search cannot vary."""
_KEYS = (
    *(f"training.{key}" for key in TrainingRecipe.model_fields),
    *(f"adapter.{key}" for key in AdapterRecipe.model_fields),
)
READING = ("data.max_length", "data.long", "data.window_overlap", "evaluation.windows")
"""The keys of other sections that a search can vary: maximum length, parts and windows of a text. All trials have the
same rows."""
VARIABLE = (*(key for key in _KEYS if key not in _FIXED), *READING, BACKBONE)
"""The recipe keys that a search can vary."""

_NAMES = 'must be a list of at least two names or folders of backbones, such as ["minilm", "mpnet"]'

Value = str | int | float | bool


@dataclass(frozen=True)
class Choices:
    """The values of a key from which a search chooses one."""

    values: tuple[Value, ...]

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the choices."""
        return value in self.values


@dataclass(frozen=True)
class Range:
    """The numbers from ``low`` to ``high``, both included, from which a search chooses one.

    With ``whole`` only integers are chosen; with ``log`` numbers are sampled on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def contains(self, value: object) -> bool:
        """Whether ``value`` is a number within the limits; with ``whole`` also whether it is a whole number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (not self.whole or float(value).is_integer())


Open = Choices | Range


@dataclass(frozen=True)
class SearchSpace:
    """The keys that a search varies, each with its choices or its range."""

    keys: dict[str, Open]

    @property
    def backbones(self) -> tuple[str, ...]:
        """The names of the backbones from which a search chooses; empty if ``backbone.name`` is not varied."""
        varied = self.keys.get(BACKBONE)
        return tuple(map(str, varied.values)) if isinstance(varied, Choices) else ()

    @classmethod
    def default(cls, recipe: Recipe) -> SearchSpace:
        """The keys that a search varies if ``recipe`` has no section [search].

        The range of the learning rate is wider if that of the recipe is unusually high or low. If the recipe starts
        from a run, [adapter] stays as in that run, except for dropout.
        """
        own = recipe.training.learning_rate
        keys: dict[str, Open] = {
            "training.learning_rate": Range(min(1e-4, own / 3), max(3e-3, 3 * own), log=True),
            "training.lora_plus_ratio": Choices((1.0, 4.0, 16.0)),
            TARGETS: Choices(("all", "attention", "query+value", "value")),
            "adapter.dropout": Choices((0.0, 0.05, 0.1)),
            "training.warmup": Range(0.0, 0.15),
            "training.label_smoothing": Choices((0.0, 0.05, 0.1)),
        }
        if recipe.adapter.head == "linear":
            keys["adapter.pooling"] = Choices(("mean", "first"))
        return cls({key: values for key, values in keys.items() if not _is_set_by_the_start(key, recipe)})

    @classmethod
    def parse(cls, section: object, origin: str, recipe: Recipe) -> SearchSpace:
        """The search space that ``section``, the table [search] of the file ``origin``, describes.

        Raises UserError, with file and key, for a key that ``recipe`` cannot have, and for values that are not allowed.
        """
        if not isinstance(section, Mapping) or not section:
            raise UserError(
                f"{origin}: search: must be a table of keys to vary, such as\n"
                "training.learning_rate = {low = 1e-4, high = 2e-3, log = true}"
            )
        keys = {key: _open(key, value, origin) for key, value in _flattened(section)}
        space = cls(keys)
        space.require_free_of_the_start(recipe, f"{origin}: ")
        space.require_independent_backbones(recipe, f"{origin}: ")
        for key, values in keys.items():
            _require_allowed(key, values, origin, recipe)
        return space

    def require_free_of_the_start(self, recipe: Recipe, origin: str = "") -> None:
        """Raise UserError if ``recipe`` starts from a run, and the space varies a key that must be as in that run.

        The message begins with ``origin``.
        """
        if key := next((key for key in self.keys if _is_set_by_the_start(key, recipe)), None):
            start = f"adapter.start_from = {shortened(str(recipe.adapter.start_from))}"
            raise UserError(
                f"{origin}search.{key}: a search cannot vary this key, because of {start}\n"
                "[adapter] stays as in that run, except for adapter.dropout; leave this key or start_from out"
            )

    def require_independent_backbones(self, recipe: Recipe, origin: str = "") -> None:
        """Raise UserError if ``backbone.name`` is varied, and its values are no names, or ``recipe`` allows only one.

        A run to start from, a revision and the names of modules belong to one backbone. The message begins with
        ``origin``.
        """
        if (values := self.keys.get(BACKBONE)) is None:
            return
        where = f"{origin}search.{BACKBONE}"
        if not isinstance(values, Choices) or not all(isinstance(name, str) for name in values.values):
            raise UserError(f"{where}: {_NAMES}")
        of_one = {
            "adapter.start_from": recipe.adapter.start_from,
            "backbone.revision": recipe.backbone.revision,
            "backbone.roles": recipe.backbone.roles,
        }
        if key := next((key for key, value in of_one.items() if value), None):
            raise UserError(
                f"{where}: a search cannot vary this key, because {key} in the recipe belongs to one backbone\n"
                f"Leave {key} out, or search with each backbone separately"
            )


def _is_set_by_the_start(key: str, recipe: Recipe) -> bool:
    """Whether ``key`` must be as in the run that ``recipe`` starts from: the trained tensors depend on it."""
    return recipe.adapter.start_from is not None and key.startswith("adapter.") and key != "adapter.dropout"


def lora_roles(target: str) -> tuple[str, ...]:
    """The roles (kinds of linear layers) that ``target``, a value of ``adapter.targets``, stands for.

    A name in NAMED_TARGETS stands for several: "mlp" gives ("mlp_up", "mlp_down"). Otherwise ``target`` is one or more
    roles joined by +: "query+value" gives ("query", "value").
    """
    return NAMED_TARGETS.get(target) or tuple(target.split("+"))


def _flattened(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of a dotted key and its value: {"training": {"epochs": [1, 2]}} gives ("training.epochs", [1, 2])."""
    for name, value in section.items():
        if isinstance(value, Mapping) and not {"low", "high"} & value.keys():
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _open(key: str, value: object, origin: str) -> Open:
    where = f"{origin}: search.{key}"
    if isinstance(value, list) and len(value) > 1:
        choices = tuple("+".join(one) if isinstance(one, list) and all(isinstance(r, str) for r in one) else one
                        for one in value)  # fmt: skip
        if all(isinstance(one, str | int | float) for one in choices) and len(set(choices)) == len(choices):
            return Choices(choices)
    if key == BACKBONE:
        raise UserError(f"{where}: {_NAMES}")
    if isinstance(value, Mapping):
        return _range(where, value)
    raise UserError(
        f"{where}: must be a list of at least two different values, such as [1, 4, 16],\n"
        "or a range, such as {low = 1e-4, high = 2e-3, log = true}"
    )


def _range(where: str, value: Mapping[str, Any]) -> Range:
    if unknown := set(value) - {"low", "high", "log"}:
        raise UserError(f"{where}: unknown key {min(unknown)!r}; a range has only the keys low, high and log")
    low, high, log = value.get("low"), value.get("high"), value.get("log", False)
    for name, limit in (("low", low), ("high", high)):
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
            raise UserError(f"{where}: {name} must be a number; write a range such as {{low = 1e-4, high = 2e-3}}")
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not isinstance(log, bool):
        raise UserError(f"{where}: log must be true or false")
    if low >= high:
        raise UserError(f"{where}: low must be less than high ({low:g} is not less than {high:g})")
    if log and low <= 0:
        raise UserError(f"{where}: low must be greater than 0 on a logarithmic scale")
    return Range(low, high, log, whole=isinstance(low, int) and isinstance(high, int))


def _require_allowed(key: str, values: Open, origin: str, recipe: Recipe) -> None:
    where = f"{origin}: search.{key}"
    tried: tuple[Value, ...] = values.values if isinstance(values, Choices) else (values.low, values.high)
    if key in LORA_KEYS:
        _require_allowed_lora(where, key, values)
        return
    if key not in VARIABLE:
        if key in _FIXED:
            instead = f"vary {', '.join(LORA_KEYS)}" if key == "adapter.lora" else "leave it out"
            raise UserError(f"{where}: a search cannot vary this key; {instead}")
        near = difflib.get_close_matches(key, [*VARIABLE, *LORA_KEYS], n=1)
        hint = f"did you mean {near[0]}?" if near else "leave it out"
        known = f"keys of [training] and [adapter], {', '.join((*LORA_KEYS, *READING, BACKBONE))}"
        raise UserError(f"{where}: a search can only vary {known}; {hint}")
    for value in tried:
        with_value(recipe, {key: value}, f"{origin}: search")  # the error names the key


def _require_allowed_lora(where: str, key: str, values: Open) -> None:
    if key in (TARGETS, LAYERS):
        if not isinstance(values, Choices) or not all(isinstance(value, str) for value in values.values):
            example = ["all", "query+value"] if key == TARGETS else ["all", "upper-half"]
            raise UserError(f"{where}: must be a list of names, such as {example}")
        for value in values.values if key == TARGETS else ():
            if unknown := [role for role in lora_roles(str(value)) if role not in ROLES]:
                raise UserError(
                    f"{where}: {unknown[0]!r} is no role of a linear layer; name one of {', '.join(NAMED_TARGETS)}, "
                    f"or roles joined by + ({', '.join(ROLES)})"
                )
    elif not isinstance(values, Range):
        raise UserError(f"{where}: must be a range, such as {'{low = 1, high = 64, log = true}'}")
    elif key == UPPER_SHARE and not (0 <= values.low < values.high <= 1):
        raise UserError(f"{where}: low and high must be between 0 and 1")
    elif key == RANK and not (values.whole and values.low >= 1):
        raise UserError(f"{where}: low and high must be whole numbers, at least 1")


def with_value(recipe: Recipe, changes: Mapping[str, Value], origin: str) -> Recipe:
    """A copy of ``recipe`` with ``changes``, such as {"training.epochs": 2}.

    Raises UserError, which begins with ``origin``, if the recipe does not allow a value.
    """
    values = recipe.model_dump(mode="json", exclude_none=True)
    for key, value in changes.items():
        *path, name = key.split(".")
        place = values
        for part in path:
            place = place.setdefault(part, {})
        place[name] = value
    return Recipe.parse(values, origin)
