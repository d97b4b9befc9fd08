"""Makes a recipe that fits the budget from values that Optuna proposes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar, cast

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.resolve import config_of, resolve_backbone
from featherweight.budget.limit import nearest_that_fits, require_within_budget, within_budget
from featherweight.budget.plan import resolve_auto
from featherweight.budget.proposals import lora_within_budget
from featherweight.data.perturbations import is_perturbed
from featherweight.data.source_tables import require_found
from featherweight.data.splits import Splits, load_splits
from featherweight.errors import UserError
from featherweight.recipe import ROLES, LoraLayers, Recipe
from featherweight.recipe.search_space import (
    LAYERS,
    LORA_KEYS,
    RANK,
    READING,
    TARGETS,
    UPPER_SHARE,
    Choices,
    SearchSpace,
    Value,
    lora_roles,
    with_value,
)
from featherweight.task.class_weights import require_class_weights
from featherweight.workflows.continuation import require_same_start, with_classes_of_the_start
from featherweight.workflows.input_fingerprints import input_fingerprints
from featherweight.workflows.prepare import OF_BACKBONE, require_length
from featherweight.workflows.resolve import backbone_architecture, resolve_recipe
from featherweight.workflows.teachers import teachers_of, with_full_paths
from featherweight.workflows.weigh import resolve

if TYPE_CHECKING:
    from optuna.trial import Trial

T = TypeVar("T")

_SIZES = (TARGETS, LAYERS, RANK, UPPER_SHARE, "adapter.head", "adapter.bias", "adapter.dora")
"""The keys that change the number of trained parameters."""


@dataclass(frozen=True)
class Searched:
    """A recipe and its search space, with the sizes of the network from which trained parameters are counted."""

    recipe: Recipe
    space: SearchSpace
    architecture: Architecture
    labels: int
    config: Mapping[str, Any]
    """The config.json of the backbone."""

    @classmethod
    def of(cls, recipe: Recipe, space: SearchSpace | None = None) -> Searched:
        """Resolve ``recipe``, and check the choices of ``space`` for the LoRA matrices.

        Without ``space`` it is the default one, with the targets that fit the budget. Raises UserError if a choice
        never fits, or nothing does, if the backbone lacks it, or if the run that the recipe starts from leaves no
        choice.
        """
        if space is not None:
            space.require_free_of_the_start(recipe)
        resolved = resolve(recipe)
        config = config_of(recipe.backbone)
        known = (resolved.architecture, resolved.weight.labels, config)
        searched = cls(recipe, space or SearchSpace.default(recipe), *known)
        for layers in searched._choices(LAYERS):
            try:
                searched.fitted({LAYERS: layers})
            except UserError as error:
                raise UserError(f"search.{LAYERS}: {error}") from None
        searched = replace(searched, space=searched._with_targets_that_fit(named=space is not None))
        searched._require_a_fitting_trial()
        return searched

    def _choices(self, key: str) -> tuple[Value, ...]:
        values = self.space.keys.get(key)
        return values.values if isinstance(values, Choices) else ()

    def _with_targets_that_fit(self, *, named: bool) -> SearchSpace:
        """The space without the targets that never fit the budget, or that the backbone lacks.

        If none is left, the targets are not varied. Raises UserError if the recipe's own LoRA does not fit either, or
        if the user has ``named`` one of those.
        """
        fit: list[Value] = []
        too_large: list[str] = []
        refusals: list[UserError] = []
        for target in self._choices(TARGETS):
            tried = [{TARGETS: target, LAYERS: layers} for layers in self._choices(LAYERS)] or [{TARGETS: target}]
            try:
                fits = any(self.fitted(values) is not None for values in tried)
            except UserError as error:
                refusals.append(error)
                continue
            fit += [target] if fits else []
            too_large += [] if fits else [repr(target)]
        if not named and not fit and self._fits_without_targets():
            return SearchSpace({key: values for key, values in self.space.keys.items() if key != TARGETS})
        if refusals and (named or not fit):
            raise refusals[0]
        if too_large and (named or not fit):
            which, verb = ", ".join(too_large), "does" if len(too_large) == 1 else "do"
            remedy = "Leave it out, or raise the budget" if fit else "Raise the budget"
            raise UserError(
                f"search.{TARGETS}: {which} {verb} not fit budget = {self.recipe.budget:,}, not even with rank 1\n"
                f"{remedy}"
            )
        return SearchSpace({**self.space.keys, TARGETS: Choices(tuple(fit))}) if fit else self.space

    def _require_a_fitting_trial(self) -> None:
        """Raise UserError if no values of the space fit the budget: all trials would end without a training."""
        if self.recipe.adapter.start_from:  # its adapter is the only one; whether it fits is checked with the weights
            return
        ends = [
            [(key, value) for value in (one.values if isinstance(one, Choices) else (one.low, one.high))]
            for key, one in self.space.keys.items()
            if key in _SIZES
        ]
        refused: UserError | None = None
        for values in product(*ends):
            try:
                if self.fitted(dict(values)) is not None:
                    return
            except UserError as error:
                refused = refused or error
        if refused is not None and self.recipe.adapter.lora != "auto":
            return  # values that exclude each other; a trial says so
        reason = refused or nearest_that_fits(self.recipe, self.architecture, self.labels)
        raise UserError(f"search: no values fit budget = {self.recipe.budget:,}\n{reason}")

    def _fits_without_targets(self) -> bool:
        """Whether the recipe fits with its own LoRA, or with what ``lora = "auto"`` chooses, at least with rank 1."""
        try:
            return self.fitted({}) is not None
        except UserError:
            return False

    def fitted(self, values: Mapping[str, Value]) -> Recipe | None:
        """The recipe with ``values``, and with LoRA ranks that fit the budget; None if not even rank 1 fits.

        Raises UserError for values that exclude each other, or do not work with the backbone.
        """
        recipe = self._within_budget(values)
        if recipe is not None:
            for require in OF_BACKBONE:
                require(recipe, self.config)
        return recipe

    def _within_budget(self, values: Mapping[str, Value]) -> Recipe | None:
        plain = {key: value for key, value in values.items() if key not in LORA_KEYS}
        recipe = with_value(self.recipe, plain, "search")
        lora = {key: value for key, value in values.items() if key in LORA_KEYS}
        if not lora.keys() & {TARGETS, LAYERS}:
            recipe = resolve_auto(recipe, self.architecture, self.labels)
        if not lora:
            return within_budget(recipe, self.architecture, self.labels)
        own = _tables(recipe)
        tables = lora_within_budget(
            recipe,
            self.architecture,
            self.labels,
            self._roles(lora, recipe),
            layers=str(lora.get(LAYERS) or _common(table.layers for table in own) or "all"),
            rank=int(lora[RANK]) if RANK in lora else None,
            alpha=_common(table.alpha for table in own),
            upper_share=float(lora[UPPER_SHARE]) if UPPER_SHARE in lora else None,
        )
        return recipe.with_values(adapter={"lora": tables}) if tables else None

    def _roles(self, lora: Mapping[str, Value], recipe: Recipe) -> tuple[str, ...]:
        """The roles to adapt (kinds of linear layers, such as query): the proposed ones, or else those of ``recipe``.

        If these are all roles that exist, only the roles of this backbone are returned.
        """
        if TARGETS in lora:
            roles = lora_roles(str(lora[TARGETS]))
        else:
            named = {role for table in _tables(recipe) for role in table.roles}
            roles = tuple(role for role in ROLES if role in named or recipe.adapter.lora == "auto")
        # "all" means all that the backbone has; a role that is named and missing is an error, which weighing reports.
        present = tuple(role for role in roles if role in self.architecture.roles)
        return present if roles == ROLES else roles

    def first_values(self) -> dict[str, Value]:
        """The values of the first trial: the recipe's, for each key whose value in the recipe lies in the space."""
        written = self.recipe.model_dump(mode="json")
        found: dict[str, Value] = {}
        for key, values in self.space.keys.items():
            section, _, name = key.partition(".")
            own = written[section].get(name)
            if key not in LORA_KEYS and isinstance(own, str | int | float) and values.contains(own):
                found[key] = own
        return found


def _tables(recipe: Recipe) -> list[LoraLayers]:
    """The LoRA tables of ``recipe``; none with ``lora = "auto"``."""
    return [table for table in recipe.adapter.lora if isinstance(table, LoraLayers)]


def _common(values: Iterable[T]) -> T | None:
    """The one value that all ``values`` have; None if they differ, or if there are none."""
    found = [*values]
    return found[0] if found and all(value == found[0] for value in found) else None


def require_searchable(original: Recipe, searched: Recipe) -> tuple[Splits, dict[str, Any]]:
    """The rows of a search, and its ``input_fingerprints``; ``searched`` is ``original`` without test rows.

    Raises UserError, before any trial, for missing or wrong inputs of the trials, or of the later training by the best
    recipe. Of its test rows and shift sets (further test rows) only the existence is checked; they are not read.
    """
    for source in filter(None, (original.data.test, *original.evaluation.shift)):
        if not is_perturbed(source):
            require_found(source)
    recipe = with_full_paths(with_classes_of_the_start(searched))
    splits = load_splits(recipe)
    teachers, backbone = teachers_of(recipe, splits.train.label_names), resolve_backbone(recipe.backbone)
    require_length(recipe, backbone.config)
    require_class_weights(recipe, splits.train.counts)
    if recipe.adapter.start_from is not None:  # then no trial has another adapter than the recipe
        resolved = resolve_recipe(recipe, backbone_architecture(recipe.backbone), splits.train.label_names)
        require_within_budget(resolved.weight, resolved.recipe, resolved.architecture)
        require_same_start(resolved.recipe, backbone)
    return splits, input_fingerprints(recipe, splits, backbone, teachers)


def without_test_rows(recipe: Recipe) -> Recipe:
    """``recipe`` for the trials of a search: without test rows, shift sets (further test rows) and trackers.

    Trackers (such as MLflow) would otherwise get a record for each trial.
    """
    return recipe.with_values(data={"test": ""}, evaluation={"shift": []}, training={"trackers": []})


def suggested(trial: Trial, space: SearchSpace) -> dict[str, Value]:
    """The values that the optimizer proposes for the keys of ``space``."""
    values: dict[str, Value] = {}
    for key, one in space.keys.items():
        if isinstance(one, Choices):
            values[key] = cast(Value, trial.suggest_categorical(key, one.values))
        elif one.whole:
            values[key] = trial.suggest_int(key, int(one.low), int(one.high), log=one.log)
        else:
            values[key] = trial.suggest_float(key, one.low, one.high, log=one.log)
    return values


def winner(searched: Searched, original: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe that a search results in: ``original`` with ``values``, the values of the best trial.

    The trials ran without test rows, so ``original`` is the recipe that still names them.
    """
    best = searched.fitted(values)
    assert best is not None
    changes = {"adapter": best.adapter.model_dump(mode="json", exclude_none=True)}
    changes["training"] = best.training.model_dump(mode="json", exclude_none=True)
    changes["training"]["trackers"] = list(original.training.trackers)
    for key in READING:
        section, _, name = key.partition(".")
        if key in values:
            changes.setdefault(section, {})[name] = values[key]
    return original.with_values(name=f"{original.name[:95]}-best", description="", **changes)
