"""Kullback-Leibler divergences, summed over the rows: between two predictions, or from targets to a prediction.

With one label per text a prediction is a distribution over the classes. With several labels it is a Bernoulli
distribution for each label, and the divergence of a row is the mean over all labels, as for the loss. The argument
``several`` says whether a text may have several labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def symmetric_kl(first: Tensor, second: Tensor, *, several: bool) -> Tensor:
    """Sum over the rows of (KL(p || q) + KL(q || p)) / 2, in nats.

    p and q are the probabilities from the logits ``first`` and ``second`` [rows, classes] of the same rows.

    With one label per text, the divergence of a row is the sum of (p - q)(log p - log q) / 2 over the classes. The
    logits are used in place of log p and log q: they differ by one constant per row, and p - q adds up to 0, so the sum
    is the same. With several labels per text, the divergence of one label is (p - q)(logit p - logit q) / 2, and that
    of a row is the mean over the labels.
    """
    first, second = first.float(), second.float()
    of_each = (probabilities(first, several=several) - probabilities(second, several=several)) * (first - second) / 2
    return of_each.mean(-1).sum() if several else of_each.sum()


def kl_from(targets: Tensor, logits: Tensor, *, several: bool) -> Tensor:
    """Sum over the rows of KL(t || p), in nats, for target probabilities t and the logits of p, [rows, classes]."""
    logits = logits.float()
    if not several:
        return functional.kl_div(torch.log_softmax(logits, -1), targets, reduction="sum")
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    negative_entropy = torch.xlogy(targets, targets) + torch.xlogy(1 - targets, 1 - targets)
    return (cross_entropy + negative_entropy).mean(-1).sum()


def probabilities(logits: Tensor, *, several: bool) -> Tensor:
    """Probability of each class, [rows, classes]: softmax with one label per text, sigmoid with several."""
    return torch.sigmoid(logits) if several else torch.softmax(logits, -1)
