"""Several processes train what one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from featherweight.run.folder import Run


@pytest.mark.slow
def test_two_processes_give_the_history_of_one(tiny_recipe: Any, tmp_path: Path) -> None:
    # 50 rows in batches of 7 leave a batch of one, of which a process has no row, and uneven shares of the others.
    recipe = tiny_recipe(data={"validation_size": 10}, training={"batch_size": 7, "accumulate": 3, "epochs": 3})
    (tmp_path / "job.toml").write_text(recipe.to_toml())
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for processes in (1, 2):
        launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "featherweight"]
        command = [sys.executable, *launch, "train", str(tmp_path / "job.toml"), "--out", f"runs/{processes}"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("Report:") == 1
    one, two = Run(tmp_path / "runs" / "1"), Run(tmp_path / "runs" / "2")
    assert two.environment["processes"] == 2
    for key in ("loss", "accuracy", "rows", "tokens", "learning_rate", "grad_norm"):
        first, second = ([record.get(key, 0) for record in run.history] for run in (one, two))
        assert second == pytest.approx(first, rel=1e-4), key
    weights = [load_file(run.adapter / "adapter_model.safetensors") for run in (one, two)]
    for name, tensor in weights[0].items():
        assert weights[1][name] == pytest.approx(tensor, abs=1e-4), name


@pytest.mark.slow
def test_bad_input_is_told_by_the_first_process_alone(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(data={"train": str(tmp_path / "nowhere.csv")})
    (tmp_path / "job.toml").write_text(recipe.to_toml())
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "featherweight"]
    command = [sys.executable, *launch, "train", "job.toml", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert done.stderr.count("nowhere.csv: no such file") == 1
    assert not (tmp_path / "run").exists()


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
