"""serve: from a run folder to a server; who may use it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.commands import Cli, refused
from support.made_up_runs import fabricate
from support.served import FakeModel, running

pytest.importorskip("fastapi")

from featherweight.data.pairs import Text
from featherweight.export.contents import copy_results, described_training
from featherweight.serving.card import card_of
from featherweight.serving.explain import spans_of
from featherweight.serving.limits import Limits
from featherweight.workflows.serve import access_for, checked_limits, example_texts, load_model

TOKEN = "0123456789abcdef-token"


def test_without_the_extra_one_line_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = refused(cli, "serve", "run", naming="the server needs fastapi, uvicorn, prometheus_client: ")
    assert "pip install fastapi uvicorn prometheus-client" in message


def test_who_may_use_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    given: Any = {"token_file": None, "no_auth": False}
    assert access_for("127.0.0.1", 1, "r", **given).only_local_names
    assert access_for("0.0.0.0", 1, "r", **{**given, "token_file": file}).token == TOKEN
    assert access_for("::", 1, "r", **{**given, "no_auth": True}).token is None
    monkeypatch.setenv("FEATHERWEIGHT_TOKEN", f"{TOKEN}\n")
    assert access_for("192.0.2.1", 1, "r", **given).token == TOKEN
    with pytest.raises(Exception, match="leave one out"):
        access_for("127.0.0.1", 1, "r", **{**given, "no_auth": True})


@pytest.mark.parametrize("text", ["a " * 400, ("a " * 199, "a " * 201)])
def test_an_explanation_fits_the_queue(text: Text) -> None:
    limits = checked_limits({"queue": 20, "texts": 20})
    assert 1 + len(spans_of(text, limits)) <= limits.queue
    assert checked_limits({}) == Limits()


def test_the_card_shows_no_path(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "run")
    environment = json.loads((folder / "environment.json").read_text())
    environment["warnings"] = ["/home/ann/my data/train.csv: 3 rows and/or more", "~/x/y.csv, ./a/b/c.csv, 1/2 left"]
    environment["remedies"] = {environment["warnings"][0]: "python -c 'a command for the owner'"}
    (folder / "environment.json").write_text(json.dumps(environment))
    card = card_of(folder, FakeModel(), Limits(), ["a /text/of/his own"])
    assert card["doubts"][:2] == ["train.csv: 3 rows and/or more", "y.csv, c.csv, 1/2 left"]
    assert card["windows"] is False
    assert card["examples"] == ["a /text/of/his own"] and card["budget"] == {"trained": 287_236, "budget": 1_000_000}
    assert [result["set"] for result in card["results"]][2:] == ["shift: ag_news test", "shift: typos"]


def test_the_card_names_shift_sets_without_folders_and_passwords(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "run")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    figures = next(iter(evaluation["shift"].values()))
    sources = ("clients/acme/reviews.csv", "https://me:password@host/acme/reviews.csv?key=1", "/data/reviews.csv")
    evaluation["shift"] = dict.fromkeys(sources, figures)
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    card = card_of(folder, FakeModel(), Limits(), [])
    names = [result["set"] for result in card["results"]][2:]
    assert names == ["shift: reviews.csv", "shift: reviews.csv (2)", "shift: reviews.csv (3)"]
    assert not re.search("acme|password|key=1", json.dumps(card))


def test_an_export_takes_the_results_along_without_texts(tmp_path: Path) -> None:
    run, export = fabricate(tmp_path / "run"), tmp_path / "export"
    export.mkdir()
    copy_results(run, export)
    assert "story" in (run / "evaluation.json").read_text() and "story" not in (export / "evaluation.json").read_text()
    (export / "export.json").write_text('{"comparison": {"agreement": 0.9931, "rows": 144}}')
    card = card_of(export, FakeModel(), Limits(), [])
    assert card["doubts"][0] == "The results are those of the run that was exported."
    assert card["doubts"][1] == "This export predicts the same label as its run for 99.3% of 144 rows."
    assert card["results"][0]["metrics"] == card_of(run, FakeModel(), Limits(), [])["results"][0]["metrics"]
    assert card["budget"]["trained"] == 287_236


def test_an_export_says_how_it_was_trained_as_its_run_does(tmp_path: Path) -> None:
    run, export = fabricate(tmp_path / "run"), tmp_path / "export"
    environment = json.loads((run / "environment.json").read_text())
    texts = {"rows": 864, "held_out": 96, "fingerprint": "ab"}
    first = {"source": {"name": "/home/ann/first"}, "texts": texts}
    second = {"source": {"name": "/home/ann/second", "adapted": first}, "texts": texts}
    adapted = {
        "source": {"name": "/home/ann/encoder", "adapted": second},
        "texts": {"rows": 864, "held_out": 96, "fingerprint": "ab"},
    }
    environment["backbone"] = {"name": "/home/ann/encoder-adapted", "sha256": "cd", "adapted": adapted}
    environment["warnings"] = ["the backbone was adapted: all parameters of /home/ann/encoder were trained further"]
    (run / "environment.json").write_text(json.dumps(environment))
    export.mkdir()
    copy_results(run, export)
    (export / "recipe.toml").write_bytes((run / "recipe.toml").read_bytes())
    (export / "export.json").write_text(json.dumps(described_training(environment)))
    assert "/home/ann" not in (export / "export.json").read_text()
    card, expected = (card_of(folder, FakeModel(), Limits(), []) for folder in (export, run))
    assert card["facts"] == expected["facts"] and "frozen after an adaptation to training texts" in card["facts"][0][1]
    assert card["doubts"][1:] == expected["doubts"] and "encoder were trained further" in card["doubts"][1]


def test_examples_that_cannot_be_read_are_refused_in_words(cli: Cli, tmp_path: Path) -> None:
    missing, picture = tmp_path / "none.txt", tmp_path / "picture.txt"
    picture.write_bytes(b"\xff\xd8")
    for file, reason in ((missing, "cannot be read: No such file"), (picture, "cannot be read: it is no text")):
        message = refused(cli, "serve", "run", "--examples", str(file), naming=file.name)
        assert reason in " ".join(message.split()) and "Errno" not in message


@pytest.mark.slow
def test_a_run_is_served_as_python_predicts(finished_run: Any) -> None:
    from featherweight import Classifier

    texts = ["apple pear plum", "iron", "robin crow heron owl number 5 " * 30, ""]
    folder = Path(finished_run.folder)
    model, (examples, note) = load_model(folder), example_texts(folder, own=True)
    assert example_texts(folder, own=False) == ([], ""), "texts of own data are not shown to others"
    card = card_of(folder, model, Limits(), examples, note)
    with running(model, card) as server:
        results = httpx.post(f"{server.url}/v1/classify", json={"texts": texts}).json()["results"]
        shown = httpx.get(f"{server.url}/v1/model").json()
    expected = Classifier.load(folder)
    found = [[result["probabilities"][name] for name in expected.labels] for result in results]
    assert np.abs(np.array(found) - expected.probabilities(texts, warn=False)).max() < 1e-5
    assert [result["label"] for result in results] == [p.label for p in expected.predict(texts, warn=False)]
    assert shown["results"][0]["set"] == "test" and shown["results"][0]["confusion_matrix"]
    assert shown["budget"]["trained"] and shown["labels"] == list(expected.labels)
    assert str(folder) not in httpx.Response(200, json=shown).text
