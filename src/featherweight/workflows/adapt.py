"""Task-adaptive pretraining: trains a backbone further as a masked language model on a recipe's training texts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.argument_checks import is_iterable, require_path
from featherweight.backbone.adapted import FILE, read_adapted
from featherweight.backbone.resolve import Backbone, resolve_backbone
from featherweight.cache import cache_folder
from featherweight.data.batches import Encoded, encode
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.data.splits import load_splits
from featherweight.environment import quick_imports, versions
from featherweight.errors import UserError
from featherweight.files import file_in_the_way, sha256_of, sync_folder, write_json
from featherweight.formatting import counted
from featherweight.hints import Caller, called_with, flag, to_resume_adaptation
from featherweight.recipe import Recipe
from featherweight.recipe.fields import MAX_COUNT
from featherweight.recipe.schema import require_recipe
from featherweight.run.lock import locked, require_writable
from featherweight.training.listeners import Listener, notify
from featherweight.training.signals import end_on_signals, stop_on_signals
from featherweight.workflows.adaptation_plan import FILES, begin, marked, plan_of, require_finished_with
from featherweight.workflows.adaptation_texts import AdaptationTexts, adaptation_texts
from featherweight.workflows.prepare import require_length
from featherweight.workflows.resolve import backbone_architecture

if TYPE_CHECKING:
    from featherweight.training.masked_language.loop import MaskedJob, MaskedState


@dataclass(frozen=True)
class AdaptationSettings:
    """The settings of a task-adaptive pretraining; if ``max_length`` is None, that of the recipe is used."""

    epochs: float = 3.0
    learning_rate: float = 5e-5
    batch_size: int = 32
    max_length: int | None = None

    def schedule(self, recipe: Recipe) -> Recipe:
        """These settings as section [training] of a recipe for the training loop, with the seed of ``recipe``."""
        length = self.max_length or recipe.data.max_length
        training = {
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "weight_decay": 0.01,
        }
        parsed = Recipe.parse({"name": "adapt", "seed": recipe.seed, "training": training}, "adapt")
        tokens = min(MAX_COUNT, max(16, self.batch_size * length))
        return parsed.with_values(training={"batch_tokens": tokens})


@called_with(Caller.RECIPE)
def adapt_backbone(
    recipe: Recipe,
    out: str | Path,
    settings: AdaptationSettings | None = None,
    *,
    texts: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    listeners: Sequence[Listener] = (),
) -> Path:
    """Train the backbone of ``recipe`` further on its training texts, and write it to the new folder ``out``.

    This is task-adaptive pretraining (Gururangan et al. 2020). Labels, validation rows and test rows are not used.
    ``texts`` names files of further texts, which need no labels; their columns are those of the recipe. The unfinished
    work is in the folder ``<out>.part``. With ``resume``, a finished ``out`` is returned as it is. Raises
    UserError for wrong input, before anything is written, also if ``resume`` finds work with other settings or data;
    Interrupted if a signal arrives.
    """
    require_recipe(recipe, "adapt_backbone")
    require_path(out, "out", "the path of the new backbone folder")
    files = [texts] if isinstance(texts, str | Path) or not is_iterable(texts) else list(texts)
    for file in files:
        require_path(file, "texts", "the paths of files with further texts")
        if not str(file):
            raise UserError("texts: a name is empty; name a file of further texts")
    out, settings = Path(out), settings or AdaptationSettings()
    if settings.max_length is not None:
        recipe = recipe.with_values(data={"max_length": settings.max_length})
    schedule = settings.schedule(recipe)
    work = None if resume and (out / FILE).is_file() else _free_work_folder(out, resume=resume)
    backbone_architecture(recipe.backbone)  # refuses a decoder
    backbone = resolve_backbone(recipe.backbone)
    require_length(recipe, backbone.config, option="" if settings.max_length is None else flag("--max-length"))
    notify(listeners, f"loading {recipe.backbone.name} and {recipe.data.train}")
    splits = load_splits(recipe)
    chosen = adaptation_texts(splits, recipe.data, [*map(str, files)], recipe.seed)
    plan = plan_of(recipe, schedule, backbone, splits, chosen)
    if work is None:
        require_finished_with(plan, out)
        return out
    job = _job(recipe, schedule, backbone, chosen, work, listeners)
    _require_steps(job)
    with end_on_signals(lambda: f"stopped; to resume, {to_resume_adaptation()}"), locked(work):
        try:
            begin(work, plan, resume=resume)
            state = _fit(job, _notes(job, backbone, chosen), resume=resume)
            _finish(job, state, backbone, marked(plan, chosen), out)
        finally:
            if (out / FILE).is_file() or not any(work.glob("checkpoint/step-*")):
                shutil.rmtree(work)
    notify(listeners, _result(state))
    return out


def _free_work_folder(out: Path, *, resume: bool) -> Path:
    """The folder for the unfinished work, beside ``out``. Raises UserError if one of the two cannot be written."""
    named = flag("-o", str(out))
    if os.path.lexists(out):  # so do "." and "/", which have no name for a folder beside them, and broken links
        raise UserError(f"{named}: exists already; choose a new folder")
    work = out.with_name(f"{out.name}.part")
    if work.is_symlink():
        kept = f"{work}, where the unfinished work would be, is a link"
        raise UserError(f"{named}: {kept}; remove it, or choose another folder")
    # At the end the folder is removed as a whole.
    if work.is_dir() and (others := sorted({path.name for path in work.iterdir()} - FILES)):
        kept = f"{work}, where the unfinished work would be, has other files"
        raise UserError(f"{named}: {kept} ({others[0]}); move them away, or choose another folder")
    if file := file_in_the_way(out):
        raise UserError(f"{named}: cannot be created, because {file} is a file; choose another folder")
    if not resume and any(work.glob("checkpoint/step-*")):
        raise UserError(
            f"{named}: {work} has an unfinished adaptation; resume it with {flag('--resume')}, or remove that folder"
        )
    require_writable(work)
    return work


def _require_steps(job: MaskedJob) -> None:
    """Raise UserError if only the new head would be trained, and not the encoder."""
    from featherweight.training.masked_language.loop import head_steps

    total = job.order.total_steps
    if total - head_steps(job.model, total) < 1:
        only = f"{counted(total, 'step')} would train only the new head for masked tokens, not the encoder"
        raise UserError(f"{only}; use more {flag('--epochs')}, a smaller {flag('--batch-size')}, or more texts")


def _job(
    recipe: Recipe,
    schedule: Recipe,
    backbone: Backbone,
    texts: AdaptationTexts,
    work: Path,
    listeners: Sequence[Listener],
) -> MaskedJob:
    with quick_imports():
        from featherweight.backbone.tokenizer import load_tokenizer
        from featherweight.model.engine import bound_memory, choose_engine
        from featherweight.training.masked_language.loop import MaskedJob
        from featherweight.training.masked_language.masking import Masking
        from featherweight.training.masked_language.model import load_masked_model

    bound_memory()
    assert backbone.folder is not None
    engine = choose_engine(recipe.training.precision)
    if engine.precision == "fp16":
        engine = choose_engine("fp32")  # fp16 would need loss scaling
    tokenizer = load_tokenizer(backbone.folder, backbone.config.get("vocab_size"))
    masking = Masking(tokenizer, engine.device)
    model = load_masked_model(backbone, seed=recipe.seed, attention=engine.attention)
    model.network.to(engine.device)
    of_train, of_held_out = (_encoded(rows, tokenizer, recipe) for rows in (texts.train, texts.held_out))
    if model.new_head:
        model.begin_with_frequencies(np.asarray(of_train.tokens[: int(of_train.offsets[-1])]))
    hidden = int(model.network.config.hidden_size)
    return MaskedJob(schedule, model, masking, engine, hidden, of_train, of_held_out, work, listeners)


def _encoded(rows: Rows, tokenizer: Any, recipe: Recipe) -> Encoded:
    """The token ids of ``rows``. A text above the maximum length is split into parts that count as separate texts."""
    if recipe.data.join == "pair":
        return encode(rows, tokenizer, LongTexts.of(recipe.data), cache_folder())
    return encode(rows, tokenizer, LongTexts(recipe.data.max_length, "windows", 0.0), cache_folder()).by_window


def _notes(job: MaskedJob, backbone: Backbone, chosen: AdaptationTexts) -> list[str]:
    from featherweight.training.masked_language.loop import HEAD_RATE, head_steps

    count = sum(parameter.numel() for parameter in job.model.encoder.parameters())
    texts, held_out = counted(len(job.train), "text"), counted(len(job.held_out), "text")
    notes = [
        f"{job.engine.precision} on {job.engine.device}: {job.engine.reason}",
        f"masked language modelling on {texts}, all {count:,} parameters of {backbone.name}",
        f"the loss is also measured on {held_out}, which the training leaves out",
        *chosen.notes,
    ]
    if first := head_steps(job.model, job.order.total_steps):
        notes.append(
            f"{backbone.name} has no head for masked tokens: a new one is trained alone for {counted(first, 'step')}, "
            f"then together with the encoder, at {HEAD_RATE:g} times the encoder's learning rate"
        )
    return notes


def _fit(job: MaskedJob, notes: Sequence[str], *, resume: bool) -> MaskedState:
    from featherweight.training.checkpoint import has_checkpoint
    from featherweight.training.masked_language.loop import fit_masked

    with stop_on_signals() as signalled:
        job.should_stop = signalled
        return fit_masked(job, resume=resume and has_checkpoint(job.folder / "checkpoint"), notes=notes)


def _finish(job: MaskedJob, state: MaskedState, backbone: Backbone, made: dict[str, Any], out: Path) -> None:
    """Write the backbone to a temporary folder, check the saved backbone, and rename the folder to ``out``.

    ``made`` are the entries of adapted.json on settings and texts.
    """
    from featherweight.training.masked_language.storage import require_same_states, save_encoder

    notify(job.listeners, "saving the backbone, and comparing it with the trained one")
    part = job.folder / "backbone"
    shutil.rmtree(part, ignore_errors=True)
    save_encoder(job.model, backbone, part)
    require_same_states(job.model, part, job.held_out)
    marker = {
        "format": 1,
        **made,
        "steps": state.step,
        "new_head": job.model.new_head,
        "loss_before": state.loss_before,
        "loss_after": state.losses[-1][1],
        "losses": state.losses,
        "seconds": round(state.seconds, 2),
        "sha256": {file.name: sha256_of(file) for file in sorted(part.glob("*.safetensors"))},
        "device": job.engine.device,
        "precision": job.engine.precision,
        **versions(),
    }
    write_json(part / FILE, marker)
    read_adapted(part)
    sync_folder(part)
    part.rename(out)


def _result(state: MaskedState) -> str:
    before, after = state.loss_before, state.losses[-1][1]
    figures = f"loss on held-out masked tokens: {before:.4f} before, {after:.4f} after"
    lower, more = flag("--lr"), flag("--epochs")
    worse = f"; it got worse: do not use this backbone, and try a lower {lower} or more {more}"
    return figures + (worse if after > before else "")
