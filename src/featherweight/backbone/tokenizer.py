"""Loads the tokenizer of a backbone without any network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featherweight.errors import UserError


def load_tokenizer(folder: Path, vocabulary: int | None = None) -> Any:
    """The fast tokenizer saved in ``folder``; if ``vocabulary`` is given, every token id must be below it.

    Raises UserError if the tokenizer is missing or damaged, belongs to another backbone, or has no padding token.
    """
    from transformers import AutoTokenizer

    if vocabulary is not None:
        _require_ids_below(folder / "tokenizer.json", vocabulary)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{folder}: the tokenizer cannot be loaded: {first}") from None
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(f"{folder}: the tokenizer has an empty vocabulary; tokenizer.json or vocab.txt is missing")
    if tokenizer.pad_token_id is None:
        raise UserError(f"{folder}: the tokenizer has no padding token, which an encoder needs")
    return tokenizer


def _require_ids_below(path: Path, vocabulary: int) -> None:
    """Raise UserError if a token id is not below ``vocabulary``: the backbone has no embedding for it."""
    try:
        content = json.loads(path.read_text("utf-8"))
        listed = content["model"]["vocab"]
        ids = dict(listed) if isinstance(listed, dict) else {"the last token": len(listed) - 1}
        ids |= {token["content"]: token["id"] for token in content.get("added_tokens", ())}
        token = max(ids, key=lambda name: ids[name], default=None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return  # the library also reads other formats, and reports what is wrong with the file
    if token is not None and not ids[token] < vocabulary:
        what = f"{token!r} has the id {ids[token]:,}, but the backbone has {vocabulary:,} tokens"
        raise UserError(f"{path}: {what}; the tokenizer is damaged or belongs to another backbone")
