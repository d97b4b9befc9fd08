"""A backbone that is trained further on the training texts: what is written, what it is, and who says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.backbones import FAMILIES
from support.commands import Cli, refused

from featherweight.backbone.adapted import FILE, read_adapted
from featherweight.data.batches import encode
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.export.card import render_card
from featherweight.recipe import Recipe
from featherweight.serving.card import _facts
from featherweight.training.masked_language import loop
from featherweight.training.signals import Interrupted
from featherweight.workflows import adapt
from featherweight.workflows.adapt import AdaptationSettings, adapt_backbone
from featherweight.workflows.train import train

QUICK = AdaptationSettings(epochs=2, learning_rate=5e-3, batch_size=16)


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.losses: list[float] = []

    def started(self, total_steps: int, first_step: int, notes: Any) -> None:
        self.lines += notes

    def noted(self, message: str) -> None:
        self.lines.append(message)

    def stepped(self, record: dict[str, Any]) -> None:
        self.losses.append(record["loss"])

    def evaluated(self, record: dict[str, Any], best: bool) -> None:
        raise AssertionError


@pytest.fixture(scope="module")
def adapted(tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Heard]:
    """A tiny BERT that was adapted to the tiny texts in a few steps, and what was said."""
    heard = Heard()
    settings = AdaptationSettings(epochs=12, learning_rate=5e-3, batch_size=16)
    folder = tmp_path_factory.mktemp("adapted") / "deep" / "bert"
    return adapt_backbone(tiny_recipe(), folder, settings, listeners=[heard]), heard


def test_the_loss_on_held_out_texts_falls_and_a_new_head_is_told(adapted: tuple[Path, Heard]) -> None:
    folder, heard = adapted
    marker = json.loads((folder / FILE).read_text("utf-8"))
    assert marker["new_head"]
    assert marker["loss_after"] < marker["loss_before"] - 0.5
    assert heard.losses[-1] < heard.losses[0] - 1
    said = "\n".join(heard.lines)
    assert "has no head for masked tokens: a new one is trained alone for 8 steps" in said
    assert f"{marker['loss_before']:.4f} before, {marker['loss_after']:.4f} after" in said
    assert "got worse" not in said


def test_the_folder_is_a_backbone_with_all_tensors_and_no_pickle(
    adapted: tuple[Path, Heard], tiny_backbones: dict[str, Path]
) -> None:
    folder, _ = adapted
    assert not list(folder.parent.glob("*.part"))
    before, after = (load_file(place / "model.safetensors") for place in (tiny_backbones["bert"], folder))
    assert before.keys() == after.keys()
    # Nothing of a masked language model passes through the pooler.
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {"pooler.dense.weight", "pooler.dense.bias"}
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (tiny_backbones["bert"] / name).read_bytes()
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors", ".txt"}
    assert (folder / "model.safetensors").stat().st_mode == (folder / FILE).stat().st_mode


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_adapted(family: str, tiny_recipe: Any, tmp_path: Path) -> None:
    from transformers import AutoModel

    live: list[Any] = []
    keep = adapt._finish

    def finish(job: Any, *rest: Any) -> None:
        live.append(job)
        keep(job, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapt, "_finish", finish)
        folder = adapt_backbone(tiny_recipe(family), tmp_path / "out", AdaptationSettings(1, 5e-3, 16))
    (job,) = live
    assert job.model.new_head
    saved = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.tensor([[101, 6207, 1998, 8945, 102]])
    with torch.inference_mode():
        states = [model(input_ids=ids).last_hidden_state for model in (saved, job.model.encoder)]
    assert torch.equal(*states)


def test_a_head_that_the_backbone_has_is_used_from_the_first_step(tiny_recipe: Any, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForMaskedLM

    source, torch_state = tmp_path / "with-head", torch.random.get_rng_state()
    recipe = tiny_recipe()
    shutil.copytree(recipe.backbone.name, source)
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(source)).save_pretrained(source)
    torch.random.set_rng_state(torch_state)
    heard = Heard()
    recipe = recipe.with_values(backbone={"name": str(source)})
    folder = adapt_backbone(recipe, tmp_path / "out", QUICK, listeners=[heard])
    marker = json.loads((folder / FILE).read_text("utf-8"))
    assert not marker["new_head"]
    assert marker["losses"][0][0] == 0
    assert not any("no head" in line for line in heard.lines)


def test_a_new_head_begins_with_the_frequencies_of_the_tokens(tiny_recipe: Any, tmp_path: Path) -> None:
    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.training.masked_language.model import load_masked_model

    model = load_masked_model(resolve_backbone(tiny_recipe().backbone), seed=0, attention="eager")
    model.begin_with_frequencies(np.array([7, 7, 7, 9], np.int32))
    bias = model.network.get_output_embeddings().bias
    assert float(bias[7] - bias[9]) == pytest.approx(np.log(3.1 / 1.1), abs=1e-5)
    assert float(bias.exp().sum()) == pytest.approx(1, abs=1e-4)


def test_an_interrupted_adaptation_resumes_with_the_same_bits(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe()
    whole = adapt_backbone(recipe, tmp_path / "whole", QUICK)
    step, calls = loop._one_step, iter(range(100))

    def stops(*arguments: Any) -> Any:
        if next(calls) == 3:
            raise OSError("the machine is gone")
        return step(*arguments)

    # A step after each of which there is a checkpoint, and which fails once: in the middle of the encoder's training.
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(loop, "_one_step", stops)
    with pytest.raises(OSError, match="the machine is gone"):
        adapt_backbone(recipe, tmp_path / "halves", QUICK)
    assert not (tmp_path / "halves").exists()
    with pytest.raises(UserError, match=r"has an unfinished adaptation; resume it with resume=True"):
        adapt_backbone(recipe, tmp_path / "halves", QUICK)
    with pytest.raises(
        UserError, match=r"cannot be resumed: learning_rate was 0\.005, is 0\.001\nUse the same settings"
    ):
        adapt_backbone(recipe, tmp_path / "halves", AdaptationSettings(2, 1e-3, 16), resume=True)
    with pytest.raises(UserError, match=r"cannot be resumed: the training texts have changed since"):
        adapt_backbone(recipe.with_values(data={"train_rows": 20}), tmp_path / "halves", QUICK, resume=True)
    halves = adapt_backbone(recipe, tmp_path / "halves", QUICK, resume=True)
    assert not (tmp_path / "halves.part").exists()
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, halves))
    assert all(torch.equal(one[name], other[name]) for name in one)
    markers = [json.loads((folder / FILE).read_text("utf-8")) for folder in (whole, halves)]
    assert markers[0]["losses"] == markers[1]["losses"]
    assert adapt_backbone(recipe, halves, QUICK, resume=True) == halves


def test_a_signal_leaves_a_checkpoint_and_no_backbone(tiny_recipe: Any, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fit = loop.fit_masked

        def stopped(job: Any, **options: Any) -> Any:
            job.should_stop = lambda: 15
            return fit(job, **options)

        patch.setattr(loop, "fit_masked", stopped)
        with pytest.raises(Interrupted, match="stopped after step 1; to resume"):
            adapt_backbone(tiny_recipe(), tmp_path / "out", QUICK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.part"]


def test_long_texts_are_read_to_their_end(tiny_recipe: Any, tiny_backbones: dict[str, Path]) -> None:
    from featherweight.backbone.tokenizer import load_tokenizer
    from featherweight.data.long_texts import LongTexts

    recipe = tiny_recipe(data={"max_length": 8})
    rows, tokenizer = load_splits(recipe).train, load_tokenizer(tiny_backbones["bert"])
    parts = adapt._encoded(rows, tokenizer, recipe)
    whole = encode(rows, tokenizer, LongTexts(100))
    assert parts.lengths.max() <= 8
    assert len(parts) > len(rows)
    seen = {int(token) for token in parts.tokens[: parts.offsets[-1]]}
    assert seen == {int(token) for token in whole.tokens[: whole.offsets[-1]]}


def test_weigh_train_report_and_card_say_so(
    adapted: tuple[Path, Heard], tiny_recipe: Any, tmp_path: Path, cli: Cli
) -> None:
    folder, _ = adapted
    recipe = tiny_recipe().with_values(backbone={"name": str(folder)})
    words = "the backbone was adapted: "
    (tmp_path / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    assert words in cli("weigh", tmp_path / "recipe.toml").err
    weighed = json.loads(cli("weigh", tmp_path / "recipe.toml", "--json").out)
    assert weighed["backbone_adapted"]["texts"]["rows"] == 46
    heard = Heard()
    heard.evaluated = lambda record, best: None  # type: ignore[method-assign]
    run = train(recipe.with_values(training={"max_steps": 2}), tmp_path / "run", listeners=[heard])
    assert any(line.startswith(words) for line in heard.lines)
    assert not any("other texts" in line for line in heard.lines)
    assert run.environment["backbone"]["adapted"]["steps"] == 36
    page = run.report.read_text("utf-8")
    assert words in page
    assert "frozen after an adaptation to training texts" in page
    assert f"<dt>Backbone</dt><dd>{folder.name}" in page  # without its path
    assert "The backbone was adapted: " in render_card(run.folder, "user/name")
    facts = dict(_facts(recipe.model_dump(mode="json"), {"backbone_parameters": 1000}, run.environment))
    assert facts["Backbone"] == f"{folder.name}, 1,000 parameters, frozen after an adaptation to training texts"


def test_a_run_with_other_training_texts_is_warned(adapted: tuple[Path, Heard], tiny_recipe: Any) -> None:
    from featherweight.workflows.prepare import prepare

    recipe = tiny_recipe().with_values(backbone={"name": str(adapted[0])})
    assert not any("other texts" in note for note in prepare(recipe).splits.warnings)
    warnings = prepare(recipe.with_values(seed=1)).splits.warnings
    assert any("it was adapted to other texts than the training texts of this run" in note for note in warnings)


def test_a_loss_that_rises_is_a_warning() -> None:
    state = loop.MaskedState(loss_before=2.0, losses=[[0, 2.0, 0.5], [3, 2.5, 0.4]])
    assert "it got worse: do not use this backbone" in adapt._result(state)


def test_too_few_steps_for_the_encoder_are_refused(tiny_recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 step would train only the new head for masked tokens, not the encoder"):
        adapt_backbone(tiny_recipe(), tmp_path / "out", AdaptationSettings(epochs=1, batch_size=64))
    assert not list(tmp_path.glob("out*"))


def test_an_unknown_encoder_of_transformers_is_refused_in_a_line(tiny_recipe: Any, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModel

    recipe: Recipe = tiny_recipe()
    source = tmp_path / "splinter"
    shutil.copytree(recipe.backbone.name, source)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    AutoModel.from_config(AutoConfig.for_model("splinter", vocab_size=30522, **sizes)).save_pretrained(source)
    roles = {"query": "attention.self.query", "value": "attention.self.value"}
    recipe = recipe.with_values(backbone={"name": str(source), "roles": roles})
    with pytest.raises(UserError, match="transformers has no masked language model for the family splinter"):
        adapt_backbone(recipe, tmp_path / "out", QUICK)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.part").exists()


def test_a_damaged_marker_is_refused(adapted: tuple[Path, Heard], tmp_path: Path) -> None:
    copy = shutil.copytree(adapted[0], tmp_path / "copy")
    assert read_adapted(copy) is not None
    (copy / FILE).write_text('{"steps": -1}', "utf-8")
    with pytest.raises(UserError, match=r"adapted\.json: damaged"):
        read_adapted(copy)


@pytest.mark.parametrize("out", [".", "/"])
def test_a_folder_without_a_name_is_refused(cli: Cli, job: Path, out: str) -> None:
    refused(cli, "adapt", job, "-o", out, naming=f"-o {out}: exists already; choose a new folder")
