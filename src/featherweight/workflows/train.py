"""The main job, whole: recipe to data to model to training to run folder, evaluation and report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.argument_checks import list_of, require_path
from featherweight.backbone.resolve import Backbone, lasting_name, most_tokens, resolve_backbone
from featherweight.budget.limit import require_within_budget
from featherweight.budget.weigh import Weight
from featherweight.cache import cache_folder
from featherweight.data.batches import Encoded, encode
from featherweight.data.fingerprints import marks_of, require_same_recipe, what_has_changed
from featherweight.data.sources import Rows
from featherweight.data.splits import Splits, load_splits
from featherweight.environment import describe_machine, is_first_process, peak_memory_bytes, versions
from featherweight.errors import FeatherweightError, UserError
from featherweight.files import write_json, write_whole
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.run.cleanup import PAGE
from featherweight.run.folder import FORMAT, Run, read_history
from featherweight.run.lock import free_folder, locked
from featherweight.run.manifest import FILE as MANIFEST
from featherweight.run.manifest import remake_manifest, write_manifest
from featherweight.training.signals import end_on_signals, stop_on_signals
from featherweight.workflows.weigh import weigh_recipe

if TYPE_CHECKING:
    from accelerate import Accelerator

    from featherweight.model.engine import Engine
    from featherweight.model.network import Network
    from featherweight.training.job import Listener, LoopState


@dataclass
class Prepared:
    """All that stands before the first step: resolved recipe, weight, data, network."""

    recipe: Recipe
    weight: Weight
    backbone: Backbone
    splits: Splits
    tokenizer: Any
    train: Encoded
    validation: Encoded
    network: Network
    engine: Engine
    accelerator: Accelerator

    def logits(self, rows: Rows) -> np.ndarray:
        """Logits of the live network, float64 [rows, labels]."""
        from featherweight.model.predict import predict_logits

        encoded = encode(rows, self.tokenizer, self.recipe.data.max_length, cache_folder())
        return predict_logits(self.network, encoded, self.engine, self.tokenizer.pad_token_id)


def train(
    recipe: Recipe, out: str | Path | None = None, *, listeners: Sequence[Listener] = (), resume: bool = False
) -> Run:
    """Train, evaluate, save, verify and report one recipe; returns the finished run.

    ``out`` names the run folder (by default the next free ``runs/<name>``). Raises UserError on bad input before
    anything is written, and the training's own errors (Interrupted, Diverged) with a run folder that can be resumed.
    """
    require_recipe(recipe, "train")
    if out is not None:
        require_path(out, "out", "the path of a new run folder")
    listeners = list_of(listeners, "listeners=...", "listeners, such as [progress]")
    # Of several processes the first claims the folder; a later one may already find the first one's files in it.
    folder = free_folder(recipe, out, resume=resume) if is_first_process() or out is None else Path(out)
    # Between the steps a signal waits for the checkpoint; everywhere else nothing is lost by ending at once.
    with end_on_signals(lambda: _how_to_go_on(folder)):
        return _train(recipe, folder, listeners, resume)


def _train(recipe: Recipe, folder: Path, listeners: Sequence[Listener], resume: bool) -> Run:
    started, clock = datetime.now(UTC), time.perf_counter()
    prepared = prepare(recipe)
    if resume and (folder / "recipe.toml").is_file():
        require_same_recipe(folder, prepared.recipe)
        if Run(folder).complete:
            return _completed(folder, listeners)
    from featherweight.training.checkpoint import require_sound

    main = prepared.accelerator.is_main_process
    with locked(folder if main else None):
        if main:
            free_folder(recipe, folder, resume=resume)  # another process may have been faster
            if resume:
                require_sound(folder / "checkpoint")
                prepared.splits.warnings.extend(what_has_changed(folder, _environment(prepared, started)))
            _write_beginnings(prepared, folder, started)
        prepared.accelerator.wait_for_everyone()
        state = _fit(prepared, folder, listeners if main else (), resume)
        if main:
            finish(prepared, folder, state, started, clock)
        prepared.accelerator.wait_for_everyone()
    return Run(folder)


def _how_to_go_on(folder: Path) -> str:
    if (folder / "recipe.toml").is_file():
        return f"stopped; the same command with --resume --out {folder} goes on"
    return "stopped before the training began; the same command begins anew"


def _completed(folder: Path, listeners: Sequence[Listener]) -> Run:
    """The run as it stands. A report that was not drawn to its end is drawn.

    One without a manifest is given one, and that this proves nothing of its past is told.
    """
    from featherweight.workflows.report import is_reported, report_run

    if is_first_process() and not (folder / MANIFEST).is_file():
        with locked(folder):
            remake_manifest(folder)
        note = f"{folder}: complete, but {MANIFEST} was missing: made anew from the files as they lie there now"
        for listener in listeners:
            listener.noted(f"{note}; featherweight verify {folder} checks what they claim")
    if is_first_process() and not is_reported(folder):
        with locked(folder):
            report_run(folder)
    return Run(folder)


def prepare(recipe: Recipe) -> Prepared:
    """Everything up to the first step; the budget is checked before any weights are loaded, and on the live model."""
    recipe, weight, architecture = weigh_recipe(recipe)
    require_within_budget(weight, recipe, architecture)
    _require_trackers(recipe)
    splits = load_splits(recipe)
    backbone = resolve_backbone(recipe.backbone)
    _require_length(recipe, backbone)

    from featherweight.adapter.build import build_network, initialise_from_data
    from featherweight.backbone.tokenizer import load_tokenizer
    from featherweight.model.engine import choose_engine, settle
    from featherweight.training.accelerator import build_accelerator
    from featherweight.training.loss import class_weights

    assert backbone.folder is not None and splits.train.labels is not None
    class_weights(recipe, splits.train.labels, len(splits.train.label_names))
    tokenizer = load_tokenizer(backbone.folder, backbone.config.get("vocab_size"))
    train_rows, validation = (
        encode(rows, tokenizer, recipe.data.max_length, cache_folder()) for rows in (splits.train, splits.validation)
    )
    accelerator, engine = build_accelerator(recipe, choose_engine(recipe.training.precision))
    recipe = recipe.with_values(backbone={"name": lasting_name(recipe.backbone.name)})
    network = build_network(recipe, backbone, splits.train.label_names, attention=engine.attention)
    initialise_from_data(network, recipe, train_rows, tokenizer.pad_token_id)
    if network.trainable_count() != weight.total:
        live = f"{network.trainable_count():,} parameters, not {weight.total:,} as weighed"
        raise FeatherweightError(f"the live model trains {live}; please report this")
    settle(network, engine)
    return Prepared(recipe, weight, backbone, splits, tokenizer, train_rows, validation, network, engine, accelerator)


def finish(prepared: Prepared, folder: Path, state: LoopState, started: datetime, clock: float) -> None:
    """After the last step: temperature, saved adapter, evaluation, proof of the saved adapter, report."""
    from featherweight.adapter.storage import save_adapter
    from featherweight.evaluation.calibration import fit_temperature
    from featherweight.verification.reload import verify_in_fresh_process
    from featherweight.workflows.report import report_run

    recipe, validation = prepared.recipe, prepared.splits.validation
    assert validation.labels is not None
    logits = prepared.logits(validation)
    temperature = fit_temperature(logits, validation.labels)
    save_adapter(
        prepared.network, folder / "adapter", recipe, prepared.backbone, prepared.tokenizer, temperature=temperature
    )
    sample = list(validation.texts[:64])
    live = prepared.logits(Rows(sample, None, validation.label_names, "validation"))
    proof = verify_in_fresh_process(folder, sample, live, prepared.engine.precision)
    _judge(prepared, folder, state, logits, temperature)
    environment = _environment(prepared, started) | {
        "seconds": round(time.perf_counter() - clock, 2),
        "training_seconds": round(state.seconds, 2),
        "peak_memory_bytes": most_memory(folder),
        **_gpu_peak(prepared.engine.device),
    }
    write_json(folder / "environment.json", environment)
    # The last two results, in this order, make the run complete (`Run.complete`); what an earlier version took for its
    # mark, and what was drawn of the unfinished run, must not stand there before them.
    for name in (MANIFEST, PAGE):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / "verification.json", proof)
    write_manifest(folder)
    report_run(folder)


def _judge(prepared: Prepared, folder: Path, state: LoopState, validation: np.ndarray, temperature: float) -> None:
    from featherweight.evaluation.results import write_evaluation

    splits = prepared.splits
    judged = {"validation": (splits.validation, validation)}
    if splits.test is not None:
        judged["test"] = splits.test, prepared.logits(splits.test)
    shifted = {name: (rows, prepared.logits(rows)) for name, rows in splits.shift.items()}
    best = {"best_step": state.best_step, "best_validation_accuracy": state.best_accuracy}
    write_evaluation(folder, judged, shifted, temperature, prepared.recipe.evaluation, **best)


def _fit(prepared: Prepared, folder: Path, listeners: Sequence[Listener], resume: bool) -> LoopState:
    from featherweight.training.checkpoint import has_checkpoint
    from featherweight.training.job import Job
    from featherweight.training.loop import fit
    from featherweight.training.trackers import TrackerListener

    if prepared.recipe.training.trackers and prepared.accelerator.is_main_process:
        listeners = [*listeners, TrackerListener(prepared.accelerator, prepared.recipe)]
    with stop_on_signals() as signalled:
        job = Job(
            prepared.recipe,
            prepared.network,
            prepared.engine,
            prepared.accelerator,
            prepared.train,
            prepared.validation,
            prepared.tokenizer.pad_token_id,
            folder,
            listeners,
            signalled,
            notes=[_engine_in_words(prepared), *prepared.splits.warnings],
            rows=prepared.splits.train,
        )
        state = fit(job, resume=resume and has_checkpoint(folder / "checkpoint"))
    for tracker in prepared.accelerator.trackers:
        # Each run has its own record there; the processes go on together, so nothing else ends here.
        tracker.finish()
    return state


def _engine_in_words(prepared: Prepared) -> str:
    """Precision and device, why, and which forward pass computes; on a GPU it is always transformers' own."""
    from featherweight.model.lean.encoder import lean_hindrance

    engine, network = prepared.engine, prepared.network
    words = f"{engine.precision} on {engine.device}: {engine.reason}"
    if engine.device != "cpu":
        return words
    if network.lean is not None:
        shared = ", its products filled up to numbers of rows and tokens that batches share" if engine.fill_up else ""
        return f"{words}; lean forward and backward pass{shared}, attention from stored probabilities"
    return f"{words}; transformers' own forward pass (the lean one is {lean_hindrance(network) or 'switched off'})"


def _write_beginnings(prepared: Prepared, folder: Path, started: datetime) -> None:
    write_whole(folder / "recipe.toml", prepared.recipe.to_toml())
    write_json(folder / "weigh.json", prepared.weight.as_dict())
    write_json(folder / "environment.json", _environment(prepared, started))


def _environment(prepared: Prepared, started: datetime) -> dict[str, Any]:
    import torch

    backbone = prepared.backbone
    return {
        "format": FORMAT,
        **versions(),
        **describe_machine(),
        "threads": torch.get_num_threads(),
        "device": prepared.engine.device,
        **_gpu(prepared.engine.device),
        "precision": prepared.engine.precision,
        "precision_reason": prepared.engine.reason,
        "processes": prepared.accelerator.num_processes,
        "seed": prepared.recipe.seed,
        "started": started.isoformat(timespec="seconds"),
        "backbone": {"name": backbone.name, "source": backbone.source, "sha256": backbone.sha256},
        **marks_of(prepared.train, prepared.validation, prepared.splits),
        "label_column": asdict(column) if (column := prepared.splits.train.label_column) else None,
        "working_folder": str(Path.cwd()),
        "warnings": prepared.splits.warnings,
    }


def _gpu(device: str) -> dict[str, Any]:
    import torch

    if not device.startswith("cuda"):
        return {}
    gpu = torch.cuda.get_device_properties(device)
    return {"gpu": gpu.name, "gpu_memory_bytes": gpu.total_memory}


def most_memory(folder: Path) -> int:
    """Most bytes that any process of the run in ``folder`` held: those before a resume left theirs in the history."""
    earlier = [record.get("peak_memory_bytes", 0) for record in read_history(folder / "history.jsonl")]
    return max([peak_memory_bytes(), *earlier])


def _gpu_peak(device: str) -> dict[str, int]:
    import torch

    return {"gpu_peak_memory_bytes": torch.cuda.max_memory_allocated(device)} if device.startswith("cuda") else {}


def _require_trackers(recipe: Recipe) -> None:
    # Accelerate would leave them out without a word.
    for name in recipe.training.trackers:
        if find_spec(name) is None:
            raise UserError(f"training.trackers: {name} is not installed: pip install 'featherweight[trackers]'")


def _require_length(recipe: Recipe, backbone: Backbone) -> None:
    most = most_tokens(backbone.config)
    if most is not None and recipe.data.max_length > most:
        reads = f"{backbone.name} reads at most {most} tokens"
        raise UserError(f"data.max_length = {recipe.data.max_length}: {reads}; set that or less")
