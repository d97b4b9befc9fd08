"""Trainings that learn from teachers: what is learnt, recorded, resumed and refused, and which leaks are noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate import Accelerator
from scipy.special import softmax
from support.stops import StopAfter
from workflows.test_continuation import interrupt, saved

from featherweight.cache import TEACHERS, cache_entries
from featherweight.data.sources import Rows
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.export.shareable import _shareable_recipe
from featherweight.inference.classifier import Classifier
from featherweight.model.text_model import TextModel
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.workflows import leaks, teachers
from featherweight.workflows.prepare import prepare
from featherweight.workflows.teachers import soft_labels, teacher_notes, teachers_of
from featherweight.workflows.train import train

LABELS = ("bird", "fruit", "metal")
ONE_PROCESS = Accelerator(cpu=True)


@pytest.fixture
def export(exports: Any, tiny_recipe: Any) -> Path:
    """An export of another classifier, with its classes in another order."""
    exports.add("teacher", tiny_recipe(adapter={"head": "native"}))
    return exports[("teacher", "merged")]


def taught(tiny_recipe: Any, *teachers: Path, **training: Any) -> Recipe:
    return tiny_recipe(training={"max_steps": 4, "teacher": [str(teacher) for teacher in teachers], **training})


def soft(recipe: Recipe, noted: list[str]) -> np.ndarray:
    class Notes:
        def noted(self, message: str) -> None:
            noted.append(message)

    train_rows = load_splits(recipe).train
    found = soft_labels(teachers_of(recipe, LABELS), recipe, train_rows, ONE_PROCESS, [Notes()])  # type: ignore[list-item]
    assert found is not None
    return found


def test_soft_labels_are_the_mean_of_the_teachers_in_the_order_of_the_classes(
    tiny_recipe: Any, finished_run: Run, export: Path, cache: Path
) -> None:
    recipe = taught(tiny_recipe, finished_run.folder, export, teacher_temperature=3.0)
    texts = list(load_splits(recipe).train.texts)
    first, second = (Classifier.load(folder).logits(texts) for folder in (finished_run.folder, export))
    assert Classifier.load(export).labels == ("fruit", "metal", "bird")
    expected = (softmax(first / 3, 1) + softmax(second[:, [2, 0, 1]] / 3, 1)) / 2
    noted: list[str] = []
    found = soft(recipe, noted)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32 and len(noted) == 2
    # From the cache the bits are the same, and nothing is predicted again; a damaged file is not used.
    np.testing.assert_array_equal(soft(recipe, noted), found)
    assert len(noted) == 2
    for entry in cache_entries(TEACHERS):
        content = bytearray(entry.path.read_bytes())
        content[len(content) // 2] ^= 255
        entry.path.write_bytes(content)
    np.testing.assert_array_equal(soft(recipe, noted), found)
    assert len(noted) == 4


def test_an_interruption_keeps_the_parts_that_are_predicted(
    tiny_recipe: Any, finished_run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = taught(tiny_recipe, finished_run.folder)
    rows = load_splits(recipe).train
    monkeypatch.setattr(teachers, "_ROWS_OF_A_PART", 7)
    whole, asked = TextModel.logits, list[int]()

    def stopped_in_the_third(self: TextModel, part: Rows, **more: Any) -> np.ndarray:
        asked.append(len(part))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return whole(self, part, **more)

    monkeypatch.setattr(TextModel, "logits", stopped_in_the_third)
    noted: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        soft(recipe, noted)
    found = soft(recipe, noted)
    assert asked == [7, 7, 7, *asked[3:]] and sum(asked[3:]) == len(rows) - 14
    assert [note.partition(" with ")[0] for note in noted] == [
        f"predicting {len(rows)} training rows",
        f"predicting {len(rows) - 14} training rows",
    ]
    expected = softmax(Classifier.load(finished_run.folder).logits(list(rows.texts)) / 2, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_full_disk_is_told_once_and_is_no_obstacle(
    tiny_recipe: Any, finished_run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(teachers, "_ROWS_OF_A_PART", 7)
    monkeypatch.setattr(teachers, "replace_file", full)
    noted: list[str] = []
    recipe = taught(tiny_recipe, finished_run.folder)
    assert len(soft(recipe, noted)) == len(load_splits(recipe).train)
    assert noted[1:] == [f"{cache / TEACHERS}: the teacher's predictions are not cached: No space left on device"]


def test_a_run_records_its_teachers_and_an_interrupted_one_resumes_exactly(
    tiny_recipe: Any, finished_run: Run, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    teacher = Path(shutil.copytree(finished_run.folder, "teacher", symlinks=True))
    recipe = taught(tiny_recipe, teacher, checkpoint_steps=1)
    whole = train(recipe, tmp_path / "whole")
    (entry,) = whole.environment["teachers"]
    assert entry["run"] == str(teacher.resolve()) and set(entry["sha256"]) == {"adapter_model.safetensors"}
    assert whole.weight["total"] == sum(tensor.size for tensor in saved(whole).values())
    page = whole.report.read_text("utf-8")
    assert "Teachers" in page and "learns from the predictions of" in page
    assert whole.recipe.training.teacher == (str(teacher.resolve()),)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run", listeners=[StopAfter(2, interrupt)])
    shutil.rmtree(cache / TEACHERS)
    weights = teacher / "adapter/adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content + b" ")
    with pytest.raises(UserError, match="the weights of a teacher have changed since this run was started"):
        train(recipe, tmp_path / "run", resume=True)
    weights.write_bytes(content)
    resumed = train(recipe, tmp_path / "run", resume=True)
    for name, tensor in saved(whole).items():
        np.testing.assert_array_equal(saved(resumed)[name], tensor)


@pytest.mark.parametrize(("sections", "said"), [
    ({"training": {"teacher": "nowhere"}}, "nowhere: no such folder; name finished runs or exports"),
    ({"training": {"teacher": "unfinished"}}, "is not complete; to resume it: featherweight train"),
    ({"training": {"teacher": "empty"}}, "not a run folder"),
    ({"task": "multi-label"}, "was trained with task = 'single-label', but this recipe has 'multi-label'"),
    ({"data": {"text": ["text", "Text"], "join": "pair"}}, "was trained with data.join = 'text', but this recipe"),
    ({"data": {"train": "four.jsonl", "test": None}}, "lacks the class 'animal'; name a teacher with the same classes"),
    ({"data": {"train": "two.jsonl", "test": None}}, "has the class 'metal', which this training lacks"),
])  # fmt: skip
def test_refused_teachers(
    tiny_recipe: Any, finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("unfinished").mkdir()
    Path("unfinished/recipe.toml").write_text("name = 'unfinished'\n", "utf-8")
    for name, labels in {"four": (*LABELS, "animal"), "two": LABELS[:2]}.items():
        rows = [{"text": f"{label} {number}", "label": label} for number in range(10) for label in labels]
        Path(f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    training = {"teacher": str(finished_run.folder)} | sections.get("training", {})
    with pytest.raises(UserError, match=r"^training\.teacher: ") as caught:
        train(tiny_recipe(**{**sections, "training": training}), tmp_path / "run")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def notes(recipe: Recipe) -> list[str]:
    return teacher_notes(teachers_of(recipe, LABELS), recipe, load_splits(recipe))[1:]


def test_a_teacher_with_the_same_split_leaks_nothing(tiny_recipe: Any, finished_run: Run) -> None:
    recipe = taught(tiny_recipe, finished_run.folder)
    assert notes(recipe.with_values(data=finished_run.recipe.data.model_dump(exclude_none=True))) == []


def test_evaluated_rows_that_a_teacher_was_trained_on_are_noted(
    tiny_recipe: Any, finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = taught(tiny_recipe, finished_run.folder).with_values(seed=5)
    known = set(load_splits(finished_run.recipe).train.texts)
    splits = load_splits(recipe)
    count = sum(text in known for text in splits.validation.texts)
    assert 0 < count < 12 and not known & set(splits.test.texts)  # type: ignore[union-attr]
    (note,) = notes(recipe)
    assert f"was trained on {count} of 12 validation rows" in note
    swapped = recipe.with_values(seed=0, data={"train": recipe.data.test, "test": recipe.data.train})
    (note,) = notes(swapped)
    assert "was trained on 48 of 60 test rows" in note
    monkeypatch.setattr(leaks, "rows_of_run", lambda *_: (_ for _ in ()).throw(UserError("rows.csv: missing")))
    (note,) = notes(recipe)
    assert note.endswith("whether it was trained on validation or test rows cannot be checked: rows.csv: missing")


def test_a_shared_recipe_names_no_teachers(tiny_recipe: Any, finished_run: Run) -> None:
    assert _shareable_recipe(taught(tiny_recipe, finished_run.folder)).training.teacher == ()


def test_an_export_can_teach(tiny_recipe: Any, export: Path) -> None:
    prepared = prepare(taught(tiny_recipe, export))
    (teacher,) = prepared.teachers
    assert teacher.labels == ("fruit", "metal", "bird") and "model.safetensors" in teacher.sha256
