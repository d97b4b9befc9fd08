"""Started by torchrun in a folder of recipes: the command line trains three of them, and refuses the last.

One start for all of them, because each process takes seconds to load its libraries.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

from featherweight.cli.main import main
from featherweight.verification import reload


def command(*words: str) -> None:
    """Call the command line, and end where it fails."""
    sys.argv = ["featherweight", *words]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise


command("train", "plain.toml", "--out", "plain")
reload.reload_check = lambda *_: nullcontext(lambda: {"identical": True})  # once is enough
Path("plain.over").touch()
command("train", "stored.toml", "--out", "stored")
Path("stored.over").touch()
command("train", "windows.toml", "--out", "windows")
Path("windows.over").touch()
command("train", "bad.toml", "--out", "bad")
