"""Fingerprints of a run's data. To resume a run, its rows must be unchanged; another machine only gives a warning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from featherweight.data.encoding import fingerprint
from featherweight.data.long_texts import LongTexts
from featherweight.data.pairs import sides_of
from featherweight.data.readers.columns import CHUNK
from featherweight.environment import PACKAGES
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import shortened
from featherweight.hints import flag, for_command_line
from featherweight.recipe import Recipe
from featherweight.run.folder import Run

if TYPE_CHECKING:
    from featherweight.data.batches import Encoded
    from featherweight.data.sources import Rows
    from featherweight.data.splits import Splits

_WATCHED = ("python", *PACKAGES, "numpy", "processor", "threads", "device", "precision", "processes")
_BEGUN = "begun with"


def fingerprints_of(train: Encoded, validation: Encoded, splits: Splits) -> dict[str, Any]:
    """Fingerprints of all parts of the data, including the parts that are only used for evaluation."""
    parts = {"train": train, "validation": validation}
    return {
        "data": {
            name: {
                "rows": len(part),
                "fingerprint": part.fingerprint,
                "labels": _labels(part),
                "cut_rows": part.cut_rows,
            }
            for name, part in parts.items()
        },
        "judged": evaluation_fingerprints(splits),
    }


def fingerprints_without_tokens(splits: Splits, tokenizer: Any, recipe: Recipe) -> dict[str, Any]:
    """The result of ``fingerprints_of`` without the numbers of truncated rows, so that nothing has to be tokenized."""
    parts = {
        "train": (splits.train, LongTexts.of(recipe.data)),
        "validation": (splits.validation, LongTexts.for_evaluation(recipe)),
    }
    data = {name: training_fingerprint(rows, tokenizer, long_texts) for name, (rows, long_texts) in parts.items()}
    return {"data": data, "judged": evaluation_fingerprints(splits)}


def training_fingerprint(rows: Rows, tokenizer: Any, long_texts: LongTexts) -> dict[str, Any]:
    """The number of ``rows``, the SHA-256 of texts, tokenizer and maximum length, and the SHA-256 of the labels."""
    return {"rows": len(rows), "fingerprint": fingerprint(rows, tokenizer, long_texts), "labels": _labels(rows)}


def evaluation_fingerprints(splits: Splits) -> dict[str, Any]:
    """Fingerprints of the rows that are evaluated after the training."""
    judged = splits.shift | ({"test": splits.test} if splits.test is not None else {})
    return {name: rows_fingerprint(part) for name, part in judged.items()}


def rows_fingerprint(rows: Rows) -> dict[str, Any]:
    """The number of ``rows``, the SHA-256 of their texts, and the SHA-256 of their labels."""
    return {"rows": len(rows), "texts": texts_fingerprint(rows), "labels": _labels(rows)}


def texts_fingerprint(rows: Rows) -> str:
    """The SHA-256 of the texts of ``rows``, which need no labels."""
    digest = hashlib.sha256()
    for number, side in enumerate(sides_of(rows.texts)):
        for start in range(0, len(rows), CHUNK):
            between = "\0" if start or number else ""
            digest.update((between + "\0".join(side[start : start + CHUNK])).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def changed_part(original: Mapping[str, Any], fingerprints: Mapping[str, Any]) -> str | None:
    """The first part of the data whose rows differ from the original ones; None if no part differs.

    The part is ``train``, ``validation``, ``test``, or the name of a shift set (texts of another source, or changed
    test rows, that are evaluated beside the test rows). A part that exists only then or only now differs. Fingerprints
    that the original run did not store are not compared.
    """
    for kind in ("data", "judged"):
        parts = original.get(kind)
        if parts is None:
            continue
        for part, now in fingerprints[kind].items():
            if differing_keys(parts.get(part, {}), now):
                return str(part)
        if other := next(
            (part for part in (*parts, *fingerprints[kind]) if (part in parts) != (part in fingerprints[kind])), None
        ):
            return str(other)  # such as test rows, which have labels now, but had none before
    return None


def differing_keys(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The keys of which the fingerprints ``stored`` and ``now`` have different values; both must have the key."""
    return [key for key, value in now.items() if stored.get(key, value) != value]


def _labels(part: Rows | Encoded) -> str:
    assert part.labels is not None
    return hashlib.sha256(part.labels.tobytes()).hexdigest()


def require_same_recipe(folder: Path, recipe: Recipe) -> None:
    """Raise UserError if the run in ``folder`` was started with another recipe; its description may differ."""
    if not (folder / "environment.json").is_file():  # the training did not start
        return
    original = Run(folder).recipe
    recipe = recipe.with_values(description=original.description)
    if original == recipe:
        return
    differences, differs = _differences(original, recipe), f"{folder}: {flag('--resume')}, but the recipe differs from"
    if Run(folder).complete:
        further = f"featherweight train --from {quote(str(folder))} --set ..."
        raise UserError(
            f"{differs} that of this run, which is complete: {differences}\n"
            f"To train its adapter further, start a new run from it: {further}"
        )
    raise UserError(f"{differs} the one that this run was started with: {differences}\n{_to_resume_as_begun(folder)}")


def _to_resume_as_begun(folder: Path) -> str:
    stored = folder / "recipe.toml"
    if for_command_line():
        this = quote(str(folder))
        return f"Use the options that it was started with, or train {quote(str(stored))} --out {this} --resume"
    call = f"train({str(stored)!r}, {str(folder)!r}, resume=True)"
    return f"Use the arguments that it was started with, or write {call}"


def _differences(then: Recipe, now: Recipe, most: int = 3) -> str:
    """The first ``most`` differences between two recipes, such as "seed was 0, is 1", and the number of the others."""
    before, after = _by_key(then.model_dump(mode="json")), _by_key(now.model_dump(mode="json"))
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    told = [f"{key} was {_shown(before.get(key))}, is {_shown(after.get(key))}" for key in keys[:most]]
    return "; ".join(told) + (f" (and {len(keys) - most} more)" if len(keys) > most else "")


def _by_key(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{above}{key}"
        found |= _by_key(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return found


def _shown(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return in_a_line(shortened(text))


def what_has_changed(folder: Path, environment: Mapping[str, Any]) -> list[str]:
    """Warnings about changes of machine or versions since the run in ``folder`` was started.

    Raises UserError if rows, labels, backbone or teachers (finished runs whose predictions the training imitates) have
    changed, because the training so far used the original ones.
    """
    if not any(folder.glob("checkpoint/step-*")) or not (folder / "environment.json").is_file():
        return []
    original = Run(folder).environment
    if part := changed_part(original, environment):
        raise UserError(
            f"{folder}: {flag('--resume')}, but the {part} rows have changed since this run was started\n"
            "Restore the original data, or train in another folder"
        )
    backbone = original.get("backbone")
    if isinstance(backbone, dict) and backbone.get("sha256") != environment["backbone"]["sha256"]:
        raise UserError(
            f"{folder}: {flag('--resume')}, but the weights of the backbone have changed since this run was started\n"
            "Restore the original backbone, or train in another folder"
        )
    if original.get("teachers") != environment.get("teachers"):
        raise UserError(
            f"{folder}: {flag('--resume')}, but the weights of a teacher have changed since this run was started\n"
            "Restore the original teachers, or train in another folder"
        )
    return _warnings(original, environment)


def resumed_elsewhere(environment: Mapping[str, Any]) -> bool:
    """Whether a run was resumed on another machine, or with other versions, threads or processes."""
    return any(str(warning).startswith(_BEGUN) for warning in environment.get("warnings") or ())


def _warnings(original: Mapping[str, Any], environment: Mapping[str, Any]) -> list[str]:
    """The warnings of earlier resumes of the run, followed by the warning of this resume."""
    earlier = [warning for warning in original.get("warnings") or () if str(warning).startswith(_BEGUN)]
    keys = [key for key in _WATCHED if key in original and original[key] != environment.get(key)]
    changes = ", ".join(f"{key} {original[key]}, now {environment.get(key)}" for key in keys)
    return [*earlier, f"{_BEGUN} {changes}: the result may differ in the last digits"] if changes else earlier
