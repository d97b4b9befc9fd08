"""Texts in the shape of long abstracts: what their class is stands in the last sentence alone."""

from __future__ import annotations

import json
from pathlib import Path

TOPICS = {
    "physics": "quark boson lepton meson",
    "biology": "protein genome enzyme tissue",
    "law": "court statute appeal judge",
}
_FILLER = "we study the results of this work and show that it holds for many cases in general"


def abstracts(rows: int, before: int = 0, words: int = 30) -> list[tuple[str, str]]:
    """Text and topic of each row; ``before`` rows of the endless list are passed over."""
    found, fillers = [], _FILLER.split()
    for number in range(before, before + rows):
        topic = list(TOPICS)[number % len(TOPICS)]
        own = TOPICS[topic].split()
        filler = [fillers[(number * 3 + place * (1 + number % 5)) % len(fillers)] for place in range(words)]
        ending = [own[(number + place) % len(own)] for place in range(12)]
        found.append((" ".join([*filler, *ending]), topic))
    return found


def write_abstracts(path: Path, rows: int, before: int = 0) -> str:
    """A file of JSON Lines with such rows."""
    lines = (json.dumps({"text": text, "label": topic}) for text, topic in abstracts(rows, before))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)
