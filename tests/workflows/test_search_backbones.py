"""A search over several backbones: each proposal fits its own backbone, and all of them are checked before a trial."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.backbones import save_tiny_backbone
from support.commands import Cli
from support.made_once import MadeOnce
from support.searches import RATES, rows_of

from featherweight.errors import HubUnreachable, UserError
from featherweight.files import read_object
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import (
    BACKBONE,
    LAYERS,
    RANK,
    TARGETS,
    Choices,
    Open,
    Range,
    SearchSpace,
    with_value,
)
from featherweight.workflows import search as module
from featherweight.workflows import search_inputs, search_proposal, training_process
from featherweight.workflows.prepare import OF_BACKBONE
from featherweight.workflows.search import run_search
from featherweight.workflows.search_proposal import Searched, without_test_rows
from featherweight.workflows.search_study import Search, open_study, storage_url
from featherweight.workflows.train import train
from featherweight.workflows.training_process import INPUTS, train_for_validation, train_in_a_process
from featherweight.workflows.weigh import weigh

pytest.importorskip("optuna")

MOST = 60
"""The most tokens that the small backbone can read; the large one reads 130."""
Trained = list[tuple[Recipe, dict[str, Any]]]


@pytest.fixture(scope="module")
def both(made_once: MadeOnce) -> tuple[str, str]:
    """The folders of a small and of a large backbone: the large one has twice the hidden size and twice the layers."""
    large = {"hidden_size": 64, "num_hidden_layers": 4, "intermediate_size": 96, "seed": 1}
    small = made_once("small", lambda folder: save_tiny_backbone(folder, "bert", max_position_embeddings=MOST))
    return str(small), str(made_once("large", lambda folder: save_tiny_backbone(folder, "bert", **large)))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """In place of trainings: recipes and inputs of all trials. The large backbone is better, and the last the best."""
    made: Trained = []

    def instead(recipe: Recipe, *_: Any, inputs: dict[str, Any]) -> float:
        made.append((recipe, inputs))
        return len(made) / 100 + 0.5 * recipe.backbone.name.endswith("large")

    monkeypatch.setattr(module, "train_in_a_process", instead)
    return made


def space_of(both: tuple[str, ...], **others: Open) -> SearchSpace:
    return SearchSpace({BACKBONE: Choices(both), **others})


def test_each_proposal_fits_its_backbone_and_the_best_recipe_names_the_winner(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained
) -> None:
    budget, varied = 1_500, {TARGETS: Choices(("query+value", "value")), RANK: Range(1, 16, whole=True)}
    recipe, space = tiny_recipe(budget=budget, backbone={"name": both[0]}), space_of(both[::-1], **varied)
    best = run_search(recipe, tmp_path / "out", space=space, trials=12, announce=lambda _: None)
    assert [tried.backbone.name for tried, _ in trained[:2]] == [*both], "the recipe's own one is the first"
    rates = {tried.training.learning_rate for tried, _ in trained}
    assert rates == {recipe.training.learning_rate} and len(trained) == 12
    totals = [weigh(tried).total for tried, _ in trained]
    assert max(totals) <= budget and [row["parameters"] for row in rows_of(tmp_path / "out")] == [*map(str, totals)]
    ranks = {name: max(tried.adapter.lora[0].rank for tried, _ in trained if tried.backbone.name == name)
             for name in both}  # fmt: skip
    assert ranks[both[0]] > ranks[both[1]] >= 1, "the small backbone has room for a larger rank"

    assert best.backbone.name == both[1] and best.data == recipe.data and best.training == recipe.training
    written = Recipe.load(tmp_path / "out" / "best.toml")
    assert written == best
    run = train(written.with_values(training={"max_steps": 1}), tmp_path / "run")
    assert run.recipe.backbone.name == both[1] and read_object(run.folder / "weigh.json")["total"] == weigh(best).total


def test_the_table_and_the_page_name_the_backbones(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained
) -> None:
    lines: list[str] = []
    run_search(tiny_recipe(), tmp_path / "out", space=space_of(both, **RATES.keys), trials=6, announce=lines.append)
    names = [tried.backbone.name for tried, _ in trained]
    assert {*names} == {*both}
    assert [row[BACKBONE] for row in rows_of(tmp_path / "out")] == names
    assert f"(backbone {names[0]}, learning_rate 0.005)" in lines[0]
    page = (tmp_path / "out" / "search.html").read_text("utf-8")
    assert f'<th scope="row">{BACKBONE}</th><td>{both[1]}</td>' in page
    assert "What mattered" in page and "All keys side by side" in page


def test_a_trial_is_compared_with_its_own_backbone(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Began(Exception):
        pass

    def begin(_: str) -> None:
        raise Began

    recipe = tiny_recipe(training={"max_steps": 1})
    run_search(recipe, tmp_path / "out", space=space_of(both), trials=2, announce=lambda _: None)
    monkeypatch.setattr(training_process.multiprocessing, "get_context", begin)
    for (tried, inputs), (_, of_the_other) in zip(trained, reversed(trained), strict=True):
        folder = tmp_path / Path(tried.backbone.name).name
        value = train_for_validation(tried, folder)
        assert json.loads((folder / INPUTS).read_text("utf-8")) == inputs
        assert train_in_a_process(tried, folder, lambda *_: True, inputs=inputs) == value
        with pytest.raises(Began):
            train_in_a_process(tried, folder, lambda *_: True, inputs=of_the_other)


def test_a_search_is_not_resumed_with_other_weights_of_one_of_its_backbones(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained
) -> None:
    second = Path(shutil.copytree(both[1], tmp_path / "large"))
    given = {"space": space_of((both[0], str(second))), "announce": lambda _: None}
    run_search(tiny_recipe(), tmp_path / "out", trials=1, **given)
    run_search(tiny_recipe(), tmp_path / "out", trials=2, **given)
    content = bytearray((second / "model.safetensors").read_bytes())
    content[-4] ^= 1
    (second / "model.safetensors").write_bytes(content)
    with pytest.raises(
        UserError, match="holds a search called 'tiny' with other weights of a backbone; choose another folder: out="
    ):
        run_search(tiny_recipe(), tmp_path / "out", trials=3, **given)
    assert len(trained) == 2


def test_a_search_with_one_backbone_stores_what_it_always_stored(
    tiny_recipe: Any, tmp_path: Path, trained: Trained
) -> None:
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    recipe = without_test_rows(tiny_recipe())
    search = Search(Searched.of(recipe, RATES), tiny_recipe(), tmp_path / "out", storage_url(None, tmp_path / "out"), 1)
    assert open_study(search).user_attrs == {
        "recipe": recipe.to_toml(),
        "space": "SearchSpace(keys={'training.learning_rate': Range(low=0.0001, high=0.1, log=True, whole=False)})",
        **trained[0][1],
    }
    assert trained[0][1].keys() == {"training", "validation", "backbone"}


def truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])


def set_family(family: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, "model_type": family, **values}), "utf-8")

    return change


@pytest.mark.parametrize(("spoil", "message"), [
    (shutil.rmtree, ": no such folder; set it to a folder, a hub model, or one of minilm, mpnet"),
    (lambda folder: (folder / "config.json").unlink(), "/config.json: missing"),
    (truncate, "/model.safetensors: damaged or truncated"),
    (lambda folder: (folder / "tokenizer.json").unlink(), ": no tokenizer"),
    (set_family("rembert"), r": 'rembert' is no built-in family, and needs \[backbone.roles\]\nLeave it out"),
    (set_family("gpt2", architectures=["GPT2LMHeadModel"]), ": gpt2 with GPT2LMHeadModel is a decoder"),
])  # fmt: skip
def test_a_backbone_that_cannot_be_trained_is_refused_by_name_before_any_trial(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained, spoil: Any, message: str
) -> None:
    second = Path(shutil.copytree(both[1], tmp_path / "second"))
    spoil(second)
    with pytest.raises(UserError, match=f"^search.backbone.name: {second}{message}") as refused:
        run_search(tiny_recipe(), tmp_path / "out", space=space_of((both[0], str(second))), trials=1)
    assert len(str(refused.value).splitlines()) <= 2
    assert not trained and not (tmp_path / "out").exists()


def test_a_backbone_out_of_reach_is_named_with_what_to_change_in_the_list(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained
) -> None:
    with pytest.raises(HubUnreachable) as refused:  # no test reaches the hub
        run_search(tiny_recipe(), tmp_path / "out", space=space_of((both[0], "some/model")), trials=1)
    assert str(refused.value) == (
        "search.backbone.name: some/model: the hub does not answer and no copy is cached; "
        "leave it out, or name a local folder in its place"
    )
    assert not trained and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("sections", "values", "message"), [
    ({"backbone": {"revision": "main"}}, None, "because backbone.revision in the recipe belongs to one backbone\n"),
    ({"backbone": {"roles": {"query": "q"}}}, None, "because backbone.roles in the recipe belongs to one backbone\n"),
    ({"adapter": {"start_from": "runs/before"}}, None, "because adapter.start_from in the recipe belongs to one"),
    ({}, Range(1, 2), "must be a list of at least two names or folders of backbones"),
    ({}, Choices((1, 2)), "must be a list of at least two names or folders of backbones"),
])  # fmt: skip
def test_what_belongs_to_one_backbone_is_refused_from_python_too(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, sections: Any, values: Any, message: str
) -> None:
    with pytest.raises(UserError, match=f"^search.backbone.name: .*{message}"):
        run_search(tiny_recipe(**sections), tmp_path / "out", space=SearchSpace({BACKBONE: values or Choices(both)}))
    assert not (tmp_path / "out").exists()


def test_the_backbone_of_the_recipe_is_not_needed_if_it_is_no_choice(
    cli: Cli, job: Path, both: tuple[str, str], trained: Trained
) -> None:
    recipe = Recipe.load(job).with_values(backbone={"name": "/no/such/folder"})
    job.write_text(f"{recipe.to_toml()}\n[search]\nbackbone.name = {json.dumps(both)}\n", "utf-8")
    answer = cli("search", job, "--trials", "2", "-o", "out")
    assert answer.code == 0, answer
    assert [tried.backbone.name for tried, _ in trained] == [*both]
    assert Recipe.load("out/best.toml").backbone.name == both[1]


def test_targets_and_layers_of_one_backbone_are_kept_and_those_of_none_are_refused(
    tiny_recipe: Any, both: tuple[str, str]
) -> None:
    targets, layers = {TARGETS: Choices(("all", "value"))}, {LAYERS: Choices(("all", "3"))}
    recipe = without_test_rows(tiny_recipe(budget=1_000))  # rank 1 on all layers and roles: 931 and 3,523 parameters
    assert Searched.of(recipe, space_of(both, **targets)).space == space_of(both, **targets)
    assert Searched.of(recipe, space_of(both, **layers)).space == space_of(both, **layers)
    with pytest.raises(UserError, match=r"search.adapter.layers: .*\n?.*3"):
        Searched.of(recipe, space_of(both[:1], **layers))
    with pytest.raises(UserError, match=r"search.adapter.layers: .*4"):
        Searched.of(recipe, space_of(both, **{LAYERS: Choices(("all", "4"))}))
    with pytest.raises(UserError, match=r"search.adapter.targets: 'all' does not fit budget = 900, not even"):
        Searched.of(recipe.with_values(budget=900), space_of(both, **targets))

    one = Searched.of(recipe, space_of(both, **targets, **layers))
    small, large = ({BACKBONE: name, TARGETS: "all", LAYERS: "all"} for name in both)
    assert one.fitted(small) is not None and one.fitted(large) is None
    assert one.fitted({**large, TARGETS: "value", LAYERS: "3"}) is not None
    with pytest.raises(UserError, match="layer"):
        one.fitted({**small, LAYERS: "3"})


@pytest.mark.parametrize(("sections", "varied", "which", "message"), [
    ({"budget": 400}, {}, 1, "does not fit budget = 400, not even with rank 1\nLeave it out, or raise the budget"),
    ({"data": {"max_length": 100}}, {}, 0, f"data.max_length = 100: .* can read at most {MOST} tokens"),
    ({}, {"data.max_length": Choices((61, 100))}, 0, f"data.max_length = 61: .* can read at most {MOST} tokens"),
])  # fmt: skip
def test_a_backbone_with_which_no_trial_can_train_is_refused(
    tiny_recipe: Any, both: tuple[str, str], sections: Any, varied: dict[str, Any], which: int, message: str
) -> None:
    with pytest.raises(UserError, match=f"^search.backbone.name: {both[which]}: {message}"):
        Searched.of(without_test_rows(tiny_recipe(**sections)), space_of(both, **varied))


@pytest.mark.parametrize("lora", [None, "auto"])
def test_a_recipe_that_all_backbones_refuse_is_refused_for_that_reason(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained, lora: str | None
) -> None:
    recipe = tiny_recipe(data={"max_length": 1000}, **({"adapter": {"lora": lora}} if lora else {}))
    message = rf"data.max_length = 1000: .* can read at most {MOST} tokens; add "
    with pytest.raises(UserError, match=f"^search.backbone.name: {both[0]}: {message}"):
        run_search(recipe, tmp_path / "out", space=space_of(both), trials=1)
    of_one = recipe.with_values(backbone={"name": both[0]})
    for layers in ({}, {LAYERS: Choices(("all", "top-1"))}):
        with pytest.raises(UserError, match=f"^{message}"):
            Searched.of(without_test_rows(of_one), SearchSpace({**RATES.keys, **layers}))
    assert not trained and not (tmp_path / "out").exists()


def test_settings_are_compared_with_a_backbone_one_after_the_other(
    tiny_recipe: Any, both: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Mapping[str, Any]] = []

    def counted(recipe: Recipe, changes: Mapping[str, Any], origin: str) -> Recipe:
        made.append(changes)
        return with_value(recipe, changes, origin)

    for place in (search_inputs, search_proposal):
        monkeypatch.setattr(place, "with_value", counted)
    varied = {
        "adapter.head": Choices(("linear", "native")),
        "adapter.bias": Choices(("none", "all")),
        "adapter.initialisation": Choices(("default", "pissa")),
        "adapter.dropout": Range(0.0, 0.2),
        "training.r_drop": Range(0.0, 1.0),
        "training.encoder_dropout": Choices((True, False)),
        "data.max_length": Choices((61, 100)),
    }
    with pytest.raises(UserError, match=f"^search.backbone.name: {both[0]}: data.max_length = 61: "):
        Searched.of(without_test_rows(tiny_recipe()), space_of(both, **varied))
    assert len(made) <= 10, "all combinations would be 128"


def test_no_value_that_works_with_a_backbone_is_missed(tiny_recipe: Any, both: tuple[str, str]) -> None:
    training, adapter = {"r_drop": 1.0, "encoder_dropout": False}, {"dropout": 0.0}
    recipe = without_test_rows(tiny_recipe(data={"max_length": 100}, training=training, adapter=adapter))
    lengths = {"data.max_length": Choices((100, 50))}
    Searched.of(recipe, space_of(both, **lengths, **{"adapter.dropout": Range(0.0, 0.2)}))
    with pytest.raises(UserError, match=f"{both[0]}: training.r_drop = 1 compares two passes with dropout"):
        Searched.of(recipe, space_of(both, **lengths))


def test_each_check_of_a_backbone_names_its_keys() -> None:
    assert tuple(check for check, _ in search_inputs._CHECKED) == OF_BACKBONE


def test_a_length_that_one_backbone_cannot_read_ends_the_trial_and_not_the_search(
    tiny_recipe: Any, both: tuple[str, str], tmp_path: Path, trained: Trained
) -> None:
    recipe, space = tiny_recipe(data={"max_length": 100}), space_of(both, **{"data.max_length": Choices((32, 100))})
    run_search(recipe, tmp_path / "out", space=space, trials=6, announce=lambda _: None)
    for row in rows_of(tmp_path / "out"):
        refused = (row[BACKBONE], row["data.max_length"]) == (both[0], "100")
        assert (f"can read at most {MOST} tokens" in row["note"]) == refused
    assert rows_of(tmp_path / "out")[0]["note"], "the first trials have the recipe's values with each backbone"
