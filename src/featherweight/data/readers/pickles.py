"""Files that can run code when they are opened (pickles): they are refused, with the command that converts them."""

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
"""Extensions of such files, each with an expression that loads the file as an object with a ``to_csv`` method."""
SNIFFED = 64
"""Number of bytes at the start of a file that are enough to recognise a pickle."""

# The oldest pickle protocols are text: they begin with the opcode of a list or dict, or with a module and class name.
_OLD_PICKLE = re.compile(
    rb"\((?:lp|dp)\d+\n|c(?:copy_reg|copyreg|builtins|__builtin__|collections|pandas|datasets|numpy)[\w.]*\n\w+\n"
)


def content_ending(start: bytes) -> str | None:
    """The extension that a file with these first bytes should have, ``.pkl`` or ``.pt``; None if it is not a pickle.

    From protocol 2 on, a pickle begins with 0x80 and the number of the protocol. No text in UTF-8 does.
    """
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return ".pkl"
    if _OLD_PICKLE.match(start):
        return ".pkl"
    return ".pt" if start[:4] == b"PK\x03\x04" and b"/data.pkl" in start else None


def refusal(path: Path, origin: str, ending: str, *, inside: bool = False) -> str:
    """The message that refuses a pickle, with the command that converts it.

    ``inside`` says that the content, not the name, shows what kind of file it is.
    """
    load = ENDINGS[ending]
    what = f"has the content of a {ending} file; opening one" if inside else f"opening a {ending} file"
    return (
        f"{origin}: {what} can run any code, so it is never opened; if you trust it, convert it to CSV:\n"
        f"  {conversion_line(load, path)}"
    )
