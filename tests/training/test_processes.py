"""Several processes train what one process trains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from support.jobs import trained, without_seconds
from support.prefix_caches import kept_files

from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.workflows.train import train

TOP = {"lora": [{"roles": ["query", "value"], "layers": "top-1", "rank": 2}]}


@pytest.fixture
def jobs(tiny_recipe: Any, tiny_data: dict[str, Path]) -> dict[str, Recipe]:
    """What is trained: a plain recipe, one that stores the states of its frozen layers, and one without its rows."""
    # 50 rows in batches of 7 leave a batch of one, of which a process has no row, and uneven shares of the others.
    plain = tiny_recipe(data={"validation_size": 10}, training={"batch_size": 7, "accumulate": 3, "epochs": 3})
    rows = [json.loads(line) for line in tiny_data["train"].read_text("utf-8").splitlines()]
    longer = tiny_data["train"].with_name("longer.jsonl")
    longer.write_text("".join(json.dumps({**row, "text": 5 * f"{row['text']} "}) + "\n" for row in rows), "utf-8")
    training = {"prefix_cache": "on", "evaluate_every": 5, "batch_size": 7}
    stored = tiny_recipe(adapter=TOP, training=training, data={"train": str(longer), "max_length": 64})
    several = tiny_data["train"].with_name("windows.jsonl")
    texts = [f"{row['text']} " * (600 if place % 3 else 1) for place, row in enumerate(rows[:12])]
    lines = (json.dumps({**row, "text": text}) + "\n" for row, text in zip(rows, texts, strict=False))
    several.write_text("".join(lines), "utf-8")
    windows = {"train": str(several), "test": "", "long": "windows", "max_length": 16, "validation_size": 3}
    windowed = tiny_recipe(data=windows, training={"batch_size": 2, "epochs": 1})
    return {"plain": plain, "stored": stored, "windows": windowed, "bad": tiny_recipe(data={"train": "nowhere.csv"})}


@pytest.fixture
def launched(jobs: dict[str, Recipe], made_once: Any) -> Path:
    """The folder in which two processes have trained the jobs, with what they said in ``out`` and ``err``."""

    def launch(folder: Path) -> None:
        folder.mkdir()
        for name, recipe in jobs.items():
            (folder / f"{name}.toml").write_text(recipe.to_toml(), "utf-8")
        paths = os.pathsep.join(filter(None, sys.path))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        environment["FEATHERWEIGHT_CACHE"] = str(folder / "cache")
        script = Path(__file__).parents[1] / "support" / "two_processes.py"
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(script)]
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            subprocess.run(command, cwd=folder, env=environment, stdout=out, stderr=err, timeout=300, check=False)

    return made_once("two-processes", launch)


@pytest.mark.slow
def test_two_processes_give_the_history_of_one(
    jobs: dict[str, Recipe], launched: Path, in_this_process: None, tmp_path: Path
) -> None:
    said = (launched / "out").read_text("utf-8").partition("Report: stored")[0]
    assert (launched / "plain.over").is_file(), (launched / "err").read_text("utf-8")[-2000:]
    assert said.count("Report:") == 1
    one, two = train(jobs["plain"], tmp_path / "one"), Run(launched / "plain")
    assert two.environment["processes"] == 2
    for key in ("loss", "accuracy", "rows", "tokens", "learning_rate", "grad_norm"):
        first, second = ([record.get(key, 0) for record in run.history] for run in (one, two))
        assert second == pytest.approx(first, rel=1e-4), key
    weights = [load_file(run.adapter / "adapter_model.safetensors") for run in (one, two)]
    for name, tensor in weights[0].items():
        assert weights[1][name] == pytest.approx(tensor, abs=1e-4), name


@pytest.mark.slow
def test_two_processes_share_the_states_that_the_first_computes(
    jobs: dict[str, Recipe], launched: Path, tmp_path: Path
) -> None:
    assert (launched / "stored.over").is_file(), (launched / "err").read_text("utf-8")[-2000:]
    assert (launched / "out").read_text("utf-8").count("computed once and cached") == 1
    assert len(kept_files(launched / "cache")) == 1
    trained(jobs["stored"].with_values(training={"prefix_cache": "off"}), tmp_path / "one")
    one, two = without_seconds(tmp_path / "one"), Run(launched / "stored").history
    for key in ("loss", "accuracy", "grad_norm"):
        first, second = ([record.get(key, 0) for record in records] for records in (one, two))
        assert second == pytest.approx(first, rel=1e-4), key


@pytest.mark.slow
def test_two_processes_whose_texts_need_other_numbers_of_passes_do_not_wait_for_each_other(
    jobs: dict[str, Recipe], launched: Path, tmp_path: Path
) -> None:
    assert (launched / "windows.over").is_file(), (launched / "err").read_text("utf-8")[-2000:]
    trained(jobs["windows"], tmp_path / "one")
    one, two = without_seconds(tmp_path / "one"), Run(launched / "windows").history
    for key in ("loss", "accuracy", "grad_norm"):
        first, second = ([record.get(key, 0) for record in records] for records in (one, two))
        assert second == pytest.approx(first, rel=1e-4), key


@pytest.mark.slow
def test_bad_input_is_told_by_the_first_process_alone(launched: Path) -> None:
    assert (launched / "windows.over").is_file()
    assert (launched / "err").read_text("utf-8").count("nowhere.csv: no such file") == 1
    assert not (launched / "bad").exists()


def test_a_further_process_gives_its_message_where_the_first_is_silent(monkeypatch: Any, capsys: Any) -> None:
    from featherweight.cli import main

    waited: list[float] = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(main.time, "sleep", waited.append)
    monkeypatch.setattr(sys, "argv", ["featherweight", "weigh", "nowhere.toml"])
    with pytest.raises(SystemExit, match="2"):
        main.main()
    assert waited == [main.SECONDS_FOR_THE_FIRST]
    assert "nowhere.toml: no such recipe file" in capsys.readouterr().err
