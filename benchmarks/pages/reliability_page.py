"""Make docs/results/reliability.md of what `reliability.py` and the fuzzing have left in benchmarks/results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pages.figures import spread, table
from reliability.killed import PLACES

Record = dict[str, Any]
INTRODUCTION = """# Reliability

Made by `python benchmarks/tables.py` from the files in `benchmarks/results`; change those, not this page. How to go on
after a crash is in the [guide](../guide/train.md#after-a-crash).
"""
KILLS = """A small run is killed by SIGKILL: at a place inside of it, while something is written, or at a moment that
chance chooses. It is resumed by `--resume`, killed again, and in the end left to finish. Then its adapter, history,
evaluation and predictions are compared, byte for byte and without the clock's readings, with those of the same run
that was left in peace."""
WAYS = {
    "place": "at a chosen place",
    "half-written": "with half of a file or a line written",
    "moment": "at a moment of chance",
}
AIMS = {
    "lost_steps": "steps or evaluations lost from the history",
    "doubled_lines": "lines doubled in the history",
    "torn_lines": "lines torn in the history",
    "other_records": "histories with other figures",
    "differing_files": "files of the result that differ",
    "differing_bytes": "bytes that differ in them",
    "half_written_files": "files found half-written under their own names",
    "leftovers": "half-written files left in a complete run",
}


def write_page(records: Sequence[Record], docs: Path) -> Path | None:
    """Write the page of whatever results are there, and return its path; None where there are none."""
    parts = [section(record) for section, record in _known(records)]
    if not parts:
        return None
    page = docs / "results" / "reliability.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    part = page.with_suffix(".part")
    part.write_text("\n\n".join(text.strip() for text in (INTRODUCTION, *parts)) + "\n", "utf-8")
    return part.replace(page)


def kills(record: Record) -> str:
    """Kills by place and way, and what they cost: which ought to be nothing."""
    found = record["summary"]
    places = [[place, f"{found['by_place'][place]:,}"] for place in PLACES if place in found["by_place"]]
    ways = ", ".join(f"{found['by_way'][way]:,} {words}" for way, words in WAYS.items() if way in found["by_way"])
    losses = [[words, f"{found[aim]:,}"] for aim, words in AIMS.items()]
    losses.append(["resumes that failed", f"{len(found['failures']):,}"])
    again = found["steps_trained_again"]
    more = (
        f"{found['kills']:,} kills ({ways}) and {found['resumes']:,} resumes of {found['runs_ended']:,} runs; "
        f"{found['mid_epoch']:,} kills came in the middle of an epoch, {found['histories_found_torn']:,} left the "
        f"history with half a line at its end. A kill cost at most {again['high']:,.0f} steps that were trained again. "
        f"On the way {found['full_disks']:,} full disks were met, and {found['second_processes']:,} second processes "
        "were refused the folder."
    )
    parts = [
        "## Kills",
        KILLS,
        more,
        table(["after all resumes", "found"], losses),
        table(["killed at", "kills"], places),
    ]
    return "\n\n".join([*parts, _footnote(record, "kills --kills " + str(record["settings"]["kills"]))])


def overhead(record: Record) -> str:
    """What checkpoints cost at the default interval, and how soon a resumed run trains again."""
    steps, seconds = (record["settings"][key] for key in ("checkpoint_steps", "checkpoint_seconds"))
    head = ["", "trained parameters", "a checkpoint", "seconds to write it", "seconds a step", "share of a run"]
    rows = [
        [name, f"{one['trainable']:,}", f"{one['bytes'] / 1e6:.1f} MB", spread(one["checkpoint_seconds"], "", 3),
         spread(one["step_seconds"], "", 2), f"{one['share']:.2%} (at most {one['worst_share']:.2%})"]
        for name, one in record["summary"].items()
    ]  # fmt: skip
    again = [
        [
            name,
            spread(one["start_seconds"], "", 1),
            spread(one["resume_seconds"], "", 1),
            spread(one["load_seconds"], "", 3),
        ]
        for name, one in record["summary"].items()
    ]
    columns = ["seconds from the command to the first step", "a new run", "a resumed run", "of it, the checkpoint"]
    words = (
        f"A checkpoint is due every {steps:,} steps or {seconds:,.0f} seconds, whichever is first; aimed at is a share "
        "of 2% at the most. Writing includes the checksum and the wait until the disk has it."
    )
    return "\n\n".join(
        ["## What checkpoints cost", words, table(head, rows), table(columns, again), _footnote(record, "overhead")]
    )


def bad_inputs(record: Record) -> str:
    """Cases of bad input by test."""
    found = record["summary"]
    words = (
        f"{found['cases']:,} cases: {found.get('passed', 0):,} passed, {found.get('failed', 0):,} failed, "
        f"{found.get('skipped', 0):,} skipped. "
        "A case, as a rule, is a command that must say in one or two lines what is "
        "wrong and where, end with exit code 2, and leave every file as it was."
    )
    outcomes = [kind for kind in ("passed", "failed", "skipped") if found.get(kind)]
    rows = [
        [run["test"].replace("test_", "").replace("_", " "), *(f"{run.get(kind, 0):,}" for kind in outcomes)]
        for run in record["runs"]
    ]
    return "\n\n".join(["## Bad inputs", words, table(["cases", *outcomes], rows), _footnote(record, "bad-inputs")])


def fuzz(record: Record) -> str:
    """Minutes, executions and finds of the fuzzing, by what was fuzzed."""
    keys = ("executions", "crashes_found", "crashes_left")
    rows = [
        [name, f"{one['seconds'] / 60:.1f}", *(f"{one[key]:,}" for key in keys)]
        for name, one in [*record["targets"].items(), ("together", record["summary"])]
    ]
    words = (
        "Bytes that coverage guides go through each reader of foreign files. Whatever comes out but what is to be "
        "read, or a refusal of a line or two, is a find; it is mended, and its bytes stay among the tests."
    )
    head = ["reader", "minutes", "executions", "finds", "not mended"]
    versions = ", ".join(f"{name} {record['versions'][name]}" for name in ("python", "atheris"))
    command = f"python tests/fuzz/run.py --minutes {record['settings']['minutes']:g}"
    made = f"<sub>`{command}`: {versions}; {record['date'][:10]}.</sub>"
    return "\n\n".join(["## Fuzzing", words, table(head, rows), made])


SECTIONS: dict[str, Callable[[Record], str]] = {
    "reliability-kills": kills, "reliability-overhead": overhead, "reliability-bad-inputs": bad_inputs,
    "reliability-fuzz": fuzz,
}  # fmt: skip


def _known(records: Sequence[Record]) -> list[tuple[Callable[[Record], str], Record]]:
    return [(section, record) for name, section in SECTIONS.items() for record in records
            if record.get("benchmark") == name]  # fmt: skip


def _footnote(record: Record, command: str) -> str:
    machine, versions = record["machine"], record["versions"]
    shown = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "transformers", "peft"))
    load = f"load {machine['load_before']} before and {machine['load_after']} after"
    busy = "; the machine was shared" if max(machine["load_before"], machine["load_after"]) > machine["cores"] else ""
    return (
        f"<sub>`python benchmarks/reliability.py {command}`: {machine['processor']}, {machine['cores']} cores, {load}"
        f"{busy}; {shown}; commit {record.get('commit')}; {record['date'][:10]}.</sub>"
    )
