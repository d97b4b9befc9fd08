"""Files of texts without labels, in several formats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ["apple pear plum", 'robin, crow and "heron"', "zinc\tsilver", "two\nlines", "owl", "Größe — 東京", "iron"]
IDS = [f"{number:03d}" for number in (17, 3, 99, 8, 21, 4, 50)]


def as_csv(delimiter: str, texts: Sequence[str] = TEXTS) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([["ID", "text"], *zip(IDS, texts, strict=True)])
    return out.getvalue().encode()


def as_objects(texts: Sequence[str] = TEXTS) -> list[str]:
    return [json.dumps({"ID": row, "text": text}) for row, text in zip(IDS, texts, strict=True)]


def as_parquet(texts: Sequence[str | None] = TEXTS, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"embedding": [[0.5]] * len(texts), "text": texts, "ID": IDS}), out, **options)
    return out.getvalue()


def write(folder: Path, name: str, content: bytes | str) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def many_rows(folder: Path, kind: str, count: int) -> str:
    path = folder / f"{count}.{kind}"
    if kind == "parquet":  # all rows in one row group, as most tools write them
        pq.write_table(pa.table({"text": [f"text {row} of many" for row in range(count)]}), path)
    elif kind == "jsonl":
        path.write_text("".join(f'{{"text": "text {row} of many"}}\n' for row in range(count)))
    else:
        path.write_text("text\n" + "".join(f"text {row} of many\n" for row in range(count)))
    return str(path)


def workbook(*sheets: list[list[Any]]) -> bytes:
    """An Excel file with these sheets, each a list of rows."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Sheet {number}")
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
