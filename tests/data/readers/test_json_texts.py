"""Objects with a list of texts: when each of these texts is a row; and JSON in files with another extension."""

from pathlib import Path

import pytest

from featherweight.data.readers.json_texts import keys_of_texts
from featherweight.data.readers.reading import Reading
from featherweight.data.sources import read_rows
from featherweight.recipe import DataRecipe


@pytest.mark.parametrize(
    ("row", "known", "keys"),
    [
        ({"tag": "greeting", "patterns": ["Hi", "Hello"], "responses": ["Hello!"]}, (), ("patterns", "tag")),
        ({"category": "small talk", "tag": "bye", "texts": ["Bye"]}, ("text", "label"), ("texts", "tag")),
        ({"tweet": "great phone", "label": "good", "phrases": ["great", "phone"]}, (), None),
        ({"tweet": "great", "label": "good", "phrases": ["great"]}, ("tweet", "label"), None),
    ],
)
def test_texts_of_a_list_are_rows_unless_another_value_is_the_text(row, known, keys):
    assert keys_of_texts(row, Reading(known=known)) == keys


@pytest.mark.parametrize(
    "lines",
    [
        ['{"text": "a, b", "label": 1}', '{"text": "c", "label": 0}'],
        ['[{"text": "a, b", "label": 1}, {"text": "c", "label": 0}]'],
    ],
)
def test_json_is_read_whatever_the_file_is_called(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    assert read_rows(str(path), DataRecipe()).texts == ["a, b", "c"]
    path.write_text('{x},label\n"[{1}]",a\n[2],b\n', "utf-8")
    assert read_rows(str(path), DataRecipe(text=("{x}",))).texts == ["[{1}]", "[2]"]
