"""The table of a search's trials as CSV."""

from __future__ import annotations

import csv
import io

from matplotlib.figure import Figure

from featherweight.recipe.search_space import BACKBONE
from featherweight.report.search.plots import draw_parallel
from featherweight.report.search.trials import TrialRow, short_names, trials_csv
from featherweight.run.best import metric_of


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


def test_the_names_of_backbones_are_as_short_as_they_differ() -> None:
    assert short_names(["/models/small", "minilm", "vendor/all-mpnet-base-v2/"]) == {
        "/models/small": "small",
        "minilm": "minilm",
        "vendor/all-mpnet-base-v2/": "all-mpnet-base-v2",
    }
    assert short_names(["one/base", "two/base"]) == {"one/base": "one/base", "two/base": "two/base"}
    assert short_names([r"C:\models\small", "D:\\models\\large\\"]) == {
        r"C:\models\small": "small",
        "D:\\models\\large\\": "large",
    }
    assert short_names(["base", "base/"]) == {"base": "base", "base/": "base/"}


def test_parallel_coordinates_name_each_backbone() -> None:
    folders = ["/a/long/path/of/models/small", "/a/long/path/of/models/large"]
    rows = [TrialRow(number, 0.5 + number / 10, 100, 2.5, "", {BACKBONE: folder, "training.epochs": number})
            for number, folder in enumerate(folders)]  # fmt: skip
    axes = Figure().subplots()
    draw_parallel(axes, rows, metric_of("accuracy", several=False))
    assert {"small", "large"} <= {text.get_text() for text in axes.texts}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["backbone", "epochs", "accuracy"]


def test_a_folder_that_starts_like_a_formula_is_no_formula_in_the_csv() -> None:
    text = trials_csv([TrialRow(1, 0.5, 100, 2.5, "", {BACKBONE: "=1+1"})], "accuracy")
    assert next(csv.DictReader(io.StringIO(text)))[BACKBONE] == "'=1+1"
