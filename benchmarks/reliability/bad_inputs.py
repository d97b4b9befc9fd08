"""Bad inputs: the tests' tables of them are run, and their cases counted by test and outcome.

python benchmarks/run.py bad-inputs
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import xml.etree.ElementTree as xml
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.competition import Plan

ROOT = Path(__file__).parents[2]


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The tests are run once."""
    yield Plan("reliability-bad-inputs", {}, {"name": "made-up inputs"}, finish=lambda record: count_cases(folder))


def count_cases(folder: Path) -> dict[str, Any]:
    """Runs and summary of the result: the cases of each test by outcome."""
    found = folder / "found.xml"
    files = sorted((ROOT / "tests" / "refusals").glob("test_*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", f"--junitxml={found}"]
    subprocess.run([*command, *map(str, files)], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    cases = list(xml.parse(found).iter("testcase"))
    kinds = {"failure": "failed", "error": "failed", "skipped": "skipped"}
    tests: dict[str, Counter[str]] = {}
    for case in cases:
        name = f"{case.get('classname', '').rpartition('.')[2]}: {case.get('name', '').partition('[')[0]}"
        outcome = next((kinds[child.tag] for child in case if child.tag in kinds), "passed")
        tests.setdefault(name, Counter())[outcome] += 1
    runs = [{"test": name, **counts} for name, counts in sorted(tests.items())]
    return {"runs": runs, "summary": {"cases": len(cases), **sum(tests.values(), Counter())}}
