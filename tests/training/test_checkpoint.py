"""Checkpoints: whole and sound or passed by, whatever has become of their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from featherweight.errors import UserError
from featherweight.training import checkpoint
from featherweight.training.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint

STATE = {"step": 0, "best_accuracy": -1.0, "seconds": 0.0}


class Training:
    """Two parameters and their optimizer; a step changes both."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.trainable = {"lora_A": nn.Parameter(torch.randn(2, 3)), "bias": nn.Parameter(torch.randn(3))}
        self.optimizer = torch.optim.AdamW(self.trainable.values(), lr=0.1)
        self.step = 0

    def train(self, steps: int) -> Training:
        for _ in range(steps):
            self.step += 1
            sum((parameter**2).sum() for parameter in self.trainable.values()).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        return self

    def save(self, folder: Path, *, best: bool = True) -> Training:
        kept = {name: parameter.detach() * 2 for name, parameter in self.trainable.items()} if best else {}
        state = {"step": self.step, "best_accuracy": 0.5, "seconds": 0.1 * self.step}
        save_checkpoint(folder, self.trainable, kept, self.optimizer, state)
        return self

    def load(self, folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor], list[str]]:
        found = load_checkpoint(folder, self.trainable, self.optimizer, STATE)
        self.step = found[0]["step"]
        return found

    def values(self) -> list[list[float]]:
        return [parameter.detach().flatten().tolist() for parameter in self.trainable.values()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints after steps 2 and 4."""
    Training().train(2).save(tmp_path).train(2).save(tmp_path)
    return tmp_path


def test_a_checkpoint_brings_everything_back(folder: Path) -> None:
    whole, second = Training().train(4), Training()
    state, best, warnings = second.load(folder)
    assert state == {"step": 4, "best_accuracy": 0.5, "seconds": 0.4} and not warnings
    assert second.values() == whole.values()
    assert torch.equal(best["bias"], second.trainable["bias"] * 2)
    assert second.train(3).values() == whole.train(3).values()


def test_a_checkpoint_before_the_first_evaluation_has_no_best_adapter(tmp_path: Path) -> None:
    Training().train(1).save(tmp_path, best=False)
    assert Training().load(tmp_path)[1] == {}


def unparseable(place: Path) -> None:
    (place / "state.json").write_text('{"step": 4, "best', "utf-8")


def not_utf8(place: Path) -> None:
    (place / "state.json").write_bytes(b'{"step": \xff}')


def no_object(place: Path) -> None:
    (place / "state.json").write_text("[4]\n", "utf-8")


def no_checksum(place: Path) -> None:
    (place / "state.json").write_text('{"step": 4}\n', "utf-8")


def another_step(place: Path) -> None:
    text = (place / "state.json").read_text("utf-8")
    (place / "state.json").write_text(text.replace('"step": 4', '"step": 5'), "utf-8")


def no_state(place: Path) -> None:
    (place / "state.json").unlink()


def no_tensors(place: Path) -> None:
    (place / "tensors.safetensors").unlink()


def cut_tensors(place: Path) -> None:
    with (place / "tensors.safetensors").open("r+b") as file:
        file.truncate(100)


def one_bit(place: Path) -> None:
    weights = bytearray((place / "tensors.safetensors").read_bytes())
    weights[-1] ^= 1
    (place / "tensors.safetensors").write_bytes(weights)


def resealed(place: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]) -> None:
    """Change a checkpoint and give it a checksum that matches, as a foreign one would have."""
    state, tensors = json.loads((place / "state.json").read_text("utf-8")), load_file(place / "tensors.safetensors")
    del state["sha256"]
    change(state, tensors)
    save_file(tensors, place / "tensors.safetensors")
    state["sha256"] = checkpoint._checksum(place / "tensors.safetensors", state)
    (place / "state.json").write_text(json.dumps(state), "utf-8")


def no_key(place: Path) -> None:
    resealed(place, lambda state, tensors: state.pop("seconds"))


def no_number(place: Path) -> None:
    resealed(place, lambda state, tensors: state.update(step="4"))


def no_parameter(place: Path) -> None:
    resealed(place, lambda state, tensors: tensors.pop("adapter/bias"))


def another_shape(place: Path) -> None:
    resealed(place, lambda state, tensors: tensors.update({"adapter/bias": torch.ones(1)}))


def half_the_moments(place: Path) -> None:
    resealed(place, lambda state, tensors: tensors.pop("optimizer/exp_avg/lora_A"))


def half_the_best(place: Path) -> None:
    resealed(place, lambda state, tensors: tensors.pop("best/lora_A"))


def more_than_trained(place: Path) -> None:
    resealed(place, lambda state, tensors: tensors.update({"best/other": torch.ones(2)}))


def no_safetensors(place: Path) -> None:
    state = {"step": 4, "best_accuracy": 0.5, "seconds": 0.1}
    (place / "tensors.safetensors").write_bytes(b"\xff" * 64)
    checksum = checkpoint._checksum(place / "tensors.safetensors", state)
    (place / "state.json").write_text(json.dumps({**state, "sha256": checksum}), "utf-8")


DAMAGES = {
    unparseable: "Unterminated string", not_utf8: "utf-8", no_object: "state.json has no checksum",
    no_checksum: "state.json has no checksum", another_step: "the checksum does not match",
    no_state: "No such file", no_tensors: "No such file", cut_tensors: "the checksum does not match",
    one_bit: "the checksum does not match", no_key: "state.json has no usable value for seconds",
    no_number: "state.json has no usable value for step", no_parameter: "has no adapter/bias of shape (3,)",
    another_shape: "has no adapter/bias of shape (3,)",
    half_the_moments: "has no optimizer/exp_avg/lora_A of shape (2, 3)",
    half_the_best: "has no best/lora_A of shape (2, 3)", no_safetensors: "header",
    more_than_trained: "contains best/other, which this recipe does not train",
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / "step-4")
    training = Training()
    state, _, warnings = training.load(folder)
    assert state["step"] == 2 and training.values() == Training().train(2).values()
    (warning,) = warnings
    assert warning.startswith(f"{folder / 'step-4'}: damaged (") and DAMAGES[damage] in warning
    assert warning.endswith("the checkpoint before it is used") and "\n" not in warning


def test_where_all_are_damaged_nothing_is_changed_and_one_is_named(folder: Path) -> None:
    another_shape(folder / "step-4")
    no_tensors(folder / "step-2")
    training = Training()
    before = training.values()
    with pytest.raises(
        UserError, match="no undamaged checkpoint to resume from; start a new training in another folder"
    ) as refused:
        training.load(folder)
    first, second = str(refused.value).splitlines()
    assert first.startswith(f"{folder / 'step-4'}: damaged (") and "is used" not in first
    assert second.startswith(f"{folder}: ")
    assert training.values() == before and not training.optimizer.state


def test_two_sound_ones_are_kept_once_a_damaged_one_was_passed_by(folder: Path) -> None:
    one_bit(folder / "step-4")
    training = Training()
    training.load(folder)
    training.train(1).save(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["step-2", "step-3"]
    training.train(1).save(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["step-3", "step-4"]
    assert Training().load(folder)[2] == []


def test_what_a_kill_leaves_is_no_checkpoint(folder: Path) -> None:
    (folder / "step-4").rename(folder / "part")
    (folder / "step-x").mkdir()
    assert Training().load(folder)[0]["step"] == 2
    (folder / "step-2").rename(folder / "gone")
    assert not has_checkpoint(folder)


def test_of_two_checkpoints_both_are_kept_and_the_later_is_resumed(tmp_path: Path) -> None:
    trainable = {"a": nn.Parameter(torch.zeros(2, 2))}
    optimizer = torch.optim.AdamW(trainable.values())
    for step in (9, 10):
        trainable["a"].data.fill_(step)
        save_checkpoint(tmp_path, trainable, {}, optimizer, {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-9"]
    state, _, _ = load_checkpoint(tmp_path, trainable, optimizer, {"step": 0})
    assert state["step"] == 10 and trainable["a"].data[0, 0] == 10
