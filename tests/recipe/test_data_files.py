"""What is data and what is a recipe, by its name or its first line; and what a recipe of data is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from featherweight.recipe.data_files import is_data, name_after


def test_what_is_data_and_what_is_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "dataset_info.json").write_text("{}")
    (tmp_path / "imdb" / "train" / "pos").mkdir(parents=True)
    (tmp_path / "imdb" / "train" / "pos" / "1.txt").write_text("good")
    (tmp_path / "owner").mkdir()
    (tmp_path / "run" / "pos").mkdir(parents=True)
    (tmp_path / "run" / "pos" / "1.txt").write_text("good")
    (tmp_path / "run" / "recipe.toml").write_text("")
    for name in (
        "a.csv",
        "a.csv.gz",
        "b.JSONL",
        "c.xlsx",
        "https://example.org/a.csv",
        "saved",
        "imdb",
        "fancyzhx/ag_news",
    ):
        assert is_data(name), name
    for name in ("job.toml", "a/job.toml", "job", "owner", "owner/job", "run", "x" * 5000, "a\0b"):
        assert not is_data(name), name


@pytest.mark.parametrize(("name", "content", "data"), [
    ("ft.train", "__label__a , b\n", True), ("table.md", "| text | label |\n|---|---|\n", True),
    ("SMSSpamCollection", "ham\tSee you at 7 = ok\n", True), ("rows.data", b"PAR1\x00\xff", True),
    ("job", "# ours\n\n[data]\ntrain = 1\n", False), ("job.cfg", 'name = "x"\n', False), ("empty", "", False),
])  # fmt: skip
def test_a_file_of_another_ending_is_told_by_its_first_line(
    tmp_path: Path, name: str, content: str | bytes, data: bool
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert is_data(tmp_path / name) is data


@pytest.mark.parametrize(("source", "name"), [
    ("reviews.csv", "reviews"), ("data/My Reviews.csv.gz", "My-Reviews"), ("评论.csv", "texts"),
    ("owner/ag_news", "ag_news"), ("folder/", "folder"),
])  # fmt: skip
def test_a_recipe_is_called_like_its_data(source: str, name: str) -> None:
    assert name_after(source, "texts") == name
