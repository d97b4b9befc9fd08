"""Pairs from end to end, in the shape of MNLI: trained, proven, evaluated, predicted, resumed, compared."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.commands import Cli
from support.endings import quick_endings
from support.jobs import assert_resumes_exactly, job_for, tensors
from support.pairs import ANSWERS, COLUMNS, nli_rows, write_nli
from support.prefix_caches import kept_files

from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.training.loop import fit
from featherweight.verification.verify import verify_run
from featherweight.workflows.baselines import run_baseline
from featherweight.workflows.check import check, inspection_lines
from featherweight.workflows.evaluate import evaluate_run
from featherweight.workflows.train import train

PAIRS = [row[:2] for row in nli_rows(7, 300)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("nli")
    parts = {"train": (72, 0), "test": (18, 72)}
    return {part: str(write_nli(folder / f"{part}.csv", *rows)) for part, rows in parts.items()}


@pytest.fixture
def nli(tiny_recipe: Any, files: dict[str, str]) -> Callable[..., Recipe]:
    return nli_recipes(tiny_recipe, files)


def nli_recipes(tiny_recipe: Any, files: dict[str, str]) -> Callable[..., Recipe]:
    def make(family: str = "bert", **sections: Any) -> Recipe:
        data = {**files, "text": list(COLUMNS), "join": "pair", "max_length": 24, **sections.pop("data", {})}
        return tiny_recipe(family, **sections, data=data)

    return make


@pytest.fixture(scope="module")
def pair_run(tiny_recipe: Any, files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run of pairs whose result is good, without the start of a fresh process."""
    adapter = {"head": "linear", "bias": "all"}
    shift = {"shift": ["perturbed:typos", "perturbed:headline"]}
    training = {"epochs": 16, "learning_rate": 0.03, "evaluate_every": 20}
    recipe = nli_recipes(tiny_recipe, files)(adapter=adapter, training=training, evaluation=shift)
    with quick_endings():
        yield train(recipe, tmp_path_factory.mktemp("runs") / "nli")


def test_a_run_of_pairs_learns_and_is_proven(pair_run: Run) -> None:
    assert pair_run.evaluation["test"]["accuracy"] > 0.9
    proof = json.loads((pair_run.folder / "verification.json").read_text("utf-8"))
    assert proof["identical"] and proof["peft"]["largest_difference"] <= proof["peft"]["allowed"]
    checks = verify_run(pair_run.folder)
    assert {check.result for check in checks} == {"pass"}, checks
    shift = pair_run.evaluation["shift"]
    assert shift["perturbed:headline"]["rows"] == 18


def test_python_takes_pairs_in_any_usual_form(pair_run: Run) -> None:
    classifier = Classifier.load(pair_run.folder)
    frame = pd.DataFrame(PAIRS, columns=COLUMNS)
    wanted = classifier.logits(PAIRS)
    for given in (
        [list(pair) for pair in PAIRS],
        iter(PAIRS),
        frame,
        frame[["hypothesis", "premise"]],
        pa.Table.from_pandas(frame),
        frame.to_dict("records"),
        np.array(PAIRS),
        zip(frame.premise, frame.hypothesis, strict=True),
    ):
        assert (classifier.logits(given) == wanted).all()  # type: ignore[arg-type]
    assert {prediction.label for prediction in classifier.predict(PAIRS)} <= set(ANSWERS)
    swapped = classifier.logits([pair[::-1] for pair in PAIRS])
    assert np.abs(swapped - wanted).max() > 0.1


@pytest.mark.parametrize(("given", "words"), [
    ("a text", "not the text 'a text'; write predict([(premise, hypothesis)])"),
    (("a", "b"), "item 1 is the text 'a'; write predict([(premise, hypothesis)])"),
    ([("a", "b"), "c"], "item 2 is the text 'c'"),
    ([("a", "b", "c")], "item 1 has 3 texts, not two"),
    ([{"premise": "a"}], "item 1 has no 'hypothesis'"),
    ({("a", "b")}, "not a set"),
    ({"premise": ["a"], "hypothesis": ["b"]}, "not a dict"),
    (3, "not the number 3"),
    (pd.DataFrame({"premise": ["a"]}), "a pandas DataFrame without a column 'hypothesis'"),
])  # fmt: skip
def test_anything_else_is_refused_with_what_to_write(pair_run: Run, given: Any, words: str) -> None:
    classifier = Classifier(None, pair_run.recipe)  # type: ignore[arg-type]  # refused before the model is asked
    with pytest.raises(UserError) as refused:
        classifier.predict(given)
    assert words in str(refused.value)


def test_files_are_predicted_by_their_two_columns(cli: Cli, pair_run: Run, tmp_path: Path) -> None:
    source = write_nli(tmp_path / "new.csv", 7, 300, labelled=False)
    assert predict_file(pair_run.folder, source, tmp_path / "out.csv") == 7
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    wanted = Classifier.load(pair_run.folder).predict(PAIRS)
    assert [row["label"] for row in found] == [prediction.label for prediction in wanted]
    assert float(found[0]["p_neutral"]) == pytest.approx(wanted[0].probabilities["neutral"], abs=1e-6)
    (tmp_path / "one.csv").write_text("premise\na\n", "utf-8")
    with pytest.raises(UserError, match=r"no column 'hypothesis'.*\n.*pairs: add the column of the second text"):
        predict_file(pair_run.folder, tmp_path / "one.csv", tmp_path / "no.csv")
    named = r'this run takes pairs, so name the columns of the two texts: text=\["premise", "hypothesis"\]'
    with pytest.raises(UserError, match=named):
        predict_file(pair_run.folder, source, tmp_path / "no.csv", text=["premise"])
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(source.read_text("utf-8").replace("premise,hypothesis", "a,b"), "utf-8")
    predict_file(pair_run.folder, renamed, tmp_path / "renamed_out.csv", text=["a", "b"])
    assert (tmp_path / "renamed_out.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    evaluated = tmp_path / "test.csv"
    own = Path(str(pair_run.recipe.data.test)).read_text("utf-8")
    evaluated.write_text(own.replace("premise,hypothesis", "a,b"), "utf-8")
    judged = cli("evaluate", pair_run.folder, "--data", evaluated, "--text", "a", "--text", "b", "--json")
    assert json.loads(judged.out)["accuracy"] == pair_run.evaluation["test"]["accuracy"]
    assert evaluate_run(pair_run, pair_run.recipe.data.test)["accuracy"] == pair_run.evaluation["test"]["accuracy"]


def test_the_command_line_takes_two_texts_for_a_pair(cli: Cli, pair_run: Run) -> None:
    texts = [argument for text in PAIRS[0] + PAIRS[1] for argument in ("--text", text)]
    answer = cli("predict", pair_run.folder, *texts)
    wanted = Classifier.load(pair_run.folder).predict(PAIRS[:2])
    lines = answer.out.splitlines()
    assert answer.code == 0 and len(lines) == 3
    for line, prediction in zip(lines[1:], wanted, strict=True):
        assert prediction.label in line and f"{prediction.probabilities['neutral']:.4f}" in line
    odd = cli("predict", pair_run.folder, *texts[:2])
    assert odd.code == 2
    assert 'this run classifies pairs of premise and hypothesis: give both texts, --text "..."' in odd.err


def test_an_interrupted_training_of_pairs_goes_on_exactly(nli: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = nli(training={"epochs": 2, "checkpoint_steps": 2})
    assert_resumes_exactly(recipe, tmp_path, at=6)


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_states_of_frozen_layers_are_kept_for_pairs(
    nli: Callable[..., Recipe], cache: Path, tmp_path: Path, family: str
) -> None:
    adapter = {"lora": [{"roles": ["query", "value"], "layers": "top-1", "rank": 2}]}
    found = []
    for kept in ("off", "on"):
        training = {"prefix_cache": kept, "precision": "bf16"}
        job = job_for(nli(family, adapter=adapter, training=training), tmp_path / kept)
        fit(job)
        found.append(tensors(job))
    assert len(kept_files(cache)) == 1
    for name, tensor in found[0].items():
        np.testing.assert_allclose(found[1][name], tensor, atol=0.02)


def test_baselines_see_joined_texts(nli: Callable[..., Recipe], tmp_path: Path) -> None:
    runs = {
        join: run_baseline("tfidf-logistic", nli(data={"join": join}), tmp_path / join) for join in ("pair", "text")
    }
    assert runs["pair"].evaluation["test"] == {
        **runs["text"].evaluation["test"],
        "mistakes": runs["pair"].evaluation["test"]["mistakes"],
    }
    probe = run_baseline("linear-probe", nli(), tmp_path / "probe")
    assert probe.evaluation["test"]["rows"] == 18


def test_check_names_both_columns(nli: Callable[..., Recipe]) -> None:
    lines = inspection_lines(check(nli()))
    assert any("pairs of premise and hypothesis; labels from label" in line for line in lines)
    assert any(line.strip().startswith("tokens: mean") for line in lines)
