"""The class Recipe: all settings of a run, validated, with methods to read and write TOML."""

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

from featherweight.argument_checks import code_to_save, described, is_table, list_of
from featherweight.errors import UserError
from featherweight.recipe.data_files import is_data_file, recipe_code
from featherweight.recipe.fields import Section, Whole
from featherweight.recipe.messages import refuse
from featherweight.recipe.sections.adapter import AdapterRecipe
from featherweight.recipe.sections.backbone import BackboneRecipe
from featherweight.recipe.sections.data import DataRecipe
from featherweight.recipe.sections.evaluation import EvaluationRecipe
from featherweight.recipe.sections.training import TrainingRecipe
from featherweight.recipe.values import TaskName, parse_count


class Recipe(Section):
    """All settings of a run: budget, seed, task, and the sections for data, backbone, adapter, training, evaluation."""

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
        description="Maximum number of trainable parameters (100k and 1M are understood); a run over it does not "
        "start.",
    )
    seed: Whole = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Seed of the adapter's first weights, the split, the order of batches and dropout; "
        "`training.order_seed` gives the last two another one.",
    )
    task: TaskName = Field(
        "single-label",
        description="What is learnt of a text: exactly one of the classes (single-label), or any number of the labels, "
        "none included (multi-label; also if `data.label` is a list of columns and no task is named).",
    )
    data: DataRecipe = Field(DataRecipe(), description="Texts and labels.")
    backbone: BackboneRecipe = Field(BackboneRecipe(), description="The frozen encoder.")
    adapter: AdapterRecipe = Field(AdapterRecipe(), description="What is trained.")
    training: TrainingRecipe = Field(TrainingRecipe(), description="How it is trained.")
    evaluation: EvaluationRecipe = Field(EvaluationRecipe(), description="How it is evaluated.")

    if not TYPE_CHECKING:  # type checkers derive the keyword arguments from the fields

        def __new__(cls, *given: Any, **values: Any) -> Self:
            """A new instance, which pydantic then fills from ``values``. Raises UserError for a positional argument."""
            if given:
                raise not_a_recipe(given[0], "Recipe", "its sections by name, such as data={'train': 'rows.csv'}")
            return super().__new__(cls)

    @model_validator(mode="before")
    @classmethod
    def _several_label_columns_tell_the_task(cls, values: Any) -> Any:
        """``values``; ``task`` is set to "multi-label" if ``data.label`` is a list of columns and no task is named."""
        data = values.get("data") if isinstance(values, Mapping) else None
        if isinstance(data, Mapping) and isinstance(data.get("label"), list | tuple) and "task" not in values:
            return {**values, "task": "multi-label"}
        return values

    @model_validator(mode="after")
    def _sections_know_the_task(self) -> Self:
        """Copy the task into the sections that depend on it: some functions get only a section, not the recipe."""
        self.__dict__["data"] = self.data.for_task(self.task)
        self.__dict__["evaluation"] = self.evaluation.for_task(self.task)
        return self

    @model_validator(mode="after")
    def _windows_are_those_of_texts_that_are_cut(self) -> Self:
        if self.evaluation.windows > 1 and self.data.join == "pair":
            raise ValueError("evaluation.windows: pairs are not read in windows; remove the key")
        if self.evaluation.windows > 1 and self.data.long == "windows":
            raise ValueError(
                'evaluation.windows: data.long = "windows" already reads all windows; remove one of the two keys'
            )
        return self

    @model_validator(mode="after")
    def _a_soup_has_no_teacher(self) -> Self:
        if self.training.soup and self.training.teacher:
            raise ValueError(
                "training.teacher: a soup (averaged runs) is not trained; remove training.teacher or training.soup"
            )
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_in_words(cls, values: Any, validated: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """The recipe of ``values``. Raises UserError, with a readable message, if pydantic finds them invalid.

        ``info.context`` has what the message needs: the origin of the values (such as a file), and the overrides.
        """
        try:
            return validated(values)
        except ValidationError as error:
            raise refuse(error, cls, *(info.context or ("Recipe", ()))) from None
        except UnicodeEncodeError:  # bytes of a command line that are no text, where pydantic writes them in an error
            origin = (info.context or ("Recipe", ()))[0]
            raise UserError(f"{origin}: a value is not valid Unicode text; write it in UTF-8") from None

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a built-in recipe by its name, or a TOML file, and apply ``section.key=value`` overrides.

        The value of an override is TOML, or text without quotes. An empty value removes an optional key, and
        ``data.test=`` means no test. If an override changes the data or the backbone, the recipe's description is
        removed, because it no longer applies. Raises UserError, with file or override and key, for everything that the
        recipe reference does not allow.
        """
        from featherweight.recipe.loading import read_recipe

        if not isinstance(name_or_path, str | os.PathLike):
            raise not_a_recipe(name_or_path, "Recipe.load", "the name of a built-in recipe or the path of a TOML file")
        origin, values = read_recipe(name_or_path)
        return cls.parse(values, origin, overrides)

    @classmethod
    def parse(cls, values: dict[str, Any], origin: str = "recipe", overrides: Sequence[str] = ()) -> Self:
        """Validate a nested dictionary with ``section.key=value`` overrides; ``origin`` names its source in messages.

        ``values`` does not change. Overrides work as in ``load``. Raises UserError for wrong values or overrides.
        """
        from featherweight.recipe.overrides import overridden

        if not isinstance(values, (Mapping, cls)) or is_table(values):
            raise not_a_recipe(values, "Recipe.parse", "a dict of sections")
        overrides = list_of(overrides, "overrides=...", "texts such as 'training.epochs=2'")
        values = overridden(values, overrides, cls) if overrides else values
        return cls.model_validate(values, context=(origin, overrides))

    def with_values(self, **changes: Any) -> Self:
        """A validated copy with some keys replaced: ``with_values(seed=1, training={"epochs": 2})``.

        Keys that are not named keep their values; None resets an optional key to its default. With another
        ``data.train`` the copy has no description, unless ``changes`` has one. Raises UserError if a value is wrong.
        """
        values = self.model_dump(mode="json", exclude_none=True)
        if isinstance(data := changes.get("data"), dict) and data.get("train", self.data.train) != self.data.train:
            changes = {"description": "", **changes}
        for key, change in changes.items():
            section = values.get(key)
            values[key] = {**section, **change} if isinstance(section, dict) and isinstance(change, dict) else change
        return self.parse(values, self.name)

    @property
    def order_seed(self) -> int:
        """Seed of the order of rows and of dropout: ``training.order_seed``, or ``seed`` if this key is not set."""
        return self.seed if self.training.order_seed is None else self.training.order_seed

    def to_toml(self) -> str:
        """The recipe as TOML, with the defaults of keys that were not set. Keys whose value is None are left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def require_recipe(given: Any, name: str) -> None:
    """Raise UserError, with what to write instead, if ``given``, the argument of function ``name``, is no recipe."""
    if not isinstance(given, Recipe):
        raise not_a_recipe(given, name, "a Recipe", f"{name}(...)")


def not_a_recipe(given: Any, name: str, takes: str, call: str = "...") -> UserError:
    """The UserError for a call of the function ``name`` with ``given``, which is no recipe.

    ``takes`` says what the function expects, such as "a Recipe". ``call`` is a correct call with "..." in place of the
    recipe, such as "train(...)"; the message says what to write there.
    """
    return UserError(f"{name} takes {takes}, not {described(given)}; {_remedy(given, call)}")


def _remedy(given: Any, call: str) -> str:
    def write(recipe: str) -> str:
        return f"write {call.replace('...', recipe)}"

    if isinstance(given, str | os.PathLike):
        path = str(given)
        return write(recipe_code(path) if is_data_file(path) else f"Recipe.load({path!r})")
    if type(given).__name__ == "Run":
        return write("run.recipe")
    if isinstance(given, Recipe):
        return "it is already a recipe"
    if isinstance(given, Mapping) and not is_table(given) and set(given) <= set(Recipe.model_fields):
        return write("Recipe.parse(values)")
    if isinstance(given, list | tuple) and given and isinstance(given[0], Recipe):
        return "pass one recipe, or write run_rounds(recipes, seeds=[0], out='runs/rounds')"
    if given is None or isinstance(given, int | float | type):
        return write("Recipe.load('newsbriefs')")
    how, file = code_to_save(given)
    return f"save the rows by {how}, and {write(recipe_code(file))}"
