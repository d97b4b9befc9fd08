"""Reads rows of a finished run again, and checks that they are those of its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from featherweight.data.fingerprints import differing_keys, training_fingerprint
from featherweight.data.long_texts import LongTexts
from featherweight.data.perturbations import is_perturbed
from featherweight.data.source_tables import BUILT_IN
from featherweight.data.sources import Rows
from featherweight.data.splits import load_part
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.run.folder import Run


class NotThere(UserError):
    """The data of a run cannot be found any more."""


def rows_of_run(run: Run, part: str, labels: Sequence[str], difference: Callable[[Rows], str]) -> Rows:
    """The rows of ``part`` (train, validation, test or a shift set) of ``run``, whose classes are ``labels``.

    File names count from the folder in which the run was trained, or else from the working folder. ``difference``
    tells in words how rows differ from those of the training; its answer is empty if they do not.

    Raises NotThere if the data is in neither folder, and UserError if its rows have changed.
    """
    recipe, source = run.recipe, _source(run.recipe, part)
    places = Path(_environment(run).get("working_folder", ".")), Path()
    missing, changed = list[UserError](), list[UserError]()
    for place in dict.fromkeys(path.resolve() for path in places if path.is_dir()):
        try:
            with chdir(place):
                rows = load_part(recipe, part, labels)
        except (UserError, OSError) as error:
            if source in BUILT_IN or (place / Path(source).expanduser()).exists():
                changed.append(UserError(f"has changed: {error}"))
            else:
                missing.append(NotThere(str(error)))
            continue
        if not (how := difference(rows)):
            return rows
        changed.append(UserError(f"{rows.origin}: {how}"))
    raise (changed or missing)[0]


def training_difference(run: Run, part: str, tokenizer: Any) -> Callable[[Rows], str]:
    """For ``rows_of_run``: compares rows of ``part``, train or validation, with the fingerprint that ``run`` stored."""
    long_texts = LongTexts.of(run.recipe.data) if part == "train" else LongTexts.for_evaluation(run.recipe)
    then: Mapping[str, Any] = _environment(run).get("data", {}).get(part, {})

    def difference(rows: Rows) -> str:
        changed = differing_keys(then, training_fingerprint(rows, tokenizer, long_texts))
        what = {"rows": "rows", "fingerprint": "texts", "labels": "labels"}
        return f"has changed since the training: its {what[changed[0]]} differ" if changed else ""

    return difference


def _environment(run: Run) -> Mapping[str, Any]:
    """The content of environment.json; empty if an early version wrote the run without this file."""
    return run.environment if (run.folder / "environment.json").is_file() else {}


def _source(recipe: Recipe, part: str) -> str:
    data = recipe.data
    own = {"train": data.train, "validation": data.validation or data.train, "test": data.test or data.train}
    return own.get(part) or (own["test"] if is_perturbed(part) else part)
