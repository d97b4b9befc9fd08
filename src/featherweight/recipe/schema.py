"""A whole recipe: the sections together, read from TOML and written back to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import tomli_w
from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from featherweight.errors import UserError
from featherweight.kinds import described, is_table, list_of, saving
from featherweight.recipe.fields import Section, Whole
from featherweight.recipe.given import is_data_file, naming
from featherweight.recipe.messages import refuse
from featherweight.recipe.sections import AdapterRecipe, BackboneRecipe, DataRecipe, EvaluationRecipe, TrainingRecipe
from featherweight.recipe.values import parse_count


class Recipe(Section):
    """Every choice of one run."""

    name: str = Field(
        "recipe",
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the recipe; the run folder's name starts with it.",
    )
    description: str = Field("", description="One line on what the recipe is for.")
    budget: Annotated[Whole, BeforeValidator(parse_count), Field(ge=1, le=10**12)] = Field(
        1_000_000,
        description="Most trainable parameters that the run may have (100k and 1M are understood); over it, the run is "
        "refused.",
    )
    seed: Whole = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Seed of the adapter's first weights, the split, the order of batches and dropout.",
    )
    data: DataRecipe = Field(DataRecipe(), description="Texts and labels.")
    backbone: BackboneRecipe = Field(BackboneRecipe(), description="The frozen encoder.")
    adapter: AdapterRecipe = Field(AdapterRecipe(), description="What is trained.")
    training: TrainingRecipe = Field(TrainingRecipe(), description="How it is trained.")
    evaluation: EvaluationRecipe = Field(EvaluationRecipe(), description="How it is judged.")

    if not TYPE_CHECKING:  # which knows the keys from the fields

        def __new__(cls, *given: Any, **values: Any) -> Self:
            """A recipe to be filled from ``values``. Raises UserError where something is given without its name."""
            if given:
                raise no_recipe(given[0], "Recipe", "its sections by name, such as data={'train': 'rows.csv'}")
            return super().__new__(cls)

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_in_words(cls, values: Any, validated: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """The recipe of ``values``. Raises UserError in place of pydantic's own error; ``info`` has their source."""
        try:
            return validated(values)
        except ValidationError as error:
            raise refuse(error, cls, *(info.context or ("Recipe", ()))) from None

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a built-in recipe by its name, or a TOML file, and apply ``section.key=value`` overrides.

        An override is written as in TOML, bare text included; an empty value takes an optional key away (but
        ``data.test=`` means no test).
        Raises UserError, naming file (or override) and key, where anything is not as the recipe reference says.
        """
        from featherweight.recipe.loading import read_recipe
        from featherweight.recipe.overrides import apply_override

        if not isinstance(name_or_path, str | os.PathLike):
            raise no_recipe(name_or_path, "Recipe.load", "the name of a built-in recipe or the path of a TOML file")
        origin, values = read_recipe(name_or_path)
        overrides = list_of(overrides, "overrides=...", "texts such as 'training.epochs=2'")
        for override in overrides:
            apply_override(values, override, cls)
        return cls._validated(values, origin, overrides)

    @classmethod
    def parse(cls, values: dict[str, Any], origin: str = "recipe") -> Self:
        """Validate a nested dictionary; ``origin`` names its source in messages. Raises UserError."""
        if not isinstance(values, (Mapping, cls)) or is_table(values):
            raise no_recipe(values, "Recipe.parse", "a dict of sections")
        return cls._validated(values, origin, ())

    @classmethod
    def _validated(cls, values: dict[str, Any], origin: str, overrides: Sequence[str]) -> Self:
        return cls.model_validate(values, context=(origin, overrides))

    def with_values(self, **changes: Any) -> Self:
        """A copy with some keys replaced, validated anew: ``with_values(seed=1, training={"epochs": 2})``.

        A section's keys that are not named keep their values; None sets an optional key back to its default.
        Raises UserError.
        """
        values = self.model_dump(mode="json", exclude_none=True)
        for key, change in changes.items():
            section = values.get(key)
            values[key] = {**section, **change} if isinstance(section, dict) and isinstance(change, dict) else change
        return self.parse(values, self.name)

    def to_toml(self) -> str:
        """The resolved recipe as TOML, every default written out (unset optional keys are left out)."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def require_recipe(given: Any, name: str) -> None:
    """Raise UserError, with what to write instead, where what was given to the function ``name`` is no recipe."""
    if not isinstance(given, Recipe):
        raise no_recipe(given, name, "a Recipe", f"{name}(...)")


def no_recipe(given: Any, name: str, takes: str, call: str = "...") -> UserError:
    """The UserError for ``name``, which takes something else; ``call`` is the right call, "..." for the recipe."""
    return UserError(f"{name} takes {takes}, not {described(given)}; {_remedy(given, call)}")


def _remedy(given: Any, call: str) -> str:
    def write(recipe: str) -> str:
        return f"write {call.replace('...', recipe)}"

    if isinstance(given, str | os.PathLike):
        path = str(given)
        return write(naming(path) if is_data_file(path) else f"Recipe.load({path!r})")
    if type(given).__name__ == "Run":
        return write("run.recipe")
    if isinstance(given, Recipe):
        return "it is one already"
    if isinstance(given, Mapping) and not is_table(given) and set(given) <= set(Recipe.model_fields):
        return write("Recipe.parse(values)")
    if isinstance(given, list | tuple) and given and isinstance(given[0], Recipe):
        return "give one of them at a time, or write run_rounds(recipes, seeds=[0], out='runs/rounds')"
    if given is None or isinstance(given, int | float | type):
        return write("Recipe.load('newsbriefs')")
    how, file = saving(given)
    return f"save the rows by {how}, and {write(naming(file))}"
