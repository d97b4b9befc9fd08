"""Loads the tokenizer of a backbone without any network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from featherweight.backbone.families import FAMILIES
from featherweight.errors import UserError, first_line

_CLASSES = {name: family.tokenizer for name, family in FAMILIES.items() if family.tokenizer}
"""Names of transformers' tokenizer classes, by the ``model_type`` in config.json."""
_INPUTS: dict[str, tuple[str, ...]] = dict.fromkeys(_CLASSES.values(), ("input_ids", "attention_mask"))
_INPUTS["DistilBertTokenizer"] = ("input_ids", "attention_mask")
_INPUTS["BertTokenizer"] = _INPUTS["TokenizersBackend"] = ("input_ids", "token_type_ids", "attention_mask")
"""The model inputs that a tokenizer creates, by the name of its class."""
UNKNOWN = "\ue000 \ue001"
"""A text that no vocabulary contains: tokenizing it fails if the vocabulary lacks its own token for unknown words."""


@dataclass(eq=False)
class SavedTokenizer:
    """The tokenizer in a tokenizer.json, read without transformers; it gives the same tokens as with transformers."""

    folder: Path
    """The folder of the file; from here ``whole`` is loaded later."""
    backend_tokenizer: Any
    """A ``Tokenizer`` of the library tokenizers."""
    pad_token_id: int
    model_input_names: tuple[str, ...]
    is_fast = True

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()  # the program may change its working folder before ``whole`` is used

    @cached_property
    def whole(self) -> Any:
        """The same tokenizer as an object of transformers, loaded from the folder."""
        return load_tokenizer(self.folder)


def saved_tokenizer(folder: Path, vocabulary: int | None = None) -> Any:
    """The tokenizer that transformers saved in ``folder``, if possible without importing transformers.

    If that is not possible, ``load_tokenizer`` loads it. Raises UserError as ``load_tokenizer`` does.
    """
    from tokenizers import Tokenizer

    if vocabulary is not None:
        _require_ids_below(folder / "tokenizer.json", vocabulary)
    try:
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        token, own_inputs = settings["pad_token"], _INPUTS[settings["tokenizer_class"].removesuffix("Fast")]
        padding = backend.token_to_id(token["content"] if isinstance(token, dict) else token)
        backend.encode(UNKNOWN)
        special = sum(token.special for token in backend.get_added_tokens_decoder().values())
    except Exception:  # a damaged file can raise any exception; transformers also reads other formats
        return load_tokenizer(folder, vocabulary)
    if padding is None or backend.get_vocab_size() <= special:
        return load_tokenizer(folder, vocabulary)
    return SavedTokenizer(folder, backend, padding, tuple(settings.get("model_input_names", own_inputs)))


def load_tokenizer(folder: Path, vocabulary: int | None = None) -> Any:
    """The fast tokenizer saved in ``folder``; if ``vocabulary`` is given, every token id must be below it.

    Raises UserError if the tokenizer is missing or damaged, belongs to another backbone, or has no padding token.
    """
    if vocabulary is not None:
        _require_ids_below(folder / "tokenizer.json", vocabulary)
    try:
        tokenizer = _class_for(folder).from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer(UNKNOWN)
    except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
        raise UserError(f"{folder}: the tokenizer cannot be loaded: {first_line(error)}\nGet its files again") from None
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(
            f"{folder}: the tokenizer has an empty vocabulary; add the backbone's tokenizer.json or vocab.txt"
        )
    if tokenizer.pad_token_id is None:
        raise UserError(f"{folder}: the tokenizer has no padding token; set pad_token in tokenizer_config.json")
    return tokenizer


def _class_for(folder: Path) -> Any:
    """The tokenizer class that AutoTokenizer would choose; if unknown, AutoTokenizer itself, which imports torch."""
    import transformers

    kinds = []
    for name, key in (("config.json", "model_type"), ("tokenizer_config.json", "tokenizer_class")):
        try:
            content = json.loads((folder / name).read_text("utf-8"))
            kinds.append("" if "auto_map" in content else str(content[key]))
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            kinds.append("")
    expected = _CLASSES.get(kinds[0], "")
    known = expected and expected == kinds[1].removesuffix("Fast")
    return getattr(transformers, expected if known else "AutoTokenizer")


def _require_ids_below(path: Path, vocabulary: int) -> None:
    """Raise UserError if a token id is not below ``vocabulary``: the backbone has no embedding for it."""
    try:
        content = json.loads(path.read_text("utf-8"))
        listed = content["model"]["vocab"]
        ids = dict(listed) if isinstance(listed, dict) else {"the last token": len(listed) - 1}
        ids |= {token["content"]: token["id"] for token in content.get("added_tokens", ())}
        token = max(ids, key=ids.__getitem__, default=None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return  # the library also reads other formats, and reports what is wrong with the file
    if token is not None and not ids[token] < vocabulary:
        what = f"{token!r} has the id {ids[token]:,}, but the backbone has {vocabulary:,} tokens"
        raise UserError(
            f"{path}: {what}; the tokenizer is damaged or belongs to another backbone: "
            "get the tokenizer of this backbone again"
        )
