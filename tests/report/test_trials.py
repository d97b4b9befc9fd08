"""The table of a search's trials as CSV."""

from __future__ import annotations

import csv
import io

from featherweight.report.search.trials import TrialRow, trials_csv


def test_every_trial_is_one_row_of_the_csv_whatever_its_note_says() -> None:
    rows = [
        TrialRow(1, 0.5, 100, 2.5, "", {"adapter.head": "linear", "training.epochs": 3}),
        TrialRow(2, None, None, None, "failed:\rout of memory", {"training.epochs": 4}),
    ]
    first, second = csv.DictReader(io.StringIO(trials_csv(rows, "accuracy"), newline=""))
    assert (first["trial"], first["accuracy"], first["parameters"], first["adapter.head"]) == (
        "1",
        "0.5",
        "100",
        "linear",
    )
    assert (second["accuracy"], second["training.epochs"], second["note"]) == ("", "4", "failed:\rout of memory")
