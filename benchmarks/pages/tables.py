"""Figures of results in words and tables of Markdown: what the templates call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]
_PADDING_OF_A_LONG_RUN = 0.1
_UNEVEN = 1.5  # times the least share is the greatest one, where a machine is too uneven for any conclusion from it


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without the columns that are empty everywhere; figures stand on the right."""
    shown = [place for place in range(len(head)) if place == 0 or any(row[place] for row in rows)]
    lines = [[head[place] for place in shown], ["---", *["---:"] * (len(shown) - 1)]]
    lines += [[row[place].replace("|", "\\|") for place in shown] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(figures: Record | None, unit: str = "", digits: int | None = None, scale: float = 1) -> str:
    """Median with least and greatest in brackets, where there were several runs; empty where there was none."""
    if not figures:
        return ""
    median, low, high = (scale * figures[key] for key in ("median", "low", "high"))
    places = digits
    if places is None:
        places = 0 if median >= 100 else 1
    text = f"{median:,.{places}f}{unit}"
    return f"{text} ({low:,.{places}f}–{high:,.{places}f})" if figures["runs"] > 1 else text


def gigabytes(figures: Record) -> str:
    """Peak memory in GB: the device's where one was used, else the process's."""
    peak = figures.get("device_memory_bytes") or figures.get("peak_memory_bytes")
    return f"{peak['median'] / 1e9:.2f} GB" if peak else ""


def did_not_run(label: str, figures: Record, columns: int) -> list[str]:
    """The row of a competitor without figures, with the reason."""
    return [label, f"did not run: {figures['failed']}", *[""] * (columns - 2)]


def to_target(figures: Record) -> str:
    """Seconds to the target accuracy, and in how many of the turns where not in all."""
    seconds, turns = figures["seconds_to_target"], figures["samples_per_second"]["runs"]
    if not seconds:
        return "not reached"
    reached = "" if seconds["runs"] == turns else f", in {seconds['runs']} of {turns} turns"
    return spread(seconds, "", 0) + reached


def operations(profile: Any) -> str:
    """The operations that took most time themselves; empty where none were profiled."""
    if not isinstance(profile, list):
        return ""
    rows = [
        [f"`{row['operation']}`", f"{row['share']:.1%}", f"{row['calls']:,}"]
        if row["calls"]
        else [row["operation"], f"{row['share']:.1%}", ""]
        for row in profile[:12]
    ]
    return table(["operation", "share", "calls"], rows)


def is_of_a_weak_peer(record: Record) -> bool:
    """Whether the tuned Trainer of a training's result padded more than it would on all rows of the data."""
    padding = record["summary"].get("tuned", {}).get("padding_share")
    return bool(padding) and padding["median"] > _PADDING_OF_A_LONG_RUN


def aim_row(label: str, aim: float, times: Record | None, share: Record | None) -> list[list[str]]:
    """What a ratio aimed at would take of the peak, if the ratio grew with the share of it: a row, or none.

    None where ratio or share is not measured, or the share came out very different from turn to turn.
    """
    if not times or not share or share["high"] > _UNEVEN * share["low"]:
        return []
    ratio, reached = times["median"], share["median"]
    return [[label, f"{ratio:.1f}×", f"{reached:.0%}", f"{aim:g}×", f"{reached * aim / ratio:.0%}"]]


def footnote(record: Record) -> str:
    """Machine, versions, seeds, data, settings, command and date in one small paragraph."""
    machine, data = record["machine"], record["data"]
    counts = ", ".join(f"{value:,} {key.replace('_', ' ')}" for key, value in data.items() if isinstance(value, int))
    shell = ", ".join(f"{key}={value}" for key, value in machine.get("environment", {}).items())
    versions = _named(record["versions"], ("torch", "transformers", "peft"))
    settings = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in record["settings"].items())
    device = f", {record['device_name']}" if "device_name" in record else ""
    command = f"; made by `{record['command']}`" if "command" in record else ""
    return (
        f"<sub>[{record['name']}](../../benchmarks/results/{record['machine_folder']}/{record['name']}.json): "
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])}){device}, "
        f"load {machine['load_before']} before; {versions}{'; ' + shell if shell else ''}; "
        f"data {data['name']}{': ' + counts if counts else ''}; seeds {_plain(record['seeds'])}; {settings}{command}; "
        f"commit {record.get('commit')}; {record['date'][:10]}.</sub>"
    )


def footnote_in_short(record: Record, command: str) -> str:
    """Command, machine, how busy it was, versions and date, for results without settings worth telling."""
    machine = record["machine"]
    busy = "; the machine was shared" if max(machine["load_before"], machine["load_after"]) > machine["cores"] else ""
    return (
        f"<sub>`python benchmarks/run.py {command}`: {machine['processor']}, {machine['cores']} cores, "
        f"load {machine['load_before']} before and {machine['load_after']} after{busy}; "
        f"{_named(record['versions'], ('python', 'torch', 'transformers', 'peft'))}; commit {record.get('commit')}; "
        f"{record['date'][:10]}.</sub>"
    )


def _named(versions: Record, shown: Sequence[str]) -> str:
    return ", ".join(f"{key} {versions[key]}" for key in shown if key in versions)


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
