"""Files of SNIPS, Rasa NLU and Reuters-21578 are refused with a line of Python that makes a CSV of them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe
from featherweight.recipe.data_files import is_data

PARTS = [{"text": "Add "}, {"text": "a song", "entity": "item"}, {"text": ' to my "list", please'}]
INTENTS = {"AddToPlaylist": [{"data": PARTS}, {"data": [{"text": "add it"}]}], "GetWeather": [{"data": PARTS[1:2]}]}
OF_INTENTS = [
    ('Add a song to my "list", please', "AddToPlaylist"), ("add it", "AddToPlaylist"), ("a song", "GetWeather"),
]  # fmt: skip
NLU = """version: "3.1"

nlu:
# small talk
- intent: greet
  examples: |
    - hey
    - hello, [Bob](name) and [Ann]{"entity": "name"}

- synonym: town
  examples: |
    - city
- intent: faq/hours
  examples:
  - text: |
      when - if at all - do you open?
    metadata: {sentiment: neutral}
  - text: |
      - open now?
"""
OF_NLU = [
    ("hey", "greet"), ("hello, Bob and Ann", "greet"), ("when - if at all - do you open?", "faq/hours"),
    ("open now?", "faq/hours"),
]  # fmt: skip
REUTERS = """<!DOCTYPE lewis SYSTEM "lewis.dtd">
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" CGISPLIT="TRAINING-SET" OLDID="5544" NEWID="1">
<DATE>26-FEB-1987</DATE>
<TOPICS><D>cocoa</D><D>trade</D></TOPICS>
<PLACES><D>brazil</D></PLACES>
<TEXT>&#2;
<TITLE>COCOA &lt;BR> IS UP</TITLE>
<DATELINE>    SALVADOR, Feb 26 - </DATELINE><BODY>Showers, "it" said,
continued. Reuter
&#3;</BODY></TEXT>
</REUTERS>
<REUTERS TOPICS="NO" LEWISSPLIT="NOT-USED" CGISPLIT="TRAINING-SET" OLDID="5545" NEWID="2">
<TOPICS></TOPICS>
<TEXT TYPE="BRIEF">&#2;
<TITLE>No body</TITLE></TEXT>
</REUTERS>
"""
OF_REUTERS = [
    ('COCOA <BR> IS UP SALVADOR, Feb 26 - Showers, "it" said, continued. Reuter', "cocoa|trade"), ("No body", ""),
]  # fmt: skip
FILES: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    ("snips.json", json.dumps(INTENTS), "is a file of SNIPS", OF_INTENTS),
    ("one.json", json.dumps({"GetWeather": INTENTS["GetWeather"]}), "add the files of the other intents at its end",
     OF_INTENTS[2:]),
    ("set.json", json.dumps({"language": "en", "entities": {}, "intents": {
        name: {"utterances": found} for name, found in INTENTS.items()}}), "is a file of SNIPS", OF_INTENTS),
    ("nlu.yml", NLU, "is training data of Rasa NLU; convert it to CSV (pip install pyyaml first)", OF_NLU),
    ("our nlu.yaml", NLU.replace("\n", "\r\n"), "is training data of Rasa NLU", OF_NLU),
    ("reut2-000.sgm", REUTERS, "is a file of Reuters-21578 (SGML)", OF_REUTERS),
    ("reuters.sgml", REUTERS, "is a file of Reuters-21578 (SGML)", OF_REUTERS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words", "rows"), FILES, ids=[name for name, *_ in FILES])
def test_the_line_of_python_makes_a_csv_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, words: str, rows: Any
) -> None:
    if "nlu" in name:
        pytest.importorskip("yaml")
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content.encode())
    assert is_data(name)
    with pytest.raises(UserError) as refused:
        read_rows(name, DataRecipe())
    first, line = str(refused.value).split("\n")
    assert first.startswith(f"{name}: ") and words in first and len(line) < 640
    python, *arguments = shlex.split(line)
    assert python == "python"
    subprocess.run([sys.executable, *arguments], check=True, timeout=120)
    converted = pd.read_csv(arguments[2], keep_default_na=False)
    assert list(zip(converted["text"], converted["label"], strict=True)) == rows


def test_a_converted_file_of_reuters_has_several_labels_and_its_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("reut2-000.sgm", "reut2-001.sgm"):
        Path(name).write_text(REUTERS, "latin-1")
    with pytest.raises(UserError, match="add further files at its end") as refused:
        read_rows("reut2-000.sgm", DataRecipe())
    _, *arguments = shlex.split(str(refused.value).split("\n")[1])
    subprocess.run([sys.executable, *arguments, "reut2-001.sgm"], check=True, timeout=120)
    assert pd.read_csv(arguments[2])["split"].tolist() == ["TRAIN", "NOT-USED"] * 2
    rows = read_rows(arguments[2], Recipe.parse({"task": "multi-label"}).data)
    assert (rows.labels.tolist(), rows.label_names) == ([[1, 1], [0, 0]] * 2, ("cocoa", "trade"))


@pytest.mark.parametrize(("name", "content", "words"), [
    ("job.yaml", "data:\n  train: rows.csv\n", ".yaml files cannot be read (a recipe is a TOML file); convert data to"),
    ("other.sgml", "<doc>text</doc>", ".sgml files (SGML) cannot be read; save its texts and labels as CSV"),
])  # fmt: skip
def test_other_files_of_these_kinds_say_what_they_are(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(UserError) as refused:
        read_rows(str(tmp_path / name), DataRecipe())
    assert words in str(refused.value)
