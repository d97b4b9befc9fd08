"""Every kind of adapter, on every family of backbones: trained, saved, and proven in a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.backbones import FAMILIES

from featherweight.workflows.prepare import prepare
from featherweight.workflows.train import train

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


@pytest.mark.parametrize(
    ("family", "precision"), [*((family, "fp32") for family in FAMILIES), ("mpnet", "bf16"), ("deberta-v2", "bf16")]
)
def test_every_family_is_proven_with_its_own_head_and_all_biases(
    tiny_recipe: Any, tmp_path: Path, in_this_process: None, family: str, precision: str
) -> None:
    recipe = tiny_recipe(
        family, adapter={"head": "native", "bias": "all"}, training={"precision": precision, "max_steps": 3}
    )
    proof = json.loads((train(recipe, tmp_path / "run").folder / "verification.json").read_text())
    assert proof["identical"] is True
    assert proof["peft"]["largest_difference"] <= proof["peft"]["allowed"] < 1e-4


@pytest.mark.parametrize("adapter", [
    {"pooling": "mean"}, {"pooling": "first", "bias": "lora"}, {"bias": "all"}, {"dropout": 0.2, "rslora": True},
    {"dora": True}, {"initialisation": "pissa"}, {"initialisation": "eva"}, {"lora": []},
])  # fmt: skip
def test_linear_heads_and_lora_variants_are_proven(
    tiny_recipe: Any, tmp_path: Path, in_this_process: None, adapter: dict[str, Any]
) -> None:
    run = train(tiny_recipe("mpnet", adapter=adapter, training={"max_steps": 3}), tmp_path / "run")
    proof = json.loads((run.folder / "verification.json").read_text())
    assert proof["identical"] is True
    assert ("peft" in proof) == (adapter != {"lora": []})


def test_eva_starts_from_the_data(tiny_recipe: Any) -> None:
    tables = [
        prepare(tiny_recipe(adapter={"initialisation": start})).model.network.trainable()
        for start in ("eva", "default")
    ]
    names = [name for name in tables[0] if "lora_A" in name]
    assert names
    for name in names:
        directions = tables[0][name].detach().numpy()
        np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-4)
        assert not np.allclose(directions, tables[1][name].detach().numpy())


@pytest.mark.parametrize("budget", [2_000, 4_000, 9_000])
def test_auto_takes_what_the_budget_affords(
    tiny_recipe: Any, tmp_path: Path, in_this_process: None, budget: int
) -> None:
    run = train(tiny_recipe(adapter={"lora": "auto"}, training={"max_steps": 3}, budget=budget), tmp_path / "run")
    assert 0.75 * budget < run.weight["total"] <= budget
    assert run.recipe.adapter.lora != "auto"
