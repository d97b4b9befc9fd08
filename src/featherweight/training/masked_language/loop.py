"""The loop of task-adaptive pretraining: all parameters of the backbone are trained to predict masked tokens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from featherweight.data.batches import Encoded, even_batches
from featherweight.errors import FeatherweightError
from featherweight.hints import flag, to_resume_adaptation
from featherweight.model.engine import Engine, autocast
from featherweight.model.predict import prediction_batches
from featherweight.recipe import Recipe
from featherweight.training.batch_order import StepOrder
from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
from featherweight.training.listeners import Listener, Record, notify
from featherweight.training.masked_language.masking import MaskedBatch, Masking
from featherweight.training.masked_language.model import MaskedModel
from featherweight.training.optimizer import rate_factor, warmup_steps
from featherweight.training.signals import Interrupted

HEAD_SHARE = 0.2
"""Share of the steps in which a new head is trained alone: until it can predict, its gradients harm the encoder."""
HEAD_RATE = 20.0
"""Learning rate of a new head as a multiple of the encoder's."""
CHECKPOINT_SECONDS = 300.0


@dataclass
class MaskedState:
    """The numbers that change from step to step; a checkpoint stores them beside the tensors."""

    step: int = 0
    seconds: float = 0.0
    loss_before: float = -1.0
    """Loss on the held-out texts before the encoder changes; negative until it is measured."""
    losses: list[list[float]] = field(default_factory=list)
    """Step, loss and accuracy of each evaluation on the held-out texts."""


@dataclass
class MaskedJob:
    """The inputs of one task-adaptive pretraining."""

    recipe: Recipe
    """Only its seed and its section [training] are read."""
    model: MaskedModel
    masking: Masking
    engine: Engine
    hidden: int
    """Width of the encoder's layers."""
    train: Encoded
    held_out: Encoded
    folder: Path
    """Where the folder ``checkpoint`` is."""
    listeners: Sequence[Listener] = ()
    should_stop: Callable[[], int] = lambda: 0

    @property
    def order(self) -> StepOrder:
        """The rows of every optimizer step."""
        return StepOrder(self.train.lengths, self.recipe)


def head_steps(model: MaskedModel, total_steps: int) -> int:
    """Number of steps at the start that train only the head.

    It is above 0 only if the head starts from random weights, because the backbone has no head for masked tokens.
    """
    return math.ceil(HEAD_SHARE * total_steps) if model.new_head else 0


def fit_masked(job: MaskedJob, *, resume: bool = False, notes: Sequence[str] = ()) -> MaskedState:
    """Train ``job.model`` in place, and return the state of the loop at the end.

    Raises Interrupted, after writing a checkpoint, if ``job.should_stop`` returns the number of a signal;
    FeatherweightError if the loss or its gradient is not finite.
    """
    order, state = job.order, MaskedState()
    optimizer = _build_optimizer(job)
    parameters = dict(job.model.network.named_parameters())
    warnings: list[str] = []
    if resume:
        expected = asdict(state)
        stored, _, warnings = load_checkpoint(job.folder / "checkpoint", parameters, optimizer, expected)
        state = MaskedState(**{key: stored[key] for key in expected})
    for listener in job.listeners:
        listener.started(order.total_steps, state.step, [*notes, *warnings])
    started, saved = time.perf_counter() - state.seconds, time.perf_counter()
    first, epochs = head_steps(job.model, order.total_steps), set(np.cumsum(order.steps_of_epochs).tolist())
    job.model.network.train()
    for step, _, batches in order.from_step(state.step):
        job.model.freeze_encoder(step < first)
        if step == first:
            state.loss_before = _evaluate(job, state, "before the encoder changes")
        _set_rates(optimizer, step, first, order.total_steps, job.recipe.training)
        record = _one_step(job, optimizer, step, np.concatenate(batches))
        state.step, state.seconds = step + 1, time.perf_counter() - started
        for listener in job.listeners:
            listener.stepped(record | {"step": state.step})
        if state.step in epochs:
            _evaluate(job, state, f"after epoch {len(order.steps_of_epochs) - order.epochs_after(state.step)}")
        stop = job.should_stop()
        due = time.perf_counter() - saved > CHECKPOINT_SECONDS
        if stop or due or state.step == order.total_steps:
            save_checkpoint(job.folder / "checkpoint", parameters, {}, optimizer, asdict(state))
            saved = time.perf_counter()
        if stop:
            raise Interrupted(f"stopped after step {state.step}; to resume, {to_resume_adaptation()}", stop)
    job.model.freeze_encoder(False)
    return state


def held_out_loss(job: MaskedJob) -> tuple[float, float]:
    """Mean loss and accuracy on the masked tokens of the held-out texts; the same tokens are masked every time."""
    network = job.model.network.eval()
    loss, right, count = 0.0, 0, 0
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(job.recipe.seed)
        for rows in prediction_batches(job.held_out, job.engine):
            batch = job.masking.batch(job.held_out, rows)
            found, hits = _loss(job, batch)
            loss, right, count = loss + float(found), right + hits, count + len(batch.targets)
    network.train()
    return loss / max(1, count), right / max(1, count)


def _evaluate(job: MaskedJob, state: MaskedState, when: str) -> float:
    loss, accuracy = held_out_loss(job)
    state.losses.append([state.step, loss, accuracy])
    notify(job.listeners, f"held-out masked tokens {when}: loss {loss:.4f}, {accuracy:.1%} predicted")
    return loss


def _loss(job: MaskedJob, batch: MaskedBatch) -> tuple[torch.Tensor, int]:
    """Cross-entropy summed over the masked tokens of a batch, and how many of these are predicted correctly."""
    with autocast(job.engine):
        logits = job.model.logits(batch)
    loss = functional.cross_entropy(logits.float(), batch.targets, reduction="sum")
    return loss, int((logits.argmax(-1) == batch.targets).sum())


def _one_step(job: MaskedJob, optimizer: torch.optim.Optimizer, step: int, rows: NDArray[np.int64]) -> Record:
    """Run one optimizer step, and return its loss and accuracy, both means over the tokens to predict."""
    # Masks and dropout depend only on seed and step, so that a resumed adaptation draws the same ones.
    torch.manual_seed(job.recipe.seed * 1_000_003 + step)
    most = job.engine.training_micro_batch_tokens(job.hidden)
    parts = even_batches(job.train.lengths[rows], batch_tokens=most)
    batches = [job.masking.batch(job.train, rows[part]) for part in parts]
    count = max(1, sum(len(batch.targets) for batch in batches))
    total, right = 0.0, 0
    for batch in batches:
        loss, hits = _loss(job, batch)
        (loss / count).backward()
        total, right = total + float(loss.detach()), right + hits
    trained = [parameter for parameter in job.model.network.parameters() if parameter.requires_grad]
    norm = nn.utils.clip_grad_norm_(trained, job.recipe.training.clip)
    if not (math.isfinite(total) and torch.isfinite(norm)):
        raise FeatherweightError(f"step {step + 1}: the loss or its gradient is not finite; use a lower {flag('--lr')}")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    tokens = int(job.train.lengths[rows].sum())
    return {"kind": "step", "loss": total / count, "accuracy": right / count, "tokens": tokens}


def _build_optimizer(job: MaskedJob) -> torch.optim.AdamW:
    """AdamW with up to four parameter groups: matrices and vectors of the encoder, matrices and vectors of the head.

    Only matrices have weight decay.
    """
    training, head = job.recipe.training, job.model.head_names
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in job.model.network.named_parameters():
        groups.setdefault((name in head, parameter.ndim > 1), []).append(parameter)
    settings = [
        {"params": parameters, "head": of_head, "weight_decay": training.weight_decay if decays else 0.0}
        for (of_head, decays), parameters in groups.items()
    ]
    return torch.optim.AdamW(settings, lr=training.learning_rate)


def _set_rates(optimizer: torch.optim.Optimizer, step: int, first: int, total: int, training: Any) -> None:
    """Set the learning rates of ``step``.

    The head is trained from step 0, the encoder from step ``first``, each with a warm-up at its start. The schedules of
    both end at step ``total``.
    """
    for group in optimizer.param_groups:
        begun = 0 if group["head"] else first
        ratio = HEAD_RATE if group["head"] and first else 1.0
        length = total - begun
        factor = rate_factor(step - begun, length, warmup_steps(training.warmup, length), training)
        group["lr"] = training.learning_rate * ratio * (factor if step >= begun else 0.0)
