"""Makes a soup (the mean of the weights of several runs) in place of a training, and evaluates it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from featherweight.adapter.soup import mean_of
from featherweight.adapter.storage import set_tensors
from featherweight.cache import cache_folder
from featherweight.environment import peak_memory_bytes
from featherweight.progress import RowProgress
from featherweight.run.best import figure, rank
from featherweight.task.interface import task_of
from featherweight.task.loss import loss_of
from featherweight.training.history import History
from featherweight.training.job import LoopState
from featherweight.training.listeners import Listener, Record, notify
from featherweight.workflows.ingredients import Ingredient, metric_in_words
from featherweight.workflows.prepare import Prepared


def mix(prepared: Prepared, folder: Path, listeners: Sequence[Listener]) -> tuple[LoopState, np.ndarray]:
    """Set the network to the soup of ``prepared.ingredients``; return the state and the logits of the validation rows.

    With ``training.soup_choice = "greedy"`` the runs are chosen on the validation rows; then ``taken`` of each of
    ``prepared.ingredients`` says whether it was chosen. history.jsonl gets one evaluation, at step 0.
    """
    started, best_by = time.perf_counter(), prepared.recipe.evaluation.best_by
    chosen = _greedy(prepared, listeners) if prepared.recipe.training.soup_choice == "greedy" else prepared.ingredients
    prepared.ingredients = chosen
    taken = [ingredient for ingredient in chosen if ingredient.taken]
    record, logits = _evaluated(prepared, taken, started, listeners)
    several = prepared.recipe.task == "multi-label"
    for ingredient in chosen:
        value = metric_in_words(best_by, ingredient.figure(best_by), several=several)
        source = ingredient.run.folder
        shown = source.relative_to(Path.cwd()) if source.is_relative_to(Path.cwd()) else source
        notify(listeners, f"{shown}: validation {value}{'' if ingredient.taken else ' (left out)'}")
    result = metric_in_words(best_by, figure(record, best_by), several=several)
    who = _in_words(len(taken), len(chosen))
    notify(listeners, f"{who}: validation {result}")
    prepared.splits.warnings.append(f"a soup: nothing was trained here; the weights are the {who}")
    if prepared.accelerator.is_main_process:
        _write(folder, record)
    # A soup costs what the trainings of its runs cost, those that it leaves out included.
    state = LoopState(seconds=sum(ingredient.seconds for ingredient in chosen))
    state.best = record
    return state, logits


def _in_words(taken: int, tried: int) -> str:
    if taken == 1:
        return f"weights of one run, since the mean with any of the other {tried - 1} was worse on the validation rows"
    return f"mean of the weights of {taken}{f' of {tried}' if taken < tried else ''} runs"


def _greedy(prepared: Prepared, listeners: Sequence[Listener]) -> list[Ingredient]:
    """The runs of a greedy soup (Wortsman et al. 2022, algorithm "Recipe 1"); ``taken`` says whether each is in it.

    The best run is tried first; a run is taken if the mean with it is not worse on the validation rows than without.
    """
    best_by, chosen, taken = prepared.recipe.evaluation.best_by, list[Ingredient](), list[Ingredient]()
    best = -float("inf")
    for number, ingredient in enumerate(prepared.ingredients, 1):
        notify(listeners, f"evaluating the soup with run {number} of {len(prepared.ingredients)}")
        record, _ = _evaluated(prepared, [*taken, ingredient], time.perf_counter(), listeners)
        value = rank(record, best_by)[0]
        good = value >= best
        if good:
            best = value
            taken.append(ingredient)
        chosen.append(replace(ingredient, taken=good))
    return chosen


def _evaluated(
    prepared: Prepared, taken: Sequence[Ingredient], started: float, listeners: Sequence[Listener]
) -> tuple[Record, np.ndarray]:
    """Evaluate the mean of the weights of ``taken``; return its line of history.jsonl and its validation logits.

    The logits are [rows, classes]. Afterwards the network has these mean weights.
    """
    adapters, model, rows = [one.run.adapter for one in taken], prepared.model, prepared.splits.validation
    set_tensors(model.network, mean_of(adapters), adapters[0])
    progress = RowProgress(partial(notify, listeners), "validation", len(rows))
    logits, labels = model.logits(rows, cache=cache_folder(), advance=progress), rows.labels
    assert labels is not None and prepared.splits.train.labels is not None
    loss = loss_of(prepared.recipe, prepared.splits.train.labels, len(rows.label_names))
    figures = {"loss": loss.of_all(logits, labels), **task_of(prepared.recipe).scores(logits, labels)}
    end = {"seconds": time.perf_counter() - started, "peak_memory_bytes": peak_memory_bytes()}
    return {"kind": "evaluation", "step": 0, "split": "validation", **figures, "rows": len(labels), **end}, logits


def _write(folder: Path, record: Record) -> None:
    path = folder / "history.jsonl"
    path.unlink(missing_ok=True)  # from an attempt that was interrupted
    history = History(path)
    history.write(record)
    history.close()
