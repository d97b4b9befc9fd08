"""How long single changes of a recipe train: the turns, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.benchmarks import SMALL_ABLATION, Load


def test_a_time_is_compared_with_the_recipe_of_the_same_turn(load: Load) -> None:
    def run(name: str, repeat: int, *seconds: float) -> dict[str, Any]:
        return {"contestant": name, "repeat": repeat, "step_seconds": list(seconds)}

    # The machine is twice as slow in the second turn.
    runs = [run("recipe", 0, 1, 1), run("r-drop", 0, 2, 2), run("r-drop", 1, 4, 4.4), run("recipe", 1, 2, 2)]
    found = load("accuracy.ablation_times").summary(runs)
    assert found["recipe"]["times_as_long"]["median"] == 1
    assert found["r-drop"]["times_as_long"] == {"median": 2.05, "low": 2.0, "high": 2.1, "runs": 2}
    assert found["r-drop"]["seconds"]["high"] == 8.4


def test_every_change_trains_the_same_steps_in_turns_and_a_soup_none(
    load: Load, tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe("bert")
    (tmp_path / "base.toml").write_text(recipe.to_toml(), "utf-8")
    table = SMALL_ABLATION.replace("agnews-minilm", str(tmp_path / "base.toml"))
    (tmp_path / "ablation.toml").write_text(table, "utf-8")
    monkeypatch.setattr(load("accuracy.ablation_times"), "CHANGES", tmp_path / "ablation.toml")
    arguments = ["ablation-times", "--results", str(tmp_path), "--machine", "x", "--data", str(recipe.data.train)]
    assert load("run").cli([*arguments, "--set", "training.batch_size=8", "--steps", "3", "--repeats", "2"]) == 0
    (path,) = (tmp_path / "x").glob("ablation-times-*.json")
    record = json.loads(path.read_text("utf-8"))
    assert [run["contestant"] for run in record["runs"]] == ["recipe", "upper", "upper", "recipe"]
    assert all(len(run["step_seconds"]) == 3 and min(run["step_seconds"]) > 0 for run in record["runs"])
    assert record["summary"].keys() == {"recipe", "upper"} and record["settings"]["steps"] == 3
    assert load("run").cli([*arguments, "--only", "soup"]) == 2
    assert "--only soup: no such change; there are upper" in capsys.readouterr().err
