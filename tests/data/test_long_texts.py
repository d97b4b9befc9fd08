"""Texts longer than the greatest length: the head, the tail, both, or windows over all of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.data import tokenizing
from featherweight.data.batches import collate, encode, epoch_batches, even_batches, sorted_batches
from featherweight.data.encoding import Encoded, fingerprint
from featherweight.data.inspection import inspect_data
from featherweight.data.long_texts import LongTexts, frame_of
from featherweight.data.sources import Rows
from featherweight.data.token_file import TokenFile
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe
from featherweight.workflows.check import inspection_lines

TEXTS = ["A short one.", " ".join(f"word {n}" for n in range(40)), "Größe 東京 🙂", " ".join(f"{n}" for n in range(15))]
LONGEST = 16
WAYS = ("head", "tail", "head-tail", "windows")


@pytest.fixture(scope="module")
def roberta_like() -> Any:
    """A fast tokenizer with RoBERTa's special tokens, and a prefix of its own before each text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<q>", "a", "b", "c"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    single, pair = "<s> <q> $A </s>", "<s> <q> $A </s> </s> $B </s>"
    special = [(word, words[word]) for word in ("<s>", "</s>", "<q>")]
    backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")


def rows(texts: Any = TEXTS, labels: Any = None) -> Rows:
    return Rows(texts, labels, ("a", "b"), "made")


def sequences(encoded: Encoded) -> list[list[int]]:
    return [part.tolist() for part in np.split(encoded.tokens[:], encoded.offsets[1:-1])]


@pytest.mark.parametrize(("how", "side"), [("head", "right"), ("tail", "left")])
@pytest.mark.parametrize("name", ["tokenizer", "roberta_like"])
def test_head_and_tail_are_the_tokenizers_own(request: Any, name: str, how: str, side: str) -> None:
    tokenizer = request.getfixturevalue(name)
    texts = [*TEXTS, "a b c " * 20, "c", "<s> a"]
    before, tokenizer.truncation_side = tokenizer.truncation_side, side
    try:
        wanted = tokenizer(texts, truncation=True, max_length=LONGEST)["input_ids"]
    finally:
        tokenizer.truncation_side = before
    encoded = encode(rows(texts), tokenizer, LongTexts(LONGEST, how))
    assert sequences(encoded) == wanted
    assert encoded.windows is None and encoded.by_window is encoded


@pytest.mark.parametrize("how", ["head", "tail"])
def test_pairs_lose_either_end_as_the_tokenizer_says(tokenizer: Any, how: str) -> None:
    pairs = [("a b c d e f g h i j k l", "m n o p q r s t u v w x"), ("a", "b c d e f g h i j k l m n o p q r s t")]
    before, tokenizer.truncation_side = tokenizer.truncation_side, {"head": "right", "tail": "left"}[how]
    try:
        wanted = tokenizer(*map(list, zip(*pairs, strict=True)), truncation=True, max_length=LONGEST)["input_ids"]
    finally:
        tokenizer.truncation_side = before
    encoded = encode(rows(pairs), tokenizer, LongTexts(LONGEST, how))
    assert sequences(encoded) == wanted
    whole = [len(ids) for ids in tokenizer(*map(list, zip(*pairs, strict=True)))["input_ids"]]
    assert (encoded.cut_rows, encoded.cut_tokens) == (2, sum(whole) - 2 * LONGEST)


@pytest.mark.parametrize("name", ["tokenizer", "roberta_like"])
def test_head_and_tail_together_are_a_quarter_and_three(request: Any, name: str) -> None:
    tokenizer = request.getfixturevalue(name)
    text = "a b c " * 60
    content = tokenizer(text, add_special_tokens=False)["input_ids"]
    frame = frame_of(tokenizer.backend_tokenizer)
    room = LONGEST - len(frame.before) - len(frame.after)
    head = round(room / 4)
    (found,) = sequences(encode(rows([text]), tokenizer, LongTexts(LONGEST, "head-tail")))
    assert found == [*frame.before, *content[:head], *content[head - room :], *frame.after]
    assert len(found) == LONGEST


def test_of_512_tokens_they_are_those_of_the_paper() -> None:
    (found,) = LongTexts(512, "head-tail").sequences(range(2000), 510)
    assert found == [*range(128), *range(2000 - 382, 2000)]  # Sun et al. 2019, "How to Fine-Tune BERT"


@given(st.integers(1, 60), st.integers(1, 400), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]))
def test_windows_cover_a_text_and_overlap(room: int, more: int, overlap: float) -> None:
    long_texts, content = LongTexts(512, "windows", overlap), range(room + more)
    found = long_texts.sequences(content, room)
    assert len(found) == long_texts.windows_of(len(content), room)
    assert all(len(window) == room and window == list(range(window[0], window[0] + room)) for window in found)
    assert (found[0][0], found[-1][-1]) == (0, content[-1])
    shared = [one[-1] - other[0] + 1 for one, other in pairwise(found)]
    assert min(shared) >= min(round(overlap * room), room - 1)
    step = room - round(overlap * room)
    assert len(found) <= 1 + -(-more // max(1, step))  # no more than they need


def test_windows_keep_special_tokens_and_short_texts_are_one(tokenizer: Any) -> None:
    encoded = encode(rows(), tokenizer, LongTexts(LONGEST, "windows", 0.25))
    whole = tokenizer(TEXTS)["input_ids"]
    assert encoded.windows is not None and encoded.windows.tolist() == [1, 8, 1, 2]
    assert len(encoded) == 4 and len(encoded.by_window) == 12
    found = sequences(encoded)
    assert found[0] == whole[0] and found[9] == whole[2]
    for window in (*found[1:9], *found[10:]):
        assert len(window) == LONGEST and (window[0], window[-1]) == (whole[0][0], whole[0][-1])
    assert found[1][1:-1] == whole[1][1 : LONGEST - 1] and found[8][1:-1] == whole[1][1 - LONGEST : -1]
    assert encoded.lengths.tolist() == [len(found[0]), 8 * LONGEST, len(found[9]), 2 * LONGEST]
    assert (encoded.cut_rows, encoded.cut_tokens) == (0, 0)


def test_rows_are_found_among_windows(tokenizer: Any) -> None:
    labels = np.array([3, 2, 1, 0])
    encoded = encode(rows(labels=labels), tokenizer, LongTexts(LONGEST, "windows"))
    assert encoded.windows_of(np.array([3, 0, 1])).tolist() == [10, 11, 0, *range(1, 9)]
    assert encoded.texts_begun(np.array([11, 1, 9])) == 2
    values = np.arange(24.0).reshape(12, 2)
    expected = [values[part].mean(0).tolist() for part in ([0], range(1, 9), [9], [10, 11])]
    np.testing.assert_allclose(encoded.averaged(values), expected)
    batch = collate(encoded, np.array([3, 0]), 0)
    assert batch.labels is not None and batch.labels.tolist() == [0, 3]
    assert batch.means is not None and batch.means.tolist() == [[0.5, 0.5, 0], [0, 0, 1]]
    assert batch.input_ids.tolist() == collate(encoded.by_window, np.array([10, 11, 0]), 0).input_ids.tolist()
    assert collate(encoded, np.array([0, 2]), 0).means is None


@pytest.mark.parametrize("how", WAYS)
def test_the_cache_gives_back_what_was_encoded(tokenizer: Any, tmp_path: Path, how: str) -> None:
    first, second = (encode(rows(), tokenizer, LongTexts(LONGEST, how), tmp_path) for _ in range(2))
    plain = encode(rows(), tokenizer, LongTexts(LONGEST, how))
    assert isinstance(second.tokens, TokenFile)
    assert sequences(first) == sequences(second) == sequences(plain)
    assert second.lengths.tolist() == plain.lengths.tolist()
    assert (second.cut_rows, second.cut_tokens) == (plain.cut_rows, plain.cut_tokens)
    assert (second.cut_rows == 0) == (how == "windows")


def test_fingerprints_differ_and_the_heads_is_as_ever(tokenizer: Any) -> None:
    ways = [*(LongTexts(LONGEST, how) for how in WAYS), LongTexts(LONGEST, "windows", 0.5)]
    assert len({fingerprint(rows(), tokenizer, way) for way in ways}) == len(ways)
    assert LongTexts(LONGEST, "head", 0.5).identity == LONGEST.to_bytes(8)


@pytest.mark.parametrize(("content", "starts"), [(90, [0]), (150, [0, 50]), (1000, [0, 450, 900])])
def test_at_most_so_many_windows_from_the_start_to_the_end(content: int, starts: list[int]) -> None:
    long_texts = LongTexts(102, "windows", 0.25, 3)
    assert long_texts.windows_of(content, 100) == len(starts)
    if content > 100:
        assert [window[0] for window in long_texts.sequences(range(content), 100)] == starts
    assert long_texts.identity != LongTexts(102, "windows", 0.25).identity


def test_long_texts_are_tokenized_a_few_at_a_time(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{n} " * (n % 50) + "end" for n in range(300)]
    pairs = [(text, text[:20]) for text in texts]
    wanted = [encode(rows(inputs), tokenizer, LongTexts(LONGEST)) for inputs in (texts, pairs)]
    monkeypatch.setattr(tokenizing, "_CHUNK_CHARACTERS", 400)
    chunks = list(tokenizing._chunks(texts))
    assert len(chunks) > 20 and [text for chunk in chunks for text in chunk] == texts
    assert all(len(chunk) == 1 or sum(map(len, chunk)) <= 400 for chunk in chunks)
    for inputs, before in zip((texts, pairs), wanted, strict=True):
        after = encode(rows(inputs), tokenizer, LongTexts(LONGEST))
        assert sequences(after) == sequences(before) and after.cut_tokens == before.cut_tokens
    after = encode(rows(pairs), tokenizer, LongTexts(LONGEST))
    assert after.seconds is not None and after.seconds.tolist() == wanted[1].seconds.tolist()


WINDOWS = st.lists(st.integers(1, 9), min_size=1, max_size=80)


@given(WINDOWS, st.integers(1, 8), st.integers(20, 400))
def test_batches_count_the_tokens_of_all_windows(counts: list[int], size: int, tokens: int) -> None:
    windows = np.array(counts)
    lengths = np.where(windows == 1, 1 + np.arange(len(counts)) % 20, 20 * windows)
    options: dict[str, Any] = {"batch_tokens": tokens, "windows": windows}
    made = [
        epoch_batches(lengths, seed=1, epoch=0, batch_size=size, **options),
        sorted_batches(lengths, batch_size=size, **options),
        even_batches(lengths, **options),
    ]
    for batches in made:
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(counts)))
        for batch in batches:
            padded = windows[batch].sum() * (lengths[batch] // windows[batch]).max()
            assert padded <= tokens or len(batch) == 1


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(1, 8), st.integers(20, 400))
def test_texts_of_one_window_each_are_batched_as_texts(found: list[int], size: int, tokens: int) -> None:
    lengths = np.array(found)
    for windows in (None, np.ones(len(lengths), np.int64)):
        batches = epoch_batches(
            lengths, seed=3, epoch=1, batch_size=size, batch_tokens=tokens, windows=windows
        ) + even_batches(lengths, batch_tokens=tokens, windows=windows)
        if windows is None:
            wanted = [batch.tolist() for batch in batches]
    assert [batch.tolist() for batch in batches] == wanted


@pytest.mark.parametrize("how", ["head-tail", "windows"])
def test_pairs_have_no_middle_and_no_windows(how: str) -> None:
    with pytest.raises(UserError, match=r'data\.long: must be "head" or "tail" with join = "pair"'):
        Recipe.parse({"data": {"text": ["a", "b"], "join": "pair", "long": how}})


def test_a_tokenizer_that_reaches_inside_is_refused() -> None:
    class Backend:
        def encode(self, text: str, add_special_tokens: bool = True) -> Any:
            return type("Encoding", (), {"ids": [1, 9, 2] if add_special_tokens else [1, 2]})

    with pytest.raises(UserError, match="special tokens inside a text"):
        frame_of(Backend())


@pytest.mark.parametrize(("keys", "line"), [
    ({}, "max_length = 16 truncates 2 rows, 59.29% of tokens; overrides=[\"data.long=windows\"] reads them whole, "
         "\"tail\" or \"head-tail\" keeps another part"),
    ({"long": "tail"}, "max_length = 16 (long = \"tail\") truncates 2 rows, 59.29% of tokens"),
    ({"long": "windows"}, "max_length = 16 is exceeded by 2 rows, which have 10 windows"),
    ({"max_length": 256}, "max_length = 256 truncates 0 rows, 0.00% of tokens"),
    ({"max_length": 256, "long": "windows"}, "max_length = 256 is exceeded by 0 rows, which have 0 windows"),
])  # fmt: skip
def test_check_says_how_much_is_cut(tokenizer: Any, tmp_path: Path, keys: dict[str, Any], line: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"{text},{n % 2}\n" for n, text in enumerate(TEXTS)), "utf-8")
    inspection = inspect_data(DataRecipe(**{"train": str(path), "max_length": 16, **keys}), tokenizer)
    assert any(said.strip().startswith(line) for said in inspection_lines(inspection))
