"""Texts that stand a line each: fastText's labels, labels after an @, fields in a .txt file, and no labels at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featherweight.data.source_tables import open_table
from featherweight.data.sources import read_rows
from featherweight.data.text_pieces import text_pieces
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

FASTTEXT = "__label__sport A late goal, again\n\n__label__World-News Votes are counted\n__label__sport A draw\n"
AT = "Shares rose by 3% @ noon@positive\nNothing changed.@neutral\nSales fell@negative\nCosts rose@negative\n"


def written(folder: Path, content: str | bytes, name: str) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def read(source: str, **values: Any) -> Any:
    return read_rows(source, DataRecipe(train=source, **values))


def labels_of(rows: Any) -> list[str]:
    return [rows.label_names[label] for label in rows.labels]


@pytest.mark.parametrize("name", ["train.txt", "cooking.train", "train", "train.csv", "train.txt.gz"])
def test_fasttext_is_told_by_its_lines(tmp_path: Path, name: str) -> None:
    import gzip

    content = gzip.compress(FASTTEXT.encode()) if name.endswith("gz") else FASTTEXT.encode()
    rows = read(written(tmp_path, content, name))
    assert rows.texts == ["A late goal, again", "Votes are counted", "A draw"]
    assert labels_of(rows) == ["sport", "World-News", "sport"]


def test_fasttext_labels_may_end_a_line_or_be_several(tmp_path: Path) -> None:
    source = written(tmp_path, "one two __label__a\n__label__a , __label__b three\n__label__b four\n", "t.txt")
    table = open_table(source, DataRecipe(), "train")
    assert list(table.read("text")) == ["one two", "three", "four"]
    assert list(table.read("label")) == ["a", ["a", "b"], "b"]


def test_what_stands_after_the_last_at_is_the_label(tmp_path: Path) -> None:
    rows = read(written(tmp_path, AT.replace("noon", "n\xf6\xf6n").encode("latin-1"), "phrases.txt"))
    assert rows.texts[:2] == ["Shares rose by 3% @ nöön", "Nothing changed."]
    assert labels_of(rows) == ["positive", "neutral", "negative", "negative"]
    assert [note.partition(": ")[2][:16] for note in rows.notes] == ["its bytes are no", "one text per lin"]


@pytest.mark.parametrize(("name", "values"), [("mails.txt", {}), ("mails.csv", {"format": "lines"})])
def test_lines_without_labels_are_texts_to_predict(tmp_path: Path, name: str, values: dict[str, Any]) -> None:
    source = written(tmp_path, "Write to a@b.org\nOr call, or come\n\nThanks\n", name)
    (rows,) = text_pieces(source, DataRecipe(**values), split="test", rows=10)
    assert rows.texts == ["Write to a@b.org", "Or call, or come", "", "Thanks"]
    with pytest.raises(UserError, match=r"no column 'label'.*\nWrite a label as __label__x before each text"):
        read(source, **values)


def test_texts_of_lines_are_those_of_the_column_of_the_recipe_whatever_its_name(tmp_path: Path) -> None:
    lines = written(tmp_path, "It rains\nIt snows\n", "lines.txt")
    (rows,) = text_pieces(lines, DataRecipe(text=["review"]), split="test", rows=10)
    assert rows.texts == ["It rains", "It snows"]
    rows = read(written(tmp_path, FASTTEXT, "rows.txt"), text=["review"], label="topic")
    assert (rows.texts[2], labels_of(rows)[2]) == ("A draw", "sport")
    for text in (["title", "body"], ["review"]):
        table = written(tmp_path, "id,comment\n1,It rains\n", "table.csv")
        source = lines if len(text) > 1 else table  # two columns are not one, and a table has names of its own
        with pytest.raises(UserError, match=f"no column {text[0]!r}"):
            list(text_pieces(source, DataRecipe(text=text), split="test", rows=10))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize(("lines", "texts"), [
    (["one two", "", "three", ""], ["one two", "", "three"]),
    (["", "one two", "  ", "", "three", "", ""], ["", "one two", "", "", "three", ""]),
    (["one two", "", "three", "\0" * 40], ["one two", "", "three"]),
])  # fmt: skip
def test_every_line_of_texts_alone_is_a_row(tmp_path: Path, end: str, lines: list[str], texts: list[str]) -> None:
    source = written(tmp_path, end.join(lines), "texts.txt")
    pieces = list(text_pieces(source, DataRecipe(), split="test", rows=2))
    assert [text for piece in pieces for text in piece.texts] == texts


@pytest.mark.parametrize(("name", "values"), [("a.txt", {}), ("a", {}), ("a.txt", {"format": "lines"})])
def test_a_file_of_empty_lines_is_empty(tmp_path: Path, name: str, values: dict[str, Any]) -> None:
    for content in ("", "\n\n", " \n\0\0"):
        with pytest.raises(UserError, match=f"{name}: the file is empty$"):
            read(written(tmp_path, content, name), **values)


@pytest.mark.parametrize("content", [
    "text\tlabel\nOne, two\ta\nThree\tb\n", "text|label\nOne, two|a\nThree|b\n", 'label,text\na,"One, two"\nb,Three\n',
])  # fmt: skip
def test_a_text_file_may_be_a_table(tmp_path: Path, content: str) -> None:
    rows = read(written(tmp_path, content, "rows.txt"))
    assert (rows.texts, labels_of(rows)) == (["One, two", "Three"], ["a", "b"])


def test_a_file_without_an_ending_may_be_a_table(tmp_path: Path) -> None:
    source = written(tmp_path, 'ham\tSay "hi\nspam\tWin, now\nham\tCall me\n', "SMSSpamCollection")
    rows = read(source, columns=["label", "text"])
    assert rows.texts[:2] == ['Say "hi', "Win, now"]
    with pytest.raises(UserError, match="first line seems to be a row"):
        read(source)


def test_the_format_of_the_recipe_is_taken_for_text_files_alone(tmp_path: Path) -> None:
    assert labels_of(read(written(tmp_path, "one@b\ntwo@1.5 kg\n", "rows.csv"), format="text@label")) == ["b", "1.5 kg"]
    source = written(tmp_path, "text,label\n__label__x a,b\nc,d\n", "rows.csv")
    assert read(source, format="csv").texts == ["__label__x a", "c"]
    source = written(tmp_path, '{"text": "a", "label": "b"}\n', "rows.jsonl")
    assert read(source, format="fasttext").texts == ["a"]


@pytest.mark.parametrize(
    ("name", "labels"),
    [("TREC.label", ["DESC:manner", "HUM:ind"]), ("sst.train.txt", ["0", "1"]), ("polarity.txt", ["-1", "0"])],
)
def test_a_number_or_a_subclass_before_each_text_is_its_label(tmp_path: Path, name: str, labels: list[str]) -> None:
    lines = [f"{labels[n % 2]} how is the weather number {n} ?" for n in range(12)]
    rows = read(written(tmp_path, "\n".join(lines), name))
    assert (rows.texts[3], labels_of(rows)[:2]) == ("how is the weather number 3 ?", labels)
    assert rows.notes[-1].endswith("the part before its first blank was read as its label")


@pytest.mark.parametrize(
    "lines",
    [
        [f"{n} bottles of beer on the wall" for n in range(12)],  # a list with numbers
        [f"{n % 3 * 5} cups of sugar" for n in range(12)],  # amounts
        ["I came here", "The room was bad", "Never again"] * 4,
        [*(f"{n % 2} of them came" for n in range(11)), "Nobody came"],
    ],
)
def test_other_numbers_and_words_before_a_text_are_part_of_it(tmp_path: Path, lines: list[str]) -> None:
    source = written(tmp_path, "\n".join(lines), "texts.txt")
    assert open_table(source, DataRecipe(), "test").read("text") == lines


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("eng.train.txt", "-DOCSTART- -X- -X- O\n\n" + "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n. . O O\n\n" * 3),
        ("ner.conll", "EU\tB-ORG\nrejects\tO\ncalls\tO\n\n" * 3),
        (
            "en.conllu",
            "# sent_id = 1\n1\tThey\tthey\tPRON\tPRP\t_\t2\tnsubj\n2\tbuy\tbuy\tVERB\tVBP\t_\t0\troot\n\n" * 3,
        ),
    ],
)
def test_tokens_with_tags_are_no_texts(tmp_path: Path, name: str, content: str) -> None:
    told = r"each line is a token and its tag \(CoNLL\), but a classifier needs one label per text\nConvert it to a CSV"
    with pytest.raises(UserError, match=told):
        read(written(tmp_path, content, name))
