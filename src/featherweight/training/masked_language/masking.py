"""Chooses tokens and masks them with transformers' collator, as in BERT (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DataCollatorForLanguageModeling

from featherweight.data.batches import Encoded, collate
from featherweight.errors import UserError

SHARE = 0.15
"""Share of the tokens that are to be predicted; special tokens are never chosen."""


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """A batch of b texts of at most t tokens, of which n tokens are to be predicted."""

    input_ids: Tensor
    """int64 [b, t]; of the chosen tokens, 80% are replaced by the mask token and 10% by random ones."""
    attention_mask: Tensor
    """int64 [b, t]"""
    chosen: Tensor
    """bool [b, t]"""
    targets: Tensor
    """int64 [n]: the original ids of the chosen tokens, in the order of the texts."""
    token_types: Tensor | None = None
    """int64 [b, t]: 1 in the second text of a pair and 0 elsewhere; None if there are no pairs or no token types."""


class Masking:
    """Makes masked batches. The tokens to predict are drawn with torch's global random generator."""

    def __init__(self, tokenizer: Any, device: str) -> None:
        if tokenizer.mask_token_id is None:
            raise UserError(
                "the backbone's tokenizer has no mask token, so masked language modelling cannot adapt the backbone; "
                "use another backbone"
            )
        self._collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=SHARE)
        self._special = torch.tensor(sorted(set(tokenizer.all_special_ids)))
        self._pad_id = tokenizer.pad_token_id
        self._device = device

    def batch(self, encoded: Encoded, rows: NDArray[np.int64]) -> MaskedBatch:
        """A batch of the texts of ``encoded`` with the indices ``rows``, in which some tokens are masked."""
        plain = collate(encoded, rows, self._pad_id)
        special = torch.isin(plain.input_ids, self._special)
        masked, labels = self._collator.torch_mask_tokens(plain.input_ids, special_tokens_mask=special)
        chosen = labels != -100
        device, types = self._device, plain.token_types
        return MaskedBatch(
            masked.to(device),
            plain.attention_mask.to(device),
            chosen.to(device),
            labels[chosen].to(device),
            token_types=None if types is None else types.to(device),
        )
