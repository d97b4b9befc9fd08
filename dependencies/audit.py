"""Ask the advisory service about every pinned version (pip-audit); one line where it cannot be asked.

python dependencies/audit.py [PIP_AUDIT]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "constraints.txt"


def main() -> None:
    """Audit the pins: exit code 1 where a version has a known weakness."""
    tool = sys.argv[1] if len(sys.argv) > 1 else "pip-audit"
    if shutil.which(tool) is None:
        lines, code = ["audit: skipped: pip-audit cannot be installed here"], 0
    else:
        options = ["--requirement", str(PINS), "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        done = subprocess.run([tool, *options, "--format", "json"], capture_output=True, text=True)
        lines, code = outcome(done.stdout, done.stderr)
    print("\n".join(lines))
    sys.exit(code)


def outcome(said: str, complaint: str) -> tuple[list[str], int]:
    """What to print and the exit code, from pip-audit's JSON and what it wrote beside it."""
    try:
        found: list[dict[str, Any]] = json.loads(said)["dependencies"]
    except (ValueError, LookupError, TypeError):
        last = (complaint.strip().splitlines() or ["no answer"])[-1]
        return [f"audit: skipped: the advisory service cannot be reached ({last[:160]})"], 0
    asked = [package for package in found if "skip_reason" not in package]
    if not asked:
        return [f"audit: skipped: the index that is reachable has no advisories (0 of {len(found)} packages)"], 0
    weak = [(package, weakness) for package in asked for weakness in package.get("vulns", ())]
    unknown = f"; {len(found) - len(asked)} unknown to the index" if len(asked) < len(found) else ""
    lines = [f"audit: {len(asked)} packages asked about, {len(weak)} weaknesses known{unknown}"]
    for package, weakness in weak:
        mended = ", ".join(weakness.get("fix_versions") or ["no version yet"])
        lines.append(f"  {package['name']} {package['version']}: {weakness['id']}; mended in {mended}")
    return lines, 1 if weak else 0


if __name__ == "__main__":
    main()
