"""Commands that convert or unpack files of formats that cannot be read directly."""

from __future__ import annotations

import re
import shlex
from contextlib import closing
from pathlib import Path

from featherweight.formatting import listed

_PANDAS = {
    ".xls": ("pandas.read_excel(sys.argv[1])", "xlrd"),
    ".xlsb": ("pandas.read_excel(sys.argv[1])", "pyxlsb"),
    ".ods": ("pandas.read_excel(sys.argv[1])", "odfpy"),
    ".feather": ("pandas.read_feather(sys.argv[1])", None),
    ".arrow": ("pandas.read_feather(sys.argv[1])", None),
    ".arrows": ("pyarrow.ipc.open_stream(open(sys.argv[1], 'rb')).read_pandas()", None),
    ".orc": ("pandas.read_orc(sys.argv[1])", None),
    ".sav": ("pandas.read_spss(sys.argv[1])", "pyreadstat"),
    ".dta": ("pandas.read_stata(sys.argv[1])", None),
    ".sas7bdat": ("pandas.read_sas(sys.argv[1])", None),
    ".xml": ("pandas.read_xml(sys.argv[1])", "lxml"),
    ".html": ("pandas.read_html(sys.argv[1])[0]", "lxml"),
    ".htm": ("pandas.read_html(sys.argv[1])[0]", "lxml"),
    ".sqlite": ("pandas.read_sql('select * from TABLE', sqlite3.connect(sys.argv[1]))", None),
    ".npy": ("pandas.DataFrame(numpy.load(sys.argv[1]))", None),
    ".npz": ("pandas.DataFrame({name: list(array) for name, array in numpy.load(sys.argv[1]).items()})", None),
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
YAML = frozenset({".yaml", ".yml"})
"""Extensions of YAML files."""
_TOML = ".toml"
_DUMP = ".sql"
_DOCUMENTS = frozenset({".pdf", ".doc", ".docx", ".rtf", ".odt"})
FOREIGN = frozenset({*_PANDAS, *_UNPACKED, *_DOCUMENTS, *YAML, _TOML, _DUMP})
"""Extensions of files that cannot be read directly, but can be converted or unpacked."""
_MAGIC = {
    b"\xd0\xcf\x11\xe0": ".xls",
    b"ARROW1": ".arrow",
    b"SQLite format 3": ".sqlite",
    b"\x93NUMPY": ".npy",
    b"%PDF": ".pdf",
    b"Rar!": ".rar",
    b"7z\xbc\xaf": ".7z",
}


def foreign_ending(ending: str, start: bytes) -> str | None:
    """The extension of a foreign format that the file has, such as ``.xls``; None if there is no conversion for it.

    It is detected from the first bytes of the file (``start``). If they match no known format, it is ``ending``, the
    extension of the file.
    """
    inside = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    if inside == ".xls" and ending in _DOCUMENTS:  # Word and Excel had the same container
        inside = ending
    if inside == ".arrow" and ending == ".feather":
        inside = ending
    if (
        inside is None and ending == ".arrow"
    ):  # without the magic of a file, it is a stream, such as those of `datasets`
        inside = ".arrows"
    if inside is None and start[257:262] == b"ustar":
        inside = ".tar"
    return inside or (ending if ending in FOREIGN else None)


def conversion(path: Path, origin: str, ending: str) -> str:
    """The message that ``ending`` files cannot be read, with the command that converts or unpacks ``path``."""
    if ending in _UNPACKED:
        line = f"{_UNPACKED[ending]} {_quoted(path)}"
        return f"{origin}: is an archive; unpack it, and use the path of the data in it:\n  {line}"
    if ending in _DOCUMENTS:
        return f"{origin}: is a document, not a table; save its texts as .txt files, in one folder for each class"
    if ending == _DUMP:
        return f"{origin}: is a dump of a database; load it into the database, and save its table as CSV"
    if ending in YAML or ending == _TOML:
        return f"{origin}: {_line_to_json(path, ending)}"
    load, package = _PANDAS[ending]
    first, tables = f" (pip install {package} first)" if package else "", ""
    if "TABLE" in load:
        names = _tables_of(path)
        load = load.replace("TABLE", names[0] if names else "TABLE")
        tables = f"; its tables are {listed(names, 6)}" if len(names) > 1 else ""
        first = first if names else " (with the name of its table for TABLE)"
    what = "Arrow streams" if ending == ".arrows" else f"{ending} files"
    return f"{origin}: {what} cannot be read{tables}; convert it to CSV{first}:\n  {conversion_line(load, path)}"


def _line_to_json(path: Path, ending: str) -> str:
    """The end of the message for YAML and TOML files: the command that converts ``path`` to JSON."""
    if ending == _TOML:
        load, module, what = "tomllib.load(open(sys.argv[1], 'rb'))", "tomllib", "a TOML file is read as a recipe only"
    else:
        load, module = "yaml.safe_load(open(sys.argv[1], encoding='utf-8'))", "yaml"
        what = f"{ending} files cannot be read (a recipe is a TOML file)"
    code = f"import json, sys, {module}; json.dump({load}, open(sys.argv[2], 'w'), default=str)"
    first = "" if ending == _TOML else " (pip install pyyaml first)"
    files = shlex.join([str(path), str(free_name(path, ".json"))])
    return f'{what}; convert data to JSON{first}:\n  python -c "{code}" {files}'


def _tables_of(path: Path) -> list[str]:
    """The tables of an SQLite database, without those whose names need quoting; empty if it cannot be read."""
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("select name from sqlite_master where type = 'table'").fetchall()
    except sqlite3.Error:
        return []
    return [
        name for (name,) in found if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and not name.startswith("sqlite_")
    ]


def conversion_line(load: str, path: Path) -> str:
    """The command that converts a file to CSV in the same folder; ``load`` is the Python expression that reads it."""
    others = [name for name in ("joblib", "torch", "numpy", "sqlite3", "pyarrow.ipc") if f"{name}." in load]
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
