"""The backbone's tokenizer, loaded without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featherweight.errors import UserError


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer saved in ``folder``. Raises UserError where it is missing, damaged or has no padding token."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
    except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{folder}: the tokenizer cannot be loaded: {first}") from None
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(f"{folder}: the tokenizer knows no words; tokenizer.json, or what it is made from, is missing")
    if tokenizer.pad_token_id is None:
        raise UserError(f"{folder}: the tokenizer has no padding token; this is no encoder's tokenizer")
    return tokenizer
