"""Run a benchmark: `python benchmarks/run.py SUITE`; without a suite, or with --help, it says which there are."""

from __future__ import annotations

import importlib
import sys

SUITES = {
    "train": "suites.train",
    "predict": "suites.predict",
    "limit": "suites.limit",
    "scale": "suites.scale",
    "startup": "suites.startup",
    "prefix": "suites.prefix",
    "changes": "suites.changes",
    "gpu": "suites.gpu",
    "reliability": "reliability.reliability",
    "planted-faults": "reliability.planted_faults",
    "publish": "accuracy.publish",
    "publish-rounds": "accuracy.publish_rounds",
    "tune-rounds": "accuracy.tune_rounds",
    "pages": "pages.tables",
}


def main() -> None:
    """Call the suite that the first argument names, with the others."""
    from harness.jobs import without_tracebacks

    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if name not in SUITES:
        print(f"usage: run.py SUITE ...\nsuites: {', '.join(SUITES)}")
        sys.exit(0 if name in ("", "-h", "--help") else 2)
    sys.argv = [f"{sys.argv[0]} {name}", *arguments]
    without_tracebacks(importlib.import_module(SUITES[name]).main)


if __name__ == "__main__":
    main()
