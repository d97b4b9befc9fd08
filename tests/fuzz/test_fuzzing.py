"""What the fuzzing begins with, and whatever it has ever found: read, or refused in a line or two."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.run import write
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


def test_the_figures_of_readers_that_are_not_fuzzed_again_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.metadata.version
    monkeypatch.setattr("importlib.metadata.version", lambda name: "3.0" if name == "atheris" else known(name))
    figures = {"seconds": 60.0, "executions": 10, "edges": 5, "crashes_found": 1, "crashes_left": 0}
    write({"json": figures, "recipe": figures}, 2, tmp_path)
    name = write({"json": {**figures, "executions": 30}}, 1, tmp_path)
    written = json.loads((tmp_path / name).read_text())
    assert {target: one["executions"] for target, one in written["targets"].items()} == {"recipe": 10, "json": 30}
    assert all(one["date"] for one in written["targets"].values())
    assert (written["summary"]["seconds"], written["summary"]["executions"]) == (120, 40)
