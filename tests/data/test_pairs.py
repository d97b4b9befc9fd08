"""Pairs: read from two columns, encoded as the tokenizer encodes two texts, told apart from joined texts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pairs import COLUMNS, nli_rows, write_nli

from featherweight.data.batches import collate, encode
from featherweight.data.inspection import inspect_data
from featherweight.data.long_texts import LongTexts
from featherweight.data.pairs import Pair, PairColumn, joined
from featherweight.data.perturbations import perturb
from featherweight.data.readers.columns import StoredColumn, stored, taken
from featherweight.data.sources import Rows, read_rows
from featherweight.data.split_warnings import repeated_rows
from featherweight.data.text_pieces import text_pieces
from featherweight.data.token_file import TokenFile
from featherweight.data.tokenizing import token_lengths
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe

PAIRS: list[Pair] = [
    ("A man plays the guitar.", "Someone makes music."),
    ("a rather long premise " * 9, "short"),
    ("short", "a rather long hypothesis " * 9),
    ("a long premise " * 9, "and a hypothesis that is just as long " * 4),
    ("Größe 東京", ""),
]
LONGEST = 16
DATA = DataRecipe(text=COLUMNS, join="pair")


def rows(pairs: Any = PAIRS) -> Rows:
    return Rows(pairs, None, ("a", "b"), "made")


def expected(tokenizer: Any, pairs: list[Pair] = PAIRS, longest: int = LONGEST) -> Any:
    return tokenizer(*map(list, zip(*pairs, strict=True)), truncation=True, max_length=longest)


@pytest.mark.parametrize("cached", [False, True])
def test_tokens_and_types_are_those_of_the_tokenizer_itself(tokenizer: Any, tmp_path: Path, cached: bool) -> None:
    folder = tmp_path if cached else None
    encode(rows(), tokenizer, LongTexts(LONGEST), folder)
    encoded = encode(rows(), tokenizer, LongTexts(LONGEST), folder)  # of a cache, what it gives back
    assert isinstance(encoded.tokens, TokenFile) == cached
    wanted = expected(tokenizer)
    batch = collate(encoded, np.arange(len(PAIRS)), 0)
    assert batch.token_types is not None
    for place, length in enumerate(encoded.lengths.tolist()):
        assert batch.input_ids[place, :length].tolist() == wanted["input_ids"][place]
        assert batch.token_types[place, :length].tolist() == wanted["token_type_ids"][place]
        assert not batch.token_types[place, length:].any()
    assert encoded.cut_rows == 3
    assert token_lengths(PAIRS, tokenizer).tolist() == list(map(len, expected(tokenizer, longest=500)["input_ids"]))


def test_more_pairs_than_one_chunk_stay_in_order(tokenizer: Any) -> None:
    pairs = [(f"number {number}", f"{number} again " * (number % 3)) for number in range(4_500)]
    encoded = encode(rows(pairs), tokenizer, LongTexts(LONGEST))
    wanted = expected(tokenizer, pairs)
    assert encoded.tokens[:].tolist() == np.concatenate(wanted["input_ids"]).tolist()
    assert encoded.seconds is not None
    assert encoded.seconds.tolist() == [types.index(1) for types in wanted["token_type_ids"]]


def test_threads_that_share_a_tokenizer_get_the_same_tokens(tokenizer: Any) -> None:
    def lengths(_: int) -> list[int]:
        return encode(rows(), tokenizer, LongTexts(LONGEST)).lengths.tolist()

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lengths, range(400))] == [lengths(0)] * 400


def test_single_texts_have_no_types_and_a_tokenizer_may_give_none(tokenizer: Any) -> None:
    assert encode(rows(["one text"]), tokenizer, LongTexts(LONGEST)).seconds is None
    names = tokenizer.model_input_names
    try:
        tokenizer.model_input_names = ["input_ids", "attention_mask"]  # as RoBERTa's
        assert encode(rows(), tokenizer, LongTexts(LONGEST)).seconds is None
    finally:
        tokenizer.model_input_names = names


def test_the_fingerprint_tells_pairs_from_joined_texts(tokenizer: Any) -> None:
    prints = [
        encode(rows(texts), tokenizer, LongTexts(LONGEST)).fingerprint
        for texts in ([("ab", "c")], [("a", "bc")], ["ab c"], ["abc"], ["ab", "c"], [("ab", ""), ("c", "")])
    ]
    assert len(set(prints)) == len(prints)


def test_a_pair_needs_room_for_both(tokenizer: Any) -> None:
    assert encode(rows(), tokenizer, LongTexts(5)).lengths.tolist() == [5, 5, 5, 5, 5]
    words = "a pair has 3 special tokens, so too few tokens are left for its words; use 5 or more"
    with pytest.raises(UserError, match=rf"data\.max_length = 4: {words}"):
        encode(rows(), tokenizer, LongTexts(4))


def test_rows_hold_both_texts_as_they_stand(tmp_path: Path) -> None:
    source = str(write_nli(tmp_path / "a.csv", 9))
    found = read_rows(source, DATA)
    assert list(found.texts) == [row[:2] for row in nli_rows(9)]
    assert list(found.take(np.array([4, 1])).texts) == [nli_rows(9)[place][:2] for place in (4, 1)]
    assert found.texts[2:4] == [row[:2] for row in nli_rows(9)[2:4]]
    as_one = read_rows(source, DataRecipe(text=COLUMNS))
    assert list(as_one.texts) == list(map(joined, found.texts))
    pieces = list(text_pieces(source, DATA, split="test", rows=4))
    assert [text for piece in pieces for text in piece.texts] == list(found.texts)


def test_pairs_may_lie_in_files() -> None:
    long = [f"{number} " + "word " * 2000 for number in range(4_000)]
    column = PairColumn(stored(long), [f"{number}" for number in range(4_000)])
    assert isinstance(column.firsts, StoredColumn)
    some = taken(column, [7, 3_999, 0])
    assert isinstance(some, PairColumn) and isinstance(some.firsts, StoredColumn)
    assert [second for _, second in some] == ["7", "3999", "0"]
    assert [first[:5].split()[0] for first, _ in some] == ["7", "3999", "0"]


def test_one_text_of_a_pair_may_be_empty_but_not_both(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("premise,hypothesis,label\na,,x\n,b,y\n", "utf-8")
    assert list(read_rows(str(path), DATA).texts) == [("a", ""), ("", "b")]
    path.write_text("premise,hypothesis,label\na,b,x\n , ,y\n", "utf-8")
    with pytest.raises(UserError, match="row 2: the text is empty"):
        read_rows(str(path), DATA)


def test_repeated_pairs_are_equal_in_both_texts() -> None:
    train = rows([("a", "b"), ("c", "d")])
    assert repeated_rows(rows([("a", "d"), (" a ", "b"), ("b", "a")]), train) == 1


@pytest.mark.parametrize("columns", [[], ["premise"], ["a", "b", "c"]])
def test_a_pair_needs_exactly_two_columns(columns: list[str]) -> None:
    with pytest.raises(UserError, match=r"data.join: a pair needs exactly two columns, such as text = \['premise'"):
        Recipe.parse({"data": {"text": columns, "join": "pair"}})


@pytest.mark.parametrize("kind", ["casing", "typos", "headline"])
def test_a_perturbation_changes_both_texts_as_it_changes_one(kind: str) -> None:
    pairs = [(f"{first} {second} " * 2, second) for first, second, _ in nli_rows(30)]
    changed = perturb(pairs, f"perturbed:{kind}")
    sides = [perturb(side, f"perturbed:{kind}") for side in zip(*pairs, strict=True)]
    assert list(changed) == list(zip(*sides, strict=True))
    assert list(changed) != pairs


def test_the_same_name_in_both_texts_gets_the_same_other_name() -> None:
    pairs = [(f"yesterday Ada Moss met Bo Lee and {n} others", f"Ada Moss knows {n}") for n in range(1, 9)]
    changed = list(perturb([*pairs, ("then Cleo Fox left", "so Dan Orr left")], "perturbed:entities"))
    for (first, second), before in zip(changed[:8], pairs, strict=True):
        assert (first, second) != before
        name, number = second.split(" knows ")
        assert f"yesterday {name} met" in first and f"and {number} others" in first


def test_check_counts_pairs(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("premise,hypothesis,label\na,b,x\na, b,y\na,c,x\n,,y\n b,,x\n", "utf-8")
    part = inspect_data(DATA.model_copy(update={"train": str(path)}), tokenizer).parts["train"]
    assert (part.rows, part.empty, part.repeated, part.contradicting, part.join) == (5, [4], 1, 1, "pair")
    assert part.tokens is not None and part.tokens.longest == 5


def test_a_backbone_with_other_types_is_refused(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from featherweight.data import tokenizing

    own = tokenizing.own_tokenizer(tokenizer)

    class Strange:
        def __init__(self, whole: Any) -> None:
            self.ids, self.overflowing, self.type_ids = whole.ids, [], [1, 0] * (len(whole.ids) // 2)

        def __len__(self) -> int:
            return len(self.ids)

    class Backend:
        def __getattr__(self, name: str) -> Any:
            return getattr(own.backend, name)

        def encode_batch_fast(self, texts: Any) -> list[Strange]:
            return [Strange(whole) for whole in own.backend.encode_batch_fast(texts)]

    monkeypatch.setitem(tokenizing._OWN, tokenizer, replace(own, backend=Backend()))
    with pytest.raises(UserError, match=r"and the second by 1; use data\.join = 'text'"):
        encode(rows(), tokenizer, LongTexts(LONGEST))
