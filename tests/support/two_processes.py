"""Started by torchrun in a folder of recipes: the command line trains three of them, and refuses the last.

One start for all of them, because each process takes seconds to load its libraries.
"""

import sys
from pathlib import Path

from featherweight.cli.main import main
from support.endings import quick_endings


def command(*words: str) -> None:
    """Call the command line, and end where it fails."""
    sys.argv = ["featherweight", *words]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise


command("train", "plain.toml", "--out", "plain")
Path("plain.over").touch()
with quick_endings():
    for name in ("stored", "windows"):
        command("train", f"{name}.toml", "--out", name)
        Path(f"{name}.over").touch()
command("train", "bad.toml", "--out", "bad")
