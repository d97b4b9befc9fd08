"""A roberta-base of real size, with random weights and the real tokenizer, through the whole job of round 4."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from featherweight.data.sources import read_rows
from featherweight.inference.classifier import Classifier
from featherweight.recipe import DataRecipe, Recipe
from featherweight.workflows.train import train

TOKENIZER = Path(__file__).parents[3] / "shared" / "data" / "roberta-base-tokenizer"


@pytest.fixture
def roberta_base(tmp_path: Path) -> Iterator[Path]:
    """500 MB on the disk, taken away again whatever happens."""
    import torch
    from transformers import AutoConfig, AutoModel, RobertaTokenizerFast

    from featherweight.backbone.known_configs import KNOWN

    folder = tmp_path / "roberta-base"
    try:
        torch.manual_seed(0)
        AutoModel.from_config(AutoConfig.for_model(**KNOWN["roberta-base"])).save_pretrained(folder)
        RobertaTokenizerFast.from_pretrained(TOKENIZER).save_pretrained(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(not TOKENIZER.is_dir(), reason=f"the tokenizer of roberta-base is not in {TOKENIZER}")
def test_round_4_trains_saves_reloads_and_predicts(roberta_base: Path, tmp_path: Path) -> None:
    rows = read_rows("newsbriefs", DataRecipe())
    lines = [json.dumps({"text": rows.texts[row], "label": int(rows.labels[row])}) for row in range(0, len(rows), 32)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines[:-4]), "utf-8")
    (tmp_path / "test.jsonl").write_text("\n".join(lines[-4:]), "utf-8")
    data = [f"data.train={tmp_path / 'train.jsonl'}", f"data.test={tmp_path / 'test.jsonl'}", "data.validation_size=8"]
    steps = ["training.max_steps=3", "training.batch_size=4", "training.evaluate_every=3", "data.max_length=32"]
    run = train(Recipe.load("r4", [f"backbone.name={roberta_base}", *data, *steps]), tmp_path / "run")

    assert run.weight["total"] == 990_724
    saved = load_file(run.adapter / "adapter_model.safetensors")
    assert sum(tensor.size for tensor in saved.values()) == 990_724
    losses = [record["loss"] for record in run.history if record["kind"] == "step"]
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    proof = json.loads((run.folder / "verification.json").read_text())
    assert proof["identical"] is True
    assert proof["peft"]["largest_difference"] <= proof["peft"]["allowed"] < 1e-3
    texts = rows.texts[:3]
    found = Classifier.load(run.folder).predict(texts)
    assert all(prediction.label in ("World", "Sports", "Business", "Sci/Tech") for prediction in found)
    assert all(sum(prediction.probabilities.values()) == pytest.approx(1) for prediction in found)
