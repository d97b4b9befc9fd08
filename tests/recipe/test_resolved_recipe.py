"""The resolved recipe: what is written to recipe.toml is the same recipe again, with every default."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from featherweight.recipe import ROLES, Recipe

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SOURCE = TEXT.filter(lambda text: not text.isspace())
SIZE = st.floats(1e-9, 1e9)
SHARE = st.floats(0, 1, exclude_max=True)
SWITCH = st.booleans()


def some(values: st.SearchStrategy, least: int = 0) -> st.SearchStrategy:
    return st.lists(values, unique=True, min_size=least, max_size=4).map(tuple)


def sections() -> dict[str, st.SearchStrategy]:
    table = {
        "roles": some(st.sampled_from(ROLES), least=1),
        "layers": st.sampled_from(["lower-half", "top-3", "0,2,8-11"]),
        "rank": st.integers(1, 512),
    }
    tables = st.lists(
        st.fixed_dictionaries(table, optional={"alpha": SIZE}), max_size=3, unique_by=lambda table: table["layers"]
    )
    data = {
        "train": SOURCE,
        "test": TEXT,
        "validation_size": st.floats(1e-9, 1, exclude_max=True) | st.integers(1, 10_000),
        "text": some(TEXT),
        "labels": st.just(()) | some(TEXT, least=2),
        "clean": st.sampled_from(["none", "ag_news"]),
        "train_rows": st.integers(1, 10**9),
    }
    adapter = {"lora": st.just("auto") | tables, "dropout": SHARE, "dora": SWITCH}
    adapter["bias"] = st.sampled_from(["none", "lora", "all"])
    training = {"epochs": st.floats(1e-9, 1e4), "learning_rate": SIZE}
    training |= {"clip": st.just(-0.0) | SIZE, "label_smoothing": SHARE}
    training["average"] = st.just("swa") | st.floats(0, 0.999)
    training["class_weights"] = st.sampled_from(["none", "balanced"]) | st.lists(st.floats(0, 1e9), max_size=5)
    training["trackers"] = some(st.sampled_from(["tensorboard", "mlflow", "trackio", "wandb"]))
    optional = {"data": data, "adapter": adapter, "training": training, "evaluation": {"shift": some(SOURCE)}}
    optional["backbone"] = {"name": TEXT, "roles": st.dictionaries(st.sampled_from(ROLES), TEXT)}
    return {name: st.fixed_dictionaries({}, optional=keys) for name, keys in optional.items()}


RECIPES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,30}\Z"),
        "description": TEXT,
        "budget": st.integers(1, 10**12),
        "seed": st.integers(0, 2**31 - 1),
        **sections(),
    },
)


@settings(deadline=None)  # a busy machine is no failure
@given(RECIPES)
def test_the_resolved_recipe_is_the_same_recipe(values: dict) -> None:
    recipe = Recipe.parse(values)
    text = recipe.to_toml()
    again = Recipe.parse(tomllib.loads(text))
    assert again == recipe
    assert again.to_toml() == text


def test_the_resolved_recipe_writes_out_every_default() -> None:
    resolved = tomllib.loads(Recipe().to_toml())
    for name, section in Recipe():
        if isinstance(section, BaseModel):
            assert set(resolved[name]) == {key for key, value in section if value is not None}
    assert Recipe.parse(resolved) == Recipe()
