"""AdamW for the trained parameters, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from featherweight.formatting import counted
from featherweight.hints import to_set
from featherweight.recipe import TrainingRecipe


def build_optimizer(
    trainable: Mapping[str, nn.Parameter], training: TrainingRecipe, *, fused: bool = False
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) for ``trainable``.

    Vectors (biases, norms) have no weight decay. The learning rate of LoRA's B matrices is multiplied by
    ``lora_plus_ratio``, as in LoRA+ (Hayou et al. 2024). With ``fused``, one GPU kernel updates all parameters.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trainable.items():
        ratio = training.lora_plus_ratio if ".lora_B." in name else 1.0
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((ratio, decay), []).append(parameter)
    settings = [
        {"params": parameters, "lr": training.learning_rate * ratio, "ratio": ratio, "weight_decay": decay}
        for (ratio, decay), parameters in groups.items()
    ]
    return torch.optim.AdamW(settings, lr=training.learning_rate, fused=True if fused else None)


def warmup_steps(warmup: float, total_steps: int) -> int:
    """Number of warm-up steps. ``warmup`` is a fraction of all steps if it is below 1, else a number of steps.

    A training of one step has no warm-up, because the learning rate of its first step is 0.
    """
    if total_steps == 1:
        return 0
    return math.ceil(warmup * total_steps) if warmup < 1 else int(warmup)


def too_long_warmup(training: TrainingRecipe, total_steps: int) -> list[str]:
    """A note to the user if the warm-up takes all steps, so that the learning rate stays below its peak; else empty."""
    if warmup_steps(training.warmup, total_steps) < total_steps:
        return []
    takes = f"training.warmup = {training.warmup:g} takes all {counted(total_steps, 'step')}"
    remedy = f"for a shorter one, add {to_set('training.warmup=0.06')}"
    return [f"{takes}: the learning rate does not reach {training.learning_rate:g}; {remedy}"]


def rate_factor(step: int, total_steps: int, warmup: int, training: TrainingRecipe) -> float:
    """Learning rate at optimizer step ``step`` (0 is the first) as a fraction of the peak, as in transformers.

    ``warmup`` is the number of warm-up steps. After these, the schedule ``wsd`` (warmup-stable-decay, Hägele et al.
    2024) is constant; in the last part of the training, whose share is ``training.decay``, it falls to zero linearly.
    If that part would begin before the warm-up ends, it begins there.
    """
    schedule = training.schedule
    if step < warmup:
        return step / max(1, warmup)
    if schedule == "constant":
        return 1.0
    if schedule == "wsd":
        decay = max(1, min(math.ceil(training.decay * total_steps), total_steps - warmup))
        return max(0.0, min(1.0, (total_steps - step) / decay))
    progress = (step - warmup) / max(1, total_steps - warmup)
    if schedule == "linear":
        return max(0.0, 1.0 - progress)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of each parameter group to ``rate`` times its LoRA+ ratio (1 for all but B matrices)."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["ratio"]
