"""Published runs on the same test rows, compared row by row with the rounds that they should beat.

The rows that a run got right stand in its result file as bits, so that everyone can compute the tests again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.differences import Difference, compare_pairs
from featherweight.evaluation.stored_predictions import stored_predictions
from featherweight.run.folder import Run

OPPONENT, ROUNDS = "r4", ("r1", "r2", "r3", "r4")
"""The built-in recipe that others are compared with; the rounds have a page of their own."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """A recipe and R4 on the same backbone, over all seeds that were published of each."""

    ours: list[str]
    """The names of the result files, one a seed."""
    theirs: list[str]
    parameters: int
    difference: Difference


def right_rows(run: Run) -> Record:
    """Which test rows the run predicts right: ``bits`` in hexadecimal, first row first, and the number of ``rows``.

    ``sha256`` is that of the rows' text keys and labels: runs with the same value were tested on the same rows.
    """
    rows = stored_predictions(run, "test")
    right = [label == predicted for label, predicted in zip(rows["label"], rows["predicted"], strict=True)]
    known = json.dumps([rows["text_key"], rows["label"]]).encode()
    bits = np.packbits(np.array(right, dtype=bool)).tobytes().hex()
    return {"rows": len(right), "sha256": hashlib.sha256(known).hexdigest(), "bits": bits}


def unpacked(rows: Record) -> NDArray[np.bool_]:
    """What ``right_rows`` packed: whether each row was predicted right, [rows]."""
    packed = np.frombuffer(bytes.fromhex(rows["bits"]), dtype=np.uint8)
    return np.unpackbits(packed, count=rows["rows"]).astype(bool)


def pairs(records: dict[str, Record]) -> list[Pair]:
    """Each recipe that is to beat R4 with R4 on the same backbone, test rows and number of training rows.

    ``records`` are the result files of single runs, by name. The p-values are corrected for all pairs.
    """
    seeds: dict[tuple[str, str], list[str]] = {}
    for name, record in records.items():
        if "test_right" in record:
            seeds.setdefault((_trained_and_tested(record), _recipe(record)), []).append(name)
    named = {name: record["recipe"]["name"] for name, record in records.items()}
    found = [(ours, theirs) for (rows, _), ours in seeds.items() for (same, _), theirs in seeds.items()
             if rows == same and named[ours[0]] not in ROUNDS and named[theirs[0]] == OPPONENT]  # fmt: skip
    if not found:
        return []
    correct = {names[0]: _correct([records[name] for name in names]) for pair in found for names in pair}
    differences = compare_pairs([(ours[0], theirs[0]) for ours, theirs in found], correct)
    return [Pair(ours, theirs, records[ours[0]]["weight"]["total"], difference)
            for (ours, theirs), difference in zip(found, differences, strict=True)]  # fmt: skip


def _trained_and_tested(record: Record) -> str:
    recipe, rows = record["recipe"], record["environment"]["data"]["train"]["rows"]
    trained = recipe["backbone"]["name"], recipe["data"]["train"], rows, recipe["training"]["epochs"]
    return json.dumps([*trained, record["test_right"]["sha256"]])


def _recipe(record: Record) -> str:
    """The recipe without its seed: files in which it is the same are seeds of one another."""
    return json.dumps({**record["recipe"], "seed": 0}, sort_keys=True)


def _correct(records: Sequence[Record]) -> NDArray[np.bool_]:
    return np.stack([unpacked(record["test_right"]) for record in records])
