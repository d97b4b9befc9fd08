"""Numbers, sizes, durations and names as words, at the limits where the words change."""

from __future__ import annotations

from typing import Any

import pytest

from featherweight import formatting


@pytest.mark.parametrize(("function", "given", "words"), [
    ("duration", 0.4, "0 s"), ("duration", 99.4, "99 s"), ("duration", 100, "2 min"), ("duration", 5_950, "99 min"),
    ("duration", 5_999, "1 h 40 min"), ("duration", 7_500, "2 h 5 min"),
    ("size_in_words", 0, "0 kB"), ("size_in_words", 1_000, "1 kB"), ("size_in_words", 1_001, "2 kB"),
    ("size_in_words", 14_200_000, "14.2 MB"), ("size_in_words", 1_900_000_000, "1.9 GB"),
    ("rounded_size", 512, "512 B"), ("rounded_size", 75_400_000, "75 MB"), ("rounded_size", 1_300_000_000, "1.3 GB"),
    ("in_sentence", ["r1"], "r1"), ("in_sentence", ["r1", "r2"], "r1 and r2"),
    ("in_sentence", ["r1", "r2", "r3"], "r1, r2 and r3"),
    ("numbered", [5], "row 5"), ("numbered", [5, 8], "rows 5, 8"),
    ("numbered", [*range(1, 10)], "rows 1, 2, 3, 4, 5, 6, 7, 8, ..."),
    ("listed", [*"abcdefgh"], "a, b, c, d, e, f, g, h"), ("listed", [*"abcdefghi"], "a, b, c, d, e, f, g, h, ..."),
    ("shortened", "x" * 60, "x" * 60), ("shortened", "x" * 61, f"{'x' * 59}…"),
    ("without_paths", "/home/ann/my data/a.csv: 3 of 4 rows", "a.csv: 3 of 4 rows"),
    ("without_paths", r"C:\Users\ann\a.csv and ~/b/c.csv", "a.csv and c.csv"),
    ("without_paths", "https://example.org/a/b.csv, 1/2 left", "https://example.org/a/b.csv, 1/2 left"),
    ("without_paths", "/home/ann/Smith, John/a.csv: 3 of 4 rows", "a.csv: 3 of 4 rows"),
    ("without_paths", "--out '/home/ann/new, old/my run' --resume", "--out 'my run' --resume"),
    ("without_paths", "/home/Ann's/data (1) [b]/x  y, z & e\u0301/a.csv, 1/2 left", "a.csv, 1/2 left"),
    ("without_paths", """'/home/Ann'"'"'s/a, b/c.csv' and d/e.csv""", "'c.csv' and d/e.csv"),
    ("without_paths", r"C:\Users\Ann, Bob\My Docs\a.csv, ~ann/b c/d.csv", "a.csv, d.csv"),
    ("without_paths", "/home/a/b, /home/c/d,/home/e/f and ../g/h or ~/i/j", "b, d,f and h or j"),
    ("without_paths", "in /home/ann/, or/and in /data", "in ann/, or/and in /data"),
    ("without_paths", "about ~1/2 of the rows and 3/4 of /d/titles", "about ~1/2 of the rows and 3/4 of titles"),
    ("without_paths", "/tmp/cache was empty, so 1/3 were read", "cache was empty, so 1/3 were read"),
    ("without_paths", "/home/ann/data; accuracy 3/4 on 01/02/2024", "data; accuracy 3/4 on 01/02/2024"),
    ("without_paths", "from /home/ann/runs/a (50%), Sports, Sci/Tech", "from a (50%), Sports, Sci/Tech"),
    ("without_paths", "Error:/home/ann/a.csv, PATH=/usr/bin:/home/ann/bin", "Error:a.csv, PATH=bin:bin"),
    ("without_paths", "file:///home/ann/a.csv and sqlite:////home/ann/b.db", "file://a.csv and sqlite://b.db"),
    ("without_paths", "//home/ann//b c/a.csv: 3 of 4 rows", "a.csv: 3 of 4 rows"),
    ("without_paths", r"FileNotFoundError: 'C:\\Users\\ann\\a.csv'", "FileNotFoundError: 'a.csv'"),
])  # fmt: skip
def test_a_value_in_words(function: str, given: Any, words: str) -> None:
    assert getattr(formatting, function)(given) == words


@pytest.mark.parametrize(("number", "thing", "words"), [
    (1, "row", "1 row"), (0, "row", "0 rows"), (1_234, "class", "1,234 classes"), (1.5, "epoch", "1.5 epochs"),
    (1.0, "epoch", "1 epoch"),
])  # fmt: skip
def test_a_number_with_its_noun(number: float, thing: str, words: str) -> None:
    assert formatting.counted(number, thing) == words


def test_a_percentage_has_the_decimals_that_its_rows_allow() -> None:
    assert (formatting.percent(0.91234, 1_999), formatting.percent(0.91234, 2_000)) == ("91.2%", "91.23%")


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 10, "0%"), (611, 10**6, "under 1%"), (79, 100, "79%"), (999_999, 10**6, "over 99%"), (7, 7, "100%"),
     (1_000_001, 10**6, "over 100%")],
)  # fmt: skip
def test_a_rough_share_is_zero_or_whole_only_if_it_is(part: int, whole: int, said: str) -> None:
    assert formatting.rough_share(part, whole) == said
