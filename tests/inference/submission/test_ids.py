"""The ids of a contest's submission: which column they are, and what they are where there is none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from support.submissions import TEXTS, Submit

from featherweight.data.id_column import likely_id_columns
from featherweight.inference.output_files import predict_file

pytestmark = pytest.mark.usefixtures("as_options")


@pytest.mark.parametrize("name", ["ID", "Id", "id", "PassengerId", "textID", "tweet_id", "Tweet ID", "tweetid"])
def test_ids_and_labels_stand_under_the_names_that_the_data_gives_them(submit: Submit, name: str) -> None:
    out, notes = submit(ids=name)
    assert out == f"{name},mood\n90,1\n7,-1\n8,0\n31,-1\n"
    guessed = (
        [] if name.casefold() == "id" else [f"test.csv: the ids are those of column {name!r} (--id chooses another)"]
    )
    assert notes == guessed


@pytest.mark.parametrize(("names", "expected"), [
    (["text", "ID", "Id"], "ID"), (["id", "Id"], "Id"), (["tweet_id", "id"], "id"), (["a_id", "bId"], "a_id"),
    (["bId", "a_id"], "bId"), (["label_id", "tweetid"], "tweetid"),
    (["tweetid", "a_id"], "a_id"), (["iD", "tweetid"], "iD"),
])  # fmt: skip
def test_the_surest_name_comes_first(submit: Submit, names: list[str], expected: str, tmp_path: Path) -> None:
    columns = {name: [f"{name}{row}" for row in range(len(TEXTS))] for name in names}
    pd.DataFrame({"text": TEXTS, **{name: values for name, values in columns.items() if name != "text"}}).to_csv(
        tmp_path / "other.csv", index=False
    )
    submit()
    predict_file(tmp_path / "run", "other.csv", "first.csv", kaggle=True, note=lambda line: None)
    assert Path("first.csv").read_text("utf-8").startswith(f"{expected},mood\n{expected}0,1\n")


def test_words_that_end_like_an_id_are_none() -> None:
    words = ["paid", "grid", "valid", "is_valid", "amountPaid", "amountpaid", "GRID", "android", "covid", "said", "mid"]
    assert likely_id_columns([*words, "text", "idea", "hidden", "identity", "width"]) == []
    names = ["userid", "threadid", "emailid", "TWEETID", "row.id", "x-id", "_id", "qid", "uuid"]
    assert sorted(likely_id_columns(names)) == sorted(names)
    assert likely_id_columns(["tweet_id", "text_id"], {"text_id"}) == ["tweet_id"]


def test_columns_that_number_the_classes_hold_no_ids(submit: Submit) -> None:
    names = ["label_id", "class_id", "category_id", "topicId", "targetID", "gold label id", "newsCategoryId", "labelid"]
    names += ["issue_type_id", "rating_id", "queueId"]
    assert likely_id_columns([*names, "genre_id", "genre_ids", "subclassed_id"], label="Genre") == ["subclassed_id"]
    assert submit(ids="topic_id")[0].startswith("ID,mood\n0,")
    assert submit(ids="mood_id", folder="run", replace=True)[0].startswith("ID,mood\n0,")
    assert submit(ids="topic_id", folder="run", replace=True, id_column="topic_id")[0].startswith("topic_id,mood\n90,")


def test_of_likely_columns_the_first_without_repetitions_is_taken(submit: Submit, tmp_path: Path) -> None:
    submit()
    columns = {"user_id": [1, 1, 2, 3], "tweet_id": [5, 6, 7, 8], "reply_id": [9, 8, 7, 6], "sum_id": [None, 1, 2, 3]}
    pd.DataFrame({**columns, "text": TEXTS}).to_csv("many.csv", index=False)
    notes: list[str] = []
    predict_file("run", "many.csv", "many_out.csv", kaggle=True, note=notes.append)
    assert Path("many_out.csv").read_text("utf-8") == "tweet_id,mood\n5,1\n6,-1\n7,0\n8,-1\n"
    assert notes == ["many.csv: the ids are those of column 'tweet_id' (--id chooses another, such as 'reply_id')"]
    pd.DataFrame({"textid": ["two words"] * 4, "sumid": [0.5, 1.5, 2.5, 3.5], "text": TEXTS}).to_csv("no.csv")
    predict_file("run", "no.csv", "no_out.csv", kaggle=True, note=notes.append)
    assert Path("no_out.csv").read_text("utf-8").startswith("ID,mood\n0,")


def test_an_id_column_that_is_named_is_taken_whatever_its_name_is(submit: Submit) -> None:
    out, notes = submit(ids="paid", id_column="PAID")
    assert (out.splitlines()[:2], notes) == (["paid,mood", "90,1"], [])
    predict_file("run", "test.csv", "plain.csv", id_column="paid")
    assert Path("plain.csv").read_text("utf-8").splitlines()[:2] == ["id,label,p_0,p_1,p_2", "90,2,0.15,0.15,0.7"]
    predict_file("run", "test.csv", "rows.csv", id_column="row")
    assert Path("rows.csv").read_text("utf-8").startswith("row,label,p_0,p_1,p_2\n0,2,")


def test_without_a_submission_no_column_is_taken_by_the_end_of_its_name(submit: Submit) -> None:
    out, notes = submit(kaggle=False)
    assert out.startswith("row,label,p_0,p_1,p_2\n0,2,")
    assert notes == []


def test_an_id_column_is_found_in_parquet_and_in_saved_folders(submit: Submit, tmp_path: Path) -> None:
    import datasets

    submit()
    table = pd.DataFrame({"user_id": [1, 1, 2, 3], "tweet_id": [5.0, 6.0, 7.0, 8.0], "text": TEXTS, "more": 0})
    table.to_parquet("test.parquet")
    datasets.Dataset.from_pandas(table).save_to_disk("saved")
    for source in ("test.parquet", "saved"):
        predict_file("run", source, "out.csv", kaggle=True, replace=True, note=lambda line: None)
        assert Path("out.csv").read_text("utf-8") == "tweet_id,mood\n5,1\n6,-1\n7,0\n8,-1\n"
