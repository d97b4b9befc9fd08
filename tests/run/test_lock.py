"""Who gets which run folder."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from featherweight.errors import UserError
from featherweight.export.staging import PART, remove_leftovers, staging_folder
from featherweight.files import replace_file
from featherweight.inference.writers import only_writer
from featherweight.run.lock import chosen_and_reserved


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_runs_that_start_together_get_a_folder_each() -> None:
    together, folders, wrong = threading.Barrier(8), list[str](), list[BaseException]()

    def run() -> None:
        try:
            together.wait(30)
            with chosen_and_reserved("tickets", None, resume=False) as folder:
                folders.append(folder.as_posix())
                together.wait(30)  # held until all have theirs
                (folder / "recipe.toml").touch()
        except BaseException as error:
            together.abort()
            wrong.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sorted(folders) == ["runs/tickets", *(f"runs/tickets-{number}" for number in range(2, 9))]


def test_a_folder_that_was_named_is_never_exchanged_for_another() -> None:
    with (
        chosen_and_reserved("tickets", "mine", resume=False),
        pytest.raises(UserError, match="another process is training"),
    ):
        chosen_and_reserved("tickets", "mine", resume=False).__enter__()


def test_nothing_stays_of_a_folder_that_was_not_used() -> None:
    with chosen_and_reserved("tickets", None, resume=False) as folder:
        assert folder.is_dir()
    assert not Path("runs").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_can_be_used(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def without(file: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", without)
    with chosen_and_reserved("tickets", None, resume=False) as folder:
        assert folder == Path("runs/tickets")
    with only_writer(Path("labels.csv")):
        replace_file(Path("pieces/one.npy"), lambda file: file.write(b"done"))
    assert Path("pieces/one.npy").read_bytes() == b"done"
    with staging_folder(Path("onnx"), PART) as part:
        remove_leftovers(Path("onnx"), PART)
        assert part.is_dir(), "nothing shows whether its process is alive"
    assert [path.name for path in Path().iterdir()] == ["pieces"]
