"""What becomes of each trial of a search: its number, its note, what is refused before it, and who may run it."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from support.searches import RATES, GoesOn, rows_of, searched, trials_by

from featherweight.errors import UserError
from featherweight.hints import caller
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import TARGETS, Choices, SearchSpace
from featherweight.run.lock import only_user
from featherweight.workflows import search as module
from featherweight.workflows import training_process
from featherweight.workflows.search import run_search
from featherweight.workflows.search_proposal import Searched, without_test_rows
from featherweight.workflows.search_study import open_study, storage_url
from featherweight.workflows.training_process import Ended, Stopped, train_for_validation, train_in_a_process
from featherweight.workflows.weigh import weigh

pytest.importorskip("optuna")


def test_an_interrupted_search_numbers_its_trials_without_gaps(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(call: int, *_: Any) -> float:
        if call in (2, 3):
            raise KeyboardInterrupt
        return call / 10

    folders, lines = trials_by(monkeypatch, train).folders, []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=4, announce=lines.append)
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=4, announce=lines.append)
    assert folders == ["0001", "0002", "0002", "0002", "0003", "0004"]
    assert [row["trial"] for row in rows_of(tmp_path / "out")] == ["1", "2", "3", "4"]
    assert [line.partition(",")[0] for line in lines] == [f"{n} of 4 done: trial {n}" for n in range(1, 5)]
    page = (tmp_path / "out" / "search.html").read_text("utf-8")
    assert "Trial 4 is the best of 4" in page and "4 trials trained to their end, 0 stopped early" in page


def test_by_log_loss_the_lowest_result_is_the_best(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials_by(monkeypatch, lambda call, *_: call / 10)
    recipe, lines = tiny_recipe(evaluation={"best_by": "log_loss"}), []
    best = run_search(recipe, tmp_path / "out", space=RATES, trials=3, announce=lines.append)
    assert best.training.learning_rate == recipe.training.learning_rate, "the first trial has the recipe's values"
    assert [line.partition("; best ")[2].partition(" (")[0] for line in lines] == ["log loss 0.1000, trial 1"] * 3
    assert "Trial 1 is the best of 3" in (tmp_path / "out" / "search.html").read_text("utf-8")


def test_a_trial_that_is_killed_before_it_has_values_is_tried_again(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(searched(tiny_recipe(), tmp_path / "out"))
    study.ask()  # the values of the recipe wait for it, but no key has been asked for
    tried = trials_by(monkeypatch, lambda call, *_: call / 10)
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=2, announce=lambda _: None)
    assert tried.folders == ["0001", "0002"]
    assert tried.rates[0] == tiny_recipe().training.learning_rate
    assert [row["accuracy"] for row in rows_of(tmp_path / "out")] == ["0.1", "0.2"]


def test_a_signal_while_a_trial_is_prepared_does_not_lose_it(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = trials_by(monkeypatch, lambda call, *_: call / 10).folders
    with monkeypatch.context() as broken:
        broken.setattr(module, "weigh", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1)
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    assert folders == ["0001"] and rows_of(tmp_path / "out")[0]["accuracy"] == "0.1"


def test_a_trial_is_compared_once_in_each_tenth_and_not_stopped_at_its_end(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each trial is worse than all before it, from the first evaluation on.
    def train(call: int, _: Path, goes_on: GoesOn) -> float:
        parts = (4, 4, 4, 10, 10) if call < 6 else (10,) if call == 6 else (4, 10)
        for part in parts:
            if not goes_on(part, 1 - call / 10):
                raise Stopped(f"stopped at step {part} of 10")
        return 1 - call / 10

    trials_by(monkeypatch, train)
    lines: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Optuna's, about a part that is reported twice
        run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=7, announce=lines.append)
    rows = rows_of(tmp_path / "out")
    assert [row["accuracy"] for row in rows] == ["0.9", "0.8", "0.7", "0.6", "", "0.4", ""]
    assert rows[4]["note"] == rows[6]["note"] == "stopped at step 4 of 10"
    assert lines[4].startswith("5 of 7 done: trial 5, stopped at step 4 of 10; best accuracy 90.00%, trial 1 (")


def test_a_trial_that_is_refused_is_told_with_its_reason(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials_by(monkeypatch, lambda call, *_: call / 10)
    lines: list[str] = []
    space = SearchSpace({"adapter.bias": Choices(("none", "all"))})
    recipe = tiny_recipe(budget=weigh(tiny_recipe()).total)
    run_search(recipe, tmp_path / "out", space=space, trials=6, announce=lines.append)
    refused = [line for line in lines if "bias all" in line]
    assert refused and all("does not fit the budget, not even with rank 1" in line for line in refused)


def test_a_full_memory_ends_the_trial_and_not_the_search(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."
    sent: list[Any] = []

    class Pipe:
        def send(self, message: Any) -> None:
            sent.append(message)

    cuda = RuntimeError("CUDA error: out of memory")
    for error in (RuntimeError(full), MemoryError(), cuda, RuntimeError("another fault")):
        monkeypatch.setattr(
            training_process, "train_for_validation", lambda *_, e=error, **__: (_ for _ in ()).throw(e)
        )
        pipe: Any = Pipe()
        training_process._train(tiny_recipe().to_toml(), tmp_path / "trial", pipe, False, caller())
    assert [kind for kind, _ in sent] == ["no memory", "no memory", "no memory", "failed"]

    class Answers:
        def recv(self) -> Any:
            return sent[0]

    with pytest.raises(Ended, match=r"trial: not enough memory; a smaller training.batch_size needs less"):
        training_process._follow(Answers(), lambda *_: True)  # type: ignore[arg-type]


def test_layers_that_the_backbone_lacks_are_refused_before_any_trial(tiny_recipe: Any, tmp_path: Path) -> None:
    for wrong in ("uper-half", "top-9"):
        with pytest.raises(UserError, match=f"search.adapter.layers: .*{wrong}"):
            run_search(tiny_recipe(), tmp_path / "out", space=SearchSpace({"adapter.layers": Choices(("all", wrong))}))
    assert not (tmp_path / "out").exists()


def test_without_a_section_only_targets_that_fit_are_tried(tiny_recipe: Any, tmp_path: Path) -> None:
    space = Searched.of(without_test_rows(tiny_recipe(budget=500))).space
    assert space.keys[TARGETS] == Choices(("query+value", "value"))
    with pytest.raises(UserError, match=r"'all', 'attention', 'query.value', 'value' do not fit budget = 50, not even"):
        run_search(tiny_recipe(budget=50), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["distilbert", "modernbert", "electra"])
def test_without_a_section_every_backbone_has_targets(tiny_recipe: Any, family: str) -> None:
    assert Searched.of(without_test_rows(tiny_recipe(family, adapter={"lora": "auto"}))).space.keys[TARGETS]


def test_a_second_search_in_the_same_folder_is_refused_and_the_first_goes_on(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, quiet = tmp_path / "out", {"space": RATES, "announce": lambda _: None}

    def train(call: int, *_: Any) -> float:
        if call == 1:
            with pytest.raises(UserError, match="another search is running in this folder"):
                run_search(tiny_recipe(), out, trials=2, **quiet)
        return call / 10

    assert trials_by(monkeypatch, train).folders == []
    run_search(tiny_recipe(), out, trials=2, **quiet)
    assert [row["accuracy"] for row in rows_of(out)] == ["0.1", "0.2"]
    assert not (out / ".lock").exists()
    with only_user(out):
        run_search(tiny_recipe(), out, trials=2, storage=f"sqlite:///{tmp_path / 'shared.db'}", **quiet)  # shares it


def test_addresses_of_postgresql_get_its_driver(tmp_path: Path) -> None:
    for scheme in ("postgresql", "postgres"):
        assert storage_url(f"{scheme}://me@host/db", tmp_path) == "postgresql+psycopg://me@host/db"
    assert storage_url("postgresql+psycopg://host/db", tmp_path) == "postgresql+psycopg://host/db"


def test_only_a_training_of_the_same_recipe_is_taken_over(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Began(Exception):
        pass

    def begin(_: str) -> None:
        raise Began

    recipe, folder = tiny_recipe(data={"test": ""}, training={"max_steps": 1}), tmp_path / "0001"
    value = train_for_validation(recipe, folder)
    monkeypatch.setattr(training_process.multiprocessing, "get_context", begin)
    assert train_in_a_process(recipe, folder, lambda *_: True) == value
    with pytest.raises(Began):
        train_in_a_process(recipe.with_values(seed=1), folder, lambda *_: True)
    assert not any(folder.iterdir())
    (folder / training_process.DONE).write_text('{"value": 0.75, "seconds": 1}', "utf-8")  # nobody knows of what
    with pytest.raises(Began):
        train_in_a_process(recipe, folder, lambda *_: True)


def test_a_search_of_another_name_does_not_take_over_a_folder(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = trials_by(monkeypatch, lambda call, *_: call / 10).folders
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    best = (tmp_path / "out" / "best.toml").read_bytes()
    with pytest.raises(UserError, match=r"out: holds a search called 'tiny'; choose another folder: out=\"FOLDER\"$"):
        run_search(tiny_recipe(name="other", seed=3), tmp_path / "out", space=RATES, trials=1)
    with pytest.raises(UserError, match=r"called 'tiny' with another recipe; choose another folder: out=\"FOLDER\"$"):
        run_search(tiny_recipe(seed=3), tmp_path / "out", space=RATES, trials=1)
    shared = {"space": RATES, "trials": 1, "storage": f"sqlite:///{tmp_path / 'shared.db'}", "announce": lambda _: None}
    run_search(tiny_recipe(name="other"), tmp_path / "shared", **shared)
    with pytest.raises(UserError, match="use another storage, or give the recipe another name"):
        run_search(tiny_recipe(name="other", seed=3), tmp_path / "shared", **shared)
    assert len(folders) == 2 and (tmp_path / "out" / "best.toml").read_bytes() == best


@pytest.mark.parametrize(("changed", "said"), [("train", "other training rows"), ("test", "other validation rows")])
def test_a_search_is_not_resumed_with_other_rows(
    tiny_recipe: Any,
    tiny_data: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: str,
    said: str,
) -> None:
    files = {name: Path(shutil.copy(tiny_data[name], tmp_path)) for name in ("train", "test")}
    recipe = tiny_recipe(data={"train": str(files["train"]), "validation": str(files["test"]), "test": None})
    trials_by(monkeypatch, lambda call, *_: call / 10)
    run_search(recipe, tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    lines = files[changed].read_text("utf-8").splitlines()
    files[changed].write_text("\n".join(lines[1:]), "utf-8")
    with pytest.raises(
        UserError, match=f"holds a search called 'tiny' with {said}; choose another folder: out=\"FOLDER\""
    ):
        run_search(recipe, tmp_path / "out", space=RATES, trials=2)


def test_every_seed_of_a_recipe_can_be_searched(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials_by(monkeypatch, lambda call, *_: call / 10)
    run_search(tiny_recipe(seed=2**31 - 1), tmp_path / "out", space=RATES, trials=2, announce=lambda _: None)
    assert len(rows_of(tmp_path / "out")) == 2


def test_a_failure_before_the_first_trial_leaves_nothing(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    monkeypatch.setattr(optuna.samplers, "TPESampler", lambda **_: (_ for _ in ()).throw(ValueError("a fault")))
    with pytest.raises(ValueError, match="a fault"):
        run_search(tiny_recipe(), tmp_path / "out", space=RATES)
    assert not (tmp_path / "out").exists()


def test_the_best_recipe_of_a_long_name_is_written(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials_by(monkeypatch, lambda call, *_: call / 10)
    best = run_search(tiny_recipe(name="n" * 100), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    assert Recipe.load(tmp_path / "out" / "best.toml").name == best.name == "n" * 95 + "-best"
