"""Messages for files of published formats that are not read, each with the line of Python that makes a CSV of it.

The formats are SNIPS (JSON), Rasa NLU (YAML) and Reuters-21578 (SGML).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featherweight.data.readers.conversion import YAML, free_name
from featherweight.data.readers.unpacking import Content

SGML = frozenset({".sgm", ".sgml"})
"""Extensions of SGML files."""
_RASA = re.compile(r"^nlu:\s*(?:#.*)?\n(?:\s*(?:#.*)?\n)*\s*- (?:intent|synonym|regex|lookup):", re.MULTILINE)
_REUTERS = b"<REUTERS"
_DOCTYPE = b"<!doctype lewis"


def of_snips(value: Mapping[str, Any], path: Path, origin: str) -> str | None:
    """The message for a file of SNIPS, whose JSON object is ``value``; None for any other object."""
    intents = value.get("intents")
    if value and all(map(_are_utterances, value.values())):
        inside, utterances = "", "found"
    elif isinstance(intents, Mapping) and intents and all(map(_has_utterances, intents.values())):
        inside, utterances = '["intents"]', 'found["utterances"]'
    else:
        return None
    files = f'for name in sys.argv[2:] for label, found in json.load(open(name, encoding="utf-8")){inside}.items()'
    rows = f'("".join(part["text"] for part in one["data"]), label) {files} for one in {utterances}'
    more = "; add the files of the other intents at its end" if len(value) == 1 else ""
    what = f"is a file of SNIPS, with each text in parts; convert it to CSV{more}"
    return f"{origin}: {what}:\n  {_line('json', rows, path)}"


def _are_utterances(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_utterance, value))


def _has_utterances(value: Any) -> bool:
    return isinstance(value, Mapping) and _are_utterances(value.get("utterances"))


def _is_utterance(value: Any) -> bool:
    parts = value.get("data") if isinstance(value, Mapping) else None
    return isinstance(parts, list) and bool(parts) and all(map(_has_text, parts))


def _has_text(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


def of_published(content: Content, ending: str) -> str | None:
    """The message for a file of Rasa NLU or of SGML with the extension ``ending``; None for any other file."""
    head = content.head()
    if ending in SGML or head.lstrip().lower().startswith(_DOCTYPE):
        return _of_sgml(head, content.path, content.origin, ending)
    if ending in YAML and _RASA.search(head.decode("utf-8", "replace").replace("\r\n", "\n")):
        return _of_rasa(content.path, content.origin)
    return None


def _of_rasa(path: Path, origin: str) -> str:
    # Examples are a text with a line for each, or objects; entities are marked as [Berlin](city) or [Berlin]{...}.
    lines = 'one["examples"].splitlines() if isinstance(one["examples"], str) else [x["text"] for x in one["examples"]]'
    text = r're.sub(r"^- +|\[([^]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", line.strip())'
    every = 'for name in sys.argv[2:] for one in yaml.safe_load(open(name, encoding="utf-8"))["nlu"] if "intent" in one'
    rows = f'({text}, one["intent"]) {every} for line in ({lines}) if line.strip()'
    first = "is training data of Rasa NLU; convert it to CSV (pip install pyyaml first)"
    return f"{origin}: {first}:\n  {_line('re, yaml', rows, path)}"


def _of_sgml(head: bytes, path: Path, origin: str, ending: str) -> str:
    if _REUTERS not in head:
        return f"{origin}: {ending} files (SGML) cannot be read; save its texts and labels as CSV"
    text = 're.sub("<[^>]*>|&#[0-9]+;", " ", re.search("<TEXT.*</TEXT>", one, re.S)[0])'
    topics = '"|".join(re.findall("<D>(.*?)</D>", re.search("<TOPICS>.*", one)[0]))'
    every = 'for name in sys.argv[2:] for one in open(name, encoding="latin-1").read().split("<REUTERS")[1:]'
    rows = f'(" ".join(html.unescape({text}).split()), {topics}, re.search("LEWISSPLIT=.([A-Z-]+)", one)[1]) {every}'
    first = "is a file of Reuters-21578 (SGML), with several topics a text; convert it to CSV"
    line = _line("html, re", rows, path, '("text", "label", "split")')
    return f"{origin}: {first}; add further files at its end:\n  {line}"


def _line(modules: str, rows: str, path: Path, header: str = '("text", "label")') -> str:
    """The command that writes ``rows`` of the file ``path`` to a CSV; in it, ``rows`` is a comprehension."""
    write = 'csv.writer(open(sys.argv[1], "w", newline="", encoding="utf-8")).writerows'
    code = f"import csv, {modules}, sys; {write}([{header}, *({rows})])"
    return shlex.join(["python", "-c", code, str(free_name(path)), str(path)])
