"""A recipe made from a file: what it takes from the data, and what from the options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from support.reviews import SENTIMENTS, write_reviews

from featherweight import recipe_for, train
from featherweight.backbone import resolve
from featherweight.cli.train import command
from featherweight.data import kept_tables
from featherweight.data.readers.files import file_tables
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.hints import on_the_command_line
from featherweight.recipe import Recipe
from featherweight.workflows.own_data import draft_recipe
from featherweight.workflows.request import requested


def test_the_recipe_is_of_the_data(reviews: str) -> None:
    recipe = recipe_for(reviews)
    assert recipe.name == "reviews"
    assert recipe.description == "40 texts of reviews.csv in 2 classes: negative, positive."
    assert (recipe.data.train, recipe.data.text, recipe.data.label) == ("reviews.csv", ("review",), "sentiment")
    assert (recipe.adapter.lora, recipe.budget, recipe.backbone.name) == ("auto", 1_000_000, "minilm")
    assert recipe.training.epochs == 20
    assert 1 <= recipe.training.evaluate_every <= 32 // recipe.training.batch_size


def test_options_and_overrides_win(reviews: str) -> None:
    recipe = recipe_for(
        reviews, test="test.csv", budget="300k", backbone="mpnet", overrides=["training.epochs=2", "name=mine"]
    )
    assert (recipe.data.test, recipe.budget, recipe.backbone.name) == ("test.csv", 300_000, "mpnet")
    assert (recipe.training.epochs, recipe.name) == (2, "mine")
    assert recipe_for(reviews, overrides=["adapter.lora.rank=3"]).adapter.lora[0].rank == 3  # type: ignore[union-attr]
    assert recipe_for(reviews, text="sentiment", label="review").data.text == ("sentiment",)
    named = recipe_for(reviews, overrides=['data.labels=["negative", "positive"]', "training.batch_size=4"])
    assert named.data.labels == ("negative", "positive")
    assert named.training.evaluate_every == 8


def test_the_choices_are_said(reviews: str) -> None:
    first, second = draft_recipe(reviews).notes
    assert first == (
        "reviews.csv: 40 rows, 2 classes; texts from 'review' (the only column of running text), "
        "labels from 'sentiment' (by its name)"
    )
    assert "backbone minilm (installed), at most 1,000,000 trainable parameters, 20 epochs" in second


def test_a_rank_without_roles_is_said_to_adapt_only_two_kinds_of_layers(reviews: str) -> None:
    told = 'adapter.lora names no roles: only query and value are adapted; "auto" adapts all linear layers'
    assert told in draft_recipe(reviews, ["adapter.lora.rank=16"]).notes
    for given in ([], ["adapter.lora=auto"], ["adapter.lora=[]"], ["adapter.lora.rank=3", "adapter.lora.roles=key"]):
        assert told not in draft_recipe(reviews, given).notes


def test_one_step_between_evaluations_is_singular(reviews: str) -> None:
    assert draft_recipe(reviews, ["training.evaluate_every=1"]).notes[1].endswith("an evaluation every 1 step")


def test_the_backbone_is_the_best_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"minilm", "mpnet"}
    monkeypatch.setattr(resolve, "is_installed", installed.__contains__)
    assert resolve.best_at_hand()[0] == "minilm"
    installed.remove("minilm")
    assert resolve.best_at_hand() == ("mpnet", "installed")
    installed.clear()
    cached = resolve.KnownBackbone("roberta-base", "hub", True, "")
    monkeypatch.setattr(resolve, "known_backbones", lambda: [cached])
    assert resolve.best_at_hand() == ("roberta-base", "in the hub's cache")
    monkeypatch.setattr(resolve, "known_backbones", lambda: [])
    assert resolve.best_at_hand() == ("minilm", "not installed yet")


def test_arguments_may_be_paths_and_numbers_of_numpy(reviews: str, tiny_backbones: dict[str, Path]) -> None:
    backbone, budget = tiny_backbones["bert"], np.int64(20_000)
    for recipe in (
        recipe_for(Path(reviews), test=Path(reviews), backbone=backbone, budget=budget),  # type: ignore[arg-type]
        requested(reviews, test=Path(reviews), backbone=backbone, budget=budget).recipe,  # type: ignore[arg-type]
    ):
        assert recipe is not None
        assert (recipe.backbone.name, recipe.budget, recipe.data.test) == (str(backbone), 20_000, reviews)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"backbone": 3}, "backbone takes a name on the hub or the path of a folder, not the number 3"),
        ({"budget": [1]}, "budget takes a whole number such as 1_000_000, not a list"),
        ({"test": ["a", "b"]}, "test takes the path of a file or folder, or the name of a data set, not a list"),
        ({"label": np.array([])}, "data.label"),
    ]
    for given, told in refused:
        with pytest.raises(UserError, match=told):
            recipe_for(reviews, **given)


def test_more_of_long_texts_is_read_and_never_more_than_the_backbone_reads(
    reviews: str, tiny_backbones: dict[str, Path]
) -> None:
    assert recipe_for(reviews).data.max_length == 256
    write_reviews("long.csv", words=300)
    assert recipe_for("long.csv").data.max_length == 512
    assert "longer than 256 tokens: 512 are read" in draft_recipe("long.csv").notes[1]
    given = draft_recipe("long.csv", ["data.max_length=128"])
    assert given.recipe.data.max_length == 128 and "tokens" not in given.notes[1]
    assert "tokens: they are read in windows of 512" in draft_recipe("long.csv", ["data.long=windows"]).notes[1]
    write_reviews("half.csv", words=200)  # more characters than 256, and fewer tokens
    assert recipe_for("half.csv").data.max_length == 256
    tiny = str(tiny_backbones["bert"])
    assert recipe_for("long.csv", backbone=tiny).data.max_length == resolve.most_tokens(
        resolve.config_of(Recipe.parse({"backbone": {"name": tiny}}).backbone)
    )


def test_a_saved_set_brings_its_validation_and_its_class_names(tmp_path: Path) -> None:
    features = datasets.Features({"note": datasets.Value("string"), "kind": datasets.ClassLabel(names=["ham", "spam"])})
    rows = datasets.Dataset.from_dict(
        {"note": [f"the note number {n}" for n in range(10)], "kind": [0, 1] * 5}, features
    )
    datasets.DatasetDict(train=rows, validation=rows).save_to_disk(tmp_path / "mails")
    recipe = recipe_for(tmp_path / "mails")
    assert recipe.data.validation == recipe.data.train == str(tmp_path / "mails")
    assert recipe.description == "10 texts of mails in 2 classes: ham, spam."
    assert recipe.training.evaluate_every == 1


def test_several_labels_a_text_are_asked_for_and_guessed(reviews: str) -> None:
    rows = [f"a note that is number {n},{n % 2},{n // 2 % 2},0" for n in range(20)]
    Path("notes.csv").write_text("\n".join(["body,toxic,rude,rare", *rows]) + "\n", "utf-8")
    for given in ({}, {"overrides": ["task=multi-label"]}, {"label": ["toxic", "rude", "rare"]}):
        recipe = recipe_for("notes.csv", **given)
        assert (recipe.task, recipe.data.label) == ("multi-label", ("toxic", "rude", "rare"))
        assert recipe.description == "20 texts of notes.csv with 3 labels: toxic, rude, rare."
    assert (one := recipe_for("notes.csv", label="rude")).data.label == "rude" and one.task == "single-label"
    two = [row.rpartition(",")[0] for row in rows]
    Path("two.csv").write_text("\n".join(["body,toxic,rude", *two]) + "\n", "utf-8")
    told = (
        r'toxic, rude hold only 0 and 1, .*\nTo train on all of them: label=\["toxic", "rude"\]; '
        r'to train on one: label="toxic"$'
    )
    with pytest.raises(UserError, match=told):
        recipe_for("two.csv")
    told = r"\nTo train on all of them: --label toxic --label rude; to train on one: --label toxic$"
    with on_the_command_line(), pytest.raises(UserError, match=told):
        draft_recipe("two.csv")
    both, one = (recipe_for("two.csv", label=names) for names in (["toxic", "rude"], "toxic"))
    assert (both.task, both.data.label, one.task) == ("multi-label", ("toxic", "rude"), "single-label")
    lists = [json.dumps({"text": f"number {n}", "tags": ["a", "b"][: n % 3]}) for n in range(20)]
    Path("lists.jsonl").write_text("\n".join(lists) + "\n", "utf-8")
    assert recipe_for("lists.jsonl").description.endswith("with 2 labels: a, b.")
    # doccano's export, in which nobody has given a text two labels, or a comment
    lists = [json.dumps({"text": f"number {n}", "label": ["ab"[n % 2]], "Comments": []}) for n in range(20)]
    Path("doccano.jsonl").write_text("\n".join(lists) + "\n", "utf-8")
    assert recipe_for("doccano.jsonl", overrides=["task=multi-label"]).data.label == "label"


def test_spellings_of_a_label_are_one_class(reviews: str) -> None:
    spelled = "caf\u00e9", "cafe\u0301"
    rows = [f"a note that is number {n},{spelled[n % 2]}\nthe other {n},tea" for n in range(8)]
    Path("drinks.csv").write_text("\n".join(["note,drink", *rows]) + "\n", "utf-8")
    assert recipe_for("drinks.csv").description == "16 texts of drinks.csv in 2 classes: café, tea."


def test_a_folder_of_texts_is_trained(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for kind in ("pos", "neg"):
            (tmp_path / "imdb" / part / kind).mkdir(parents=True)
            for number in range(5):
                (tmp_path / "imdb" / part / kind / f"{number}.txt").write_text(f"a {kind} film, number {number}")
    recipe = recipe_for(tmp_path / "imdb")
    assert (recipe.data.text, recipe.data.label, recipe.name) == (("text",), "label", "imdb")
    assert recipe.description == "10 texts of imdb in 2 classes: neg, pos."


def test_a_class_without_a_row_is_left_out_by_what_the_message_says(tmp_path: Path) -> None:
    path, names = tmp_path / "flags.csv", ("spam", "rude", "late")
    lines = [f"the note number {n},{n % 2},0,{int(n % 3 == 0)}" for n in range(30)]
    path.write_text("\n".join([f"text,{','.join(names)}", *lines]), "utf-8")
    recipe = recipe_for(path)
    assert recipe.data.label == names
    with on_the_command_line(), pytest.raises(UserError, match=r"has the label 'rude'; .*: --label spam --label late$"):
        load_splits(recipe)
    assert load_splits(recipe_for(path, label=["spam", "late"])).train.label_names == ("spam", "late")

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    rows = {"text": [f"the note number {n}" for n in range(10)], "label": [0, 2] * 5}
    datasets.Dataset.from_dict(rows, features).save_to_disk(tmp_path / "saved")
    listed = 'data.labels=["spam", "late"]'
    with on_the_command_line(), pytest.raises(UserError, match="has the label 'rude'") as told:
        load_splits(recipe_for(tmp_path / "saved"))
    assert str(told.value).endswith(f"list only the labels that occur: --set '{listed}'")
    splits = load_splits(recipe_for(tmp_path / "saved", overrides=[listed]))
    assert splits.train.label_names == ("spam", "late") and splits.train.counts.tolist() == [4, 4]


@pytest.mark.parametrize(("labels", "classes"), [
    ([["a"], [], ["b"], ["a"], ["b"]], "4 texts of rows.jsonl in 2 classes: a, b."),
    ([True, False, True, False], "4 texts of rows.jsonl in 2 classes: false, true."),
    (["True", "False"] * 2, "4 texts of rows.jsonl in 2 classes: False, True."),
])  # fmt: skip
def test_the_description_has_the_classes_of_the_training(tmp_path: Path, labels: list[Any], classes: str) -> None:
    rows = [{"text": f"some words {number}", "label": label} for number, label in enumerate(labels)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    recipe = recipe_for(tmp_path / "rows.jsonl", overrides=["data.empty=drop", "task=single-label"])
    assert recipe.description == classes
    assert all(name in classes for name in load_splits(recipe).train.label_names)


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.jsonl"])
def test_a_training_reads_its_file_once(reviews: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"review": f"a film number {n}", "sentiment": SENTIMENTS[n % 2]} for n in range(40)]
    Path("reviews.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    opened: list[str] = []
    read = file_tables

    def counted(path: Path, *more: Any) -> Any:
        opened.append(path.name)
        return read(path, *more)

    def begun(recipe: Recipe, *more: Any) -> None:
        assert len(load_splits(recipe).train) == 32
        assert kept_tables._KEPT.get() == {}  # nothing is held during the training

    monkeypatch.setattr("featherweight.data.source_tables.file_tables", counted)
    monkeypatch.setattr("featherweight.workflows.train._train", begun)
    train(name)
    assert opened == [name]
    monkeypatch.setattr("featherweight.cli.train.summarise", lambda run: None)
    command(name)
    assert opened == [name] * 2


@pytest.mark.usefixtures("as_options")
def test_what_the_values_show_is_said(reviews: str) -> None:
    rows = [
        {"title": f"film {n} is here", "plot": f"the long story of number {n}", "genres": ["a", "a|b", "b"][n % 3]}
        for n in range(12)
    ]
    Path("films.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    draft = draft_recipe("films.jsonl")
    assert draft.recipe.data.text == ("title", "plot")  # a title and the only other running text
    assert (
        draft.notes[2] == "films.jsonl: a label such as 'a|b' may be several labels; if so, add --set task=multi-label"
    )
    names = ["Home/Pots", "Home/Pans", "Car, used"]
    paths = [json.dumps({"text": f"number {n}", "label": names[n % 3]}) for n in range(12)]
    Path("paths.jsonl").write_text("\n".join(paths), "utf-8")
    assert len(draft_recipe("paths.jsonl").notes) == 2
    stars = [json.dumps({"text": f"number {n}", "stars": n % 3 + 1.0}) for n in range(12)]
    Path("stars.jsonl").write_text("\n".join(stars), "utf-8")
    assert recipe_for("stars.jsonl").description == "12 texts of stars.jsonl in 3 classes: 1, 2, 3."
    for header in ("text,label", "a,b"):
        Path("header.csv").write_text(f"{header}\n", "utf-8")
        with pytest.raises(UserError, match=r"header\.csv: has only a header \(.*\), but no rows; add some$"):
            recipe_for("header.csv")


@pytest.mark.parametrize(("overrides", "rows"), [(["data.empty=drop"], 40), ([], 42)])
def test_rows_that_are_left_out_are_not_counted(tmp_path: Path, overrides: list[str], rows: int) -> None:
    path = tmp_path / "gaps.csv"
    write_reviews(str(path))
    with path.open("a", encoding="utf-8") as file:
        file.write(" ,positive\n,mixed\nno label at all,\n")
    draft = draft_recipe(str(path), overrides)
    classes = ("negative", "positive") if overrides else ("mixed", "negative", "positive")
    assert draft.notes[0].startswith(f"gaps.csv: {rows} rows, {len(classes)} classes; ")
    assert draft.recipe.description == f"{rows} texts of gaps.csv in {len(classes)} classes: {', '.join(classes)}."
    if overrides:
        splits = load_splits(draft.recipe)
        assert len(splits.train) + len(splits.validation) == rows
        assert splits.train.label_names == classes
