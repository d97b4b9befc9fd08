"""How the processes of trainings start: forked, but with the caller's environment and modules."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from featherweight.workflows.process_context import call_with_environment, training_context

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="trainings are forked on Linux alone")
TWO_TRAININGS = """
import os, sys
from featherweight.workflows.process_context import call_with_environment, training_context

def tell(connection):
    import featherweight
    torch = sys.modules.get("torch")
    connection.send((os.environ.get("OF_THE_CALLER"), featherweight.__file__, torch is not None, os.getppid()))

if __name__ == "__main__":
    for value in ("first", "second"):
        os.environ["OF_THE_CALLER"] = value
        context = training_context()
        here, there = context.Pipe()
        process = context.Process(target=call_with_environment, args=(dict(os.environ), tell, there))
        process.start()
        print(*here.recv(), os.getpid(), sorted(set(os.environ) & {"PYTHONSAFEPATH", "PYTHONPATH"}))
        process.join()
"""


@LINUX
@pytest.mark.slow
def test_trainings_are_forked_from_one_process_with_the_callers_environment_and_modules(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "src"
    script, marker = tmp_path / "script.py", tmp_path / "imported"
    script.write_text(f"import sys; sys.path.insert(0, {str(source)!r}){TWO_TRAININGS}", "utf-8")
    work = tmp_path / "work"
    work.mkdir()
    for name in ("random", "queue", "tokenizers"):  # a user's own files
        (work / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')", "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([sys.executable, str(script)], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    first, second = (line.split(maxsplit=5) for line in done.stdout.splitlines())
    assert (first[0], second[0]) == ("first", "second")
    assert Path(first[1]) == source / "featherweight" / "__init__.py"  # also where another version is installed
    assert first[2] == second[2] == "True"
    assert first[3] == second[3] != first[4]  # both are forks of one process, which is not the caller
    assert first[5] == second[5] == "[]"
    assert not marker.exists()


def test_with_a_gpu_each_process_starts_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert training_context() is multiprocessing.get_context("spawn")


def test_a_variable_that_the_caller_has_removed_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_SERVER", "1")
    seen: list[Any] = []
    before = dict(os.environ)
    try:
        call_with_environment({"OF_THE_CALLER": "1"}, seen.append, os.environ)
        assert dict(seen[0]) == {"OF_THE_CALLER": "1"}
    finally:
        os.environ.update(before)
        del os.environ["OF_THE_CALLER"]
