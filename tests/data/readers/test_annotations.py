"""Exports of annotation tools are read as texts and labels: those of Label Studio and of Prodigy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.source_tables import open_table
from featherweight.data.splits import load_splits
from featherweight.data.text_pieces import text_pieces
from featherweight.recipe import DataRecipe, Recipe
from featherweight.workflows.own_data import draft_recipe, with_guessed_columns

TEXTS = [f"the parcel number {n} has not arrived" for n in range(12)]


def task(number: int, *choices: list[str], skipped: bool = False) -> dict[str, Any]:
    """A task of Label Studio, with one annotation for each list of ``choices``."""
    given = [
        {"id": 1, "was_cancelled": skipped, "result": [{"type": "choices", "from_name": "mood", "to_name": "text",
         "value": {"choices": chosen}}] if chosen else []} for chosen in choices
    ]  # fmt: skip
    return {"id": number, "data": {"text": TEXTS[number]}, "annotations": given, "predictions": [], "project": 1}


def saved(folder: Path, rows: list[Any], name: str = "export.json") -> str:
    path = folder / name
    lines = name.endswith("l")
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows), "utf-8")
    return str(path)


def labels_of(source: str, *overrides: str) -> list[Any]:
    """The labels of all rows in the order of their texts, by the recipe that is made for ``source``."""
    splits = load_splits(draft_recipe(source, overrides).recipe)
    rows = [
        (t, n)
        for part in (splits.train, splits.validation)
        for t, n in zip(part.texts, part.names_of(part.labels), strict=True)
    ]
    return [name for _, name in sorted(rows, key=lambda row: TEXTS.index(row[0]))]


def test_label_studios_tasks_are_read_with_their_choices(tmp_path: Path) -> None:
    rows = [task(n, [["good", "bad"][n % 2]]) for n in range(10)]
    source = saved(tmp_path, [*rows, task(10), task(11, ["good"], skipped=True)])
    draft = draft_recipe(source)
    data = draft.recipe.data
    assert (draft.recipe.task, data.text, data.label, data.empty) == ("single-label", ("text",), "mood", "drop")
    assert labels_of(source) == ["good", "bad"] * 5
    (note,) = open_table(source, DataRecipe(), "train").notes
    assert note == f"{source}: is read as an export of Label Studio: the choices of its annotations"
    assert "left out (data.empty): 2 without a label (rows 11, 12)" in load_splits(draft.recipe).warnings[0]
    assert with_guessed_columns(Recipe.parse({"data": {"train": source}})).data.empty == "drop"
    tasks = saved(tmp_path, [{"data": {"text": text}} for text in TEXTS], "tasks.json")
    (new,) = text_pieces(tasks, data, split="test", rows=100)
    assert list(new.texts) == TEXTS


def test_several_choices_a_text_are_several_labels(tmp_path: Path) -> None:
    rows = [task(n, [["a"], ["a", "b"], []][n % 3]) for n in range(12)]
    source = saved(tmp_path, rows)
    draft = draft_recipe(source)
    assert (draft.recipe.task, draft.recipe.data.label, draft.recipe.data.empty) == ("multi-label", "mood", "error")
    assert labels_of(source) == [["a"], ["a", "b"], []] * 4


def test_paths_into_label_studios_tasks_are_still_read(tmp_path: Path) -> None:
    source = saved(tmp_path, [task(n, [["good", "bad"][n % 2]]) for n in range(12)])
    label = "data.label=annotations.0.result.0.value.choices.0"
    assert labels_of(source, "data.text=data.text", label) == ["good", "bad"] * 6


@pytest.mark.parametrize("name", ["min.json", "min.csv"])
def test_label_studios_tables_are_read_without_the_columns_of_the_tool(name: str, tmp_path: Path) -> None:
    of_tool = {
        "annotator": 1,
        "annotation_id": 5,
        "created_at": "2024-01-01",
        "updated_at": "2024-01-01",
        "lead_time": 9.5,
    }
    rows = [{"text": text, "id": n, "kind": "ab"[n % 2], **of_tool, "annotator": n % 3} for n, text in enumerate(TEXTS)]
    if name.endswith("json"):
        source = saved(
            tmp_path, [{**row, "kind": {"choices": ["a", "b"]}} if n == 1 else row for n, row in enumerate(rows)], name
        )
        expected: list[Any] = [["a"], ["a", "b"], *[["a"], ["b"]] * 5]
    else:
        source, expected = str(tmp_path / name), ["a", "b"] * 6
        lines = [",".join(map(str, row.values())) for row in rows]
        Path(source).write_text("\n".join([",".join(rows[0]), *lines]), "utf-8")
    assert draft_recipe(source).recipe.data.label == "kind"
    assert labels_of(source) == expected


def test_prodigys_choices_count_where_they_were_accepted(tmp_path: Path) -> None:
    options = [{"id": "A", "text": "A"}, {"id": "B", "text": "B"}]
    rows = [
        {"text": text, "_input_hash": n, "options": options, "accept": ["AB"[n % 2]],
         "answer": {10: "ignore", 11: "reject"}.get(n, "accept")} for n, text in enumerate(TEXTS)
    ]  # fmt: skip
    source = saved(tmp_path, rows, "choices.jsonl")
    assert labels_of(source) == ["A", "B"] * 5
    table = open_table(source, DataRecipe(), "train")
    assert table.names == ("text", "answer", "label")
    numbered = [{**row, "options": [{"id": 1, "text": "one"}, {"id": 2, "text": "two"}], "accept": [n % 2 + 1]}
                for n, row in enumerate(rows)]  # fmt: skip
    assert labels_of(saved(tmp_path, numbered, "numbers.jsonl")) == ["one", "two"] * 5
    several = [{**row, "accept": ["A", "B"][: n % 3]} for n, row in enumerate(rows)]
    assert labels_of(saved(tmp_path, several, "several.jsonl")) == [["A", "B"][: n % 3] for n in range(10)]


def test_prodigys_binary_answers(tmp_path: Path) -> None:
    answers = ["accept", "reject", "accept", "accept", "ignore", "accept"] * 2
    rows = [{"text": text, "label": "ab"[n % 2], "answer": answers[n]} for n, text in enumerate(TEXTS)]
    assert labels_of(saved(tmp_path, rows, "two.jsonl")) == ["a", "a", "b", "b"] * 2
    source = saved(tmp_path, [{**row, "label": "urgent"} for row in rows], "one.jsonl")
    assert draft_recipe(source).recipe.data.label == "answer"
    assert labels_of(source) == ["accept", "reject", "accept", "accept", "accept"] * 2


def test_records_of_argilla_are_read_with_their_first_submitted_response(tmp_path: Path) -> None:
    def record(number: int, *given: tuple[str, str]) -> dict[str, Any]:
        answers = [{"value": value, "user_id": "u", "status": status} for value, status in given]
        return {
            "id": str(number), "status": "completed", "fields": {"text": TEXTS[number]}, "metadata": {}, "vectors": {},
            "suggestions": {"mood": {"value": "bad", "score": 0.3}}, "responses": {"mood": answers} if given else {},
        }  # fmt: skip

    rows = [record(n, ("none", "discarded"), (["good", "bad"][n % 2], "submitted")) for n in range(11)]
    source = saved(tmp_path, [*rows, record(11)])
    assert labels_of(source) == ["good", "bad"] * 5 + ["good"]
    earlier = [
        {
            "fields": row["fields"],
            "responses": [{"status": "submitted", "values": {"mood": {"value": ["good", "bad"][n % 2]}}}],
        }
        for n, row in enumerate(rows)
    ]
    assert labels_of(saved(tmp_path, earlier, "earlier.jsonl")) == labels_of(source)


@pytest.mark.parametrize("openai", [True, False])
def test_chats_are_texts_with_the_answers_as_labels(tmp_path: Path, openai: bool) -> None:
    names = (
        ("messages", "role", "content", "user", "assistant")
        if openai
        else ("conversations", "from", "value", "human", "gpt")
    )
    key, role, content, user, assistant = names
    rows = [
        {key: [{role: "system", content: "Classify."}, {role: user, content: "hello"}, {role: assistant, content: "x"},
               {role: user, content: text}, {role: assistant, content: ["good", "bad"][n % 2]}]}
        for n, text in enumerate(TEXTS)
    ]  # fmt: skip
    assert labels_of(saved(tmp_path, rows, "chats.jsonl")) == ["good", "bad"] * 6
