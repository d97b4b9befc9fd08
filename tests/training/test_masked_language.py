"""Steps of a masked language model: which tokens are chosen, how batches add up, and the rates of head and encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.pairs import COLUMNS, write_nli
from torch import Tensor, nn

from featherweight.backbone.resolve import resolve_backbone
from featherweight.backbone.tokenizer import load_tokenizer
from featherweight.data.batches import Encoded, collate, encode
from featherweight.data.long_texts import LongTexts
from featherweight.data.splits import load_splits
from featherweight.model.engine import Engine
from featherweight.recipe import Recipe, TrainingRecipe
from featherweight.training.masked_language import loop
from featherweight.training.masked_language.masking import MaskedBatch, Masking
from featherweight.training.masked_language.model import load_masked_model
from featherweight.training.masked_language.storage import require_same_states, save_encoder
from featherweight.training.optimizer import rate_factor


@pytest.fixture
def tokenizer(tiny_backbones: dict[str, Path]) -> Any:
    return load_tokenizer(tiny_backbones["bert"])


@pytest.fixture
def texts(tiny_recipe: Any, tokenizer: Any) -> Encoded:
    return encode(load_splits(tiny_recipe()).train, tokenizer, LongTexts(32))


@pytest.fixture
def job(tiny_recipe: Any, tokenizer: Any, texts: Encoded, tmp_path: Path) -> loop.MaskedJob:
    recipe: Recipe = tiny_recipe(training={"clip": 1e9})
    model = load_masked_model(resolve_backbone(recipe.backbone), seed=0, attention="eager")
    engine, hidden = Engine("cpu", "fp32", "test"), int(model.network.config.hidden_size)
    return loop.MaskedJob(recipe, model, Masking(tokenizer, "cpu"), engine, hidden, texts, texts, tmp_path)


def test_words_are_masked_and_no_special_tokens_and_the_targets_are_the_words(texts: Encoded, tokenizer: Any) -> None:
    torch.manual_seed(0)
    rows = np.arange(len(texts))
    batch, plain = Masking(tokenizer, "cpu").batch(texts, rows), collate(texts, rows, tokenizer.pad_token_id)
    special = torch.isin(plain.input_ids, torch.tensor(tokenizer.all_special_ids))
    assert not (batch.chosen & special).any()
    assert torch.equal(batch.targets, plain.input_ids[batch.chosen])
    assert torch.equal(batch.input_ids[~batch.chosen], plain.input_ids[~batch.chosen])
    assert torch.equal(batch.attention_mask, plain.attention_mask)
    assert float(batch.chosen.sum() / (~special).sum()) == pytest.approx(0.15, abs=0.06)
    masked = batch.input_ids[batch.chosen] == tokenizer.mask_token_id
    assert float(masked.float().mean()) == pytest.approx(0.8, abs=0.2)


class Alike:
    """Masks every third token of the vocabulary, so that a text is masked alike in every batch."""

    def batch(self, encoded: Encoded, rows: Any) -> MaskedBatch:
        plain = collate(encoded, rows, 0)
        chosen = (plain.input_ids % 3 == 0) & (plain.attention_mask > 0)
        masked = torch.where(chosen, 103, plain.input_ids)
        return MaskedBatch(masked, plain.attention_mask, chosen, plain.input_ids[chosen])


class Kept:
    """An optimizer that keeps the gradients of a step and changes nothing."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.gradients = network, list[Tensor]()

    def step(self) -> None:
        self.gradients = [p.grad.clone() for p in self.network.parameters() if p.grad is not None]

    def zero_grad(self, set_to_none: bool) -> None:
        self.network.zero_grad(set_to_none)


def test_small_batches_of_a_step_add_up_to_one_large_batch(
    job: loop.MaskedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.masking, network = Alike(), job.model.network.eval()  # type: ignore[assignment]
    steps = []
    for most in (10_000, 40):
        monkeypatch.setattr(Engine, "training_micro_batch_tokens", lambda self, hidden, most=most: most)
        optimizer: Any = Kept(network)
        steps.append((loop._one_step(job, optimizer, 0, np.arange(12)), optimizer.gradients))
    (whole, expected), (parts, found) = steps
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-5) and parts["accuracy"] == whole["accuracy"]
    assert parts["tokens"] == whole["tokens"] == int(job.train.lengths[:12].sum())
    for gradient, other in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-6)


def test_the_same_held_out_tokens_are_masked_every_time(job: loop.MaskedJob) -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(loop.held_out_loss(job))
    assert found[0] == found[1] and found[0][0] > 0


@pytest.mark.parametrize("family", ["bert", "electra", "distilbert"])
def test_the_second_text_of_a_pair_has_the_token_type_that_the_classifier_gives_it(
    family: str, tiny_recipe: Any, tiny_backbones: dict[str, Path], tmp_path: Path
) -> None:
    given: list[Tensor | None] = []
    data = {"train": str(write_nli(tmp_path / "nli.csv", 24)), "text": list(COLUMNS), "join": "pair", "test": ""}
    recipe: Recipe = tiny_recipe(family, data=data)
    of_family = load_tokenizer(tiny_backbones[family])
    pairs, rows = encode(load_splits(recipe).train, of_family, LongTexts(32)), np.arange(6)
    backbone = resolve_backbone(recipe.backbone)
    model = load_masked_model(backbone, seed=0, attention="eager")

    def keep(_module: nn.Module, _inputs: Any, options: dict[str, Any]) -> None:
        given.append(options.get("token_type_ids"))

    model.encoder.register_forward_pre_hook(keep, with_kwargs=True)
    model.logits(Masking(of_family, "cpu").batch(pairs, rows))
    save_encoder(model, backbone, tmp_path / "saved")
    require_same_states(model, tmp_path / "saved", pairs, most=6)
    expected = collate(pairs, rows, of_family.pad_token_id).token_types
    if family == "distilbert":
        assert given == [None, None]  # it has no token types
    else:
        assert expected is not None and int(expected.max()) == 1
        assert len(given) == 2 and all(types is not None and torch.equal(types, expected) for types in given)


@pytest.mark.parametrize("first", [0, 4])
def test_the_encoder_waits_for_a_new_head_and_both_end_together(first: int) -> None:
    training = TrainingRecipe(learning_rate=1e-3, warmup=0.3)
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "head": of_head} for of_head in (True, False)]
    optimizer = torch.optim.AdamW(groups)
    rates = []
    for step in range(10):
        loop._set_rates(optimizer, step, first, 10, training)
        rates.append([group["lr"] / 1e-3 for group in optimizer.param_groups])
    head, encoder = map(list, zip(*rates, strict=True))
    faster = loop.HEAD_RATE if first else 1.0
    assert head == pytest.approx([faster * rate_factor(step, 10, 3, training) for step in range(10)])
    left = 10 - first
    expected = [rate_factor(step, left, 2 if first else 3, training) for step in range(left)]
    assert encoder == pytest.approx([0.0] * first + expected)
