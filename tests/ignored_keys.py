"""Ignore the keys of a recipe one at a time, and see that the test fails that is named for each of them.

    python tests/ignored_keys.py [KEY ...]

An ignored key is one whose value nobody gets to see: who asks for it is given its default. Each key has a process of
its own; first all tests have to pass without any fault. The exit code is 1 where a key is ignored unnoticed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from support.recipe_keys import KEYS

from featherweight.recipe import Recipe
from featherweight.recipe.fields import Section

TESTS = Path(__file__).parent


def sections_within(kind: Any) -> set[type[Section]]:
    """The sections that a type is, or is made of: those inside unions, lists and annotations too."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return {kind}
    return {section for part in get_args(kind) for section in sections_within(part)}


def keys_of(section: type[Section] = Recipe, before: str = "") -> Iterator[tuple[str, type[Section], str]]:
    """Every key with its dots, as ``adapter.lora.rank``; the section that has it; and its name there."""
    for name, field in section.model_fields.items():
        inner = sections_within(field.annotation)
        if not any(field.annotation is one for one in inner):  # a section itself says nothing but its keys
            yield before + name, section, name
        for one in inner:
            yield from keys_of(one, f"{before}{name}.")


def ignore(key: str) -> None:
    """Give everybody in this process who asks for ``key`` its default, whatever the recipe says."""
    section, name = next((section, name) for path, section, name in keys_of() if path == key)
    default = section.model_fields[name].get_default(call_default_factory=True)
    setattr(section, name, property(lambda recipe: default))


def run_tests(tests: list[str], key: str | None = None) -> int:
    """pytest's exit code of ``tests``, in a process of their own where ``key`` is ignored."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if key:
        ignore(key)
    os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))


def main(wanted: list[str]) -> int:
    """Say of each key whether its test notices; 0 where all do."""
    os.chdir(TESTS.parent)
    import peft  # noqa: F401  (once, before the processes part)
    import transformers  # noqa: F401

    keys = {key: f"tests/{KEYS[key]}" for key in wanted or KEYS}
    if run_tests(sorted(set(keys.values()))) != pytest.ExitCode.OK:
        print("the tests do not pass as they are")
        return 1
    unnoticed = 0
    for key, test in keys.items():
        noticed = run_tests([test], key) == pytest.ExitCode.TESTS_FAILED
        unnoticed += not noticed
        print(f"{'noticed' if noticed else 'NOT NOTICED':12}{key:30}{KEYS[key]}", flush=True)
    print(f"{len(keys) - unnoticed} of {len(keys)} keys cannot be ignored unnoticed")
    return min(unnoticed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
