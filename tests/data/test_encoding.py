"""Texts are encoded once; what the cache gives back is what the tokenizer gave, or it is made anew."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featherweight.data import cache_folder
from featherweight.data.batches import Encoded, encode
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.data.token_file import TokenFile
from featherweight.data.tokenizing import token_lengths
from featherweight.errors import UserError

TEXTS = ["A short one.", "Größe 東京 🙂", "a rather longer text " * 20, "x"]
LONGEST = 16


def rows(texts: list[str] = TEXTS, labels: list[int] | None = None) -> Rows:
    return Rows(texts, None if labels is None else np.array(labels), ("a", "b"), "made")


def row_tokens(encoded: Encoded) -> list[list[int]]:
    return [part.tolist() for part in np.split(encoded.tokens[:], encoded.offsets[1:-1])]


def test_tokens_are_those_of_the_tokenizer_itself(tokenizer: Any) -> None:
    encoded = encode(rows(labels=[0, 1, 0, 1]), tokenizer, LongTexts(LONGEST))
    assert row_tokens(encoded) == tokenizer(TEXTS, truncation=True, max_length=LONGEST)["input_ids"]
    assert encoded.tokens.dtype == np.int32 and encoded.offsets.dtype == np.int64
    assert encoded.lengths.tolist() == [len(row) for row in row_tokens(encoded)]
    assert encoded.cut_rows == 1
    assert len(encoded) == 4
    assert encoded.labels is not None and encoded.labels.tolist() == [0, 1, 0, 1]


def test_more_rows_than_one_chunk_stay_in_order(tokenizer: Any) -> None:
    texts = [f"number {number}" for number in range(4_500)]
    encoded = encode(rows(texts), tokenizer, LongTexts(LONGEST))
    assert row_tokens(encoded) == tokenizer(texts)["input_ids"]


def test_a_text_of_just_the_greatest_length_is_not_cut(tokenizer: Any) -> None:
    text = " ".join(["news"] * (LONGEST - 2))
    assert encode(rows([text]), tokenizer, LongTexts(LONGEST)).cut_rows == 0
    assert encode(rows([text + " news"]), tokenizer, LongTexts(LONGEST)).cut_rows == 1


def test_the_tokenizer_keeps_its_settings(tokenizer: Any) -> None:
    tokenizer(TEXTS, truncation=True, max_length=8, padding=True)
    before = tokenizer.backend_tokenizer.to_str()
    encode(rows(), tokenizer, LongTexts(LONGEST))
    assert tokenizer.backend_tokenizer.to_str() == before


def test_the_cache_is_used_and_labels_are_not_in_it(tokenizer: Any, tmp_path: Path) -> None:
    first = encode(rows(labels=[0, 0, 0, 0]), tokenizer, LongTexts(LONGEST), tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    tokenizer(["something else"], truncation=True, max_length=4)  # changes the tokenizer's settings, not its vocabulary
    second = encode(rows(labels=[1, 1, 1, 1]), tokenizer, LongTexts(LONGEST), tmp_path)
    assert isinstance(second.tokens, TokenFile)
    assert row_tokens(first) == row_tokens(second) and first.cut_rows == second.cut_rows == 1
    assert second.labels is not None and second.labels.tolist() == [1, 1, 1, 1]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == files
    assert len(files) == 2


def test_tokens_of_another_version_of_the_tokenizers_are_not_taken(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encode(rows(), tokenizer, LongTexts(LONGEST), tmp_path)
    monkeypatch.setattr("tokenizers.__version__", "99.0")
    second = encode(rows(), tokenizer, LongTexts(LONGEST), tmp_path)
    assert first.fingerprint == second.fingerprint
    assert len([*tmp_path.rglob("*.tokens.npy")]) == 2


def test_the_fingerprint_follows_texts_and_length(tokenizer: Any) -> None:
    base = encode(rows(), tokenizer, LongTexts(LONGEST)).fingerprint
    assert base == encode(rows(labels=[0, 1, 1, 1]), tokenizer, LongTexts(LONGEST)).fingerprint
    assert base != encode(rows(), tokenizer, LongTexts(LONGEST + 1)).fingerprint
    assert base != encode(rows(TEXTS[::-1]), tokenizer, LongTexts(LONGEST)).fingerprint
    joined, parted = (
        encode(rows(texts), tokenizer, LongTexts(LONGEST)).fingerprint for texts in (["ab", "c"], ["a", "bc"])
    )
    assert joined != parted


def test_the_fingerprint_follows_the_tokenizer(tokenizer: Any) -> None:
    base = encode(rows(), tokenizer, LongTexts(LONGEST)).fingerprint
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["zwölf"])
    assert base != encode(rows(), other, LongTexts(LONGEST)).fingerprint


@pytest.mark.parametrize("part", ["tokens", "rows"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "header", "emptied", "replaced"])
def test_a_damaged_cache_file_is_made_anew(tokenizer: Any, tmp_path: Path, part: str, damage: str) -> None:
    whole = encode(rows(), tokenizer, LongTexts(LONGEST), tmp_path)
    wanted = row_tokens(whole)
    (file,) = tmp_path.rglob(f"*.{part}.npy")
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[-9] ^= 0x40
    elif damage == "header":
        content[11] ^= 0x40
    new = {
        "cut": content[:-8],
        "flipped": content,
        "header": content,
        "emptied": b"",
        "replaced": b"not an array" * 30,
    }[damage]
    file.unlink()  # the first arrays still map the old file
    file.write_bytes(new)
    assert row_tokens(encode(rows(), tokenizer, LongTexts(LONGEST), tmp_path)) == wanted
    assert file.read_bytes() != new


def test_a_disk_that_refuses_costs_nothing_but_time(tokenizer: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of a folder")
    assert len(encode(rows(), tokenizer, LongTexts(LONGEST), blocked)) == 4


def test_a_failed_write_leaves_nothing(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert len(encode(rows(), tokenizer, LongTexts(LONGEST), tmp_path)) == 4
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_token_lengths_are_uncut(tokenizer: Any) -> None:
    encode(rows(), tokenizer, LongTexts(4))  # which cuts
    assert token_lengths(TEXTS, tokenizer).tolist() == [len(row) for row in tokenizer(TEXTS)["input_ids"]]


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(UserError, match="fast tokenizer"):
        encode(rows(), object(), LongTexts(LONGEST))


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("FEATHERWEIGHT_CACHE")
    assert cache_folder() == tmp_path / "shared" / "featherweight"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "featherweight"
