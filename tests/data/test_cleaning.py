"""AG News' broken entities are mended, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.data.cleaning import clean_ag_news, clean_texts
from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

AGNEWS = Path(os.environ.get("FEATHERWEIGHT_AGNEWS", Path(__file__).parents[3] / "shared" / "data" / "agnews"))


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("The firm #39;s profit didn #39;t fall", "The firm's profit didn't fall"),
        ("the companies #39; plans", "the companies' plans"),
        ("Face the #39;Glass Wall #39; now", "Face the 'Glass Wall' now"),
        ("Mr O #39;Hara said", "Mr O'Hara said"),
        ("for #36;10 million", "for $10 million"),
        ("a payment of \\$9.75 million", "a payment of $9.75 million"),
        ("quot;We won, quot; she said", '"We won," she said'),
        ("a quot;bad month quot; for all", 'a "bad month" for all'),
        ("late &lt;b&gt;...&lt;/b&gt; news", "late ... news"),
        ('Acme &lt;A HREF="http://x.example/?a=1&copy=2"&gt;ACM.N&lt;/A&gt; rose', "Acme ACM.N rose"),
        ('Acme &lt;A HREF="http://x.exam', "Acme"),
        ("AT amp;T and Procter amp; Gamble", "AT&T and Procter & Gamble"),
        ("second\\team of\\\\three", "second team of three"),
        ("home #151; at last", "home — at last"),
        ("#147;Apple #146;s, #148; he says", "“Apple's,” he says"),
        ("a caf eacute; in town", "a café in town"),
        ("one nbsp; two", "one two"),
        ("profit &lt; loss", "profit < loss"),
    ],
)
def test_what_is_broken_is_mended(broken: str, mended: str) -> None:
    assert clean_ag_news(broken) == mended


@pytest.mark.parametrize(
    "text",
    ["Ranked #39; it was", "AT&T &copy 2004", "Not so; the image; and all", "a < b > c", "  two  spaces ", "C# 39;"],
)
def test_whole_texts_keep_their_every_character(text: str) -> None:
    text = text.replace("#39;", "number 39;")
    assert clean_ag_news(text) == text


PIECES = ["#39;", " quot;", "amp;", "&lt;b&gt;", "&lt;", "\\", "\\$", "  ", "a", "B", ";", "<", "#"]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_can_be_cleaned(text: str) -> None:
    cleaned = clean_ag_news(text)
    assert "\\" not in cleaned
    assert cleaned in (text, " ".join(cleaned.split()))


def test_none_changes_nothing() -> None:
    assert clean_texts(["a #39;b"], "none") == ["a #39;b"]


def test_rows_are_cleaned_where_the_recipe_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nit #39;s,x\n&lt;b&gt;&lt;/b&gt;,y\n")
    assert read_rows(str(path), DataRecipe()).texts == ["it #39;s", "&lt;b&gt;&lt;/b&gt;"]
    with pytest.raises(UserError, match="row 2: the text is empty after cleaning"):
        read_rows(str(path), DataRecipe(clean="ag_news"))


@pytest.mark.skipif(not AGNEWS.is_dir(), reason="AG News is not here")
def test_hardly_a_broken_entity_remains_in_ag_news() -> None:
    import re

    rows = read_rows(str(AGNEWS / "test.csv.gz"), DataRecipe(train="-", labels=("W", "S", "B", "T"), clean="ag_news"))
    broken = re.compile(r"#\d+;|\bquot;|\bamp;|&lt;|\\|<b>|</a>", re.IGNORECASE)
    assert sum(bool(broken.search(text)) for text in rows.texts) <= 5
