"""The logits of several processes together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.jobs import job_for

from featherweight.model import predict as inference
from featherweight.model.predict import predict_logits


def test_the_parts_of_all_processes_are_the_whole_prediction(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_for(tiny_recipe(), tmp_path / "run")
    monkeypatch.setattr(inference, "_BATCH_TOKENS", 40)
    arguments = (job.network, job.validation, job.engine, job.pad_id)
    parts = [predict_logits(*arguments, part=(place, 3)) for place in range(3)]
    assert all((part == 0).all(1).any() for part in parts)
    np.testing.assert_array_equal(sum(parts), predict_logits(*arguments))
