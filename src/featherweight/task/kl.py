"""Kullback-Leibler divergences between predictions, on tensors, summed over the rows.

With one label per text a prediction is a distribution over the classes. With several labels it is a Bernoulli
distribution for each label, and a row's divergence is the mean over its labels, as its loss is.
"""

from __future__ import annotations

import torch
from torch import Tensor


def symmetric_kl(first: Tensor, second: Tensor, *, several: bool) -> Tensor:
    """Sum over the rows of (KL(p || q) + KL(q || p)) / 2, in nats, for two logits [rows, classes] of the same rows.

    It is the sum of (p - q)(log p - log q) / 2 over the classes. Logits stand for the logarithms: with one label they
    differ from them by a constant for each row, which p - q cancels because p and q add up to 1; with several labels
    the same follows from the two outcomes of each label.
    """
    first, second = first.float(), second.float()
    of_each = (probabilities(first, several=several) - probabilities(second, several=several)) * (first - second) / 2
    return of_each.mean(-1).sum() if several else of_each.sum()


def probabilities(logits: Tensor, *, several: bool) -> Tensor:
    """Probability of each class, [rows, classes]: softmax with one label per text, a sigmoid with several."""
    return torch.sigmoid(logits) if several else torch.softmax(logits, -1)
