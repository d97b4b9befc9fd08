"""The table of recipe keys is whole: every key of a recipe has a test, and every test that it names is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ignored_keys import keys_of
from support.recipe_keys import KEYS

TESTS = Path(__file__).parents[1]


def test_every_key_of_a_recipe_has_a_test_that_fails_when_it_is_ignored() -> None:
    schema = {key for key, _, _ in keys_of()}
    assert {"seed", "data.train", "adapter.lora", "adapter.lora.rank", "training.clip"} <= schema
    assert not schema - KEYS.keys(), (
        "name a test for each in tests/support/recipe_keys.py; tests/ignored_keys.py tries it"
    )
    assert not KEYS.keys() - schema, "no recipe has these keys"


@pytest.mark.parametrize("place", sorted(set(KEYS.values())))
def test_the_tests_that_the_table_names_are_there(place: str) -> None:
    file, _, test = place.partition("::")
    (path,) = TESTS.rglob(file)
    name, _, case = test.removesuffix("]").partition("[")
    tree = ast.parse(path.read_text("utf-8"))
    assert name.startswith("test_") and name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not case or case in constants, f"no case of that name in {file}"
