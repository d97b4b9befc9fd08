"""States of frozen layers are computed once and cached; what is learnt from them is what is learnt without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.backbones import save_tiny_backbone
from support.jobs import assert_same, job_for, tensors, without_seconds
from support.prefix_caches import kept_files

from featherweight.errors import UserError
from featherweight.model.network import frozen_layers
from featherweight.training.batch_order import StepOrder
from featherweight.training.loop import Interrupted, Job, fit
from featherweight.training.prefix_cache import planning as prefix
from featherweight.training.prefix_cache.file import write_states
from featherweight.training.prefix_cache.planning import plan_prefix

TOP = {"lora": [{"roles": ["query", "value"], "layers": "top-1", "rank": 2}]}


class Heard:
    """A listener that remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.later: list[str] = []

    def started(self, total_steps: int, first_step: int, notes: list[str]) -> None:
        self.notes += notes

    def noted(self, message: str) -> None:
        self.later.append(message)

    def stepped(self, record: dict[str, Any]) -> None: ...
    def evaluated(self, record: dict[str, Any], best: bool) -> None: ...


@pytest.fixture(scope="session")
def longer_texts(tiny_data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny data with longer texts: in fp32 the products of a handful of tokens are made in ways of their own."""
    rows = [json.loads(line) for line in tiny_data["train"].read_text("utf-8").splitlines()]
    path = tmp_path_factory.mktemp("longer") / "train.jsonl"
    path.write_text("".join(json.dumps({**row, "text": 5 * f"{row['text']} "}) + "\n" for row in rows), "utf-8")
    return str(path)


@pytest.fixture
def run(tiny_recipe: Any, longer_texts: str, tmp_path: Path) -> Callable[..., tuple[Job, Heard]]:
    """Trains a recipe whose top layer alone is adapted, on texts of 30 tokens and more; sections replace its keys."""

    def train(
        name: str,
        kept: str,
        family: str = "bert",
        training: dict[str, Any] | None = None,
        should_stop: Callable[[], int] = lambda: 0,
        resume: bool = False,
        **sections: Any,
    ) -> tuple[Job, Heard]:
        heard = Heard()
        training = {"evaluate_every": 5, "prefix_cache": kept, **(training or {})}
        data = {"train": longer_texts, "max_length": 64, **sections.pop("data", {})}
        recipe = tiny_recipe(family, **{"adapter": TOP, **sections}, data=data, training=training)
        job = job_for(recipe, tmp_path / name, should_stop, [heard])
        fit(job, resume=resume)
        return job, heard

    return train


def skip_where_batches_matter(heard: Heard) -> None:
    if "batch" in heard.notes[0]:
        pytest.skip(f"on this machine, {heard.notes[0]}")


@pytest.mark.parametrize(("family", "precision", "adapter"), [
    ("bert", "fp32", {"head": "native", **TOP}),
    ("bert", "bf16", {"bias": "lora", **TOP}),
    ("mpnet", "fp32", TOP),
    ("mpnet", "bf16", {"head": "native", **TOP}),
    ("electra", "bf16", {"pooling": "first", "lora": []}),
    ("distilbert", "fp32", {"lora": [{"roles": ["mlp_up"], "layers": "1"}], "rslora": True}),
])  # fmt: skip
def test_what_is_learnt_is_the_same_bit_for_bit(
    run: Any, cache: Path, tmp_path: Path, family: str, precision: str, adapter: dict[str, Any]
) -> None:
    sections = {"adapter": adapter, "training": {"precision": precision, "batch_tokens": 300}}
    without, _ = run("without", "off", family, **sections)
    assert not kept_files(cache)
    kept, heard = run("kept", "on", family, **sections)
    assert len(kept_files(cache)) == 1 and "computed once and cached" in heard.notes[0]
    assert kept.train.states is not None and kept.validation.states is not None
    assert kept.best_logits is None and without.best_logits is not None
    skip_where_batches_matter(heard)
    assert_same(tensors(without), tensors(kept))
    assert without_seconds(tmp_path / "without") == without_seconds(tmp_path / "kept")


def test_states_are_computed_once_for_all_epochs_seeds_and_trials(
    run: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, heard = run("first", "auto", training={"epochs": 3})
    skip_where_batches_matter(heard)
    (file,) = kept_files(cache)
    before = file.stat().st_ino

    def computed_again(*_: Any) -> None:
        raise AssertionError("the states are there")

    monkeypatch.setattr(prefix, "write_states", computed_again)
    # Another seed splits the same rows differently; one epoch alone would not be worth computing them.
    for name, sections in {"seed": {"seed": 1}, "trial": {"training": {"learning_rate": 1e-4, "epochs": 1}}}.items():
        job, heard = run(name, "auto", **sections)
        assert "found in" in heard.notes[0] and job.train.states is not None
    assert [path.stat().st_ino for path in kept_files(cache)] == [before]


@pytest.mark.parametrize("change", ["data", "layer", "precision", "backbone"])
def test_other_states_have_another_file(run: Any, cache: Path, tmp_path: Path, longer_texts: str, change: str) -> None:
    base = {"family": "bert", "training": {"max_steps": 1}}
    run("first", "on", **base)
    if change == "data":
        lines = Path(longer_texts).read_text("utf-8").replace("number 7 ", "number seven ")
        (tmp_path / "changed.jsonl").write_text(lines, "utf-8")
        base["data"] = {"train": str(tmp_path / "changed.jsonl")}
    elif change == "precision":
        base["training"] = {"max_steps": 1, "precision": "bf16"}
    elif change == "backbone":
        base["backbone"] = {"name": str(save_tiny_backbone(tmp_path / "other", "bert", seed=1))}
    else:
        # The embeddings' own states enter the lowest layer: there is nothing frozen to be kept.
        base["adapter"] = {"lora": [{"layers": "0"}]}
    run("second", "on", **base)
    assert len(kept_files(cache)) == (1 if change == "layer" else 2)


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "header", "stale"])
def test_a_damaged_file_is_made_anew(run: Any, cache: Path, damage: str) -> None:
    first, _ = run("first", "on")
    (file,) = kept_files(cache)
    whole = bytearray(file.read_bytes())
    file.unlink()
    changed = whole.copy()
    changed[-9] ^= 0x40
    contents = {"flipped": changed, "cut": whole[:-4], "emptied": b"", "header": b"x" + whole[1:]}
    if damage == "stale":  # whole, but another version or machine computed it
        states = np.frombuffer(whole[4096:], np.float32).reshape(-1, 32)
        write_states(file, len(states), 32, "fp32", [states + np.float32(1e-6)])
    else:
        file.write_bytes(contents[damage])
    again, heard = run("again", "on")
    assert "computed once" in heard.notes[0]
    assert [path.read_bytes() for path in kept_files(cache)] == [bytes(whole)]
    assert_same(tensors(first), tensors(again))


def test_what_a_killed_process_left_is_swept_and_never_used(run: Any, cache: Path) -> None:
    (cache / "states").mkdir(parents=True)
    (cache / "states" / ".0123.states.abc.part").write_bytes(b"half")
    run("first", "on")
    assert [path.suffix for path in kept_files(cache)] == [".states"]


def test_a_disk_without_room_is_left_alone(run: Any, cache: Path, tmp_path: Path, monkeypatch: Any) -> None:
    without, _ = run("without", "off")
    usage = prefix.shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000)
    monkeypatch.setattr(prefix.shutil, "disk_usage", lambda place: usage)
    full, heard = run("full", "on")
    assert "more than half of the 1 kB free" in heard.notes[0] and not kept_files(cache)
    assert_same(tensors(without), tensors(full))


def test_the_limit_holds_for_all_runs_together(run: Any, cache: Path, monkeypatch: Any) -> None:
    run("first", "on")
    (file,) = kept_files(cache)
    monkeypatch.setenv(prefix.LIMIT, str(1.8 * file.stat().st_size / 1e9))
    _, heard = run("second", "on", training={"precision": "bf16"})
    assert len(kept_files(cache)) == 2, "a file of half the size has room beside the first"
    _, heard = run("third", "on", backbone={"name": str(save_tiny_backbone(cache / "other", "bert", seed=1))})
    assert prefix.LIMIT in heard.notes[0] and "featherweight cache --clear" in heard.notes[0]
    assert len(kept_files(cache)) == 2
    for wrong in ("lots", "-1", "nan"):
        monkeypatch.setenv(prefix.LIMIT, wrong)
        with pytest.raises(UserError, match=f"{prefix.LIMIT} = '{wrong}'"):
            run("wrong", "on", seed=5, data={"train_rows": 20})


def test_a_disk_that_refuses_costs_nothing_but_time(run: Any, cache: Path, monkeypatch: Any) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prefix, "write_states", full)
    job, heard = run("first", "on")
    assert heard.later == [f"frozen layer 0: states are not cached: {cache / 'states'}: No space left on device"]
    assert job.train.states is None


@pytest.mark.parametrize("cleared", [False, True])
def test_a_resumed_run_ends_with_the_same_bits(run: Any, cache: Path, tmp_path: Path, cleared: bool) -> None:
    training = {"epochs": 4}
    whole, _ = run("whole", "on", training=training)
    calls = iter(range(1, 1000))
    with pytest.raises(Interrupted):
        run("halves", "on", training=training, should_stop=lambda: 15 if next(calls) == 9 else 0)
    for file in kept_files(cache) if cleared else []:
        file.unlink()
    second, heard = run("halves", "on", training=training, resume=True)
    assert second.train.states is not None and any("found in" in note for note in heard.notes) != cleared
    assert_same(tensors(whole), tensors(second))
    assert without_seconds(tmp_path / "whole") == without_seconds(tmp_path / "halves")


def test_a_stop_while_states_are_computed_leaves_nothing(cache: Path, tmp_path: Path, tiny_recipe: Any) -> None:
    heard = Heard()
    recipe = tiny_recipe(adapter=TOP, training={"prefix_cache": "on"})
    with pytest.raises(Interrupted, match="stopped after step 0"):
        fit(job_for(recipe, tmp_path / "run", lambda: 2, [heard]))
    assert not kept_files(cache) and not heard.later


@pytest.mark.parametrize(("wanted", "sections", "note"), [
    ("auto", {"training": {"epochs": 1}}, None),
    ("auto", {"training": {"max_steps": 6}}, None),
    ("auto", {"adapter": {"bias": "all", **TOP}}, None),
    ("on", {"adapter": {"lora": [{"layers": "all"}]}}, "the lowest layer, or something below it, is trained"),
    ("on", {"training": {"encoder_dropout": True}}, "encoder dropout"),
    ("on", {"adapter": {"dora": True, **TOP}}, "does not use the lean pass"),
    ("off", {}, None),
])  # fmt: skip
def test_where_nothing_is_gained_nothing_is_kept(
    tiny_recipe: Any, tmp_path: Path, cache: Path, wanted: str, sections: dict[str, Any], note: str | None
) -> None:
    training = {"prefix_cache": wanted, **sections.get("training", {})}
    job = job_for(tiny_recipe(**{"adapter": TOP, **sections, "training": training}), tmp_path / "run")
    epochs = StepOrder(job.train.lengths, job.recipe).epochs_after(0)
    planned, notes = plan_prefix(job, epochs, lambda: [np.arange(len(job.train))])
    assert planned is None
    assert [note in said for said in notes] == ([True] if note else [])


def test_where_states_depend_on_the_batch_only_the_recipe_keeps_them(run: Any, cache: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(prefix, "difference", lambda *_: 2e-6)
    _, heard = run("auto", "auto")
    assert "a text's states depend on its batch, by up to 2e-06" in heard.notes[0] and not kept_files(cache)
    _, heard = run("on", "on")
    assert "in another batch they would differ by up to 2e-06" in heard.notes[0] and len(kept_files(cache)) == 1


@pytest.mark.parametrize(("adapter", "frozen"), [
    (TOP, 1),
    ({"lora": []}, 1),
    ({"lora": [], "head": "native"}, 1),
    ({"lora": [{"layers": "0"}]}, 0),
    ({"bias": "lora", **TOP}, 1),
    ({"bias": "all", **TOP}, 0),
    ({"head": "native", **TOP}, 1),
])  # fmt: skip
@pytest.mark.parametrize("family", ["bert", "distilbert", "electra", "mpnet"])
def test_frozen_layers_lie_below_everything_that_is_trained(
    tiny_recipe: Any, family: str, adapter: dict[str, Any], frozen: int
) -> None:
    from featherweight.adapter.build import build_network
    from featherweight.backbone.resolve import resolve_backbone

    recipe = tiny_recipe(family, adapter=adapter)
    network = build_network(recipe, resolve_backbone(recipe.backbone), ("a", "b"))
    assert frozen_layers(network.plain_encoder(), network.architecture) == frozen
