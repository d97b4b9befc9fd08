"""Text tables of any dialect give the same rows, and a file without a header is told from one with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.readers.header import proposed_names
from featherweight.data.source_tables import open_table
from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

pytestmark = pytest.mark.usefixtures("as_options")

TEXTS = ["Shares fall, again; sharply", 'He said "no" | twice', "Plain", "Late goal, late win", "Rain"]
LABELS = ["World", "Sports", "World", "Sports", "World"]


def written(folder: Path, content: str | bytes, name: str = "rows.csv") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def read(source: str, **values: Any) -> Any:
    return read_rows(source, DataRecipe(train=source, **values))


def table(separator: str) -> str:
    quoted = ['"' + text.replace('"', '""') + '"' for text in TEXTS]
    rows = [f"{text}{separator}{label}" for text, label in zip(quoted, LABELS, strict=True)]
    return "\r\n".join([f"text{separator}label", *rows]) + "\r\n"


@pytest.mark.parametrize(("content", "notes"), [
    (table(","), []),
    (table(";"), ["its fields are separated by ';'"]),
    (table("|"), ["its fields are separated by '|'"]),
    (table("\t"), ["its fields are separated by a tab"]),
    (table("^"), ["its fields are separated by '^'"]),
    (table("\x01"), ["its fields are separated by '\\x01'"]),
    ("sep=;\r\n" + table(";"), ["its fields are separated by ';'"]),
    ('"SEP=|"\n' + table("|"), ["its fields are separated by '|'"]),
    ("# exported 2024\n# by me, or you\n" + table(","), ["2 comment lines (#) at the start of the file were skipped"]),
])  # fmt: skip
def test_separator_and_lines_before_the_header_are_told_by_the_content(
    tmp_path: Path, content: str, notes: list[str]
) -> None:
    source = written(tmp_path, content)
    rows = read(source)
    assert (rows.texts, [rows.label_names[label] for label in rows.labels]) == (TEXTS, LABELS)
    assert list(rows.notes) == [f"{source}: {note}" for note in notes]


def test_the_separator_is_the_one_that_splits_all_rows_alike(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "text;label;note (a, b)\nOne, two;x;\nThree;y;\n"))
    assert (rows.texts, rows.label_names) == (["One, two", "Three"], ("x", "y"))


def test_blanks_between_separator_and_quotation_mark_are_no_part_of_the_field(tmp_path: Path) -> None:
    rows = read(written(tmp_path, 'id, text, label\n1, "a, b", x\n2, "c", y\n3, d, y\n'))
    assert (rows.texts, rows.label_names, rows.ids) == (["a, b", "c", "d"], ("x", "y"), ["1", "2", "3"])
    # A quotation that a blank goes before is one where the field goes on after it.
    rows = read(written(tmp_path, 'id,text,label\n1, "Yes" he said,x\n2, "No" she said,y\n'))
    assert rows.texts == [' "Yes" he said', ' "No" she said']


def test_a_name_may_begin_with_a_hash(tmp_path: Path) -> None:
    source = written(tmp_path, "#id,text,label\n1,one,x\n2,#two,y\n")
    assert open_table(source, DataRecipe(), "train").names == ("#id", "text", "label")
    assert read(source).texts == ["one", "#two"]


def test_a_comment_with_as_many_commas_as_the_header_is_one(tmp_path: Path) -> None:
    rows = "".join(f"The parcel {n} has not arrived,{'xy'[n % 2]}\n" for n in range(8))
    source = written(tmp_path, f"# exported by Redash, 2024-01-02\nKommentar,Klasse\n{rows}")
    assert open_table(source, DataRecipe(), "train").names == ("Kommentar", "Klasse")
    source = written(tmp_path, f"# comment, kind\n{rows}")
    assert open_table(source, DataRecipe(), "train").names == ("# comment", "kind")


def test_the_separator_of_the_recipe_is_taken_whatever_the_content(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "text:label\na, b:x\nc, d:y\n"), separator=":")
    assert (rows.texts, rows.label_names) == (["a, b", "c, d"], ("x", "y"))


def test_lines_are_counted_from_the_start_of_the_file(tmp_path: Path) -> None:
    source = written(tmp_path, "sep=;\n# note\ntext;label\na;x\nb\n")
    with pytest.raises(UserError, match=r"line 5: 1 field, but the first line has 2\nIf the line is no row"):
        read(source)


@pytest.mark.parametrize("separator", [",", ";"])
def test_rows_without_their_last_fields_are_told_the_command_that_fills_them(tmp_path: Path, separator: str) -> None:
    lines = ["id,text,label,note", '1,"a ""b"", é",x', '2,"c\nd",y,seen', "", "3,e,x", ""]
    source = written(tmp_path, "\n".join(line.replace(",", separator) for line in lines) + "\n")
    with pytest.raises(UserError, match="line 2: 3 fields, but the first line has 4\n") as refused:
        read(source)
    command = str(refused.value).partition("if fields are left out: ")[2]
    command = command.replace("python", sys.executable, 1).replace("FILE", "rows.csv").replace("NEW", "filled.csv")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    rows = read(str(tmp_path / "filled.csv"))
    assert (rows.texts[0], len(rows)) == (f'a "b"{separator} é', 3)
    assert [rows.label_names[label] for label in rows.labels] == ["x", "y", "x"]


def test_columns_without_a_name_and_others_called_alike_do_no_harm(tmp_path: Path) -> None:
    source = written(tmp_path, "v1,v2,,,\nspam,Win now,,,\nham,Hello,,,\n")
    assert open_table(source, DataRecipe(), "train").names == ("v1", "v2")
    assert read(source, text=["v2"], label="v1").texts == ["Win now", "Hello"]
    source = written(tmp_path, ",text,note,label,note\n0,a,b,x,c\n1,d,e,y,f\n")
    assert read(source).texts == ["a", "d"]
    with pytest.raises(UserError, match="two columns are called 'note'; rename one"):
        read(source, text=["note"])


TWEETS = "4,1467,Mon 22:19,user1,Off to the beach at last!\n0,1468,Mon 22:20,user2,My phone died again today...\n"
HEADERLESS = [
    (TWEETS * 3, '["label", "column2", "column3", "column4", "text"]'),
    ("ham,Hello there\nspam,Win cash now\nham,Call me\n", '["label", "text"]'),
    ("ham\tHello there\nspam\tWin cash now\nham\tCall me\n", '["label", "text"]'),
    ("0;A lot of rain, again.\n1;The sun is out today.\n1;Fog in the valley.\n", '["label", "text"]'),
    ("2,A great book,I read it twice.\n1,A bad one,It fell apart.\n2,Fine,It is good.\n",
     '["label", "title", "description"]'),
    ("1\tA red car stops.\tA car stops.\n0\tIt rains a lot.\tIt snows.\n1\tHe eats.\tHe is eating.\n",
     '["label", "title", "description"]'),
    ("".join(f"0,{n},Mon 22:{n}:01,none,Text number {n} is here.\n" * 4 for n in range(30)),
     '["column1", "column2", "column3", "column4", "text"]'),
    ('"I would like to know what is left on my card, please!"\nwhere is my money\n"How do I block it?"\n', '["text"]'),
]  # fmt: skip


@pytest.mark.parametrize(("content", "names"), HEADERLESS, ids=[names for _, names in HEADERLESS])
def test_a_file_without_a_header_is_refused_with_the_names_to_type(tmp_path: Path, content: str, names: str) -> None:
    with pytest.raises(UserError) as caught:
        read(written(tmp_path, content))
    message = str(caught.value)
    assert "first line seems to be a row" in message and f"--set 'data.columns={names}'" in message
    assert "its columns are" not in message and message.count("\n") == 1


DOUBTS = [
    ("5,Is it on?,,Yes it is on.\n7,How far is it?,I walk.,Two miles or so.\n5,Why so?,We ask.,Because they say so.\n",
     "add --text column2 --text column3 --text text"),
    ("world,usa,The king is here.\nsport,nfl,They won.\nworld,usa,It rained all day.\nsport,nfl,He ran a mile.\n",
     "Which column holds the labels is a guess; other columns with few different values: "),
    ("球队进球了好多次\t股市今天大幅上涨\t1\n电影导演获得大奖\t新手机电池耐用\t0\n专家建议多喝水\t城市新建地铁\t1\n",
     "If title and description are a pair, such as premise and hypothesis, add --set data.join=pair"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), DOUBTS, ids=[words[:30] for _, words in DOUBTS])
def test_what_the_proposed_names_may_have_got_wrong_is_said(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        read(written(tmp_path, content))
    assert words in str(caught.value) and str(caught.value).count("\n") == 1


def test_single_quotation_marks_enclose_fields_where_double_ones_do_not(tmp_path: Path) -> None:
    content = "Web;'A car; it is red.'\nEtat;'Rain; snow; fog.'\nWeb;It is warm.\n"
    rows = read(written(tmp_path, content), columns=["label", "text"])
    assert rows.texts == ["A car; it is red.", "Rain; snow; fog.", "It is warm."]
    rows = read(written(tmp_path, "text,label\n'tis late,x\n'twas me,y\n"))
    assert rows.texts == ["'tis late", "'twas me"]


SURVEYS = [
    'Status,Q1,Q2\nStatus,Recommend?,Why?\n"{""ImportId"":""status""}","{""ImportId"":""QID1""}",x\n',
    "Respondent,Q1,Q2\n,Response,Open-Ended Response\n",
]


@pytest.mark.parametrize("head", SURVEYS)
def test_rows_that_explain_the_columns_of_a_survey_are_left_out(tmp_path: Path, head: str) -> None:
    path = written(tmp_path, head + "1,yes,It is good.\n2,no,It broke.\n" * 4)
    table = open_table(path, DataRecipe(), "train")
    assert table.read("Q1") == ["yes", "no"] * 4
    assert any("which explain" in note for note in table.notes)


def test_quotation_marks_in_a_file_of_tabs_may_open_every_text(tmp_path: Path) -> None:
    content = "label\ttext\n" + 'x\t"He said so.\ny\t"She said so, too.\n' * 4
    (tmp_path / "a.txt").write_text(content, "utf-8")
    rows = read_rows(str(tmp_path / "a.txt"), DataRecipe())
    assert (rows.texts[:2], rows.label_names) == (['"He said so.', '"She said so, too.'], ("x", "y"))


def test_unrelated_quotation_marks_in_a_file_of_tabs_join_no_rows(tmp_path: Path) -> None:
    lines = [f"{'xy'[n % 2]}\ttext {n}\n" for n in range(8)]
    lines[2], lines[5] = 'x\t"Be yourself; everyone else is taken\n', 'y\tOscar Wilde said: be yourself"\n'
    rows = read(written(tmp_path, "label\ttext\n" + "".join(lines), "rows.tsv"))
    assert (len(rows), rows.texts[2]) == (8, '"Be yourself; everyone else is taken')
    rows = read(written(tmp_path, 'label\ttext\nx\t"One\n\ntwo"\ny\tThree\n', "rows.tsv"))
    assert rows.texts == ["One\n\ntwo", "Three"]


def test_a_file_without_a_header_takes_the_names_of_the_recipe(tmp_path: Path) -> None:
    columns = ["label", "id", "date", "user", "text"]
    rows = read(written(tmp_path, TWEETS), columns=columns)
    assert rows.texts == ["Off to the beach at last!", "My phone died again today..."]
    assert (rows.label_names, rows.ids) == (("0", "4"), ["1467", "1468"])
    words = r"names 2 columns, but its first line has 5\nName all .* as the first line of the file, such as label,"
    with pytest.raises(UserError, match=words):
        read(written(tmp_path, TWEETS), columns=columns[:2])


def test_the_names_of_the_recipe_leave_a_header_a_header(tmp_path: Path) -> None:
    columns = ["label", "text"]
    assert read(written(tmp_path, "label,text\nx,a\ny,b\n"), columns=columns).texts == ["a", "b"]
    # One of other names stands out from the rows below it.
    rows = read(written(tmp_path, "v1,v2\n" + "ham,a b\nspam,c d\nham,e f\n" * 4), columns=columns)
    assert len(rows) == 12 and rows.label_names == ("ham", "spam")
    assert "its first line (v1, v2) seems to be a header" in rows.notes[0]


@pytest.mark.parametrize("header", [
    "v1,v2", "0,1", "Rating,How did you like the course? Please explain in a few words of your own.", "grade,2024",
])  # fmt: skip
def test_a_header_of_unknown_names_is_one(tmp_path: Path, header: str) -> None:
    rows = "good,I liked it a lot because of the teacher.\nbad,Too long.\n" * 5
    with pytest.raises(UserError, match="no column 'text'; its columns are"):
        read(written(tmp_path, f"{header}\n{rows}"))


@pytest.mark.parametrize("classes", ["12", "123", "12345"])
def test_other_sets_in_the_layout_of_ag_news_are_not_taken_for_it(tmp_path: Path, classes: str) -> None:
    content = "".join(f"{name},A title {n},Some words of text {n}.\n" for n, name in enumerate(classes * 3))
    with pytest.raises(UserError, match=r"data\.columns=\[\"label\", \"title\", \"description\"\]"):
        read(written(tmp_path, content))
    rows = read(written(tmp_path, content), columns=["label", "title", "description"])
    assert rows.label_names == tuple(classes) and rows.texts[0] == "A title 0 Some words of text 0."


def test_names_are_proposed_by_what_the_columns_hold() -> None:
    rows = [("Web", "Some long text"), ("Sport", "Another text"), ("Web", "And more")]
    assert proposed_names(rows) == ["label", "text"]
    assert proposed_names([("a text alone",)]) == ["text"]


def test_a_quotation_mark_inside_a_field_may_have_a_backslash_before_it(tmp_path: Path) -> None:
    rows = "".join(f'{n},"He said \\"no\\", then ""left""",{"xy"[n % 2]}\n' for n in range(6))
    source = written(tmp_path, "id,text,label\n" + rows)
    read_all = read(source)
    assert set(read_all.texts) == {'He said "no", then "left"'} and read_all.label_names == ("x", "y")
    assert read_all.notes == (f"{source}: a quotation mark inside a field has a backslash before it",)
    # elsewhere a backslash is a letter like others
    assert read(written(tmp_path, 'text,label\n"C:\\new, and",a\n"end\\",b\n')).texts == ["C:\\new, and", "end\\"]


def test_nul_bytes_at_the_end_and_the_rule_of_a_markdown_table_are_no_rows(tmp_path: Path) -> None:
    rows = "".join(f"text {n},{'ab'[n % 2]}\r\n" for n in range(6))
    assert len(read(written(tmp_path, "\ufefftext,label\r\n" + rows + "\0" * 40))) == 6
    with pytest.raises(UserError, match=r"line 3 holds a NUL byte"):
        read(written(tmp_path, "text,label\none,a\ntw\0o,b\n"))
    table = "| text | label |\n|------|:-----:|\n" + "".join(f"| text {n} | {'ab'[n % 2]} |\n" for n in range(6))
    marked = read(written(tmp_path, table, "rows.md"))
    assert (len(marked), marked.label_names) == (6, ("a", "b"))


def test_a_line_of_a_total_is_named_as_one(tmp_path: Path) -> None:
    words = r"line 5: 1 field, but the first line has 2\nIf the line is no row, such as a total"
    with pytest.raises(UserError, match=words):
        read(written(tmp_path, "text,label\none,a\ntwo,b\n\nTotal: 2\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize(("lines", "texts"), [
    (["text", "one", "", "two", ""], ["one", "", "two"]),
    (["", "text", "one", "", "", "two", "", ""], ["one", "", "", "two", ""]),
    (["text", '""', "one", "", "two"], ["", "one", "", "two"]),
])  # fmt: skip
def test_an_empty_line_of_a_table_of_one_column_is_a_row_with_an_empty_text(
    tmp_path: Path, end: str, lines: list[str], texts: list[str]
) -> None:
    for name in ("rows.csv", "rows.tsv"):
        source = written(tmp_path, end.join(lines), name)
        assert list(open_table(source, DataRecipe(train=source), "train").read("text")) == texts
    with pytest.raises(UserError, match=rf"row {texts.index('') + 1}: the text is empty"):
        read_rows(source, DataRecipe(train=source), labelled=False)


def test_padding_is_no_row_of_one_column_and_an_empty_line_is_none_of_several(tmp_path: Path) -> None:
    source = written(tmp_path, "text\none\n\ntwo\n" + "\0" * 40)
    assert list(open_table(source, DataRecipe(train=source), "train").read("text")) == ["one", "", "two"]
    assert read(written(tmp_path, "text,label\none,a\n\ntwo,b\n\n")).texts == ["one", "two"]


@pytest.mark.parametrize("escaped", ["", ' with \\"quotation marks\\"'])
def test_a_missing_value_of_a_database_is_an_empty_field(tmp_path: Path, escaped: str) -> None:
    content = f'id,text,label\n1,"one{escaped}",x\n2,"two \\N, or \\N",y\n\\N,three,"\\N"\n4,\\N,x\n'
    source = written(tmp_path, content)
    rows = read(source, empty="drop")
    assert rows.texts == [f"one{escaped}".replace("\\", ""), "two N, or N" if escaped else "two \\N, or \\N"]
    assert (rows.left_out.without_text, rows.left_out.without_label) == ((4,), (3,))


def test_separators_at_the_end_of_each_row_but_not_of_the_header_are_no_fields(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "text,label\none,x,\ntwo,y, ,\nthree,x\n"))
    assert (rows.texts, rows.label_names) == (["one", "two", "three"], ("x", "y"))
    with pytest.raises(UserError, match="line 2: 3 fields, but the first line has 2"):
        read(written(tmp_path, "text,label\none, or two,x\n"))


@pytest.mark.parametrize("header", ["text,label\n", '\ufeff"text",label\n'])
def test_a_header_that_is_repeated_is_no_row(tmp_path: Path, header: str) -> None:
    source = written(tmp_path, f"{header}one,x\n{header}two,y\n{header}label,text\n")
    rows = read(source)
    assert (rows.texts, rows.label_names) == (["one", "two", "label"], ("text", "x", "y"))
    assert rows.notes == (f"{source}: lines that repeat its header were left out",)
    assert len(read_rows(written(tmp_path, "text\none\ntext\n"), DataRecipe(), labelled=False).texts) == 2
