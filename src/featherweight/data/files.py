"""Data files: CSV, TSV, JSON, JSON Lines and Parquet, plain or compressed with gzip or zstd."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from featherweight.data.delimited import read_delimited
from featherweight.data.tables import Table, table_in_memory
from featherweight.errors import UserError

COMPRESSED = (".gz", ".zst", ".zstd")
KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
CODE_RUNNING = {
    ".pkl": "pandas.read_pickle('{name}')",
    ".pickle": "pandas.read_pickle('{name}')",
    ".joblib": "joblib.load('{name}')",
    ".pt": "pandas.DataFrame(torch.load('{name}'))",
    ".pth": "pandas.DataFrame(torch.load('{name}'))",
    ".bin": "pandas.DataFrame(torch.load('{name}'))",
}


def open_file(path: Path, origin: str) -> Table:
    """The table in a data file, its kind told by the name's ending; ``origin`` names it in messages.

    Raises UserError, with line or row, for an unknown kind, for bytes that are not UTF-8 and for anything malformed.
    """
    kind = file_kind(path, origin)
    try:
        if kind == "parquet":
            return _read_parquet(path, origin)
        with _text(path, origin) as lines:
            if kind in ("csv", "tsv"):
                return read_delimited(lines, origin, tabs=kind == "tsv")
            return _read_json(lines, origin) if kind == "json" else _read_json_lines(lines, origin)
    except OSError as error:
        raise UserError(f"{origin}: cannot be read: {error.strerror or error}") from None


def file_kind(path: Path, origin: str) -> str:
    """``csv``, ``tsv``, ``json``, ``jsonl`` or ``parquet``. Raises UserError for any other ending."""
    endings = [ending.lower() for ending in path.suffixes]
    while endings and endings[-1] in COMPRESSED:
        endings.pop()
    ending = endings[-1] if endings else ""
    if ending in CODE_RUNNING:
        raise UserError(_refusal(path, origin, ending))
    if ending not in KINDS:
        raise UserError(
            f"{origin}: {ending or 'no ending'}: not a kind of data file that is read here; use "
            ".csv, .tsv, .json, .jsonl or .parquet, each also with .gz or .zst after it"
        )
    return KINDS[ending]


def looks_like_file(source: str) -> bool:
    """Whether a name is meant as a path rather than as a data set on the hub."""
    endings = {ending.lower() for ending in Path(source).suffixes}
    known = bool(endings & {*KINDS, *COMPRESSED, *CODE_RUNNING})
    return known or source.startswith((".", "/", "~")) or source.count("/") > 1


def _refusal(path: Path, origin: str, ending: str) -> str:
    load = CODE_RUNNING[ending].format(name=path.name)
    modules = "torch, pandas" if "torch" in load else "joblib" if "joblib" in load else "pandas"
    target = path.name.lower().split(ending)[0] + ".csv"
    return (
        f"{origin}: opening a {ending} file can run any code, so it is never read; if you trust it, convert it once:\n"
        f"  python -c \"import {modules}; {load}.to_csv('{target}', index=False)\""
    )


def _open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked; the first bytes tell the compression, whatever the name says."""
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.open(path))
    if start == b"\x28\xb5\x2f\xfd":
        import pyarrow

        return cast(BinaryIO, pyarrow.input_stream(str(path), compression="zstd"))
    return path.open("rb")


@contextmanager
def _text(path: Path, origin: str) -> Iterator[TextIO]:
    try:
        with _open_bytes(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError:
        raise UserError(_wrong_byte(path, origin)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{origin}: damaged gzip file: {error}") from None


def _wrong_byte(path: Path, origin: str) -> str:
    # The text layer decodes in blocks and cannot say where it stood, so look again, line by line.
    place = "a byte"
    with _open_bytes(path) as file:
        for number, line in enumerate(iter(file.readline, b""), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                place = f"line {number}, byte {error.start + 1} (0x{line[error.start]:02x})"
                break
    return f"{origin}: {place} is not UTF-8; save the file as UTF-8 and try again"


def _read_json(text: TextIO, origin: str) -> Table:
    content = text.read()
    if not content.lstrip().startswith("["):
        # Many a ".json" file holds one object a line.
        return _read_json_lines(io.StringIO(content), origin)
    return _from_objects(_parse(content, origin), origin)


def _read_json_lines(lines: TextIO, origin: str) -> Table:
    rows = (_parse(line, origin, number) for number, line in enumerate(_lines(lines), 1) if line.strip())
    return _from_objects(list(rows), origin)


def _lines(text: TextIO) -> Iterator[str]:
    # JSON Lines ends a line with \n alone; other separators may stand inside its strings.
    return (line.rstrip("\r\n") for line in iter(text.readline, ""))


def _parse(content: str, origin: str, line: int | None = None) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        where = f"line {line or error.lineno}: broken JSON at column {error.colno}"
        raise UserError(f"{origin}: {where}: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        where = f"line {line}: " if line else ""
        raise UserError(f"{origin}: {where}broken JSON: {error}") from None


def _from_objects(rows: list[Any], origin: str) -> Table:
    if not rows:
        raise UserError(f"{origin}: the file has no rows")
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UserError(f'{origin}: row {number}: not a JSON object such as {{"text": ..., "label": ...}}')
        names.update(dict.fromkeys(row))
    return table_in_memory(origin, {name: [row.get(name) for row in rows] for name in names})


def _read_parquet(path: Path, origin: str) -> Table:
    import pyarrow
    import pyarrow.parquet

    def column(name: str) -> list[Any]:
        try:
            return cast(list[Any], file.read(columns=[name]).column(name).to_pylist())
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{origin}: column {name!r} cannot be read: {_first_line(error)}") from None

    try:
        with _open_bytes(path) as source:
            packed = not isinstance(source, io.BufferedReader)
            file = pyarrow.parquet.ParquetFile(io.BytesIO(source.read()) if packed else str(path))
        schema = file.schema_arrow
    except (pyarrow.ArrowException, EOFError, zlib.error) as error:
        raise UserError(f"{origin}: not a readable Parquet file: {_first_line(error)}") from None
    return Table(origin, tuple(schema.names), column, classes=_parquet_classes(schema.metadata))


def _parquet_classes(metadata: dict[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Class names that `datasets` wrote beside the columns; an empty mapping where there are none."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        named = {name: kind["names"] for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
        return {name: tuple(map(str, names)) for name, names in named.items()}
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
