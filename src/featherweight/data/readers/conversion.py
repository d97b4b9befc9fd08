"""Commands that convert or unpack files of formats that cannot be read directly."""

from __future__ import annotations

import shlex
from pathlib import Path

_PANDAS = {
    ".xls": ("pandas.read_excel(sys.argv[1])", "xlrd"),
    ".xlsb": ("pandas.read_excel(sys.argv[1])", "pyxlsb"),
    ".ods": ("pandas.read_excel(sys.argv[1])", "odfpy"),
    ".feather": ("pandas.read_feather(sys.argv[1])", None),
    ".arrow": ("pandas.read_feather(sys.argv[1])", None),
    ".orc": ("pandas.read_orc(sys.argv[1])", None),
    ".sav": ("pandas.read_spss(sys.argv[1])", "pyreadstat"),
    ".dta": ("pandas.read_stata(sys.argv[1])", None),
    ".sas7bdat": ("pandas.read_sas(sys.argv[1])", None),
    ".xml": ("pandas.read_xml(sys.argv[1])", "lxml"),
    ".html": ("pandas.read_html(sys.argv[1])[0]", "lxml"),
    ".htm": ("pandas.read_html(sys.argv[1])[0]", "lxml"),
    ".yaml": ("pandas.DataFrame(yaml.safe_load(open(sys.argv[1])))", "pyyaml"),
    ".yml": ("pandas.DataFrame(yaml.safe_load(open(sys.argv[1])))", "pyyaml"),
    ".sqlite": ("pandas.read_sql('select * from TABLE', sqlite3.connect(sys.argv[1]))", None),
    ".db": ("pandas.read_sql('select * from TABLE', sqlite3.connect(sys.argv[1]))", None),
}
"""File extensions of tables, each with the pandas expression that reads them, and the extra package it needs."""
_UNPACKED = {
    ".tar": "tar -xf",
    ".tgz": "tar -xf",
    ".tbz2": "tar -xf",
    ".txz": "tar -xf",
    ".rar": "unrar x",
    ".7z": "7z x",
}
"""File extensions of archives, each with the command that unpacks them."""
_DOCUMENTS = frozenset({".pdf", ".doc", ".docx", ".rtf", ".odt"})
FOREIGN = frozenset({*_PANDAS, *_UNPACKED, *_DOCUMENTS})
"""Extensions of files that cannot be read directly, but can be converted or unpacked."""
_MAGIC = {
    b"\xd0\xcf\x11\xe0": ".xls",
    b"ARROW1": ".arrow",
    b"SQLite format 3": ".sqlite",
    b"%PDF": ".pdf",
    b"Rar!": ".rar",
    b"7z\xbc\xaf": ".7z",
}


def foreign_ending(ending: str, start: bytes) -> str | None:
    """The extension that says how to convert a file; None if no conversion is known.

    The first bytes of the file (``start``) determine it. If they match no known format, the file's extension ``ending``
    is used.
    """
    inside = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    if inside == ".xls" and ending in _DOCUMENTS:  # Word and Excel had the same container
        inside = ending
    if inside is None and start[257:262] == b"ustar":
        inside = ".tar"
    return inside or (ending if ending in FOREIGN else None)


def conversion(path: Path, origin: str, ending: str) -> str:
    """The message that a file with this extension cannot be read, with the command that converts or unpacks it."""
    if ending in _UNPACKED:
        return f"{origin}: is an archive; unpack it, and name the data file in it: {_UNPACKED[ending]} {_quoted(path)}"
    if ending in _DOCUMENTS:
        return f"{origin}: is a document, not a table; save its texts as .txt files, in one folder for each class"
    load, package = _PANDAS[ending]
    first = f" (pip install {package} first)" if package else ""
    return f"{origin}: {ending} files cannot be read; convert it to CSV{first}:\n  {conversion_line(load, path)}"


def conversion_line(load: str, path: Path) -> str:
    """The command that converts a file to CSV in the same folder; ``load`` is the Python expression that reads it."""
    others = [name for name in ("joblib", "torch", "sqlite3", "yaml") if f"{name}." in load]
    needed = ", ".join([*others, *(["pandas"] if "pandas." in load else [])])
    return (
        f'python -c "import sys, {needed}; {load}.to_csv(sys.argv[2], index=False)" '
        f"{shlex.join([str(path), str(free_name(path))])}"
    )


def free_name(path: Path, ending: str = ".csv") -> Path:
    """A file name next to ``path`` that does not exist yet, so that the suggested command overwrites nothing."""
    stem = path.name.split(".")[0]
    tried = (path.with_name(f"{stem}-converted{count}{ending}") for count in ("", *range(2, 1000)))
    return next(name for name in tried if not name.exists())


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
