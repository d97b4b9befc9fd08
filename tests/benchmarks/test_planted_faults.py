"""Planted faults: the command plants one, sees whether the tests notice, and leaves the checkout as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.benchmarks import BENCHMARKS, Load

from featherweight.errors import UserError

pytestmark = pytest.mark.skipif(not shutil.which("git") or os.name != "posix", reason="needs git and process groups")

CODE = "def share(part, whole):\n    return part / whole\n\n\ndef above(x, limit):\n    return x > limit\n"
TESTS = """import os
import pathlib

from small.sums import above, share


def test_share():
    assert share(1, 4) == 0.25


def test_above():
    assert above(2, 1)
"""
TABLE = """
[[fault]]
id = "turned-round"
file = "src/small/sums.py"
before = "part / whole"
after = "whole / part"
tests = ["tests/test_sums.py"]
means = "the share is turned round"

[[fault]]
id = "limit-included"
file = "src/small/sums.py"
before = "x > limit"
after = "x >= limit"
tests = ["tests/test_sums.py"]
means = "the limit itself is above it"

[[fault]]
id = "no-such-name"
file = "src/small/sums.py"
before = "def above("
after = "def over("
tests = ["tests/test_sums.py"]
means = "the function has another name"
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout of a package of two lines with its tests."""
    root = tmp_path / "root"
    files = {"src/small/__init__.py": "", "src/small/sums.py": CODE, "tests/test_sums.py": TESTS}
    files |= {"pyproject.toml": '[tool.pytest.ini_options]\nmarkers = ["slow: takes long"]\n', "faults.toml": TABLE}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    return root


@pytest.fixture
def command(small: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command on the small checkout and returns its result."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # to look for them would be most of a run
    monkeypatch.setenv("PYTEST_PLUGINS", "_hypothesis_pytestplugin")

    def run(*options: str) -> dict[str, Any]:
        out = small.parent / "result.json"
        load("run").main(
            ["planted-faults", "--root", str(small), "--table", str(small / "faults.toml"), "--out", str(out), *options]
        )
        (found,) = small.parent.glob("result*.json")
        return json.loads(found.read_text("utf-8"))

    return run


def test_a_fault_is_noticed_or_missed_and_the_checkout_stays(command: Any, small: Path) -> None:
    found = command("--jobs", "2")
    assert (found["summary"]["count"], found["summary"]["noticed"]) == (3, 2)
    assert found["summary"]["missed"] == ["limit-included"]
    assert {run["id"]: run["by"] for run in found["runs"]} == {
        "turned-round": "tests/test_sums.py::test_share",
        "limit-included": None,
        "no-such-name": "tests/test_sums.py",
    }
    assert {"command", "commit", "date", "machine", "versions"} <= found.keys()
    assert (small / "src/small/sums.py").read_text("utf-8") == CODE


def test_what_has_a_result_is_not_run_again_unless_asked(command: Any, small: Path) -> None:
    first = command("--only", "limit-included")
    assert [run["id"] for run in first["runs"]] == ["limit-included"]
    with (small / "tests/test_sums.py").open("a") as file:
        file.write("\n\ndef test_limit():\n    assert not above(1, 1)\n")
    rest = command()
    assert rest["summary"]["count"] == 3 and rest["summary"]["missed"] == ["limit-included"]
    assert command("--only", "limit-included")["summary"]["missed"] == []


def test_tests_that_fail_without_a_fault_prove_nothing(command: Any, small: Path) -> None:
    (small / "tests/test_sums.py").write_text(TESTS.replace("0.25", "0.5"), "utf-8")
    with pytest.raises(UserError, match=r"tests do not pass without it: tests/test_sums\.py::test_share"):
        command("--only", "turned-round")


def test_a_run_that_hangs_is_noticed_by_the_limit_alone_where_the_tests_are_quick(load: Load) -> None:
    planted = load("reliability.planted_faults")
    fault = planted.Fault("a", "b.py", "x", "y", ("t.py",), "hangs")
    killed = planted.Ended(None, 300.0, None, "")
    assert planted.record_of(fault, killed, 20.0, 300.0)["by"] == "time limit"
    assert not planted.record_of(fault, killed, 40.0, 300.0)["noticed"]


@pytest.mark.parametrize(("old", "new", "words"), [
    ("part / whole", "part // whole", "turned-round: 'part // whole' stands 0 times in src/small/sums.py, not once"),
    ('before = "part / whole"', 'before = "return"', "'return' stands 2 times"),
    ('after = "whole / part"', 'after = "whole part"', "turned-round: src/small/sums.py with it is no Python"),
    ('after = "whole / part"', 'after = "total / part"', "turned-round: nothing in src/small/sums.py binds total"),
    ('after = "whole / part"', 'after = "part / whole"', "turned-round: `before` and `after` are the same"),
    ('file = "src/small/sums.py"\nbefore = "part', 'file = "src/none.py"\nbefore = "part', "src/none.py is not there"),
    ('id = "limit-included"', 'id = "turned-round"', "turned-round: two faults have this id"),
    ('means = "the share is turned round"\n', "", "turned-round: .*means"),
])  # fmt: skip
def test_a_fault_that_cannot_be_planted_is_named(small: Path, load: Load, old: str, new: str, words: str) -> None:
    table = small / "faults.toml"
    table.write_text(TABLE.replace(old, new, 1), "utf-8")
    with pytest.raises(UserError, match=words):
        load("reliability.planted_faults").read_faults(table, small)


def test_every_fault_of_the_table_can_be_planted(load: Load) -> None:
    root = BENCHMARKS.parent
    faults = load("reliability.planted_faults").read_faults(BENCHMARKS / "reliability" / "planted_faults.toml", root)
    assert len(faults) >= 110
    for fault in faults:
        missing = [test for test in fault.tests if not (root / test.partition("::")[0]).is_file()]
        assert not missing, fault.id
