"""Reads rows of a finished run again, and checks that they are those of its training."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Any

from featherweight.data.fingerprints import differing_keys, training_fingerprint
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.data.splits import load_part
from featherweight.errors import UserError
from featherweight.inference.runner import Runner
from featherweight.run.folder import Run


def rows_of_run(folder: Path, part: str, model: Runner) -> Rows:
    """The rows of ``part`` (train or validation) of the run in ``folder``, whose model is ``model``.

    File names count from the folder in which the run was trained, or else from the working folder. Raises UserError if
    the rows are not there any more, or have changed since the training.
    """
    run = Run(folder)
    recipe = run.recipe  # read before the working folder changes: ``folder`` may be a relative path
    environment = run.environment if (folder / "environment.json").is_file() else {}
    then: dict[str, Any] = environment.get("data", {}).get(part, {})
    long_texts = LongTexts.of(recipe.data) if part == "train" else LongTexts.for_evaluation(recipe)
    problem = ""
    for place in (Path(environment.get("working_folder", ".")), Path()):
        try:
            with chdir(place):
                rows = load_part(recipe, part, model.labels)
            if differing_keys(then, training_fingerprint(rows, model.tokenizer, long_texts)):
                raise UserError(f"{rows.origin}: has changed since the training")
            return rows
        except (UserError, OSError) as error:
            problem = str(error)
    raise UserError(problem)
