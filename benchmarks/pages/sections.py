"""What a benchmark's result is in words and tables: a section of docs/results/speed.md for each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pages import design_page
from pages.figures import billions, gigabytes, percent, spread, table

Record = dict[str, Any]
AIMS = {
    ("train", "minilm", "trainer"): 12,
    ("train", "mpnet", "trainer"): 16,
    ("train", "minilm", "tuned"): 2.5,
    ("train", "mpnet", "tuned"): 2.5,
    ("predict", "minilm", "pipeline"): 10,
    ("predict", "mpnet", "pipeline"): 10,
    ("predict", "minilm", "pipeline-64"): 3,
    ("predict", "mpnet", "pipeline-64"): 3,
    ("prefix", "mpnet", "epoch"): 2.5,
    ("limit", "minilm", "training"): 0.60,
    ("limit", "mpnet", "training"): 0.75,
    ("memory", "mpnet", "featherweight"): 2e9,
    ("startup", "", "help"): 0.3,
    ("startup", "", "import"): 0.2,
    ("startup", "", "weigh"): 1.5,
}
"""What was set out to be reached: times faster, share of the peak, bytes, or seconds."""
COUNTED = (
    "Counted is what the model asks for: every frozen weight of every layer for every token, twice forward and twice "
    "backward. Featherweight does less than that: of the last layer it computes what the head reads, and no gradient "
    "goes below the lowest adapter. So the most that can be had with L layers is 24L / (24L - 21) of the peak in "
    "training and 12L / (12L - 9) in prediction: 117% and 114% with six layers, 108% and 107% with twelve."
)


def training(record: Record) -> str:
    """Contestants by speed, time to the target accuracy, accuracy and memory."""
    watched = any(len(run.get("evaluations", [])) > 1 for run in record["runs"])
    target = f"s to {record['settings']['target_accuracy']:.0%}"
    head = ["", "samples/s", "Featherweight is", "aimed at", target, "validation accuracy", _memory(record), "padding"]
    rows, gpu = [], record["benchmark"].startswith("gpu")
    for name, figures in record["summary"].items():
        who = record["contestants"][name]
        if not figures["samples_per_second"]:
            rows.append([who["label"], f"did not run: {figures['failed']}", *[""] * 6])
            continue
        aim = AIMS.get((record["benchmark"], record["settings"]["backbone"], name))
        seconds = _to_target(figures)
        rows.append([
            f"{who['label']} ({who['note']})", spread(figures["samples_per_second"]),
            spread(figures["times_faster"], "×"), f"{aim:g}×" if aim else "", seconds if watched else "",
            spread(percent(figures["accuracy"]), "%", 1) if watched else "",
            gigabytes(figures, None if gpu else AIMS.get(("memory", record["settings"]["backbone"], name))),
            spread(percent(figures["padding_share"]), "%", 1),
        ])  # fmt: skip
    pairs = record.get("comparison", {}) if watched else {}
    lines = [f"- {_comparison(record, name, pair)}" for name, pair in pairs.items()]
    if design_page.is_of_a_weak_peer(record):
        padding = record["summary"]["tuned"]["padding_share"]["median"]
        lines.append(
            f"- The tuned Trainer had {padding:.0%} of padding here: it grouped so few rows as a short job does. In a "
            "long run it pads less and is quicker, so this lead over it is too large."
        )
    return "\n\n".join(part for part in (table(head, rows), "\n".join(lines), _t4(record)) if part)


def _to_target(figures: Record) -> str:
    """Seconds to the target accuracy, and in how many of the turns where not in all."""
    seconds, turns = figures["seconds_to_target"], figures["samples_per_second"]["runs"]
    if not seconds:
        return "not reached"
    reached = "" if seconds["runs"] == turns else f", in {seconds['runs']} of {turns} turns"
    return spread(seconds, "", 0) + reached


def prediction(record: Record) -> str:
    """Ways to predict by speed, latency and agreement."""
    head = ["", "samples/s", "Featherweight is", "aimed at", "one text, p50 ms", "p99 ms", "same labels"]
    head += ["where they agree, its probability differs by at most", _memory(record)]
    rows = []
    for name, figures in record["summary"].items():
        who = record["contestants"][name]
        if not figures["samples_per_second"]:
            rows.append([who["label"], f"did not run: {figures['failed']}", *[""] * 7])
            continue
        aim = AIMS.get((record["benchmark"], record["settings"]["backbone"], name))
        same = f"{figures['agreement']:.2%}" if figures["agreement"] is not None else ""
        apart = f"{figures['largest_difference']:.1g}" if figures.get("largest_difference") else ""
        rows.append([
            f"{who['label']} ({who['note']})", spread(figures["samples_per_second"]),
            spread(figures["times_faster"], "×"), f"{aim:g}×" if aim else "",
            spread(figures["latency_p50_ms"]), spread(figures["latency_p99_ms"]), same, apart, gigabytes(figures),
        ])  # fmt: skip
    missing = "; ".join(f"{name}: {why}" for name, why in record.get("left_out", {}).items())
    return table(head, rows) + (f"\n\nNot measured: {missing}." if missing else "")


def limit(record: Record) -> str:
    """Peak, rate and share for training and prediction, and where a step's time goes."""
    precision, sums = record["summary"]["precision"], record["arithmetic"]
    head = ["", "FLOP a token", "bf16 peak, GFLOP/s", "at the median", "fp32 peak, GFLOP/s", "reached, GFLOP/s"]
    head += ["share", "aimed at"]
    rows = []
    for job in ("training", "prediction"):
        figures = record["summary"][job]
        aim = AIMS.get(("limit", record["settings"]["backbone"], job))
        keys = ("peak_bf16", "typical_bf16", "peak_fp32", "flops_per_second")
        rates = [spread(billions(figures.get(key)), "", 0) for key in keys]
        share = spread(percent(figures["share"]), "%", 0)
        rows.append([job, f"{sums[f'{job}_flops_a_token']:,}", *rates, share, f"{aim:.0%}" if aim else ""])
    text = table(head, rows)
    if record["summary"]["training"].get("typical_bf16"):
        text += "\n\nThe peak is by the best time of each product, the rate at the median by its median time."
    text += f"\n\nComputed in {precision}; {sums['linear_weights']:,} frozen weights in linear layers. {COUNTED}"
    for key, what in (("profile", "a training step's"), ("prediction_profile", "a prediction's")):
        if looked_into := operations(record.get(key)):
            text += f"\n\nWhere {what} time goes{_of_what(record[key])}:\n\n{looked_into}"
    return text


def _of_what(profile: Sequence[Record]) -> str:
    """Older profiles have no row for the time outside of operations: their shares are of what is inside."""
    return "" if any(not row["calls"] for row in profile) else ", as far as it goes to operations"


def operations(profile: Any) -> str:
    """The operations that took most time themselves; empty where none were looked into."""
    if not isinstance(profile, list):
        return ""
    rows = [
        [
            f"`{row['operation']}`" if row["calls"] else row["operation"],
            f"{row['share']:.1%}",
            f"{row['calls']:,}" if row["calls"] else "",
        ]
        for row in profile[:12]
    ]
    return table(["operation", "share", "calls"], rows)


def scale(record: Record) -> str:
    """Every axis with its points and the exponents."""
    parts = []
    for axis, figures in record["summary"].items():
        head = [axis, "samples/s", "s before the first step", "s for an epoch (computed)", "peak memory"]
        rows = []
        for point in figures["points"]:
            if point.get("failed"):
                rows.append([f"{point['size']:,}", f"did not run: {point['failed']}", "", "", ""])
                continue
            epoch = f"{point['epoch_seconds']:,.0f}" if point["epoch_seconds"] else ""
            rates = [spread(point[key]) for key in ("samples_per_second", "setup_seconds")]
            rows.append([f"{point['size']:,}", *rates, epoch, gigabytes(point)])
        kept = {key.replace("_", " "): value for key, value in figures["exponents"].items() if value is not None}
        last = {key.replace("_", " "): value for key, value in figures["last_exponents"].items()}
        fitted = "; ".join(f"{key} {value:.2f} ({last[key]:.2f})" for key, value in kept.items())
        words = f"\n\nExponents over {axis} (between the two largest): {fitted}." if fitted else ""
        parts.append(table(head, rows) + _recombined(record, axis) + words)
    return "\n\n".join(parts)


def _recombined(record: Record, axis: str) -> str:
    """Which rows are not the data's own."""
    own = sum(record["data"].get(f"{part}_rows", 0) for part in ("train", "validation"))
    if axis not in ("rows", "prediction") or own >= max(point["size"] for point in record["summary"][axis]["points"]):
        return ""
    return (
        f"\n\nThe data has {own:,} rows. Each one beyond them is made of the first half of a text and the second half "
        "of another one of its class: so many texts, but not so many things said."
    )


def startup(record: Record) -> str:
    """Seconds of each command."""
    rows = []
    for name, figures in record["summary"].items():
        aim = AIMS.get(("startup", "", name))
        seconds = f"did not run: {figures['failed']}" if figures["failed"] else spread(figures["seconds"], "", 2)
        rows.append([record["contestants"][name]["label"], seconds, f"{aim:g}" if aim else ""])
    return table(["", "seconds", "at most"], rows)


def changes(record: Record) -> str:
    """The shipped engine, and each change to it with what was expected of it."""
    head = ["", "expected, times the shipped speed", "measured", "samples/s", "peak memory"]
    rows = []
    for name, figures in record["summary"].items():
        who = record["contestants"][name]
        if figures["failed"]:
            rows.append([who["label"], who["note"], f"did not run: {figures['failed']}", "", ""])
            continue
        measured = spread(figures["against_shipped"], "", 2)
        rows.append([who["label"], who["note"], measured, spread(figures["samples_per_second"]), gigabytes(figures)])
    return table(head, rows)


def prefix(record: Record) -> str:
    """An epoch from the second on with kept states and without, and how far what was learnt is apart."""
    rows, kept = [], record["summary"]["kept"]
    for name, figures in record["summary"].items():
        times = [spread(figures[f"{key}_seconds"]) for key in ("first_epoch", "later_epoch", "evaluation")]
        rows.append([record["contestants"][name]["label"], *times, gigabytes(figures)])
    head = ["", "first epoch, s", "a later epoch, s", "an evaluation, s", "peak memory"]
    faster = [spread(kept[f"{key}_seconds_times_faster"], "×", 2) for key in ("epoch", "evaluation")]
    apart = ", ".join(f"{key} {value:.2g}" for key, value in kept["largest_difference"].items() if value is not None)
    aim = AIMS.get(("prefix", record["settings"]["backbone"], "epoch"))
    aimed = f" (aimed at {aim:g}×)" if aim else ""
    words = (
        f"A later epoch is {faster[0]} as fast{aimed}, an evaluation {faster[1]}; {kept['states_bytes'] / 1e6:,.1f} MB"
    )
    text = f"{table(head, rows)}\n\n{words} kept. Largest difference of what was learnt: {apart}."
    for name, profile in record.get("profiles", {}).items():
        if looked_into := operations(profile):
            label = record["contestants"][name]["label"]
            text += f"\n\nWhere a step's time goes from the second epoch on, {label}:\n\n{looked_into}"
    return text


SECTIONS: dict[str, Callable[[Record], str]] = {
    "train": training, "predict": prediction, "limit": limit, "scale": scale, "startup": startup, "changes": changes,
    "prefix": prefix, "gpu-train": training, "gpu-predict": prediction,
}  # fmt: skip


def _memory(record: Record) -> str:
    return "peak memory of the GPU" if record["benchmark"].startswith("gpu") else "peak memory"


def _comparison(record: Record, name: str, pair: dict[str, Any]) -> str:
    points = {key: 100 * pair[key] for key in ("difference", "low", "high")}
    p_values = ", ".join(f"{value:.2g}" for value in pair["p_values"])
    other = f"{record['contestants'][name]['label']} {pair['other_accuracy']:.2%}"
    seeds = f"{pair['seeds']} seeds" if pair["seeds"] > 1 else "one seed"
    return (
        f"Accuracy on the same {pair['rows']:,} held-out rows, {seeds}: Featherweight {pair['accuracy']:.2%}, {other}; "
        f"{points['difference']:+.2f} points, 95% {points['low']:+.2f} to {points['high']:+.2f} "
        f"(McNemar's p by seed: {p_values})."
    )


def _t4(record: Record) -> str:
    room = record.get("t4", {})
    if "largest_batch" not in room:
        return ""
    rows = record["settings"]["batch_size"]
    needed = room["bytes_at_rest"] + room["bytes_a_token"] * rows * room["max_length"]
    precision, sizes = _precision(record), sum("cuda_reserved_bytes" in point for point in room["points"])
    in_fp16 = "; a number takes as many bytes in fp16, in which a T4 computes" if precision == "bf16" else ""
    return (
        f"On a T4 ({room['capacity_bytes'] / 2**30:.0f} GiB): {room['bytes_at_rest'] / 1e9:.2f} GB at rest and "
        f"{room['bytes_a_token'] / 1e3:.0f} kB a token of a batch. So {rows} rows of {room['max_length']} tokens take "
        f"{needed / 1e9:.1f} GB, and {room['largest_batch'] or 0:,} would fit. That is a line through {sizes} sizes, "
        f"measured in {precision}{in_fp16}."
    )


def _precision(record: Record) -> str:
    return next((run["precision"] for run in record["runs"] if run.get("precision")), "the precision above")
