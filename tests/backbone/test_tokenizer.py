"""Tokenizers without the rest of transformers: the same tokens and fingerprint, and the class that it would choose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from featherweight.backbone.tokenizer import SavedTokenizer, load_tokenizer, saved_tokenizer
from featherweight.data.encoding import encode, fingerprint
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.errors import UserError

BERT = {
    token: place for place, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "apple", "##s", "crow"])
}
MPNET = {
    token: place for place, token in enumerate(["<s>", "<pad>", "</s>", "[UNK]", "<mask>", "apple", "##s", "crow"])
}
ROBERTA = {
    token: place for place, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "Ġa", "p", "ap"])
}
UNIGRAM = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁app", -1.0), ("les", -2.0), ("<mask>", 0.0)]
CAMEMBERT = [
    ("<s>NOTUSED", 0.0),
    ("<pad>", 0.0),
    ("</s>NOTUSED", 0.0),
    ("<unk>", 0.0),
    ("<unk>NOTUSED", -100.0),
    *UNIGRAM[4:],
]
KINDS: list[tuple[str, str, dict[str, Any]]] = [
    ("bert", "BertTokenizer", {"vocab": BERT}),
    ("electra", "BertTokenizer", {"vocab": BERT, "do_lower_case": False}),
    ("distilbert", "BertTokenizer", {"vocab": BERT, "strip_accents": False}),
    ("distilbert", "DistilBertTokenizer", {"vocab": BERT}),
    ("mpnet", "MPNetTokenizer", {"vocab": MPNET}),
    ("roberta", "RobertaTokenizer", {"vocab": ROBERTA, "merges": [("a", "p")]}),
    ("xlm-roberta", "XLMRobertaTokenizer", {"vocab": UNIGRAM}),
    ("camembert", "CamembertTokenizer", {"vocab": CAMEMBERT}),
]
TEXTS = ["Apples ", "crow  áp", "", "<mask> 今日"]


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(kind[:2]))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A backbone's folder with a small tokenizer of each class."""
    family, kind, settings = request.param
    getattr(transformers, kind)(**settings).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}), "utf-8")
    return tmp_path


def test_the_class_is_the_one_that_auto_chooses(folder: Path) -> None:
    assert type(load_tokenizer(folder)) is type(transformers.AutoTokenizer.from_pretrained(folder))


@pytest.mark.parametrize("texts", [TEXTS, [*zip(TEXTS, TEXTS[::-1], strict=True)]], ids=["texts", "pairs"])
def test_a_saved_tokenizer_gives_the_tokens_of_the_whole_one(folder: Path, tmp_path: Path, texts: list[Any]) -> None:
    load_tokenizer(folder).save_pretrained(tmp_path / "saved")
    light, whole = saved_tokenizer(tmp_path / "saved"), load_tokenizer(tmp_path / "saved")
    assert isinstance(light, SavedTokenizer)
    rows = Rows(texts=texts, labels=None, label_names=(), origin="test")
    assert fingerprint(rows, light, LongTexts(9)) == fingerprint(rows, whole, LongTexts(9))
    ours, theirs = (encode(rows, tokenizer, LongTexts(9)) for tokenizer in (light, whole))
    assert ours.tokens.tolist() == theirs.tokens.tolist()
    assert (ours.seconds is None) == (theirs.seconds is None)
    assert light.pad_token_id == whole.pad_token_id
    assert type(light.whole) is type(whole)


def test_a_tokenizer_is_found_after_the_working_folder_has_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_tokenizer(folder).save_pretrained(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    light = saved_tokenizer(Path("saved"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(light.whole) == len(load_tokenizer(folder))


def test_a_tokenizer_of_another_class_is_loaded_by_transformers(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "SomeTokenizer"}), "utf-8")
    assert not isinstance(saved_tokenizer(folder), SavedTokenizer)


@pytest.mark.parametrize("content", ["{", "{}", '{"model": {"type": "WordPiece", "vocab": {}}}'])
def test_a_damaged_file_is_refused_as_transformers_does(tmp_path: Path, content: str) -> None:
    transformers.BertTokenizer(vocab=BERT).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content, "utf-8")
    with pytest.raises(UserError, match="tokenizer"):
        saved_tokenizer(tmp_path)
