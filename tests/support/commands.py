"""What the command line answered, and what holds for every refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Answer]


def contents(folder: Path) -> dict[str, bytes | None]:
    """What stands in a folder: the bytes of every file, and where each link leads."""
    return {
        str(path.relative_to(folder)): bytes(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


def refused(cli: Cli, *arguments: Any, naming: str | tuple[str, ...]) -> str:
    """Call the command line, and check what holds for every refusal; returns the message."""
    before = contents(Path())
    answer = cli(*arguments)
    lines = answer.err.splitlines()
    assert answer.code == 2, answer
    assert 1 <= len(lines) <= 2, answer.err
    assert lines[0].startswith("featherweight: ")
    assert all(line.isprintable() and len(line) < 640 for line in lines), answer.err
    assert "Traceback" not in answer.err
    for part in (naming,) if isinstance(naming, str) else naming:
        assert part in answer.err
    assert contents(Path()) == before
    return answer.err


GOOD_ROWS = "text,label\n" + "".join(f"apple {n},fruit\ncrow {n},bird\n" for n in range(10))
VERBS = {
    "evaluate": ("evaluate", "run"),
    "judge": ("evaluate", "run", "--data", "judged.csv"),
    "report": ("report", "run"),
    "predict": ("predict", "run", "texts.csv", "-o", "out.csv"),
    "compare": ("compare", "run"),
}
"""What reads a run folder, with the arguments that a test gives it."""


def spoil(path: Path, content: Any) -> None:
    """Put ``content`` in the place of a file: text, bytes, what a function makes of it, "cut", or nothing at all."""
    if content is None:
        path.unlink()
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content(path.read_text("utf-8")) if callable(content) else content, "utf-8")


def said(cli: Cli, *arguments: Any) -> str:
    """What a command that succeeds prints; it has nothing to say on standard error."""
    answer = cli(*arguments)
    assert (answer.code, answer.err) == (0, "")
    return answer.out
