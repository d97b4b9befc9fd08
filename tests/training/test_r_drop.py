"""R-Drop: its step against the same step written down in PyTorch, and what it leaves as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.adapters import built
from support.jobs import assert_resumes_exactly, job_for
from support.steps import one_step
from torch.nn import functional

from featherweight.backbone.resolve import config_of
from featherweight.data.batches import collate
from featherweight.errors import UserError
from featherweight.model.engine import Engine
from featherweight.training import loop
from featherweight.training.loop import Job
from featherweight.workflows.prepare import require_dropout

ALPHA, ROWS = 3.0, np.arange(7)
R_DROP = {"r_drop": ALPHA, "clip": 0}
DROPOUT = {"dropout": 0.4}
CASES = {
    "lean": {},
    "transformers": {},
    "weights and smoothing": {"class_weights": [1.0, 3.0, 0.5], "label_smoothing": 0.2},
}


def with_weights(job: Job) -> Job:
    """``job`` with LoRA matrices that have an effect, so that dropout has one."""
    for place, tensor in enumerate(job.network.train().trainable().values()):
        tensor.data.normal_(generator=torch.Generator().manual_seed(place))
    return job


def two_passes(job: Job) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """The batch of the step, and its logits with two masks: those that the first step draws with seed 0."""
    ((rows, _),) = loop._micro_batches(job, loop._objective(job), [ROWS])  # in the order in which masks are drawn
    torch.manual_seed(0)
    batch = collate(job.train, np.concatenate([rows, rows]), job.pad_id)
    logits = job.network(*batch.inputs("cpu"))
    return batch, logits[: len(ROWS)], logits[len(ROWS) :]


def assert_step(job: Job, record: Any, gradients: Any, expected: torch.Tensor) -> None:
    assert record["loss"] == pytest.approx(expected.item(), rel=1e-4)
    names, parameters = zip(*job.network.trainable().items(), strict=True)
    for name, wanted in zip(names, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(gradients[name], wanted, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_the_mean_of_both_losses_and_the_divergence(tiny_recipe: Any, tmp_path: Path, case: str) -> None:
    keys = CASES[case]
    job = with_weights(job_for(tiny_recipe(adapter=DROPOUT, training={**R_DROP, **keys}), tmp_path / "run"))
    if case == "transformers":
        job.network.lean = None
    record, gradients = one_step(job, [ROWS])
    batch, first, second = two_passes(job)
    assert not torch.allclose(first, second)
    weights = torch.tensor(keys.get("class_weights", [1.0, 1.0, 1.0]))
    labels, smoothing = batch.labels[: len(ROWS)], keys.get("label_smoothing", 0.0)
    loss = functional.cross_entropy(first, labels, weight=weights, label_smoothing=smoothing)
    other = functional.cross_entropy(second, labels, weight=weights, label_smoothing=smoothing)
    logs = [functional.log_softmax(logits, -1) for logits in (first, second)]
    both = [functional.kl_div(*pair, reduction="batchmean", log_target=True) for pair in (logs, logs[::-1])]
    assert ALPHA * both[0].item() > 0.01
    assert_step(job, record, gradients, (loss + other) / 2 + ALPHA * (both[0] + both[1]) / 2)
    assert record["accuracy"] == pytest.approx(float((first.argmax(1) == labels).float().mean()))
    assert (record["rows"], record["tokens"]) == (len(ROWS), int(job.train.lengths[ROWS].sum()))


def test_with_several_labels_the_divergence_is_the_mean_over_the_labels(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(adapter=DROPOUT, training=R_DROP, task="multi-label")
    job = with_weights(job_for(recipe, tmp_path / "run"))
    record, gradients = one_step(job, [ROWS])
    batch, first, second = two_passes(job)
    target = batch.labels[: len(ROWS)].float()
    losses = [functional.binary_cross_entropy_with_logits(logits, target) for logits in (first, second)]
    one, other = (torch.distributions.Bernoulli(logits=logits) for logits in (first, second))
    divergence = (torch.distributions.kl_divergence(one, other) + torch.distributions.kl_divergence(other, one)) / 2
    assert_step(job, record, gradients, sum(losses) / 2 + ALPHA * divergence.mean())


class Limited(Engine):
    """An engine with small micro-batches."""

    @property
    def micro_batch_tokens(self) -> int:
        return 100


def test_a_forward_pass_has_as_many_tokens_as_without(tiny_recipe: Any, tmp_path: Path) -> None:
    """Both passes of a row are in one forward pass, so it has half of the rows: memory stays as it is."""
    tokens = {}
    for r_drop in (0.0, ALPHA):
        job = job_for(tiny_recipe(adapter=DROPOUT, training={"r_drop": r_drop}), tmp_path / f"{r_drop}")
        job.engine = Limited(**vars(job.engine))
        shapes: list[int] = []
        job.network.register_forward_pre_hook(lambda _, inputs, into=shapes: into.append(inputs[0].numel()))
        one_step(job, [np.arange(16)])
        tokens[r_drop] = shapes
    assert max(tokens[ALPHA]) <= 100
    assert len(tokens[ALPHA]) >= 2 * len(tokens[0.0]) - 1 > 1


def test_a_resumed_training_has_the_same_bits(tiny_recipe: Any, tmp_path: Path) -> None:
    training = {"epochs": 1, "r_drop": 1.0}
    assert_resumes_exactly(tiny_recipe(adapter=DROPOUT, training=training), tmp_path, at=4)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "mpnet", "electra", "deberta-v2", "modernbert"])
def test_r_drop_with_a_native_head_needs_the_dropout_of_this_head(tiny_recipe: Any, family: str) -> None:
    recipe = tiny_recipe(family, adapter={"head": "native"}, training={"r_drop": 0.5})
    network = built(recipe)
    drops = any(module.p for module in network.modules() if isinstance(module, torch.nn.Dropout))
    config = config_of(recipe.backbone)
    assert (family != "mpnet") or not drops
    if drops:
        require_dropout(recipe, config)
    else:
        with pytest.raises(UserError, match="the recipe has no dropout"):
            require_dropout(recipe, config)


@pytest.mark.parametrize(("sections", "taken"), [
    ({"adapter": {"dropout": 0.1}}, True),
    ({"adapter": {"dropout": 0.1, "lora": []}}, False),
    ({"training": {"encoder_dropout": True}}, True),
    ({"adapter": {"head": "native"}}, True),
    ({}, False),
])  # fmt: skip
def test_r_drop_needs_something_that_drops_out(tiny_recipe: Any, sections: dict[str, Any], taken: bool) -> None:
    recipe = tiny_recipe(**{**sections, "training": {**sections.get("training", {}), "r_drop": 0.5}})
    config = config_of(recipe.backbone)
    calm = {**config, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0}
    if taken:
        require_dropout(recipe, config)
    if not taken or "dropout" not in sections.get("adapter", {}):
        with pytest.raises(UserError, match="the recipe has no dropout"):
            require_dropout(recipe, calm)
