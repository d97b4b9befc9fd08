"""The run folder of an earlier version that is kept in tests/old_run: a finished run without the time to train one."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

OLD = Path(__file__).parents[1] / "old_run"


def placed_here() -> Path:
    """Copy it into the working directory, with paths of this machine: backbone, data, and the run ``finished``."""
    here = Path.cwd()
    shutil.copytree(OLD, here, dirs_exist_ok=True)
    for path in here.rglob("*"):
        if path.suffix in (".json", ".toml") and "@HERE@" in (text := path.read_text("utf-8")):
            path.write_text(text.replace("@HERE@", here.as_posix()), "utf-8")
    manifest = here / "finished" / "manifest.json"
    listed = json.loads(manifest.read_text("utf-8"))
    for name in listed["files"]:
        listed["files"][name] = hashlib.sha256((here / "finished" / name).read_bytes()).hexdigest()
    manifest.write_text(json.dumps(listed), "utf-8")
    return here
