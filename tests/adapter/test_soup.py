"""The mean of several saved adapters."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from featherweight.adapter.soup import mean_of
from featherweight.errors import UserError


def adapter(folder: Path, **tensors: np.ndarray) -> Path:
    folder.mkdir()
    save_file({"head.out.weight": tensors.pop("head", np.ones((2, 3), np.float32))}, folder / "head.safetensors")
    if tensors:
        save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def some(seed: int, scale: float) -> np.ndarray:
    return (np.random.default_rng(seed).normal(0, scale, (40, 50))).astype(np.float32)


def test_each_tensor_is_the_mean_in_double_precision_in_any_order(tmp_path: Path) -> None:
    values = [some(0, 1.0), some(1, 1e-6), some(2, 1e6), some(3, 1.0)]
    folders = [
        adapter(tmp_path / f"{n}", lora=value, head=np.full((2, 3), n, np.float32)) for n, value in enumerate(values)
    ]
    found = mean_of(folders)
    expected = np.mean(np.stack(values).astype(np.float64), axis=0)
    np.testing.assert_allclose(found["lora"].numpy(), expected, rtol=1e-6)
    assert found["lora"].dtype == torch.float32 and found["head.out.weight"].eq(1.5).all()


def test_the_order_of_the_adapters_changes_no_bit(tmp_path: Path) -> None:
    # Even in double precision, the sum of these values depends on the order.
    folders = [adapter(tmp_path / f"{n}", lora=np.full(3, n, np.float32)) for n in (1e20, 1.0, -1e20, 3.0)]
    found = mean_of(folders)["lora"]
    assert all(torch.equal(mean_of(order)["lora"], found) for order in permutations(folders))


def test_the_mean_of_one_adapter_is_that_adapter(tmp_path: Path) -> None:
    value = some(0, 1.0)
    np.testing.assert_array_equal(mean_of([adapter(tmp_path / "one", lora=value)])["lora"].numpy(), value)


@pytest.mark.parametrize(
    ("tensors", "wrong"),
    [
        ({"lora": np.ones((2, 2), np.float32)}, "lora has shape (2, 2), not (40, 50)"),
        ({}, "only one has the tensor lora"),
        ({"lora": np.full((40, 50), np.nan, np.float32)}, "lora contains NaN or infinity"),
    ],
)
def test_an_adapter_that_does_not_fit_is_named(tmp_path: Path, tensors: dict[str, np.ndarray], wrong: str) -> None:
    folders = [adapter(tmp_path / "good", lora=some(0, 1.0)), adapter(tmp_path / "bad", **tensors)]
    with pytest.raises(UserError) as refusal:
        mean_of(folders)
    assert str(refusal.value).startswith(f"{folders[1]}: damaged: ") and wrong in str(refusal.value)
