"""The backbone's tokenizer, loaded without any network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featherweight.errors import UserError


def load_tokenizer(folder: Path, vocabulary: int | None = None) -> Any:
    """The fast tokenizer saved in ``folder``, none of whose tokens has a number from ``vocabulary`` on, where given.

    Raises UserError where it is missing, damaged, of another backbone, or has no padding token.
    """
    from transformers import AutoTokenizer

    if vocabulary is not None:
        _require_numbers(folder / "tokenizer.json", vocabulary)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{folder}: the tokenizer cannot be loaded: {first}") from None
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(f"{folder}: the tokenizer knows no words; tokenizer.json, or what it is made from, is missing")
    if tokenizer.pad_token_id is None:
        raise UserError(f"{folder}: the tokenizer has no padding token; this is no encoder's tokenizer")
    return tokenizer


def _require_numbers(path: Path, vocabulary: int) -> None:
    """Raise UserError where a token's number has no place in the backbone; the library would make room for it."""
    try:
        content = json.loads(path.read_text("utf-8"))
        listed = content["model"]["vocab"]
        numbers = dict(listed) if isinstance(listed, dict) else {"the last token": len(listed) - 1}
        numbers |= {token["content"]: token["id"] for token in content.get("added_tokens", ())}
        token = max(numbers, key=lambda name: numbers[name], default=None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return  # the library, which reads other formats too, says what is wrong with it
    if token is not None and not numbers[token] < vocabulary:
        what = f"{token!r} has the number {numbers[token]:,}, the backbone knows {vocabulary:,}"
        raise UserError(f"{path}: {what}; the tokenizer belongs to another backbone, or is damaged")
