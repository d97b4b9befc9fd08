"""Texts that are nearly equal are found, within one set and between two."""

from __future__ import annotations

import pytest

from featherweight.data import near_duplicates
from featherweight.data.near_duplicates import Pair, similar_pairs

TEXTS = [
    "The central bank raised interest rates by half a point on Tuesday.",
    "Rovers won the cup final after a late goal from their captain.",
    "the central bank raised interest rates by half a point on tuesday",
    "A new telescope has found water on a distant planet.",
    "The central bank raised interest rates by half a point on Tuesday, again.",
]


def test_equal_but_for_case_and_punctuation_is_equal_and_one_more_word_is_similar() -> None:
    pairs = similar_pairs(TEXTS)
    assert pairs[0] == Pair(0, 2, 1.0)
    assert {(pair.first, pair.second) for pair in pairs} == {(0, 2), (0, 4)}
    assert all(0.9 <= pair.similarity < 1 for pair in pairs[1:])


def test_the_same_words_in_another_order_are_similar_and_not_equal() -> None:
    (pair,) = similar_pairs(["man bites dog in the park", "dog bites man in the park"])
    assert 0.99 < pair.similarity < 1


def test_between_two_sets_each_place_is_of_its_own_set() -> None:
    assert similar_pairs(["a telescope", TEXTS[2]], [TEXTS[1], TEXTS[0]]) == [Pair(1, 1, 1.0)]


def test_blocks_give_what_one_comparison_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = similar_pairs(TEXTS)
    monkeypatch.setattr(near_duplicates, "_BLOCK", 2)
    assert similar_pairs(TEXTS) == whole


def test_a_text_that_occurs_often_gives_a_pair_per_text_and_not_per_pair() -> None:
    pairs = similar_pairs(["ok"] * 1_000 + ["quite another text"])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, place) for place in range(1, 1_000)]


def test_emoji_and_the_vowel_signs_of_hindi_are_compared() -> None:
    assert similar_pairs(["\U0001f44d\U0001f44d", "\U0001f621", "!", "\u2764\ufe0f", "\U0001f621!"]) == [
        Pair(1, 4, 1.0)
    ]
    assert similar_pairs(["\u0926\u093f\u0928", "\u0926\u0940\u0928"]) == []


def test_texts_without_words_are_equal_and_no_texts_have_no_pairs() -> None:
    assert similar_pairs(["!!!", "..."]) == [Pair(0, 1, 1.0)]
    assert similar_pairs([]) == similar_pairs([], []) == []
