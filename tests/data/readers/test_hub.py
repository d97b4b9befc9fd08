"""Folders saved by `datasets`, and the hub: found, missing, or out of reach."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.class_names import label_names_of
from featherweight.data.readers import hub
from featherweight.data.source_tables import has_split, note_on_part
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_splits
from featherweight.errors import HubUnreachable, UserError
from featherweight.recipe import DataRecipe, Recipe

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    hub._load_hub.cache_clear()
    yield
    hub._load_hub.cache_clear()


def made(texts: list[str], labels: list[int]) -> Any:
    features = {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
    return datasets.Dataset.from_dict({"text": texts, "label": labels}, features=datasets.Features(features))


def both() -> Any:
    train = made([f"train {number}" for number in range(20)], [number % 2 for number in range(20)])
    return datasets.DatasetDict(train=train, test=made(["test 0", "test 1"], [1, 0]))


def test_splits_may_have_other_usual_names(tmp_path: Path) -> None:
    sets = both()
    datasets.DatasetDict(training=sets["train"], val=sets["test"], oos_test=sets["test"]).save_to_disk(
        tmp_path / "saved"
    )
    data = DataRecipe(train=str(tmp_path / "saved"))
    assert [has_split(data, part) for part in ("train", "validation", "test")] == [True, True, False]
    assert len(read_rows(data.train, data)) == 20
    assert len(read_rows(data.train, data, split="validation")) == 2


def test_a_saved_dictionary_gives_its_splits_and_names(tmp_path: Path) -> None:
    both().save_to_disk(tmp_path / "saved")
    source = str(tmp_path / "saved")
    rows = read_rows(source, DataRecipe(train=source), split="test")
    assert (rows.texts, rows.labels.tolist(), rows.label_names) == (["test 0", "test 1"], [1, 0], ("ham", "spam"))
    assert has_split(DataRecipe(train=source), "test")
    assert str(note_on_part(source, DataRecipe(train=source), "test")).endswith(f"name it: {source}/train")
    assert len(read_rows(f"{source}/train", DataRecipe(train=source))) == 20
    splits = load_splits(Recipe.parse({"name": "t", "data": {"train": source, "validation_size": 4}}))
    assert [len(splits.train), len(splits.validation), len(splits.test or ())] == [16, 4, 2]
    with pytest.raises(UserError, match="no split 'validation'; it has train, test"):
        read_rows(source, DataRecipe(train=source), split="validation")


def test_a_saved_set_alone_is_whatever_part_is_asked_for(tmp_path: Path) -> None:
    made(["a", "b"], [0, 1]).select([1, 0]).save_to_disk(tmp_path / "one")
    source = str(tmp_path / "one")
    assert read_rows(source, DataRecipe(train=source), split="test").texts == ["b", "a"]
    assert not has_split(DataRecipe(train=source), "test")
    assert note_on_part(source, DataRecipe(train=source), "test") is None


def test_decimals_of_a_saved_set_are_numbers(tmp_path: Path) -> None:
    import pyarrow as pa

    numbers = pa.array([0, 1, 2**53 + 1], pa.int64()).cast(pa.decimal128(21, 1))
    datasets.Dataset(pa.table({"text": ["a", "b", "c"], "label": numbers})).save_to_disk(tmp_path / "one")
    rows = read_rows(str(tmp_path / "one"), DataRecipe())
    assert rows.label_names == ("0", "1", str(2**53 + 1))


def test_a_folder_of_another_kind_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not saved by `datasets`"):
        read_rows(str(tmp_path), DataRecipe())
    (tmp_path / "dataset_dict.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_rows(str(tmp_path), DataRecipe())


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A hub that has one data set; the calls that it got."""
    calls: list[tuple[Any, ...]] = []

    def load_dataset(name: str, config: str | None = None, *, revision: str | None = None) -> Any:
        calls.append((name, config, revision))
        if name != "fancyzhx/ag_news":
            raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist on the Hub.")
        return both()

    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_a_short_name_stands_for_the_set_on_the_hub(reachable: list[tuple[Any, ...]]) -> None:
    data = DataRecipe(train="ag_news", config="plain", revision="abc")
    assert read_rows("ag_news", data).label_names == ("ham", "spam")
    assert has_split(data, "test") and label_names_of(data) == ("ham", "spam")
    assert reachable == [("fancyzhx/ag_news", "plain", "abc")]


def test_the_recipe_renames_the_hubs_classes_by_number(reachable: list[tuple[Any, ...]]) -> None:
    data = DataRecipe(train="ag_news", labels=("good", "bad"))
    rows = read_rows("ag_news", data, split="test")
    assert (rows.labels.tolist(), rows.label_names) == ([1, 0], ("good", "bad"))
    other = DataRecipe(train="newsbriefs", labels=("good", "bad"))
    with pytest.raises(UserError, match="unknown label 'spam'"):
        read_rows("ag_news", other, split="test", label_names=("good", "bad"))


def glue() -> Any:
    """A set whose test split has no labels, as those of GLUE."""
    splits = both()
    validation = made(["new 0", "new 1"], [0, 1])
    return datasets.DatasetDict(train=splits["train"], validation=validation, test=made(["test 0", "test 1"], [-1, -1]))


def left_out(source: str, **data: Any) -> str:
    """The note on the test split of ``source``, which serves for training and validation."""
    wanted = {"name": "t", "data": {"train": source, "validation": source, **data}}
    splits = load_splits(Recipe.parse(wanted))
    assert splits.test is None and list(splits.validation.texts) == ["new 0", "new 1"]
    return next((warning for warning in splits.warnings if "has no labels" in warning), "")


def test_a_test_split_without_labels_is_left_out_and_offered_to_predict(
    tmp_path: Path, reachable: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: glue())
    note = "it is left out of the evaluation; classify it with: featherweight predict RUN"
    told = "(test) has no labels (every label is -1)"
    assert left_out("ag_news", config="plain") == f"ag_news {told}: {note} ag_news -o predictions.csv"
    glue().save_to_disk(tmp_path / "saved")
    source = str(tmp_path / "saved")
    assert left_out(source) == f"{source} {told}: {note} {source} -o predictions.csv"
    assert left_out(source, test="") == left_out("ag_news", test="") == ""
    assert left_out("ag_news", test=source) == f"{source} {told}: {note} {source} -o predictions.csv"


def test_a_split_of_which_some_rows_have_labels_is_refused(tmp_path: Path) -> None:
    train = both()["train"]
    datasets.DatasetDict(train=train, test=made(["a", "b", "c"], [1, -1, -1])).save_to_disk(tmp_path / "saved")
    told = r"\(test\): row 2: the label is -1, which means no label \(2 of 3 rows have none\)"
    with pytest.raises(UserError, match=told):
        load_splits(Recipe.parse({"name": "t", "data": {"train": str(tmp_path / "saved")}}))


def test_an_unknown_set_is_no_matter_of_the_network(reachable: list[tuple[Any, ...]]) -> None:
    with pytest.raises(UserError, match="doesn't exist") as caught:
        read_rows("someone/nothing", DataRecipe())
    assert not isinstance(caught.value, HubUnreachable)


def test_an_unreachable_hub_is_told_quickly_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    started = time.monotonic()
    for data in (DataRecipe(train="ag_news"), DataRecipe(train="ag_news", revision="abc")):
        with pytest.raises(HubUnreachable, match="hub cannot be reached") as caught:
            read_rows("ag_news", data)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 5
    assert datasets.config.HF_HUB_OFFLINE in (True, False)


def test_nobody_is_asked_when_the_hub_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: pytest.fail("the hub was asked"))
    assert not hub.hub_answers()


def test_a_hub_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    assert not hub.hub_answers()
    assert time.monotonic() - started < 4
