"""The training loop: optimizer steps, evaluations, checkpoints, and the choice of the best adapter."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor

from featherweight.data.batches import Batch, collate, copied, even_batches
from featherweight.environment import peak_memory_bytes
from featherweight.hints import to_resume_here
from featherweight.model.engine import return_memory
from featherweight.model.predict import predict_logits
from featherweight.progress import RowProgress
from featherweight.recipe import TrainingRecipe
from featherweight.run.best import rank
from featherweight.task.interface import task_of
from featherweight.task.loss import Loss
from featherweight.training.accelerator import agreed, over_processes
from featherweight.training.averaging import Average, set_weights
from featherweight.training.batch_order import StepOrder
from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
from featherweight.training.clock import Clock
from featherweight.training.divergence import FILE, MOST_SKIPPED, Diverged, OverflowCounter, diverged
from featherweight.training.evaluation_steps import evaluation_steps, without_effect
from featherweight.training.history import History
from featherweight.training.job import LATER, Job, LoopState
from featherweight.training.listeners import notify
from featherweight.training.objective import Objective, objective_of
from featherweight.training.optimizer import build_optimizer, rate_factor, set_rate, too_long_warmup, warmup_steps
from featherweight.training.prefix_cache.planning import Prefix, attach_states, plan_prefix
from featherweight.training.row_source import row_source
from featherweight.training.signals import Interrupted
from featherweight.training.step_records import Measured, StepRecords, most_unread
from featherweight.training.windows import forward_passes, text_logits

_STEPS_TO_RETURN_MEMORY = 50  # often enough to limit memory; more often would slow the training down


def fit(job: Job, *, resume: bool = False) -> LoopState:
    """Train ``job.network`` in place, and return the state of the loop at the end.

    Afterwards the network has the adapter of the best or the last step, as the key ``training.keep`` says.

    Raises Interrupted, after writing a checkpoint, if ``job.should_stop`` returns the number of a signal; Diverged if
    the loss or its gradient is not finite.
    """
    order = StepOrder(job.train.lengths, job.recipe, job.train.windows)
    optimizer = build_optimizer(job.network.trainable(), job.recipe.training, fused=most_unread(job) > 1)
    state, kind = LoopState(), job.recipe.training.average
    average = job.average = Average(kind, order.total_steps, job.network.trainable()) if kind else None
    notes: list[str] = []
    history = History(job.folder / "history.jsonl" if job.accelerator.is_main_process else None)
    if resume:
        place = job.folder / "checkpoint"
        expected = {key: value for key, value in asdict(state).items() if key not in LATER}
        stored, job.best, notes = load_checkpoint(place, job.network.trainable(), optimizer, expected, average)
        state = LoopState(**{key: stored[key] for key in asdict(state) if key in stored})
        state.seconds_before = state.seconds
        if job.accelerator.scaler and stored.get("scaler"):
            job.accelerator.scaler.load_state_dict(stored["scaler"])
        notes.append(_resumed(state, task_of(job.recipe).score))
    notes += history.cut_after(state.step)
    evaluations = evaluation_steps(job.recipe.training, order.steps_of_epochs)
    notes += without_effect(job.recipe.training, len(evaluations), order.total_steps)
    notes += too_long_warmup(job.recipe.training, order.total_steps)
    left = order.epochs_after(state.step)
    objective = _objective(job)
    first_epoch = lambda: _micro_batches(job, objective, order.batches(0))  # noqa: E731
    passes = lambda: forward_passes(job, [objective.repeated(rows) for rows, _ in first_epoch()])  # noqa: E731
    prefix, more = plan_prefix(job, left, passes)
    for listener in job.listeners:
        listener.started(order.total_steps, state.step, [*job.notes, *notes, *more])
    try:
        _run_steps(job, objective, order, evaluations, optimizer, state, history, prefix)
    finally:
        history.close()
    if job.accelerator.is_main_process:
        (job.folder / FILE).unlink(missing_ok=True)  # from an earlier attempt that diverged; this one did not
    if job.recipe.training.keep == "best":
        set_weights(job.network.trainable(), job.best)
    elif average is not None:
        set_weights(job.network.trainable(), average.tensors)
    return state


def _resumed(state: LoopState, score: str) -> str:
    best = f"best validation {score.replace('_f1', '-F1')} so far {state.best[score]:.2%}, at step {state.best_step}"
    return f"resumed after step {state.step}{'; ' + best if state.best_step else ''}"


def _objective(job: Job) -> Objective:
    assert job.train.labels is not None
    return objective_of(job.recipe, job.train.labels, len(job.network.labels), job.engine.device)


def _run_steps(
    job: Job,
    objective: Objective,
    order: StepOrder,
    evaluations: Container[int],
    optimizer: Any,
    state: LoopState,
    history: History,
    prefix: Prefix | None,
) -> None:
    training = job.recipe.training
    fused = bool(optimizer.defaults["fused"])  # if not, AdamW counts its steps on the CPU, so as not to wait for a GPU
    model, optimizer = job.accelerator.prepare(job.network, optimizer, device_placement=[True, fused])
    warmup = warmup_steps(training.warmup, order.total_steps)
    clock, overflows = Clock(state.seconds), OverflowCounter()
    if prefix is not None:
        attach_states(job, prefix)
        _raise_if_stopped(job, agreed(job.accelerator, job.should_stop()), state)
    job.source = row_source(job.train, job.engine.device, job.pad_id, collate)
    records = _step_records(job, optimizer, history, clock)
    job.network.train()
    for step, epoch, batches in order.from_step(state.step):
        if _is_patience_over(state, training):
            break
        rate = training.learning_rate * rate_factor(step, order.total_steps, warmup, training)
        set_rate(optimizer, rate)
        measured = _one_step(job, model, optimizer, objective, batches, step, records.before_update)
        if overflows.limit_reached(optimizer.step_was_skipped):
            raise _diverged(job, f"the gradient overflowed fp16 in {MOST_SKIPPED} steps in a row", measured)
        state.step, state.seconds = step + 1, clock.seconds()
        if job.average is not None:
            job.average.update(state.step)
        measured.record |= {"epoch": epoch, "learning_rate": rate, "seconds": state.seconds}
        records.add(measured)
        last = state.step == order.total_steps
        if state.step in evaluations:
            records.read()
            with job.average.in_place() if job.average is not None else nullcontext():
                _evaluate(job, objective.loss, state, history)
            last = last or _is_patience_over(state, training)
        stop = agreed(job.accelerator, job.should_stop())
        # The last step has a checkpoint too: if saving fails, for instance on a full disk, the training is not lost.
        if stop or last or clock.checkpoint_due(state.step, training):
            records.read()
            _checkpoint(job, optimizer, state, history)
        _raise_if_stopped(job, stop, state)
    job.accelerator.unwrap_model(model, keep_fp32_wrapper=False)


def _raise_if_stopped(job: Job, signal_number: int, state: LoopState) -> None:
    if signal_number:
        how = to_resume_here(job.folder)
        raise Interrupted(f"stopped after step {state.step}; to resume, {how}", signal_number)


def _is_patience_over(state: LoopState, training: TrainingRecipe) -> bool:
    return training.early_stopping > 0 and state.stale >= training.early_stopping


def _step_records(job: Job, optimizer: Any, history: History, clock: Clock) -> StepRecords:
    def passed_on(record: dict[str, Any]) -> None:
        history.write(record)
        for listener in job.listeners:
            listener.stepped(record)

    failed = partial(_diverged, job, "the loss or its gradient is not finite")
    return StepRecords(most_unread(job), optimizer, passed_on, failed, clock.seconds, job.engine.device)


def _one_step(
    job: Job,
    model: Any,
    optimizer: Any,
    objective: Objective,
    batches: list[np.ndarray],
    step: int,
    before_update: Callable[[Measured], Any] = Measured.read,
) -> Measured:
    """Run one optimizer step on the rows in ``batches``, and return its loss, score and gradient norm.

    The loss is the mean over all these rows. ``before_update`` is called with the result before the weights change.
    """
    # Dropout's random numbers depend only on seed, step and process, so that a resumed run draws the same ones.
    torch.manual_seed((job.recipe.order_seed * 1_000_003 + step) * 4_099 + job.accelerator.process_index)
    accelerator, training, loss_function = job.accelerator, job.recipe.training, objective.loss
    all_rows = np.concatenate(batches)
    loss_sum, counts = _gradients(job, model, objective, batches)
    loss_value, counted = over_processes(accelerator, loss_sum, counts)
    norm = accelerator.clip_grad_norm_(list(job.network.trainable().values()), training.clip or float("inf"))
    count, tokens = len(all_rows), int(job.train.lengths[all_rows].sum())
    score = task_of(job.recipe).score
    record = {"kind": "step", "step": step + 1, "epoch": 0.0, "loss": None, score: None,
              "learning_rate": 0.0, "grad_norm": None, "rows": count, "tokens": tokens}  # fmt: skip
    numbers = torch.cat([torch.stack([loss_value, norm]).double(), counted.double()])
    scaled = job.engine.precision == "fp16"
    measured = Measured(record, score, lambda counted: loss_function.score(counted, count), numbers, all_rows, scaled)
    before_update(measured)
    optimizer.step()
    optimizer.zero_grad()
    if step % _STEPS_TO_RETURN_MEMORY == 0:
        return_memory()
    return measured


def _gradients(job: Job, model: Any, objective: Objective, batches: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Add the gradient of the mean loss over all rows in ``batches`` to the weights' gradients.

    Returns what this process found for its own rows: their part of the loss (a number), and what the score counts (a
    vector, such as the number of right rows).
    """
    accelerator, loss_function = job.accelerator, objective.loss
    assert job.train.labels is not None
    all_rows = np.concatenate(batches)
    labels = job.source.labels(all_rows) if job.source else torch.from_numpy(job.train.labels[all_rows])
    divisor = loss_function.divisor(labels.to(job.engine.device))
    loss_sum = torch.zeros((), device=job.engine.device)
    found: list[Tensor] = []
    micro_batches = _micro_batches(job, objective, batches)
    for number, (rows, counts) in enumerate(micro_batches):
        repeated = objective.repeated(rows)
        batch = job.source.batch(repeated) if job.source else collate(job.train, repeated, job.pad_id)
        assert batch.labels is not None
        target = batch.labels.to(job.engine.device)
        with accelerator.no_sync(model) if number + 1 < len(micro_batches) else nullcontext():
            logits = text_logits(job, model, batch)
            loss = objective.share(logits, target, divisor, len(all_rows), _teacher_of(job, batch))
            # Data-parallel training averages the gradients of the processes. Their rows form one batch, so the
            # gradients have to be summed: multiply by the number of processes.
            accelerator.backward(loss * accelerator.num_processes * counts)
        loss_sum += loss.detach() * counts
        first_pass = slice(len(rows))  # a row counts once, even if it goes through the network twice
        found.append(loss_function.counts(logits[first_pass], target[first_pass]) * counts)
    return loss_sum, torch.stack(found).sum(0)


def _teacher_of(job: Job, batch: Batch) -> Tensor | None:
    return None if job.teacher is None else copied(torch.from_numpy(job.teacher[batch.rows]), job.engine.device)


def _diverged(job: Job, what: str, measured: Measured) -> Diverged:
    folder, record = job.folder if job.accelerator.is_main_process else None, measured.record
    numbers, rate = (record["step"], record["loss"], record["grad_norm"]), job.recipe.training.learning_rate
    return diverged(folder, what, *numbers, measured.rows, job.rows, rate)


def _micro_batches(job: Job, objective: Objective, batches: list[np.ndarray]) -> list[tuple[np.ndarray, bool]]:
    """The micro-batches of this process in one step, each as (row indices, whether its gradient is used).

    A batch is split if its activations would need too much memory; the sum of the gradients is the same. If there are
    fewer rows than processes, a process without a row computes another one's row, and that gradient is not used.
    """
    micro_batches: list[tuple[np.ndarray, bool]] = []
    most = job.engine.training_micro_batch_tokens(job.network.architecture.hidden) // objective.passes
    for rows in batches:
        own_rows = rows[job.accelerator.process_index :: job.accelerator.num_processes]
        windows = None if job.train.windows is None else job.train.windows[own_rows]
        parts = even_batches(job.train.lengths[own_rows], batch_tokens=most, windows=windows)
        # A process without rows must still take part in the exchange of gradients: it computes one that does not count.
        micro_batches += [(own_rows[part], True) for part in parts] or [(rows[:1], False)]
    return micro_batches


def _evaluate(job: Job, loss_function: Loss, state: LoopState, history: History) -> None:
    started = time.perf_counter()
    part = (job.accelerator.process_index, job.accelerator.num_processes)
    progress = RowProgress(partial(notify, job.listeners), "validation", len(job.validation))

    def advance(rows: int) -> None:
        progress(rows * part[1])  # the other processes are about as far

    logits = predict_logits(job.network, job.validation, job.engine, job.pad_id, advance=advance, part=part)
    if part[1] > 1:
        logits = np.sum(gather_object([logits]), axis=0)
    labels = job.validation.labels
    assert labels is not None
    figures = {"loss": loss_function.of_all(logits, labels), **task_of(job.recipe).scores(logits, labels)}
    best_by = job.recipe.evaluation.best_by
    better = rank(figures, best_by) > rank(state.best, best_by)
    if better:
        state.best_step, state.stale, state.best = state.step, 0, figures
        job.best = {name: tensor.detach().clone() for name, tensor in job.network.trainable().items()}
    else:
        state.stale += 1
    if better or job.recipe.training.keep == "last":
        # Several processes, and cached states of frozen layers, may round otherwise than a prediction does.
        job.best_logits = logits if part[1] == 1 and job.validation.states is None else None
    record = {"kind": "evaluation", "step": state.step, "split": "validation", **figures,
              "rows": len(labels), "seconds": time.perf_counter() - started,
              "peak_memory_bytes": peak_memory_bytes()}  # fmt: skip
    history.write(record)
    history.flush()
    for listener in job.listeners:
        listener.evaluated(record, better)


def _checkpoint(job: Job, optimizer: Any, state: LoopState, history: History) -> None:
    history.flush()
    if job.accelerator.is_main_process:
        inner = getattr(optimizer, "optimizer", optimizer)
        # Only fp16 has a loss scaler; an exact resume needs its state.
        scaler = job.accelerator.scaler.state_dict() if job.accelerator.scaler else None
        stored = asdict(state) | {"scaler": scaler}
        average = job.average.tensors if job.average is not None else {}
        save_checkpoint(job.folder / "checkpoint", job.network.trainable(), job.best, inner, stored, average)
