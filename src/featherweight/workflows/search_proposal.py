"""Makes a recipe that fits the budget from values that Optuna proposes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar, cast

from featherweight.backbone.resolve import config_of
from featherweight.budget.limit import nearest_that_fits, within_budget
from featherweight.budget.plan import resolve_auto
from featherweight.budget.proposals import lora_within_budget
from featherweight.data.class_names import label_names_of
from featherweight.errors import UserError
from featherweight.recipe import ROLES, LoraLayers, Recipe
from featherweight.recipe.search_space import (
    BACKBONE,
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
from featherweight.workflows.prepare import OF_BACKBONE
from featherweight.workflows.search_inputs import Sizes, corners, refusal_of_settings, sizes_of_each
from featherweight.workflows.weigh import resolve

if TYPE_CHECKING:
    from optuna.trial import Trial

T = TypeVar("T")

_SIZES = (TARGETS, LAYERS, RANK, UPPER_SHARE, "adapter.head", "adapter.bias", "adapter.dora")
"""The keys that change the number of trained parameters, beside the backbone."""


@dataclass(frozen=True)
class Searched:
    """A recipe and its search space, with the sizes of the networks from which trained parameters are counted."""

    recipe: Recipe
    space: SearchSpace
    labels: int
    backbones: Mapping[str, Sizes]
    """By name: the backbones that the space varies, or else the one of the recipe."""

    @classmethod
    def of(cls, recipe: Recipe, space: SearchSpace | None = None) -> Searched:
        """Resolve ``recipe``, and check the choices of ``space`` for backbones and LoRA matrices.

        Without ``space`` it is the default one, with the targets that fit the budget. Raises UserError if a choice
        never fits, or nothing does, if no backbone has it, if a backbone cannot be used, or if the run that the recipe
        starts from leaves no choice.
        """
        named, space = space is not None, space or SearchSpace.default(recipe)
        space.require_free_of_the_start(recipe)
        space.require_independent_backbones(recipe)
        if space.backbones:
            backbones, labels = sizes_of_each(recipe, space), len(label_names_of(recipe.data))
        else:
            resolved = resolve(recipe)
            sizes = Sizes(resolved.architecture, config_of(recipe.backbone))
            backbones, labels = {recipe.backbone.name: sizes}, resolved.weight.labels
        searched = cls(recipe, space, labels, backbones)
        for layers in searched._choices(LAYERS):
            if refused := _refused_everywhere(searched._all_sized([{LAYERS: layers}])):
                raise UserError(f"search.{LAYERS}: {refused}")
        searched = replace(searched, space=searched._with_targets_that_fit(named=named))
        searched._require_fitting_trials()
        return searched

    def sizes_of(self, recipe: Recipe) -> Sizes:
        """The sizes of the backbone of ``recipe``, a recipe that ``fitted`` has returned."""
        return self.backbones[recipe.backbone.name]

    def _choices(self, key: str) -> tuple[Value, ...]:
        values = self.space.keys.get(key)
        return values.values if isinstance(values, Choices) else ()

    def _sized(self, values: Mapping[str, Value], backbone: str) -> Recipe | UserError | None:
        """The recipe with ``values`` and ``backbone``; None if it exceeds the budget, or the error that refuses it.

        Settings that do not change the size are not compared with the backbone.
        """
        try:
            return self._within_budget({**values, BACKBONE: backbone})
        except UserError as error:
            return error

    def _all_sized(self, every: Iterable[Mapping[str, Value]]) -> list[Recipe | UserError | None]:
        return [self._sized(values, backbone) for values, backbone in product(every, self.backbones)]

    def _with_targets_that_fit(self, *, named: bool) -> SearchSpace:
        """The space without the targets that never fit the budget, or that no backbone has.

        If none is left, the targets are not varied. Raises UserError if the recipe's own LoRA does not fit either, or
        if the user has ``named`` one of those.
        """
        fit: list[Value] = []
        too_large: list[str] = []
        refusals: list[UserError] = []
        for target in self._choices(TARGETS):
            tried = [{TARGETS: target, LAYERS: layers} for layers in self._choices(LAYERS)] or [{TARGETS: target}]
            outcomes = self._all_sized(tried)
            if any(isinstance(outcome, Recipe) for outcome in outcomes):
                fit.append(target)
            elif refused := _refused_everywhere(outcomes):
                refusals.append(refused)
            else:
                too_large.append(repr(target))
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

    def _require_fitting_trials(self) -> None:
        """Raise UserError if no values fit the budget, or none with one of several backbones: no trial could train."""
        if self.recipe.adapter.start_from:  # its adapter is the only one; whether it fits is checked with the weights
            return
        found = {name: self._some_fit(name) for name in self.backbones}
        unfit = [name for name, (fits, refused) in found.items() if refused or not fits]
        if not unfit:
            return
        name = next((name for name in unfit if found[name][0]), unfit[0])
        fits, refused = found[name]
        if fits or len(unfit) < len(found):
            too_large = f"does not fit budget = {self.recipe.budget:,}, not even with rank 1\n"
            reason = str(refused or f"{too_large}Leave it out, or raise the budget")
            raise UserError(f"search.{BACKBONE}: {name}: {reason}" if self.space.backbones else reason)
        refused = next((error for _, error in found.values() if error is not None), None)
        if refused is not None and self.recipe.adapter.lora != "auto":
            return  # values that exclude each other; a trial says so
        first = next(iter(self.backbones.values()))
        cause = refused or nearest_that_fits(self.recipe, first.architecture, self.labels)
        raise UserError(f"search: no values fit budget = {self.recipe.budget:,}\n{cause}")

    def _some_fit(self, backbone: str) -> tuple[bool, UserError | None]:
        """Whether some values of the space fit the budget with ``backbone``, and the first refusal of values.

        If they fit, the refusal is that of the settings that the backbone never allows; None if some of them work.
        """
        refused: UserError | None = None
        for sizes in corners(self.space, _SIZES):
            outcome = self._sized(sizes, backbone)
            if isinstance(outcome, Recipe):
                return True, refusal_of_settings(outcome, self.space, self.backbones[backbone].config)
            refused = refused or outcome
        return False, refused

    def _fits_without_targets(self) -> bool:
        """Whether the recipe fits with its own LoRA, or with what ``lora = "auto"`` chooses, at least with rank 1."""
        try:
            return self._within_budget({}) is not None
        except UserError:
            return False

    def fitted(self, values: Mapping[str, Value]) -> Recipe | None:
        """The recipe with ``values``, and with LoRA ranks that fit the budget; None if not even rank 1 fits.

        Raises UserError for values that exclude each other, or do not work with the backbone.
        """
        recipe = self._within_budget(values)
        if recipe is not None:
            for require in OF_BACKBONE:
                require(recipe, self.sizes_of(recipe).config)
        return recipe

    def _within_budget(self, values: Mapping[str, Value]) -> Recipe | None:
        plain = {key: value for key, value in values.items() if key not in LORA_KEYS}
        recipe = with_value(self.recipe, plain, "search")
        architecture = self.sizes_of(recipe).architecture
        lora = {key: value for key, value in values.items() if key in LORA_KEYS}
        if not lora.keys() & {TARGETS, LAYERS}:
            recipe = resolve_auto(recipe, architecture, self.labels)
        if not lora:
            return within_budget(recipe, architecture, self.labels)
        own = _tables(recipe)
        tables = lora_within_budget(
            recipe,
            architecture,
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

        If these are all roles that exist, only the roles of its backbone are returned.
        """
        if TARGETS in lora:
            roles = lora_roles(str(lora[TARGETS]))
        else:
            named = {role for table in _tables(recipe) for role in table.roles}
            roles = tuple(role for role in ROLES if role in named or recipe.adapter.lora == "auto")
        # "all" means all that the backbone has; a role that is named and missing is an error, which weighing reports.
        present = tuple(role for role in roles if role in self.sizes_of(recipe).architecture.roles)
        return present if roles == ROLES else roles

    def first_values(self) -> dict[str, Value]:
        """The recipe's values of the keys whose value in the recipe lies in the space."""
        written = self.recipe.model_dump(mode="json")
        found: dict[str, Value] = {}
        for key, values in self.space.keys.items():
            section, _, name = key.partition(".")
            own = written[section].get(name)
            if key not in LORA_KEYS and isinstance(own, str | int | float) and values.contains(own):
                found[key] = own
        return found

    def first_trials(self) -> list[dict[str, Value]]:
        """The values of the first trials: the recipe's, with each backbone that is varied, its own one first."""
        first = self.first_values()
        if names := sorted(self.space.backbones, key=lambda name: name != self.recipe.backbone.name):
            return [{**first, BACKBONE: name} for name in names]
        return [first] if first else []


def _refused_everywhere(outcomes: Sequence[Recipe | UserError | None]) -> UserError | None:
    """The first error of ``outcomes`` if all of them are errors, else None."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, UserError)]
    return errors[0] if errors and len(errors) == len(outcomes) else None


def _tables(recipe: Recipe) -> list[LoraLayers]:
    """The LoRA tables of ``recipe``; none with ``lora = "auto"``."""
    return [table for table in recipe.adapter.lora if isinstance(table, LoraLayers)]


def _common(values: Iterable[T]) -> T | None:
    """The one value that all ``values`` have; None if they differ, or if there are none."""
    found = [*values]
    return found[0] if found and all(value == found[0] for value in found) else None


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
    for key in (*READING, BACKBONE):
        section, _, name = key.partition(".")
        if key in values:
            changes.setdefault(section, {})[name] = values[key]
    return original.with_values(name=f"{original.name[:95]}-best", description="", **changes)
