"""AdamW over the adapter, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from featherweight.recipe import TrainingRecipe


def build_optimizer(trainable: Mapping[str, nn.Parameter], training: TrainingRecipe) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) with no decay on vectors, and LoRA+'s own rate for B (Hayou et al. 2024)."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trainable.items():
        ratio = training.lora_plus_ratio if ".lora_B." in name else 1.0
        decay = training.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((ratio, decay), []).append(parameter)
    settings = [
        {"params": parameters, "lr": training.learning_rate * ratio, "ratio": ratio, "weight_decay": decay}
        for (ratio, decay), parameters in groups.items()
    ]
    return torch.optim.AdamW(settings, lr=training.learning_rate)


def warmup_steps(warmup: float, total_steps: int) -> int:
    """Warm-up in steps: a fraction of all steps below 1, a number of steps from 1 on."""
    return math.ceil(warmup * total_steps) if warmup < 1 else int(warmup)


def rate_factor(step: int, total_steps: int, warmup: int, schedule: str) -> float:
    """Share of the peak learning rate at optimizer step ``step`` (0 is the first), as in transformers' schedules."""
    if step < warmup:
        return step / max(1, warmup)
    if schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total_steps - warmup)
    if schedule == "linear":
        return max(0.0, 1.0 - progress)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set each group's learning rate to ``rate`` times its own ratio."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["ratio"]
