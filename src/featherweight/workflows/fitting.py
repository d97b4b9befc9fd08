"""Runs the steps of a prepared training or, for a soup, averages the weights of finished runs in their place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featherweight.training.listeners import Listener
from featherweight.training.signals import stop_on_signals
from featherweight.workflows.prepare import Prepared
from featherweight.workflows.teachers import soft_labels

if TYPE_CHECKING:
    from featherweight.training.job import LoopState


def fit_prepared(
    prepared: Prepared, folder: Path, listeners: Sequence[Listener], resume: bool
) -> tuple[LoopState, np.ndarray | None]:
    """Run all training steps, or make the soup; return the last state, and the logits of the validation rows.

    The logits are [rows, classes]; None if those from the training may differ from those of the saved adapter. With
    ``resume`` the training continues from the checkpoint in ``folder``, if there is one.
    """
    if prepared.ingredients:
        from featherweight.workflows.mixing import mix

        return mix(prepared, folder, listeners)
    from featherweight.training.checkpoint import has_checkpoint
    from featherweight.training.job import Job
    from featherweight.training.loop import fit
    from featherweight.training.trackers import TrackerListener

    train, accelerator = prepared.splits.train, prepared.accelerator
    teacher = soft_labels(prepared.teachers, prepared.recipe, train, accelerator, listeners)
    if prepared.recipe.training.trackers and accelerator.is_main_process:
        listeners = [*listeners, TrackerListener(accelerator, prepared.recipe)]
    with stop_on_signals() as signalled:
        job = Job(
            prepared.recipe,
            prepared.model.network,
            prepared.model.engine,
            accelerator,
            prepared.train,
            prepared.validation,
            prepared.model.tokenizer.pad_token_id,
            folder,
            listeners,
            signalled,
            notes=[_engine_in_words(prepared), *prepared.splits.notes],
            teacher=teacher,
            rows=train,
        )
        state = fit(job, resume=resume and has_checkpoint(folder / "checkpoint"))
    for tracker in accelerator.trackers:
        # Each run is a separate record in a tracker. Only the tracker ends here, not the other processes.
        tracker.finish()
    return state, job.best_logits


def _engine_in_words(prepared: Prepared) -> str:
    """A note for the user: precision and device, the reason for them, and which forward pass is used."""
    from featherweight.model.lean.encoder import why_not_lean

    engine, network = prepared.model.engine, prepared.model.network
    words = f"{engine.precision} on {engine.device}: {engine.reason}"
    if engine.device != "cpu":
        return f"{words}; lean forward and backward pass" if network.lean is not None else words
    if network.lean is not None:
        padded = ", matrix shapes padded to a few sizes" if engine.pad_shapes else ""
        return f"{words}; lean forward and backward pass{padded}, attention from stored probabilities"
    return f"{words}; transformers' own forward pass (the lean pass is {why_not_lean(network) or 'switched off'})"
