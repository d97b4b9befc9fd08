"""The model that is trained: a frozen encoder with its PEFT adapter, and the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from peft import PeftModel


class LinearHead(nn.Module):
    """One linear layer on the first token's state or on the mean over the tokens, always in fp32."""

    def __init__(self, hidden: int, labels: int, pooling: str) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, labels)
        self.pooling = pooling
        # The initialisation of BERT's own classification heads.
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits [batch, labels] from hidden states [batch, tokens, hidden] and mask [batch, tokens]."""
        with torch.autocast(states.device.type, enabled=False):
            return self.out(pool(states.float(), attention_mask, self.pooling))


def pool(states: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """One vector a text, [batch, hidden]: the first token's, or the mean over the unmasked tokens."""
    if pooling == "first":
        return states[:, 0]
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class Network(nn.Module):
    """Encoder, adapter and head behind one call: token numbers in, logits out."""

    def __init__(self, encoder: PeftModel | nn.Module, head: LinearHead | None, labels: tuple[str, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.labels = labels

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits [batch, labels] in fp32 from int64 tensors [batch, tokens]."""
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        if self.head is None:
            return output.logits.float()
        return self.head(output.last_hidden_state, attention_mask)

    def trainable(self) -> dict[str, nn.Parameter]:
        """Everything that is trained, by name, each tensor once."""
        return {name: tensor for name, tensor in self.named_parameters() if tensor.requires_grad}

    def trainable_count(self) -> int:
        """Number of trained parameters on the live model, each tensor counted once."""
        return sum(tensor.numel() for tensor in self.trainable().values())
