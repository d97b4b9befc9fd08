"""The divergences between predictions, against torch.distributions, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence

from featherweight.task.kl import kl_from, symmetric_kl


def logits(seed: int) -> torch.Tensor:
    return (3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))).requires_grad_()


@pytest.mark.parametrize("several", [False, True])
def test_the_symmetric_divergence_is_the_mean_of_both_directions(several: bool) -> None:
    first, second = logits(0), logits(1)
    one, other = ((Bernoulli if several else Categorical)(logits=each) for each in (first, second))
    expected = (kl_divergence(one, other) + kl_divergence(other, one)) / 2
    expected = expected.mean(-1).sum() if several else expected.sum()
    found = symmetric_kl(first, second, several=several)
    torch.testing.assert_close(found, expected)
    for gradient, wanted in zip(
        *(torch.autograd.grad(loss, (first, second)) for loss in (found, expected)), strict=True
    ):
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("several", [False, True])
def test_equal_predictions_do_not_diverge_however_sure_they_are(several: bool) -> None:
    sure = torch.tensor([[200.0, -200.0, 0.0]])
    assert symmetric_kl(sure, sure + (0 if several else 7), several=several) == 0


@pytest.mark.parametrize("several", [False, True])
def test_the_divergence_from_targets_is_that_of_torch(several: bool) -> None:
    targets = torch.softmax(logits(0).detach(), -1)
    targets[0], targets[1] = torch.tensor([0.0, 1.0, 0.0, 0.0]), 0.25  # certain, and as uncertain as can be
    student = logits(1)
    if several:
        expected = kl_divergence(Bernoulli(probs=targets), Bernoulli(logits=student)).mean(-1).sum()
    else:
        expected = kl_divergence(Categorical(probs=targets), Categorical(logits=student)).sum()
    found = kl_from(targets, student, several=several)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for gradient, wanted in zip(*(torch.autograd.grad(loss, student) for loss in (found, expected)), strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)
