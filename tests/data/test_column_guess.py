"""Columns of texts and labels are told by names and values; where both leave it open, the message has what to type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from featherweight.data.candidate_columns import Columns
from featherweight.data.column_guess import guess_columns
from featherweight.data.column_profile import profile_of
from featherweight.data.readers.table import table_of
from featherweight.errors import UserError

pytestmark = pytest.mark.usefixtures("as_options")

ROWS = 12
COLUMNS: dict[str, Sequence[Any]] = {
    "prose": [f"the parcel number {n} has not arrived" for n in range(ROWS)],
    "title": [f"Parcel {n} is late" for n in range(ROWS)],
    "short": [f"parcel {'abcdefghijkl'[n]}" for n in range(ROWS)],
    "chinese": [f"包裹没有送到{n}我很着急" for n in range(ROWS)],
    "two": ["ham", "spam"] * 6,
    "three": ["billing", "log in", "returns and refunds"] * 4,
    "numbers": [1, 2, 3] * 4,
    "names of numbers": ["one", "two", "three"] * 4,
    "flags": [0, 1] * 6,
    "more flags": [0, 0, 1] * 4,
    "same": ["tickets"] * ROWS,
    "zeros": [0] * ROWS,
    "ids": [f"T{n}" for n in range(ROWS)],
    "dates": [f"2024-01-{n + 1:02} 10:00" for n in range(ROWS)],
    "few dates": ["2024-01-01", "2024-01-02"] * 6,
    "amounts": [n / 7 for n in range(ROWS)],
    "ages": list(range(20, 20 + ROWS)),
    "gaps": [None, None, "lost", None, "late", None] * 2,
    "many numbers": list(range(60)) * 2,
    "varied": [f"{word} {'abcdefghijkl'[n]}" for n, word in enumerate(["credit", "loan", "card"] * 4)],
    "few gaps": ["lost", None, None, "late", None, None] * 2,
    "words": [f"handler{'abcdefghijkl'[n]}" for n in range(ROWS)],
    "log": [f"10.0.{n}.1:80 -> 192.168.{n}.7:54106 0x{n}f" for n in range(ROWS)],
    "lists": [["a", "b"], ["a"]] * 6,
    "lists of texts": [[f"parcel {n} is late", f"where is parcel {n}"] for n in range(ROWS)],
    "lists of one": [["a"], ["b"]] * 6,
    "yes and no": ["yes", "No", "YES"] * 4,
    "crosses": ["x", None, "X", ""] * 3,
    "named objects": [[{"id": 18, "name": "Drama"}, {"id": 3, "name": "War"}], [{"id": 3, "name": "War"}], []] * 4,
    "written objects": ["[{'id': 18, 'name': 'Drama'}, {'id': 3, 'name': \"War\"}]", "[]", "[{'id': 3, 'name': 'War'}]"]
    * 4,
    "choices": ['{"choices": ["a", "b"]}', "a", {"choices": ["b"]}] * 4,
    "objects": [{"a": 1}] * ROWS,
}


def table(**names: str) -> Columns:
    """Columns with the values of ``COLUMNS``."""
    return Columns(table_of("rows.csv", {name: COLUMNS[kind] for name, kind in names.items()}))


GUESSED: list[tuple[dict[str, str], tuple[str, ...], str]] = [
    ({"review": "prose", "sentiment": "two"}, ("review",), "sentiment"),
    ({"v1": "two", "v2": "prose"}, ("v2",), "v1"),
    ({"text": "prose", "label": "numbers"}, ("text",), "label"),
    ({"plot": "prose", "genre_id": "numbers"}, ("plot",), "genre_id"),
    ({"Text": "short", "LABEL": "two", "topic": "three"}, ("Text",), "LABEL"),
    ({"title": "title", "description": "prose", "class": "two"}, ("title", "description"), "class"),
    ({"headline": "title", "body": "prose", "section": "three"}, ("headline", "body"), "section"),
    ({"id": "ids", "date": "dates", "message": "prose", "queue": "three"}, ("message",), "queue"),
    ({"tweetid": "ages", "sentiment": "numbers", "message": "prose"}, ("message",), "sentiment"),
    ({"review_text": "prose", "reply": "prose", "stars": "numbers"}, ("review_text",), "stars"),
    ({"reviewText": "prose", "reply": "prose", "grade": "two"}, ("reviewText",), "grade"),
    ({"user_sentiment": "three", "reason": "gaps", "name": "short", "tweet": "prose"}, ("tweet",), "user_sentiment"),
    ({"label": "numbers", "label_text": "three", "text": "prose"}, ("text",), "label"),
    ({"code": "numbers", "meaning": "names of numbers", "text": "prose"}, ("text",), "meaning"),
    ({"word": "short", "kind": "two"}, ("word",), "kind"),
    ({"文本": "chinese", "标签": "two"}, ("文本",), "标签"),
    ({"amount": "amounts", "age": "ages", "when": "few dates", "note": "prose", "flag": "flags"}, ("note",), "flag"),
    ({"split": "two", "note": "prose", "kind": "three"}, ("note",), "kind"),
    ({"note": "prose", "answers": "lists of one", "meta": "objects"}, ("note",), "answers"),
    ({"question": "prose", "context": "two", "label": "three"}, ("question",), "label"),
]  # fmt: skip


@pytest.mark.parametrize(("names", "texts", "label"), GUESSED, ids=lambda part: str(part)[:50])
def test_columns_are_told_by_names_and_values(names: dict[str, str], texts: tuple[str, ...], label: str) -> None:
    guess = guess_columns(table(**names))
    assert (guess.text, guess.label) == (texts, label)


SEVERAL: list[tuple[dict[str, str], str | tuple[str, ...]]] = [
    ({"note": "prose", "answers": "lists"}, "answers"),
    ({"text": "prose", "emotions": "lists", "meta": "objects", "rude": "flags", "toxic": "flags"}, "emotions"),
    ({"id": "ids", "comment_text": "prose", "toxic": "flags", "rude": "more flags", "never": "zeros"},
     ("toxic", "rude", "never")),
    ({"text": "prose", "labels": "two", "other": "three"}, "labels"),
]  # fmt: skip


@pytest.mark.parametrize(("names", "labels"), SEVERAL, ids=lambda part: str(part)[:50])
def test_columns_of_several_labels_a_text(names: dict[str, str], labels: str | tuple[str, ...]) -> None:
    assert guess_columns(table(**names), several=True).label == labels


def test_a_usual_name_is_not_passed_over_for_values_that_look_more_like_labels() -> None:
    guess = guess_columns(table(text="prose", labels="lists", lang="two"))
    assert (guess.label, guess.several) == ("labels", True)
    assert guess_columns(table(text="prose", emotions="lists", a="flags", b="flags", c="flags")).label == "emotions"
    assert guess_columns(table(text="prose", tags="lists", priority="three")).label == "priority"
    assert guess_columns(table(text="prose", score="amounts", kind="three")).label == "kind"
    many = {"text": [f"the parcel number {n} has not arrived" for n in range(120)], "kind": ["x", "y"] * 60}
    numbers = COLUMNS["many numbers"]
    flags = {name: [0, 1] * 60 for name in ("a", "b", "c")}
    assert guess_columns(Columns(table_of("rows.csv", {**many, "intent": numbers}))).label == "intent"
    assert guess_columns(Columns(table_of("rows.csv", {**many, **flags, "intent": numbers}))).label == "intent"
    with pytest.raises(UserError, match="rating, kind could each be the labels"):
        guess_columns(Columns(table_of("rows.csv", {**many, "rating": numbers})))


UNASKED: list[tuple[dict[str, str], str | tuple[str, ...], bool]] = [
    ({"text": "prose", "labels": "lists"}, "labels", True),
    ({"text": "prose", "labels": "lists of one"}, "labels", False),
    ({"text": "prose", "toxic": "flags", "rude": "more flags", "never": "zeros"}, ("toxic", "rude", "never"), True),
    ({"text": "prose", "a": "yes and no", "b": "yes and no", "c": "yes and no"}, ("a", "b", "c"), True),
    ({"text": "prose", "a": "crosses", "b": "crosses", "c": "crosses"}, ("a", "b", "c"), True),
    ({"text": "prose", "toxic": "flags", "rude": "more flags", "never": "zeros", "topic": "two"}, "topic", False),
    ({"text": "prose", "spam": "flags"}, "spam", False),
    ({"text": "prose", "genres": "named objects"}, "genres", True),
    ({"text": "prose", "genres": "written objects"}, "genres", True),
    ({"text": "prose", "topic": "choices"}, "topic", True),
]  # fmt: skip


@pytest.mark.parametrize(("names", "labels", "several"), UNASKED, ids=lambda part: str(part)[:50])
def test_whether_a_text_has_several_labels_is_told_by_the_values(
    names: dict[str, str], labels: str | tuple[str, ...], several: bool
) -> None:
    guess = guess_columns(table(**names))
    assert (guess.label, guess.several) == (labels, several)


def test_lists_are_refused_where_the_recipe_wants_one_label_a_text() -> None:
    with pytest.raises(UserError, match=r"'labels' holds lists, so a text may[^\n]*\n.*add --set task=multi-label"):
        guess_columns(table(text="prose", labels="lists"), several=False)


def test_two_columns_of_lists_are_refused() -> None:
    with pytest.raises(UserError, match=r"first, second could each be the labels[^\n]*\n.*--label first"):
        guess_columns(table(text="prose", first="lists", second="lists"), several=True)


def test_columns_that_are_named_are_taken_as_they_are() -> None:
    rows = table(premise="prose", hypothesis="prose", topic="three", stance="two")
    guess = guess_columns(rows, ["Hypothesis", "premise"], ["STANCE"])
    assert (guess.text, guess.label) == (("hypothesis", "premise"), "stance")
    assert guess_columns(rows, ["premise"], ["topic"]).text == ("premise",)
    assert guess_columns(table(text="two", note="prose"), label=["text"]).text == ("note",)


UNDECIDED: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"premise": "prose", "hypothesis": "prose", "label": "three"},
     ("premise, hypothesis could each be the texts", "--text premise", "--text premise --text hypothesis",
      "to use them as a pair, add --set data.join=pair")),
    ({"index": "ids", "question": "prose", "sentence": "prose", "label": "two"},
     ("question, sentence could each be the texts", "to use them as a pair, add --set data.join=pair")),
    ({"premise": "prose", "hypothesis": "three", "label": "two"},
     ("premise, hypothesis could each be the texts", "to use them as a pair, add --set data.join=pair")),
    ({"sentence1": "three", "sentence2": "prose", "label": "two"}, ("add --set data.join=pair",)),
    ({"question": "prose", "title": "title", "passage": "prose", "answer": "yes and no"},
     ("As a pair: --text question --text passage --set data.join=pair",)),
    ({"product_name": "prose", "review": "short", "stars": "numbers"},
     ("review, product_name could each be the texts", "--text review")),
    ({"component": "words", "message": "log", "level": "two"}, ("message, component could each be the texts",)),
    ({"a b": "prose", "c": "prose", "d": "title", "label": "three"},
     ("its columns are: a b, c, d, label", "such as --text 'a b'")),
    ({"text": "prose", "kind": "three", "place": "two"}, ("kind, place could each be the labels", "as --label kind")),
    ({"text": "prose", "category": "varied", "source": "two"}, ("category, source could each be the labels",)),
    ({"text": "prose", "category": "few gaps", "source": "two"}, ("category, source could each be the labels",)),
    ({"text": "prose", "category": "three", "topic": "two"}, ("category, topic could each", "--label category")),
    ({"text": "prose", "toxic": "flags", "rude": "more flags"},
     ("toxic, rude hold only 0 and 1, so a text may have", "--label toxic --label rude;", "one: --label toxic")),
    ({"text": "prose", "when": "few dates"},
     ("no column seems to hold the labels", "--label COLUMN", "predict RUN FILE")),
    ({"text": "prose", "Year": "three"}, ("no column seems to hold the labels; its columns are: text, Year",)),
    ({"text": "prose", "target": "amounts", "rating": "two"},
     ("'target' holds amounts, but labels are classes", "To train another column: --label rating")),
    ({"sentence1": "prose", "sentence2": "prose", "sentence1_parse": "prose", "label": "three"},
     ("As a pair: --text sentence1 --text sentence2 --set data.join=pair; to read one",)),
    ({"text": "prose", "very_unclear": "yes and no", "joy": "flags", "fear": "more flags", "gaps": "gaps"},
     ("joy, fear hold only 0 and 1", "one: --label joy")),
    ({"text": "prose", "place": "three", "joy": "flags", "fear": "more flags", "anger": "flags"},
     ("place, joy, fear, anger could each be", "as --label place; to train on joy, fear, anger, which hold only 0 and",
      "and 1: --label joy --label fear --label anger")),
    ({"tag": "two", "patterns": "lists of texts"}, ("'patterns' holds lists of texts", "frame.explode('patterns')")),
    ({"text": "prose", "label_sexist": "two", "label_category": "three"},
     ("label_sexist, label_category could each be the labels", "--label label_sexist")),
    ({"_index": "same", "_score": "zeros"}, ("no column seems to hold texts", "--text COLUMN")),
    ({"label": "two", "amount": "amounts"}, ("no column seems to hold texts", "label, amount", "--text COLUMN")),
]  # fmt: skip


@pytest.mark.parametrize(("names", "parts"), UNDECIDED, ids=lambda part: str(part)[:50])
def test_what_is_not_decided_is_refused_with_what_to_type(names: dict[str, str], parts: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as refused:
        guess_columns(table(**names))
    assert str(refused.value).startswith("rows.csv: ")
    assert len(str(refused.value).splitlines()) <= 2
    for part in parts:
        assert part in str(refused.value)


def test_labels_inside_objects_are_named_by_their_path() -> None:
    rows = Columns(table_of("rows.csv", {"text": COLUMNS["prose"]}, paths=("text", "annotations.0.label")))
    with pytest.raises(UserError, match=r"Name the label column with --label annotations\.0\.label"):
        guess_columns(rows)


@pytest.mark.parametrize(("named", "remedy"), [
    ({"id": "ids"}, "Name the columns of texts and labels with --text doc.body --label meta.kind"),
    ({"id": "ids", "topic": "two"}, "Name the text column with --text doc.body"),
    ({"text": "prose"}, "Name the label column with --label meta.kind; "),
])  # fmt: skip
def test_texts_and_labels_inside_objects_are_named_by_their_paths(named: dict[str, str], remedy: str) -> None:
    inside = {"doc": [{"body": text} for text in COLUMNS["prose"]], "meta": [{"kind": kind} for kind in COLUMNS["two"]]}
    columns = {**{name: COLUMNS[kind] for name, kind in named.items()}, **inside}
    rows = Columns(table_of("rows.json", columns, paths=(*named, "doc.body", "meta.kind")))
    with pytest.raises(UserError) as refused:
        guess_columns(rows)
    assert str(refused.value).splitlines()[1].startswith(remedy)


def test_values_that_are_too_many_to_be_counted_are_no_classes() -> None:
    users = profile_of([f"user {n % 6_000}" for n in range(14_000)])
    assert not users.may_be_labels
    assert profile_of([f"class {n % 3_000}" for n in range(14_000)]).may_be_labels


def test_an_accent_may_be_a_character_of_its_own() -> None:
    rows = Columns(table_of("rows.csv", {"text": COLUMNS["prose"], "Gro\u0308sse": COLUMNS["two"]}))
    assert guess_columns(rows, label=["Gr\u00f6sse"]).label == "Gro\u0308sse"


def test_a_column_that_is_not_there_is_refused_by_its_option() -> None:
    with pytest.raises(UserError, match=r"no column 'boby'; did you mean 'body'\?[^\n]*$"):
        guess_columns(table(body="prose", label="two"), ["boby"])
    with pytest.raises(UserError, match=r"no column 'stars'[^\n]*\n.*--label COLUMN"):
        guess_columns(table(body="prose", label="two"), label=["stars"])


def test_labels_with_a_single_row_or_gaps_are_left_to_the_training_to_refuse() -> None:
    once = table_of("rows.csv", {"text": COLUMNS["prose"], "category": COLUMNS["ids"]})
    assert guess_columns(Columns(once)).label == "category"
    assert guess_columns(table(text="prose", topic="gaps")).label == "topic"


def test_running_text_is_told_from_names_of_classes_and_from_repeated_texts() -> None:
    assert profile_of(COLUMNS["prose"]).is_running_text
    assert profile_of(COLUMNS["chinese"]).is_running_text
    assert not profile_of(COLUMNS["chinese"]).may_be_labels
    assert not profile_of(["returns and refunds of parcels", "I cannot log in"] * 50).is_running_text
    assert not profile_of(COLUMNS["dates"]).is_running_text
    assert not profile_of(list(range(100)) * 2).may_be_labels
    assert not profile_of([0.5, 1.5] * 10).may_be_labels
    assert profile_of([]) == profile_of([None, float("nan"), " "][:0])
    assert profile_of([None, " ", float("nan")]).filled == 0
