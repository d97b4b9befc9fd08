"""What is fuzzed: every reader of foreign files, each as a function of bytes.

A reader takes them, or refuses them by a UserError of a line or two. Anything else that comes out is a find.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from featherweight.errors import UserError

MOST_LINES = 2
CONFIG = {
    "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
    "vocab_size": 20, "max_position_embeddings": 16, "id2label": {"0": "no", "1": "yes"},
}  # fmt: skip
NAME = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_"
HEAD = {"base_model.model.classifier.weight": [2, 8], "base_model.model.classifier.bias": [2]}
LORA = {**HEAD, f"{NAME}A.weight": [1, 8], f"{NAME}B.weight": [8, 1]}
OWN = {"head.out.weight": [2, 8], "head.out.bias": [2]}


@cache
def workplace() -> Path:
    """A folder of this process alone."""
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def clean_up() -> None:
    """Remove what the targets have written."""
    shutil.rmtree(workplace(), ignore_errors=True)


def read_recipe(data: bytes) -> None:
    """A recipe file; one that is taken must come through TOML and back unchanged."""
    import tomllib

    from featherweight.recipe import Recipe

    path = workplace() / "mine.toml"
    path.write_bytes(data)
    recipe = Recipe.load(path)
    assert Recipe.parse(tomllib.loads(recipe.to_toml())) == recipe


def read_overrides(data: bytes) -> None:
    """Overrides on the command line, one a line, over a built-in recipe."""
    from featherweight.recipe import Recipe
    from featherweight.recipe.overrides import apply_override

    values = copy.deepcopy(_r1())
    for override in data.decode("utf-8", "surrogateescape").split("\n")[:8]:
        apply_override(values, override, Recipe)
    Recipe.parse(values)


def read_delimited(data: bytes) -> None:
    """CSV and TSV; the first byte says which, and whether it is an unlabelled file."""
    _read_rows(".tsv" if data[:1] > b"\x80" else ".csv", data)


def read_headerless(data: bytes) -> None:
    """Tables whose columns the recipe names, in an encoding that the first byte chooses."""
    encoding = [None, "cp1252", "utf-16", "gb18030"][data[0] % 4 if data else 0]
    _read_rows(".csv", data, columns=("label", "text"), encoding=encoding)


def read_lines(data: bytes) -> None:
    """Files whose kind only the content tells; the first byte says whether a format is named."""
    formats = ["auto", "fasttext", "text@label", "lines"]
    _read_rows(".txt" if data[:1] < b"\xf0" else "", data, format=formats[data[0] // 2 % 4 if data else 0])


def read_zip(data: bytes) -> None:
    """A zip archive, or a file of any kind in a sound one; the first byte says which."""
    import zipfile

    if data[:1] < b"\x80":
        _read_rows(".zip", data[:1] + b"PK\x03\x04" + data[1:])
        return
    path = workplace() / "sound.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(["rows.csv", "rows.jsonl", "rows.txt", "rows.parquet"][data[0] % 4], data[1:])
    _read_rows(".zip", data[:1] + path.read_bytes())


def read_excel(data: bytes) -> None:
    """A workbook whose sheet or strings are foreign XML."""
    import io
    import zipfile

    foreign = ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"][data[0] % 3 if data else 0]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_workbook())) as sound, zipfile.ZipFile(out, "w") as archive:
        for name in sound.namelist():
            archive.writestr(name, data[1:] if name == foreign else sound.read(name))
    _read_rows(".xlsx", data[:1] + out.getvalue())


def read_folder(data: bytes) -> None:
    """A folder of texts, one of which is foreign."""
    from featherweight.data.sources import read_rows
    from featherweight.recipe import DataRecipe

    folder = workplace() / "texts"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "1.txt").write_text(f"text {name}")
    (folder / "a" / "2.txt").write_bytes(data)
    rows = read_rows(str(folder), DataRecipe())
    assert len(rows) == 3 and rows.label_names == ("a", "b")
    "".join(rows.texts).encode()


def read_json(data: bytes) -> None:
    """JSON and JSON Lines."""
    _read_rows(".json" if data[:1] > b"\x80" else ".jsonl", data)


def read_nested(data: bytes) -> None:
    """JSON whose texts and labels are inside others."""
    _read_rows(".json" if data[:1] > b"\x80" else ".jsonl", data, text=("data.text",), label="a.0.label")


def guess_columns(data: bytes) -> None:
    """Rows of any values, in which the columns of texts and labels are looked for."""
    from featherweight.workflows.own_data import draft_recipe

    path = workplace() / "mine.jsonl"
    path.write_bytes(data[1:])
    draft = draft_recipe(str(path), ["task=multi-label"] if data[:1] > b"\x80" else [])
    assert draft.recipe.data.text
    draft.to_toml().encode()


def read_label_lists(data: bytes) -> None:
    """Rows with several labels: lists, texts with separators, or columns of 0 and 1; the first byte says which."""
    from featherweight.data.label_lists import cell_of, code_label_lists
    from featherweight.data.sources import read_rows
    from featherweight.recipe import Recipe

    kind = data[0] % 3 if data else 0
    path = workplace() / ("several.csv" if kind else "several.jsonl")
    path.write_bytes(data[1:])
    values: dict[str, Any] = {"label": ["a", "b"]} if kind == 2 else {}
    rows = read_rows(str(path), Recipe.parse({"task": "multi-label", "data": values}).data)
    assert rows.labels is not None and rows.labels.shape == (len(rows.texts), len(rows.label_names))
    assert set(rows.labels.ravel().tolist()) <= {0, 1}
    if kind < 2 and rows.labels.any():  # what a prediction writes must be read again as the same labels
        cells = [cell_of(labels, rows.label_names) for labels in rows.names_of(rows.labels)]
        again, _ = code_label_lists(cells, "again", names=rows.label_names)
        assert again.tolist() == rows.labels.tolist()


def read_compressed(data: bytes) -> None:
    """Bytes that claim to be gzip or zstd, whatever the name says."""
    magic = b"\x1f\x8b\x08" if data[:1] > b"\x80" else b"\x28\xb5\x2f\xfd"
    _read_rows(".csv.gz", data[:1] + magic + data[1:])


def _read_rows(ending: str, data: bytes, **values: Any) -> None:
    from featherweight.data.sources import read_rows
    from featherweight.recipe import DataRecipe

    path = workplace() / f"rows{ending}"
    path.write_bytes(data[1:])
    labelled = not data[:1] or data[0] % 2 == 0
    rows = read_rows(str(path), DataRecipe(**values), labelled=labelled)
    assert len(rows.texts) > 0
    assert all(text.strip() for text in rows.texts)
    assert rows.labels is None or (rows.labels.min() >= 0 and rows.labels.max() < len(rows.label_names))
    "".join([*rows.texts, *rows.label_names, *(rows.ids or ())]).encode()


def read_sample(data: bytes) -> None:
    """A contest's sample submission; the first byte says which ending it has, and how the labels were written."""
    from featherweight.inference.submission.matching import layout_like
    from featherweight.inference.submission.sample import read_sample
    from featherweight.inference.submission.trained_labels import TrainedLabels

    path = workplace() / ("sample.jsonl" if data[:1] > b"\x80" else "sample.csv")
    path.write_bytes(data[1:])
    written = [("no", "yes"), ("-1", "0", "1"), ("1.0", "2.0"), ("True", "False")][data[0] % 4 if data else 0]
    found = read_sample(path, lambda names: names[0])
    layout, notes = layout_like(found, TrainedLabels(written, written, "label"))
    assert sorted(layout.columns) == sorted({layout.id_column, *found.other_columns})
    assert bool(layout.shares) != (len(layout.values) == len(written))
    "".join([*layout.columns, *layout.values, *notes]).encode()


def read_adapter(data: bytes) -> None:
    """A saved adapter: one of its files is foreign. The first byte says which; numbers are never read."""
    from featherweight.adapter.storage import Backbone, check_adapter, read_description
    from featherweight.backbone.resolve import config_of
    from featherweight.recipe import Recipe

    folder = _folder("adapter", OWN, "head.safetensors")
    description = {"format": 1, "labels": ["no", "yes"], "temperature": 1.0, "backbone_sha256": None}
    recipe = Recipe.parse({"adapter": {"lora": []}, "backbone": {"name": str(_base())}}).to_toml()
    (folder / "featherweight.json").write_text(json.dumps(description))
    (folder / "recipe.toml").write_text(recipe)
    _make_foreign(folder, ["head.safetensors", "adapter_model.safetensors", "featherweight.json", "recipe.toml"], data)
    labels = read_description(folder)["labels"]
    recipe_read = Recipe.load(folder / "recipe.toml")
    config = config_of(recipe_read.backbone)
    check_adapter(folder, recipe_read, Backbone("base", _base(), config, "folder", None), labels)


def read_peft(data: bytes) -> None:
    """A folder that PEFT saved: one of its files is foreign."""
    from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder

    folder = _folder("peft", LORA, "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": str(_base()), "r": 1,
                "lora_alpha": 2, "target_modules": ["query"], "modules_to_save": ["classifier"]}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    _make_foreign(folder, ["adapter_config.json", "adapter_model.safetensors", "config.json"], data)
    assert is_peft_folder(folder)
    read_peft_folder(folder)


def read_backbone(data: bytes) -> None:
    """A backbone's config.json, or an index of its weights; the first byte says which."""
    from featherweight.backbone.describe import architecture_of, architecture_without_roles
    from featherweight.backbone.folder import read_config, weight_files

    folder = workplace() / "backbone"
    folder.mkdir(exist_ok=True)
    (folder / "model-1.safetensors").touch()
    path = _make_foreign(folder, ["config.json", "model.safetensors.index.json"], data)
    if path.name != "config.json":
        assert all(file.parent == folder for file in weight_files(folder))
        return
    config = read_config(folder)
    # Other families are looked at through transformers, whose own code is no aim here.
    if config.get("model_type") in ("bert", "roberta", "distilbert", "mpnet", "deberta-v2", "electra", "modernbert"):
        architecture_of(config).head_parameters(2)
        architecture_without_roles(config)


def read_run(data: bytes) -> None:
    """A run folder's JSON files and history; the first byte says which is foreign."""
    from featherweight.run.folder import Run, read_history, read_json

    folder = workplace() / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "recipe.toml").write_text("seed = 1\n")
    names = ["history.jsonl", "evaluation.json", "environment.json", "weigh.json", "verification.json"]
    path = _make_foreign(folder, names, data)
    if path.name == "history.jsonl":
        assert all(isinstance(record["step"], int) for record in read_history(path))
    else:
        Run(folder)
        assert isinstance(read_json(path), dict)


def read_request(data: bytes) -> None:
    """The body of a request to the server, of each kind, and the parts of a text that is explained."""
    from support.served import FakeModel

    from featherweight.serving.explain import spans_of, without
    from featherweight.serving.limits import Limits
    from featherweight.serving.refusals import Refusal
    from featherweight.serving.schemas import read, request_models

    pairs, explained = divmod(data[0] if data else 0, 2)
    schemas = request_models(FakeModel(("premise", "hypothesis") if pairs % 2 else None), Limits())
    try:
        asked: Any = read(schemas[explained], data[1:])
        if explained:
            text = tuple(asked.text) if pairs % 2 else asked.text
            for span in spans_of(text, Limits()):
                side = text[span.side] if pairs % 2 else text
                assert side[span.start : span.end].strip() and without(text, span) != text
    except Refusal as refusal:
        assert refusal.status_code in (400, 422)
        raise UserError(str(refusal.detail)) from None


TARGETS: dict[str, Callable[[bytes], None]] = {
    "recipe": read_recipe,
    "overrides": read_overrides,
    "delimited": read_delimited,
    "headerless": read_headerless,
    "lines": read_lines,
    "zip": read_zip,
    "excel": read_excel,
    "folder": read_folder,
    "json": read_json,
    "nested": read_nested,
    "columns": guess_columns,
    "label_lists": read_label_lists,
    "compressed": read_compressed,
    "sample": read_sample,
    "adapter": read_adapter,
    "peft": read_peft,
    "backbone": read_backbone,
    "run": read_run,
    "request": read_request,
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


def _make_foreign(folder: Path, names: list[str], data: bytes) -> Path:
    path = folder / names[data[0] % len(names) if data else 0]
    content = data[1:]
    if path.suffix == ".safetensors" and data[:1] < b"\x80":
        # A length that fits the header, most of the time: no chance finds it by itself.
        content = struct.pack("<Q", len(content)) + content + bytes(400)
    path.write_bytes(content)
    return path


def _folder(name: str, tensors: dict[str, list[int]], file: str) -> Path:
    """An empty folder but for one file of tensors."""
    folder = workplace() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / file).write_bytes(safetensors(tensors))
    return folder


def safetensors(tensors: dict[str, list[int]]) -> bytes:
    """A file of these names and shapes, all numbers zero."""
    entries, offset = {}, 0
    for name, shape in tensors.items():
        size = 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


@cache
def _workbook() -> bytes:
    import io

    import openpyxl

    book = openpyxl.Workbook()
    for row in (["text", "label"], ["one", "a"], ["two", 2]):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@cache
def _r1() -> dict[str, Any]:
    from featherweight.recipe.loading import read_recipe

    return read_recipe("r1")[1]


@cache
def _base() -> Path:
    folder = workplace() / "base"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder
