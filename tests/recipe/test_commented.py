"""Recipes with comments, to be edited."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise

from featherweight.recipe import Recipe
from featherweight.recipe.commented import commented_toml

KEY = re.compile(r"[a-z_]+ = .*")


def test_every_key_but_the_name_has_a_comment_and_the_values_stay() -> None:
    values = Recipe.load("r1").model_dump(mode="json", exclude_none=True)
    written = commented_toml(values, "One line.\nAnother.")
    assert tomllib.loads(written) == values
    assert written.startswith("# One line.\n# Another.\n")
    lines = written.splitlines()
    bare = [line for before, line in pairwise(lines) if KEY.fullmatch(line) and before[:1] != "#"]
    assert [line.partition(" ")[0] for line in bare] == ["name"]
    assert "# Which tokens of a text longer than `max_length`" in written
    assert max(map(len, (line for line in lines if line.startswith("#")))) <= 102
