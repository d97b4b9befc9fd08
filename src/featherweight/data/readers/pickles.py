"""Files that run code when they are opened: recognised by name or content, and refused with a way to convert them."""

from __future__ import annotations

import re
from pathlib import Path

from featherweight.data.readers.conversion import conversion_line

ENDINGS = {
    ".pkl": "pandas.read_pickle(sys.argv[1])",
    ".pickle": "pandas.read_pickle(sys.argv[1])",
    ".joblib": "joblib.load(sys.argv[1])",
    ".pt": "pandas.DataFrame(torch.load(sys.argv[1]))",
    ".pth": "pandas.DataFrame(torch.load(sys.argv[1]))",
    ".bin": "pandas.DataFrame(torch.load(sys.argv[1]))",
}
"""Endings of such files, each with what opens the file named first into something that writes a CSV file."""
SNIFFED = 64
"""First bytes of a file by which its content is told."""

# The oldest protocols are text; their first word is a bracket's mark, or the module of a class and then its name.
_OLD_PICKLE = re.compile(
    rb"\((?:lp|dp)\d+\n|c(?:copy_reg|copyreg|builtins|__builtin__|collections|pandas|datasets|numpy)[\w.]*\n\w+\n"
)


def content_ending(start: bytes) -> str | None:
    """The ending that a file with these first bytes ought to have, ``.pkl`` or ``.pt``; None where it is no pickle.

    From protocol 2 on a pickle begins with 0x80 and the protocol's number, which no text in UTF-8 does.
    """
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return ".pkl"
    if _OLD_PICKLE.match(start):
        return ".pkl"
    return ".pt" if start[:4] == b"PK\x03\x04" and b"/data.pkl" in start else None


def refusal(path: Path, origin: str, ending: str, *, inside: bool = False) -> str:
    """Why the file is not read, and the line that converts it; ``inside`` where only its content shows the kind."""
    load = ENDINGS[ending]
    what = f"is a {ending} file inside, whatever its name; opening one" if inside else f"opening a {ending} file"
    return (
        f"{origin}: {what} can run any code, so it is never read; if you trust it, convert it once:\n"
        f"  {conversion_line(load, path)}"
    )
