"""Tokens that a tokenizer does not know are counted by kind of character, and lead to a hint."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from featherweight.data.encoding import encode
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.data.unknown_tokens import count_unknown, kind_of, unknown_note


def wordpiece(*words: str) -> Any:
    """A tokenizer like BERT's that knows these words alone."""
    vocabulary = {word: number for number, word in enumerate(("[UNK]", "[PAD]", *words))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")


KNOWN = wordpiece("good", "bad", "中", ".")


def test_unknown_tokens_are_counted_by_their_characters() -> None:
    found = count_unknown(["good 👍", "中国.", "bad", "хорошо good👎"], KNOWN)
    assert found is not None
    assert (found.tokens, found.unknown, found.rows) == (8, 4, 3)
    assert found.kinds == {"emoji and symbols": (2, 2), "Chinese characters": (1, 2), "Cyrillic": (1, 1)}
    assert found.in_words("tiny").startswith(
        "tiny does not know 50.0% of the tokens: 100% of emoji and symbols, 50% of"
    )


@pytest.mark.parametrize(("texts", "hint"), [
    (["good bad"] * 60 + ["👍"], None),
    (["good", "👍"], "roberta-base, which knows every character"),
    (["中国人"], "xlm-roberta-base"),
])  # fmt: skip
def test_the_hint_goes_by_what_is_unknown(texts: list[str], hint: str | None) -> None:
    found = count_unknown(texts, KNOWN)
    assert found is not None and (found.hint is None if hint is None else hint in str(found.hint))


def test_training_says_it_in_one_line_where_the_share_is_notable() -> None:
    def note(texts: list[str]) -> list[str]:
        return unknown_note(encode(Rows(texts, None, (), "f"), KNOWN, LongTexts(8)), texts, KNOWN, "tiny")

    assert note(["good bad"] * 60 + ["👍"]) == []
    (line,) = note(["good 👍"] * 3)
    assert line.startswith("training texts: tiny does not know 50.0% of the tokens: 100% of emoji and symbols; ")


def test_bytes_leave_nothing_unknown() -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=["<unk>", "<pad>"], initial_alphabet=tokenizer.pre_tokenizer.alphabet()
    )
    tokenizer.train_from_iterator(["good"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>")
    found = count_unknown(["👍 中国"], tokenizer)
    assert found is not None and (found.unknown, found.hint, found.kinds) == (0, None, {})


@pytest.mark.parametrize(("text", "kind"), [
    ("word", "Latin"), ("7", "digits"), ("...", "punctuation"), ("", "other"),
    ("ok👍", "emoji and symbols"), ("€", "emoji and symbols"), ("中", "Chinese characters"), ("な", "Japanese kana"),
    ("한", "Korean"), ("Ж", "Cyrillic"), ("ش", "Arabic"),
])  # fmt: skip
def test_kinds_of_characters(text: str, kind: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("text", "kind"), [("ˆ", "emoji and symbols"), ("º", "emoji and symbols"), ("Ａ", "full-width characters")]
)
def test_characters_of_no_script_are_not_called_by_their_first_word(text: str, kind: str) -> None:
    assert kind_of(text) == kind
