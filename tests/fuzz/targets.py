"""What is fuzzed: every reader of foreign files, each as a function of bytes.

A reader takes them, or refuses them by a UserError of a line or two. Anything else that comes out is a find.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzz import data_targets, model_targets, recipe_targets

from featherweight.errors import UserError

MOST_LINES = 2
TARGETS: dict[str, Callable[[bytes], None]] = {
    "recipe": recipe_targets.read_recipe,
    "overrides": recipe_targets.read_overrides,
    "delimited": data_targets.read_delimited,
    "headerless": data_targets.read_headerless,
    "lines": data_targets.read_lines,
    "zip": data_targets.read_zip,
    "excel": data_targets.read_excel,
    "folder": data_targets.read_folder,
    "shards": data_targets.read_shards,
    "json": data_targets.read_json,
    "nested": data_targets.read_nested,
    "annotations": data_targets.read_annotations,
    "columns": data_targets.guess_columns,
    "label_lists": data_targets.read_label_lists,
    "compressed": data_targets.read_compressed,
    "sample": data_targets.read_sample,
    "adapter": model_targets.read_adapter,
    "peft": model_targets.read_peft,
    "backbone": model_targets.read_backbone,
    "export": model_targets.read_exported,
    "run": model_targets.read_run,
    "request": model_targets.read_request,
}


def find_in(target: str, data: bytes) -> str | None:
    """What came out of ``target`` for ``data`` that must not: its kind and place; None where all is well."""
    import traceback

    try:
        TARGETS[target](data)
    except UserError as error:
        lines = str(error).split("\n")
        bearable = 1 <= len(lines) <= MOST_LINES and all(line.strip() and len(line) < 700 for line in lines)
        return None if bearable else f"a message of {len(lines)} lines or {len(str(error)) // 700 * 700} letters"
    except Exception as error:
        places = [frame for frame in traceback.extract_tb(error.__traceback__) if "featherweight" in frame.filename]
        place = f"{Path(places[-1].filename).name}:{places[-1].lineno}" if places else "?"
        return f"{type(error).__name__} at {place}"
    return None
