"""What must hold for any input at all: files, splits, order, planner and statistics, with inputs made by Hypothesis."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of
from featherweight.budget.plan import TARGETS, plan
from featherweight.budget.weigh import weigh
from featherweight.data.readers.delimited import delimited_tables
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import whole_table
from featherweight.data.readers.unpacking import Content
from featherweight.data.sources import Rows, read_rows
from featherweight.data.splits import split_off
from featherweight.errors import UserError, printable
from featherweight.evaluation.differences import compare_pairs
from featherweight.evaluation.metrics import wilson_interval
from featherweight.evaluation.seeds import mcnemar_over_seeds
from featherweight.evaluation.significance import holm, mcnemar_exact, paired_bootstrap
from featherweight.recipe import DataRecipe, Recipe, layer_numbers, parse_count
from featherweight.run.folder import read_history
from featherweight.training.batch_order import StepOrder
from featherweight.training.history import History

# A busy machine is no failure, and a file may be written anew for each example.
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
SEEDS = st.integers(0, 2**31 - 1)


@quick
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=6)),
       st.sampled_from(",;\t"), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.integers(1, 7))  # fmt: skip
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]], mark: str, quoting: Any, size: int) -> None:
    names = [f"column {place}" for place in range(len(rows[0]) if rows else 1)]
    # A row of one empty field cannot be told from an empty line, and a first line decides what separates the fields.
    kept = [row for row in rows if len(row) > 1 or row[0]] if len(names) > 1 or mark == "," else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=mark, quoting=quoting).writerows([names, *kept])
        reading = Reading(separator=mark, any_header=True)
        table = whole_table(delimited_tables(Content(path, "f"), reading, size, tabs=False))
    assert list(table.names) == names
    assert [list(row) for row in zip(*map(table.read, names), strict=True)] == kept


@quick
@given(st.lists(st.integers(3, 20), min_size=2, max_size=4), st.integers(2, 12), SEEDS)
def test_a_split_is_a_partition_by_class_that_seed_and_rows_fix(counts: list[int], size: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"class {number}" for number in range(len(counts)))
    rows = Rows([f"text {place}" for place in range(len(labels))], labels, names, "made up")
    try:
        train, validation = split_off(rows, size, seed)
    except UserError:
        assert size < len(counts) or len(rows) - size < len(counts) or min(counts) * (1 - size / len(rows)) < 1.5
        return
    again = split_off(rows, size, seed)
    assert [part.texts for part in again] == [train.texts, validation.texts]
    assert sorted(train.texts + validation.texts) == sorted(rows.texts)
    assert len(validation) == size
    for number, count in enumerate(counts):
        assert abs((validation.labels == number).sum() - count * size / len(rows)) <= 1


@quick
@given(st.lists(st.integers(2, 90), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 4), SEEDS, st.data())
def test_a_resumed_run_takes_the_steps_that_are_left(
    lengths: list[int], size: int, accumulate: int, seed: int, data: st.DataObject
) -> None:
    training = {"batch_size": size, "accumulate": accumulate, "epochs": 2}
    recipe = Recipe.parse({"seed": seed, "training": training})
    order = StepOrder(np.array(lengths), recipe)
    steps = [(step, epoch, [rows.tolist() for rows in batches]) for step, epoch, batches in order.from_step(0)]
    assert [step for step, _, _ in steps] == list(range(order.total_steps))
    for epoch in (0, 1):
        of_epoch = steps[epoch * len(steps) // 2 : (epoch + 1) * len(steps) // 2]
        assert sorted(row for _, _, batches in of_epoch for rows in batches for row in rows) == list(
            range(len(lengths))
        )
    first = data.draw(st.integers(0, order.total_steps))
    left = [(s, e, [rows.tolist() for rows in b]) for s, e, b in StepOrder(np.array(lengths), recipe).from_step(first)]
    assert left == steps[first:]


SMALL = {
    "bert": {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 24, "vocab_size": 50},
    "roberta": {"hidden_size": 12, "num_hidden_layers": 3, "intermediate_size": 12, "vocab_size": 40},
    "modernbert": {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 20, "vocab_size": 60},
}


def largest_rank(architecture: Architecture, head: str, roles: tuple[str, ...], layers: str, *given: int) -> int:
    """The largest rank that fits, found by weighing each; 0 if none does. ``given`` are the labels and the budget."""
    labels, budget = given

    def fits(rank: int) -> bool:
        adapter = {"lora": [{"roles": list(roles), "rank": rank, "layers": layers}], "head": head}
        return weigh(Recipe.parse({"adapter": adapter, "budget": budget}), architecture, labels).total <= budget

    linears = [x for x in architecture.linears if set(x.roles) & set(roles)]
    widest = min(min(x.inputs, x.outputs) for x in linears)
    return max((rank for rank in range(1, widest + 1) if fits(rank)), default=0)


@quick
@given(st.sampled_from(sorted(SMALL)), st.integers(2, 9), st.integers(1, 9_000))
def test_the_planner_finds_what_trying_every_rank_finds(family: str, labels: int, budget: int) -> None:
    architecture = architecture_of({"model_type": family, **SMALL[family]})
    upper = [f"top-{count}" for count in range(architecture.layers - 1, 0, -1)]
    largest: dict[tuple[str, tuple[str, ...]], tuple[str, int]] = {}
    for head in ("linear", "native"):
        kinds = []
        for target in TARGETS:
            linears = [x for x in architecture.linears if set(x.roles) & set(target)]
            kinds.append(tuple(role for role in architecture.roles if any(role in x.roles for x in linears)))
        # The upper layers alone are only proposed for roles that do not fit in all layers.
        for roles in kinds:
            tried = [(one, largest_rank(architecture, head, roles, one, labels, budget)) for one in ("all", *upper)]
            largest |= {(head, roles): fitting[0]} if (fitting := [one for one in tried if one[1]]) else {}
    try:
        found = {(row.head, row.roles): (row.layers, row.rank) for row in plan(architecture, labels, budget)}
    except UserError:
        found = {}
    assert found == largest


RIGHT = st.integers(1, 80).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 1), min_size=n, max_size=n)] * 2))


@quick
@given(RIGHT)
def test_mcnemar_does_not_care_who_is_first(pair: tuple[list[int], list[int]]) -> None:
    there, back = mcnemar_exact(*pair), mcnemar_exact(*reversed(pair))
    assert there["p_value"] == pytest.approx(back["p_value"])
    assert (there["b"], there["c"]) == (back["c"], back["b"])
    assert 0 < there["p_value"] <= 1
    assert mcnemar_over_seeds(*pair)["p_value"] == pytest.approx(there["p_value"])


@quick
@given(RIGHT, SEEDS)
def test_the_bootstrap_interval_holds_the_difference_and_turns_with_it(pair: tuple[list, list], seed: int) -> None:
    there, back = (paired_bootstrap(*sides, resamples=400, seed=seed) for sides in (pair, pair[::-1]))
    assert there["low"] - 1e-12 <= there["difference"] <= there["high"] + 1e-12
    assert there["difference"] == pytest.approx(-back["difference"])
    assert -1 <= there["low"] <= there["high"] <= 1


@quick
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_raises_each_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(raw <= p <= min(1, raw * len(p_values)) + 1e-12 for raw, p in zip(p_values, corrected, strict=True))
    in_order = [p for _, p in sorted(zip(p_values, corrected, strict=True))]
    assert in_order == sorted(corrected)


@quick
@given(st.integers(1, 10_000).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))))
def test_wilsons_interval_is_of_shares_and_holds_the_share(counts: tuple[int, int]) -> None:
    right, rows = counts
    low, high = wilson_interval(right, rows)
    assert 0 <= low <= right / rows + 1e-12
    assert right / rows - 1e-12 <= high <= 1
    assert wilson_interval(rows - right, rows) == pytest.approx([1 - high, 1 - low])


@quick
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31))
def test_rounds_are_told_apart_alike_from_both_sides(rows: int, one: int, other: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rounds = {"A": draw.random((one, rows)) < 0.8, "B": draw.random((other, rows)) < 0.9}
    (there,), (back,) = (compare_pairs([pair], rounds) for pair in (("A", "B"), ("B", "A")))
    assert (there.seeds_p_value is None) == (back.seeds_p_value is None) == (one + other < 4)
    assert there.difference == pytest.approx(-back.difference)
    assert there.verdict == back.verdict and there.p_value == pytest.approx(back.p_value)
    assert there.seeds_p_value is None or there.seeds_p_value == pytest.approx(back.seeds_p_value)
    assert there.words and "nan" not in there.words


@quick
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8), st.data())
def test_a_history_cut_anywhere_gives_its_whole_lines(tmp_path: Path, losses: list[float], data: st.DataObject) -> None:
    path = tmp_path / "history.jsonl"
    path.unlink(missing_ok=True)
    history = History(path)
    for step, loss in enumerate(losses, 1):
        history.write({"kind": "step", "step": step, "loss": loss})
    history.close()
    whole = read_history(path)
    assert [record["step"] for record in whole] == list(range(1, len(losses) + 1))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    cut = read_history(path)
    assert cut == whole[: len(cut)]
    assert len(cut) >= path.read_bytes().count(b"\n")


@quick
@given(st.text())
def test_what_is_printable_stays_so_and_holds_nothing_that_steers(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    shown.encode()
    assert "\x1b" not in shown and "\r" not in shown
    assert printable(text.replace("\n", "")).count("\n") == 0


@quick
@given(st.integers(1, 10**9), st.sampled_from(["", "k", "M"]))
def test_counts_are_read_as_they_are_meant(number: int, unit: str) -> None:
    expected = number * {"": 1, "k": 1_000, "M": 1_000_000}[unit]
    for text in (f"{number}{unit}", f"{number:,}{unit}", f"{number:_}{unit}", f" {number} {unit} "):
        assert parse_count(text) == expected


@quick
@given(st.text("0123456789,-ahlfuprtbom ", max_size=12), st.integers(1, 24))
def test_layers_are_those_of_the_encoder_or_refused(spec: str, layers: int) -> None:
    try:
        found = layer_numbers(spec, layers)
    except ValueError:
        return
    assert list(found) == sorted(set(found))
    assert all(0 <= number < layers for number in found)


@quick
@given(st.lists(st.tuples(TEXT.filter(str.strip), st.sampled_from(["x", "y"])), min_size=1, max_size=6), st.booleans())
def test_json_rows_are_read_back(tmp_path: Path, rows: list[tuple[str, str]], lines: bool) -> None:
    import json

    objects = [{"text": f"a{text}", "label": label} for text, label in rows]
    content = "\n".join(map(json.dumps, objects)) if lines else json.dumps(objects, indent=1, ensure_ascii=False)
    path = tmp_path / "rows.json"
    path.write_text(content, "utf-8")
    found = read_rows(str(path), DataRecipe())
    assert found.texts == [row["text"] for row in objects]
    assert [found.label_names[number] for number in found.labels] == [label for _, label in rows]
