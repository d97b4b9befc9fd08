"""What the fuzzing begins with, and whatever it has ever found: read, or refused in a line or two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.seeds import SEEDS
from fuzz.targets import TARGETS, find_in
from fuzz.workplace import clean_up

FINDS = Path(__file__).parent / "finds"
INPUTS = [(target, f"seed {number}", seed) for target, seeds in SEEDS.items() for number, seed in enumerate(seeds)]
INPUTS += [(path.parent.name, path.name, path.read_bytes()) for path in sorted(FINDS.glob("*/*"))]


@pytest.fixture(autouse=True, scope="module")
def workplace() -> Iterator[None]:
    yield
    clean_up()


@pytest.mark.parametrize(("target", "name", "data"), INPUTS, ids=[f"{target}: {name}" for target, name, _ in INPUTS])
def test_what_the_fuzzing_begins_with_and_has_found_is_harmless(target: str, name: str, data: bytes) -> None:
    assert find_in(target, data) is None


def test_every_target_has_seeds_that_are_taken() -> None:
    for target, read in TARGETS.items():
        taken = []
        for seed in SEEDS[target]:
            try:
                read(seed)
            except Exception:  # one that is nearly right is a good seed too
                continue
            taken.append(seed)
        assert taken, target


def test_a_find_is_told_from_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    from featherweight.errors import UserError

    def raising(error: Exception) -> object:
        def read(data: bytes) -> None:
            raise error

        return read

    outcomes = [(UserError("one line"), False), (UserError("a\nb\nc"), True), (UserError(""), True), (KeyError(), True)]
    for error, is_find in outcomes:
        monkeypatch.setitem(TARGETS, "json", raising(error))
        assert bool(find_in("json", b"")) is is_find
