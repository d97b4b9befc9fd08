"""Results as JSON: what was measured, on which machine, with which versions, seeds and data, and when."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from featherweight import __version__
from featherweight.environment import describe_machine, versions
from featherweight.formatting import without_paths

RESULTS = Path(__file__).parents[1] / "results"
PROMISED = ("benchmark", "name", "date", "machine", "versions", "seeds", "data", "settings", "runs", "summary")
"""Keys that every result has."""

_SETTINGS_OF_THE_SHELL = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_AFFINITY", "LD_PRELOAD", "ONEDNN_MAX_CPU_ISA")
# A path from the root (of two parts or more), a drive, a home folder, or an address.
_MACHINE_PATH = re.compile(r"(?:^|[\s\"'=(:])/[\w.@+-][\w.@+, -]*/[\w.@+-]|(?:^|[\s\"])[A-Za-z]:\\|~/|://")
_FOLDERS_OF_ADDRESS = re.compile(r"""(?<!\w)\w*+://(?:[^\s/'"]*+/)*""")
_LONGEST_TEXT, _LONGEST_LINE = 400, 450
_LONGEST_ERROR = 4000
Figure = str | Callable[[dict[str, Any]], Any]


def new_record(
    benchmark: str, name: str, *, settings: dict[str, Any], data: dict[str, Any], seeds: Sequence[int]
) -> dict[str, Any]:
    """A result without runs: ``name`` becomes the file's name; ``data`` says which rows and how many."""
    return {
        "benchmark": benchmark,
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": command(),
        "machine": machine(),
        "versions": {"featherweight": __version__, **versions()},
        "seeds": list(seeds),
        "data": data,
        "settings": settings,
        "runs": [],
        "summary": {},
    }


def command() -> str:
    """The command of this process, its files by their names alone."""
    script, *words = sys.argv
    words = [Path(word).name if "/" in word else word for word in words]
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *words])[:_LONGEST_TEXT]


def machine() -> dict[str, Any]:
    """Processor, cores, memory, instructions for matrices, and how busy the machine was when the benchmark began."""
    import psutil

    from featherweight.model.engine import processor_flags

    shell = {key: Path(os.environ[key]).name for key in _SETTINGS_OF_THE_SHELL if os.environ.get(key)}
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
    return {
        **describe_machine(),
        "memory_bytes": psutil.virtual_memory().total,
        "instructions": [flag for flag in wanted if flag in processor_flags()],
        "load_before": round(os.getloadavg()[0], 2),
        "environment": shell,
    }


def git(*arguments: str) -> str:
    """What git says, called in this folder. Raises OSError or CalledProcessError."""
    return subprocess.check_output(
        ["git", *arguments], cwd=RESULTS.parent, text=True, stderr=subprocess.DEVNULL
    ).strip()


def commit() -> str | None:
    """The commit that was measured, with ``+`` where files differ from it; None outside a repository."""
    try:
        changed = git("status", "--porcelain", "--", "../src", ".", ":(exclude)results")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def save(record: dict[str, Any], folder: Path = RESULTS, *, whole: bool = True) -> Path:
    """Write ``record`` to ``<name>.json``; one that is not ``whole`` yet goes to ``<name>.partial.json`` beside it.

    Raises ValueError where a promised key is missing, or where a text has no place in a published result: a path or
    address of this machine, or something as long as a row of data.
    """
    missing = [key for key in PROMISED if key not in record]
    if missing:
        raise ValueError(f"{record.get('name')}: the result lacks {', '.join(missing)}")
    # Eight significant digits: no clock here is better, and two digits of a percentage stay right.
    rounded = json.loads(json.dumps(record), parse_float=lambda digits: float(f"{float(digits):.8g}"))
    text = json.dumps(rounded, indent=1, ensure_ascii=False)
    for line in map(str.strip, text.splitlines()):  # with an indent each text has a line of its own
        if _MACHINE_PATH.search(line) or len(line) > _LONGEST_LINE:
            raise ValueError(f"{record['name']}: {line[:120]!r} has no place in a result")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{record['name']}.partial.json"
    partial.write_text(text + "\n", "utf-8")
    return partial.replace(folder / f"{record['name']}.json") if whole else partial


def earlier(path: Path) -> dict[str, Any]:
    """What an earlier call has left of the result ``path``, unfinished or whole; a record without runs if nothing."""
    places = (path.with_name(f"{path.stem}.partial.json"), path)
    return next((json.loads(place.read_text("utf-8")) for place in places if place.is_file()), {"runs": []})


def read_results(folder: Path, pattern: str = "*.json") -> dict[Path, dict[str, Any]]:
    """The finished results in ``folder`` whose path matches ``pattern``, by their path."""
    paths = sorted(path for path in folder.glob(pattern) if not path.name.endswith(".partial.json"))
    return {path: json.loads(path.read_text("utf-8")) for path in paths}


def load_all(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """All finished results below ``folder``, by machine and name; ``machine_folder`` says where each one lay."""
    found = read_results(folder, "**/*.json").items()
    return [{**record, "name": path.stem, "machine_folder": path.parent.name} for path, record in found]


def machine_folder() -> str:
    """The folder of this machine's results, where a person names no other: its processor and cores."""
    found = describe_machine()
    return re.sub(r"\W+", "-", f"{found['processor']} {found['cores']} cores".lower()).strip("-")


def presentable(text: str) -> str:
    """``text`` (an error's last line, say) with paths and addresses cut down to their last parts, and not too long."""
    return _FOLDERS_OF_ADDRESS.sub("", without_paths(text[:_LONGEST_ERROR]))[: _LONGEST_TEXT // 2]


def spread(values: Iterable[float | None]) -> dict[str, Any] | None:
    """Median, least and greatest of the runs that gave a value, and their number; None where none did."""
    kept = [value for value in values if value is not None]
    if not kept:
        return None
    return {"median": _short(median(kept)), "low": _short(min(kept)), "high": _short(max(kept)), "runs": len(kept)}


def ratio_spread(upper: Sequence[float | None], lower: Sequence[float | None]) -> dict[str, Any] | None:
    """Spread of upper / lower, run by run: each quotient is of two runs that stood next to each other."""
    pairs = zip(upper, lower, strict=False)
    return spread(None if one is None or not other else one / other for one, other in pairs)


def by_repeat(runs: Iterable[dict[str, Any]], name: str, figure: Figure) -> list[Any]:
    """A competitor's figure (a key of its runs, or what is made of one) of each repeat; None where the run failed."""
    own = sorted((run for run in runs if run["contestant"] == name), key=lambda run: run["repeat"])
    return [None if "failed" in run else figure(run) if callable(figure) else run.get(figure) for run in own]


def summary_of(
    runs: Sequence[dict[str, Any]], names: Iterable[str], keys: Iterable[str], **figures: Figure
) -> dict[str, Any]:
    """For each competitor the spread of ``keys`` and ``figures`` over its runs, and why one failed, if one did."""
    return {
        name: {
            **{key: spread(by_repeat(runs, name, figures.get(key, key))) for key in (*keys, *figures)},
            "failed": next((run["failed"] for run in runs if run["contestant"] == name and "failed" in run), None),
        }
        for name in names
    }


def fitted_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """The p of cost = c * size^p that fits best: least squares on the logarithms; None with fewer than two sizes."""
    import numpy as np

    if len(set(sizes)) < 2:
        return None
    return _short(float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]))


def _short(value: float) -> float:
    return float(f"{value:.5g}")
