"""Kullback-Leibler divergences, summed over the rows: between two predictions, or of a prediction from targets.

With one label per text a prediction is a distribution over the classes. With several labels it is a Bernoulli
distribution for each label, and the divergence of a row is the mean over its labels, as for the loss.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def symmetric_kl(first: Tensor, second: Tensor, *, several: bool) -> Tensor:
    """Sum over the rows of (KL(p || q) + KL(q || p)) / 2, in nats, for two logits [rows, classes] of the same rows.

    With one label per text it is the sum of (p - q)(log p - log q) / 2 over the classes. Logits are used in place of
    log p and log q: they differ from these by one constant per row, and p - q adds up to 0, so the sum is the same.
    With several labels per text it is the mean over the labels. For one label with its two outcomes, the divergence is
    (p - q)(logit p - logit q) / 2.
    """
    first, second = first.float(), second.float()
    of_each = (probabilities(first, several=several) - probabilities(second, several=several)) * (first - second) / 2
    return of_each.mean(-1).sum() if several else of_each.sum()


def kl_from(targets: Tensor, logits: Tensor, *, several: bool) -> Tensor:
    """Sum over the rows of KL(t || p), in nats, for target probabilities t and logits of p, both [rows, classes]."""
    logits = logits.float()
    if not several:
        return functional.kl_div(torch.log_softmax(logits, -1), targets, reduction="sum")
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    negative_entropy = torch.xlogy(targets, targets) + torch.xlogy(1 - targets, 1 - targets)
    return (cross_entropy + negative_entropy).mean(-1).sum()


def probabilities(logits: Tensor, *, several: bool) -> Tensor:
    """Probability of each class, [rows, classes]: softmax with one label per text, a sigmoid with several."""
    return torch.sigmoid(logits) if several else torch.softmax(logits, -1)
