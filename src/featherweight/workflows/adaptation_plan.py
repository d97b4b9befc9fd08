"""The plan of a task-adaptive pretraining: its settings and inputs. A resumed adaptation must have the same plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featherweight.backbone.adapted import FILE, entry, read_adapted
from featherweight.backbone.resolve import Backbone
from featherweight.data.fingerprints import texts_fingerprint
from featherweight.data.splits import Splits
from featherweight.errors import UserError
from featherweight.files import read_object, write_json
from featherweight.formatting import shortened
from featherweight.hints import elsewhere, flag
from featherweight.recipe import Recipe
from featherweight.workflows.adaptation_texts import AdaptationTexts

SETTINGS = "settings.json"
"""The plan of an unfinished adaptation, in its folder ``<out>.part``."""
FILES = frozenset({SETTINGS, f"{SETTINGS}.part", "checkpoint", "backbone", ".lock"})
"""All that an adaptation writes into that folder."""
_PRECISION = "training.precision"
"""The key of the recipe; ``precision`` in adapted.json is what the adaptation ran in, such as bf16 for auto."""
_KEYS = ("epochs", "learning_rate", "batch_size", "max_length", "long", "window_overlap", "seed", _PRECISION)
_FURTHER = "further"
_UNSEEN = "unseen"
"""The keys for the further texts, and for the parts whose texts were left out; missing without further texts."""
_TEXTS = {
    "fingerprint": "the training texts",
    _UNSEEN: "the validation, test or shift texts",
    _FURTHER: "the further texts",
    "trained": "the validation, test or shift texts",
}


def plan_of(
    recipe: Recipe, schedule: Recipe, backbone: Backbone, splits: Splits, texts: AdaptationTexts
) -> dict[str, Any]:
    """All settings and inputs that determine the result, as JSON.

    ``recipe`` has the data and the seed, ``schedule`` the section [training]. ``texts`` are those of ``splits`` that
    are used, and further texts.
    """
    data, training = recipe.data, schedule.training
    # Of other texts, the parts that are too long are always read as texts of their own.
    long = {"long": data.long, "window_overlap": data.window_overlap} if data.join == "pair" else {}
    further = {}
    if texts.further is not None:
        further = {_FURTHER: texts_fingerprint(texts.further), _UNSEEN: texts.unseen}
    return {
        "backbone": {"name": backbone.name, "sha256": backbone.sha256, **entry(read_adapted(backbone.folder))},
        "epochs": training.epochs,
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "max_length": data.max_length,
        **long,
        "seed": recipe.seed,
        _PRECISION: recipe.training.precision,
        "fingerprint": texts_fingerprint(splits.train),
        **further,
        "trained": texts_fingerprint(texts.train),
    }


def marked(plan: Mapping[str, Any], texts: AdaptationTexts) -> dict[str, Any]:
    """``plan`` as entries of adapted.json, with the numbers of texts that are trained on and held out."""
    counts = {"rows": len(texts.train), "held_out": len(texts.held_out)}
    if texts.further is not None:
        counts["without_labels"] = len(texts.further)
    settings = {key: plan[key] for key in _KEYS if key in plan}
    of_texts = {**counts, **{key: plan[key] for key in _TEXTS if key in plan}}
    return {"source": plan["backbone"], "texts": of_texts, **settings}


def _remedy() -> str:
    return f"Use the same settings and data, or {elsewhere()}"


def require_finished_with(plan: Mapping[str, Any], out: Path) -> None:
    """Raise UserError if the adapted backbone in ``out`` was made with another plan, or its adapted.json is damaged."""
    read_adapted(out)
    marker = read_object(out / FILE)
    recorded = {"backbone": marker["source"], **marker["texts"], **marker}
    if found := _difference(recorded, plan):
        raise UserError(
            f"{out}: {flag('--resume')}, but this folder has a finished adaptation of other settings or data: {found}\n"
            f"{_remedy()}"
        )


def begin(work: Path, plan: dict[str, Any], *, resume: bool) -> None:
    """Write ``plan`` into ``work``; with ``resume`` raise UserError if ``work`` was begun with another plan."""
    from featherweight.training.checkpoint import require_undamaged

    if resume and (work / SETTINGS).is_file():
        if found := _difference(read_object(work / SETTINGS), plan):
            raise UserError(f"{work}: this adaptation cannot be resumed: {found}\n{_remedy()}")
        require_undamaged(work / "checkpoint")
    write_json(work / SETTINGS, plan)


def _difference(recorded: Mapping[str, Any], plan: Mapping[str, Any]) -> str | None:
    """In which value two plans differ, in words such as "seed was 0, is 1": the first one; None if they are the same.

    Keys that ``recorded`` lacks are not compared, except further texts: earlier versions did not write them.
    """
    if found := _other_backbone(recorded.get("backbone") or {}, plan["backbone"]):
        return found
    changed = [key for key in (*_KEYS, *_TEXTS) if key in plan and recorded.get(key, plan[key]) != plan[key]]
    if recorded.get(_FURTHER) != plan.get(_FURTHER):
        changed = [key for key in changed if key != "trained"] or [_FURTHER]
    if not changed:
        return None
    key = changed[0]
    if key in _TEXTS:
        return f"{_TEXTS[key]} have changed since"
    return f"{key} was {_shown(recorded[key])}, is {_shown(plan[key])}"


def _other_backbone(then: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """How the backbone to adapt differs; None if its weights are the same, whatever its name."""
    both_known = bool(then.get("sha256") and now.get("sha256"))
    if both_known and then["sha256"] == now["sha256"]:
        return None
    if (name := then.get("name", now["name"])) != now["name"]:
        return f"backbone was {_shown(name)}, is {_shown(now['name'])}"
    return f"the weights of backbone {_shown(name)} have changed since" if both_known else None


def _shown(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False))
