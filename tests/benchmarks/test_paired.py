"""Published runs are compared with R4 row by row, by the bits in their result files."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

from accuracy import publish  # noqa: E402
from pages import paired, write  # noqa: E402

from featherweight.evaluation.significance import mcnemar_exact, paired_bootstrap  # noqa: E402
from featherweight.run.folder import Run  # noqa: E402

ROWS = 7600
DRAWN = np.random.default_rng(0)
R4, BEST = (DRAWN.random(ROWS) < share for share in (0.93, 0.95))


def record(name: str, right: np.ndarray, **changes: Any) -> dict[str, Any]:
    source = "r4-mpnet-two-epochs" if name == "r4" else "best-100k-minilm"
    values = json.loads((RESULTS / f"{source}.json").read_text("utf-8"))
    values["recipe"] |= {"backbone": {"name": "mpnet"}, "seed": changes.get("seed", 0)}
    values["recipe"]["training"] |= {"epochs": 2.0}
    values["environment"]["data"]["train"] |= {"rows": 72_005} | changes.get("train", {})
    values["test_right"] = {"rows": ROWS, "sha256": changes.get("sha256", "0" * 64)}
    values["test_right"]["bits"] = np.packbits(right).tobytes().hex()
    return values


def test_a_published_run_says_which_test_rows_it_got_right(finished_run: Run) -> None:
    found = publish.result(finished_run, {})["test_right"]
    right = paired.unpacked(found)
    assert found["rows"] == len(right) == finished_run.evaluation["test"]["rows"]
    assert right.mean() == pytest.approx(finished_run.evaluation["test"]["accuracy"])
    import pyarrow.parquet as pq

    rows = pq.read_table(finished_run.folder / "predictions.parquet").to_pylist()
    test = sorted((row for row in rows if row["split"] == "test"), key=lambda row: row["row"])
    assert right.tolist() == [row["label"] == row["predicted"] for row in test]


def test_a_pair_has_the_difference_and_the_test_of_its_rows() -> None:
    (pair,) = paired.pairs({"best": record("best-100k", BEST), "old": record("r4", R4)})
    expected = paired_bootstrap(BEST, R4)
    assert (pair.ours, pair.theirs, pair.parameters) == (["best"], ["old"], 84_484)
    assert (pair.difference.difference, pair.difference.low) == (expected["difference"], expected["low"])
    assert pair.difference.p_value == pytest.approx(mcnemar_exact(BEST, R4)["p_value"])


def test_seeds_of_one_recipe_are_pooled() -> None:
    other = DRAWN.random(ROWS) < 0.95
    seeds = {"best-0": record("best-100k", BEST), "best-1": record("best-100k", other, seed=1)}
    (pair,) = paired.pairs({**seeds, "old": record("r4", R4)})
    assert pair.ours == ["best-0", "best-1"]
    assert pair.difference.difference == pytest.approx((BEST.mean() + other.mean()) / 2 - R4.mean())


@pytest.mark.parametrize("change", [{"train": {"rows": 57_362}}, {"sha256": "1" * 64}])
def test_runs_on_other_rows_make_no_pair(change: dict[str, Any]) -> None:
    assert paired.pairs({"best": record("best-100k", BEST), "old": record("r4", R4, **change)}) == []


def test_a_recipe_of_any_name_is_compared_with_r4_but_no_other_round_is() -> None:
    own, round_three = record("best-100k", BEST), record("best-100k", BEST)
    own["recipe"]["name"], round_three["recipe"]["name"] = "distilled", "r3"
    (pair,) = paired.pairs({"own": own, "three": round_three, "old": record("r4", R4)})
    assert pair.ours == ["own"]


def test_a_file_without_rows_makes_no_pair() -> None:
    old = copy.deepcopy(record("r4", R4))
    old.pop("test_right")
    assert paired.pairs({"best": record("best-100k", BEST), "old": old}) == []


def test_the_page_shows_the_pairs(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text(json.dumps(record("best-100k", BEST)), "utf-8")
    assert "## Against R4" not in write.budget_page(tmp_path)
    (tmp_path / "old.json").write_text(json.dumps(record("r4", R4)), "utf-8")
    page = write.budget_page(tmp_path)
    (line,) = (line for line in page.splitlines() if line.startswith("| [best](best.json) | 84,484 | [old](old.json)"))
    gain = 100 * (BEST.mean() - R4.mean())
    assert f"| 1 and 1 | {gain:+.2f} (" in line and "best is better in these runs" in line


def test_the_page_shows_which_runs_had_teachers(tmp_path: Path) -> None:
    taught = record("best-100k", BEST)
    taught["recipe"]["training"]["teacher"] = ["one", "two"]
    (tmp_path / "taught.json").write_text(json.dumps(taught), "utf-8")
    (line,) = (line for line in write.budget_page(tmp_path).splitlines() if line.endswith("| [taught](taught.json) |"))
    assert "| 72,005 | 2, 2 teachers |" in line
