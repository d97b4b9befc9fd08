"""A search stays within the budget, never reads test rows, can be stopped and resumed, and be shared by workers."""

from __future__ import annotations

import csv
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli

from featherweight import recipe_for
from featherweight.errors import FeatherweightError, UserError
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import Choices, Range, SearchSpace
from featherweight.run.folder import read_history
from featherweight.workflows import search as module
from featherweight.workflows.search import run_search
from featherweight.workflows.search_proposal import Searched, without_test_rows
from featherweight.workflows.training_process import Ended, NotANumber, Stopped
from featherweight.workflows.weigh import weigh

pytest.importorskip("optuna")

SPACE = SearchSpace({
    "training.learning_rate": Range(1e-4, 1e-1, log=True),
    "adapter.targets": Choices(("all", "query+value", "value")),
})  # fmt: skip
Training = Callable[[Recipe, Path, Callable[[int, float], bool]], float]


def accuracy(recipe: Recipe) -> float:
    """An accuracy that is best at a learning rate of 0.01 and with many roles."""
    import math

    tables: Any = recipe.adapter.lora
    return round(0.9 - 0.1 * abs(math.log10(recipe.training.learning_rate) + 2) + 0.01 * len(tables[0].roles), 4)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, Path]]:
    """In place of trainings: the recipes and folders of all trials, each with the result ``accuracy``."""
    made: list[tuple[Recipe, Path]] = []

    def train(recipe: Recipe, folder: Path, goes_on: Callable[[int, float], bool], **_: Any) -> float:
        made.append((recipe, folder))
        for part in (3, 6, 10):
            if not goes_on(part, accuracy(recipe) * part / 10):
                raise Stopped("stopped")
        return accuracy(recipe)

    monkeypatch.setattr(module, "train_in_a_process", train)
    return made


def instead(monkeypatch: pytest.MonkeyPatch, train: Training) -> None:
    monkeypatch.setattr(module, "train_in_a_process", lambda *arguments, **_: train(*arguments))


def test_each_trial_fits_the_budget_and_sees_no_test_rows(tiny_recipe: Any, tmp_path: Path, trained: list) -> None:
    recipe = tiny_recipe(budget=2_000)
    lines: list[str] = []
    best = run_search(recipe, tmp_path / "out", space=SPACE, trials=8, announce=lines.append)
    assert len(trained) == len(lines) == 8
    for tried, _ in trained:
        assert weigh(tried).margin >= 0
        assert (tried.data.test, tried.evaluation.shift) == ("", ())
    # The recipe's own learning rate is the first that is tried.
    assert trained[0][0].training.learning_rate == recipe.training.learning_rate
    assert accuracy(best) == max(accuracy(tried) for tried, _ in trained)
    assert best.data == recipe.data
    assert Recipe.load(tmp_path / "out" / "best.toml") == best


def test_the_table_and_the_page_have_every_trial(tiny_recipe: Any, tmp_path: Path, trained: list) -> None:
    run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=7, announce=lambda _: None)
    rows = list(csv.DictReader((tmp_path / "out" / "trials.csv").open(encoding="utf-8")))
    assert [row["trial"] for row in rows] == [str(number) for number in range(1, 8)]
    complete = {row["trial"]: row for row in rows if row["accuracy"]}
    best = max(complete.values(), key=lambda row: float(row["accuracy"]))
    page = (tmp_path / "out" / "search.html").read_text("utf-8")
    assert f"is the best of 7: accuracy {float(best['accuracy']):.2%}" in page
    assert "12 validation rows; test rows were not read" in page
    for words in ("Results in the order", "What mattered", "Result against trained", "All keys side by side"):
        assert words in page


def test_the_same_call_goes_on_where_the_search_stopped(tiny_recipe: Any, tmp_path: Path, trained: list) -> None:
    quiet = {"space": SPACE, "announce": lambda _: None}
    run_search(tiny_recipe(), tmp_path / "out", trials=2, **quiet)
    run_search(tiny_recipe(), tmp_path / "out", trials=5, **quiet)
    assert [folder.name for _, folder in trained] == ["0001", "0002", "0003", "0004", "0005"]
    rates = [recipe.training.learning_rate for recipe, _ in trained]
    assert len(set(rates)) == 5, "a resumed search must not propose the same values again"
    run_search(tiny_recipe(), tmp_path / "out", trials=5, **quiet)
    assert len(trained) == 5
    with pytest.raises(UserError, match="with another space"):
        run_search(tiny_recipe(), tmp_path / "out", trials=5, space=SearchSpace(dict([*SPACE.keys.items()][:1])))
    with pytest.raises(UserError, match="with another recipe"):
        run_search(tiny_recipe(training={"epochs": 9}), tmp_path / "out", trials=5, **quiet)


def test_an_interrupted_trial_is_resumed_in_its_folder(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, str]] = []

    def train(recipe: Recipe, folder: Path, _: Any) -> float:
        seen.append((recipe.training.learning_rate, folder.name))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return accuracy(recipe)

    instead(monkeypatch, train)
    with pytest.raises(KeyboardInterrupt):
        run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=3)
    run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=3)
    assert [name for _, name in seen] == ["0001", "0002", "0002", "0003"]
    assert seen[1] == seen[2]


def test_a_trial_whose_process_was_killed_with_the_search_is_tried_again(
    tiny_recipe: Any, tmp_path: Path, trained: list
) -> None:
    searched = Searched.of(without_test_rows(tiny_recipe()), SPACE)
    run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=1)
    search = module.Search(searched, tiny_recipe(), tmp_path / "out", module.storage_url(None, tmp_path / "out"), 2)
    left = module.open_study(search).ask()  # a process that is killed leaves a trial that seems to run
    module.suggested(left, SPACE)
    run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=2)
    assert [folder.name for _, folder in trained] == ["0001", "0002"]
    assert trained[1][0].training.learning_rate == left.params["training.learning_rate"]


def test_a_loss_that_is_no_number_ends_the_trial_and_not_the_search(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(recipe: Recipe, folder: Path, _: Any) -> float:
        if folder.name == "0001":
            raise NotANumber("the loss is not finite")
        return accuracy(recipe)

    instead(monkeypatch, train)
    run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=3)
    assert "the loss is not finite" in (tmp_path / "out" / "trials.csv").read_text("utf-8")


def test_a_search_whose_trials_all_fail_says_why(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: Any) -> float:
        raise Ended("the process of the training ended with exit code -9")

    instead(monkeypatch, train)
    with pytest.raises(
        FeatherweightError,
        match="3 trials failed and none succeeded: the process of the training ended with exit code -9",
    ):
        run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=20)
    assert not (tmp_path / "out" / "best.toml").exists()


def test_a_target_that_can_never_fit_is_refused_before_any_trial(tiny_recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'all' does not fit budget = 500"):
        run_search(tiny_recipe(budget=500), tmp_path / "out", space=SPACE)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("options", "message"), [
    ({"trials": 0}, "at least one trial"),
    ({"workers": 0}, "at least one"),
    ({"storage": "search.db"}, "write a URL"),
    ({"storage": "sqlite://"}, "write a URL"),
    ({"storage": "sqlite:///:memory:"}, "write a URL"),
    ({"storage": "mango://host/db"}, "'mango' is no kind of database; write a URL, such as sqlite"),
    ({"storage": "mysql://host/db"}, "driver of this database is not installed: No module named 'MySQLdb'\nInstall it"),
    ({"storage": "sqlite:////no/such/folder/x.db"}, "storage: cannot be opened"),
    ({"storage": "postgresql://me:secret@127.0.0.1:1/db"}, "storage: cannot be opened: .*[Cc]onnection refused"),
])  # fmt: skip
def test_wrong_arguments(tiny_recipe: Any, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_search(tiny_recipe(), tmp_path / "out", space=SPACE, **options)


@pytest.mark.slow
def test_two_processes_share_a_search(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"max_steps": 4, "evaluate_every": 2})
    best = run_search(recipe, tmp_path / "out", space=SPACE, trials=2, workers=2, announce=lambda _: None)
    trials = tmp_path / "out" / "trials"
    folders = sorted(path.name for path in trials.iterdir())
    assert folders == ["0001", "0002"]
    rows = {row["trial"]: row for row in csv.DictReader((tmp_path / "out" / "trials.csv").open(encoding="utf-8"))}
    for folder in folders:
        assert not (trials / folder / "checkpoint").exists()
        # The result of a trial is its best evaluation.
        evaluations = [one["accuracy"] for one in read_history(trials / folder / "history.jsonl") if "split" in one]
        assert float(rows[str(int(folder))]["accuracy"]) == pytest.approx(max(evaluations))
    assert weigh(best).margin >= 0


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of a new PostgreSQL server that listens on a socket in a folder of its own."""
    pytest.importorskip("psycopg")
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("PostgreSQL is not installed")
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders have paths that are too long for a socket
        if user:
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        run = lambda *command: subprocess.run([*user, *command], check=True, capture_output=True)  # noqa: E731
        run("initdb", "-D", f"{folder}/data", "-U", "fw", "--auth=trust", "--no-sync")
        run("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o",
            f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off", "start")  # fmt: skip
        try:
            yield f"postgresql://fw@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")


def test_workers_on_several_machines_share_a_search_by_postgresql(
    tiny_recipe: Any, tmp_path: Path, postgresql: str, trained: list
) -> None:
    # Two folders stand for two machines.
    url = module.storage_url(postgresql, tmp_path)
    first = module.Search(Searched.of(without_test_rows(tiny_recipe()), SPACE), tiny_recipe(), tmp_path / "a", url, 6)
    machines = [replace(first, announce=lambda _: None), replace(first, out=tmp_path / "b", announce=lambda _: None)]
    module.open_study(first)

    def work(one: module.Search, number: int) -> None:
        module.work(one, module.open_study(one, number))

    threads = [threading.Thread(target=work, args=(one, number)) for number, one in enumerate(machines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trained) in (6, 7)  # both may begin their last trial at the same time
    names = [folder.name for _, folder in trained]
    assert len(set(names)) == len(names), "no trial is trained twice"
    assert {folder.parent.parent.name for _, folder in trained} == {"a", "b"}
    best = run_search(tiny_recipe(), tmp_path / "a", space=SPACE, trials=6, storage=postgresql, announce=lambda _: None)
    assert accuracy(best) == max(accuracy(recipe) for recipe, _ in trained)


def test_values_that_exclude_each_other_end_the_trial_and_not_the_search(
    tiny_recipe: Any, tmp_path: Path, trained: list
) -> None:
    space = SearchSpace({"training.r_drop": Choices((0.0, 0.5)), "adapter.dropout": Choices((0.0, 0.1))})
    run_search(tiny_recipe(), tmp_path / "out", space=space, trials=12, announce=lambda _: None)
    rows = list(csv.DictReader((tmp_path / "out" / "trials.csv").open(encoding="utf-8")))
    refused = [row for row in rows if "the recipe has no dropout" in row["note"]]
    assert refused and len(trained) == 12 - len(refused)
    assert all(recipe.adapter.dropout or not recipe.training.r_drop for recipe, _ in trained)


def test_a_search_alone_opens_its_database_once(
    tiny_recipe: Any, tmp_path: Path, trained: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    opened: list[str] = []
    create = optuna.create_study

    def create_study(**options: Any) -> optuna.Study:
        opened.append(options["study_name"])
        return create(**options)

    monkeypatch.setattr(optuna, "create_study", create_study)
    run_search(tiny_recipe(), tmp_path / "out", space=SPACE, trials=2, announce=lambda _: None)
    assert opened == ["tiny"]


def test_a_data_file_is_searched_with_the_values_that_train_chooses(
    cli: Cli, tiny_data: dict[str, Path], tiny_backbones: dict[str, Path], trained: list
) -> None:
    data, backbone = tiny_data["train"], tiny_backbones["bert"]
    answer = cli("search", data, "--backbone", backbone, "--trials", "2", "-o", "out")
    assert answer.code == 0, answer
    chosen = recipe_for(data, backbone=str(backbone))
    assert [folder.name for _, folder in trained] == ["0001", "0002"]
    assert {recipe.training.epochs for recipe, _ in trained} == {chosen.training.epochs}
    assert Recipe.load("out/best.toml").data == chosen.data
