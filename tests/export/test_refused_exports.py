"""Runs that cannot be exported, and exports that are damaged or were changed: each is refused with its file."""

from __future__ import annotations

import errno
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused
from support.exports import Exports, as_exported

from featherweight.errors import UserError
from featherweight.export.shareable import require_shareable
from featherweight.inference.classifier import Classifier
from featherweight.workflows.export import export_run


@pytest.mark.slow
def test_damaged_exports_are_refused(run: Path, exports: Exports, tmp_path: Path) -> None:
    def spoilt(name: str, **changes: Any) -> Path:
        folder = tmp_path / name
        shutil.copytree(exports["bert", "onnx"], folder)
        content = json.loads((folder / "export.json").read_text("utf-8"))
        (folder / "export.json").write_text(json.dumps({**content, **changes}), "utf-8")
        return folder

    short, bytes_only = spoilt("short"), spoilt("bytes")
    (short / "model.onnx").write_bytes((short / "model.onnx").read_bytes()[:-100])
    size = (bytes_only / "model.onnx").stat().st_size
    (bytes_only / "model.onnx").write_bytes(b"\1" * size)
    as_exported(bytes_only, "model.onnx")
    gone = spoilt("gone")
    (gone / "tokenizer.json").unlink()
    unproved = spoilt("unproved")
    (unproved / "probes.json").unlink()
    table = [
        (unproved, "probes.json: missing; export the run again"),
        (short, "model.onnx: has .* bytes, not"),
        (bytes_only, "cannot be loaded by ONNX Runtime"),
        (gone, "tokenizer.json: missing; export the run again"),
        (spoilt("newer", format=2), "exported by a newer Featherweight"),
        (spoilt("labels", labels=["one"]), "export.json: damaged"),
        (spoilt("target", target="pickle"), "export.json: damaged"),
        (spoilt("files", files={}), "model.onnx is missing from its key 'files'"),
    ]
    for folder, words in table:
        with pytest.raises(UserError, match=words):
            Classifier.load(folder)
    with pytest.raises(UserError, match="is an export to onnx, whose precision cannot be changed; leave out precision"):
        Classifier.load(exports["bert", "onnx"], precision="bf16")


def test_what_cannot_be_exported_is_refused(cli: Cli, exports: Exports, tiny_recipe: Any, run: Path) -> None:
    linear = exports.add("linear", tiny_recipe("bert"))
    merged = exports["bert", "merged"]
    Path("taken").mkdir()
    table = [
        ([linear, "--to", "merged"], "one linear layer on the mean over the tokens, and transformers has no class"),
        ([run, "--to", "pickle"], "--to pickle: use one of merged, onnx, onnx-int8, openvino-int8"),
        ([merged, "--to", "onnx"], "is an export; name the run folder"),
        (["nowhere", "--to", "onnx"], "nowhere: not a run folder"),
        ([run, "--to", "merged", "--out", "taken"], "--out taken: exists; name a new folder"),
        ([run, "--to", "merged", "--out", "taken", "--force"], "--out taken: exists; name a new folder"),
    ]
    for words, naming in table:
        refused(cli, "export", *words, naming=naming)
    for words, naming in (
        (["evaluate", merged], "is an export, and stores no test rows; add --data FILE"),
        (["verify", merged], "is an export, which cannot be verified"),
        (["report", merged], "an export has no report"),
        (["compare", merged, run], "is an export, not a run; pass the run that it came from"),
        (["train", "--from", merged], "is an export, not a run; pass the run that it came from"),
        (
            ["predict", merged, "--text", "a", "--labels", "A,B"],
            "is an export; --labels is for folders that PEFT saved",
        ),
    ):
        refused(cli, *words, naming=naming)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("environment.json", "{", "environment.json: damaged"),
    ("environment.json", '{"label_column": {"name": "kind"}}', "environment.json: damaged"),
    ("evaluation.json", '{"validation": {"rows": "many"}}', "evaluation.json: damaged"),
    ("weigh.json", "[]", "weigh.json: damaged"),
])  # fmt: skip
def test_damaged_files_of_the_run_are_found_before_it_is_loaded(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, words: str
) -> None:
    shutil.copytree(run, "spoilt")
    Path("spoilt", name).write_text(content, "utf-8")
    monkeypatch.setattr(
        "featherweight.export.network.merged_for_export", lambda folder: pytest.fail("a model was loaded")
    )
    refused(cli, "export", "spoilt", "--to", "onnx", naming=words)


def test_a_changed_tokenizer_of_the_same_size_is_refused(exports: Exports, run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exports["bert", "onnx"], tmp_path / "copy"))
    tokenizer = folder / "tokenizer.json"
    size, text = tokenizer.stat().st_size, tokenizer.read_text("utf-8")
    tokenizer.write_text(
        text.replace('"apple"', '"\0\0"').replace('"plum"', '"apple"').replace('"\0\0"', '"plum"'), "utf-8"
    )
    assert tokenizer.stat().st_size == size and tokenizer.read_text("utf-8") != text
    with pytest.raises(UserError, match=r"tokenizer\.json: was changed after the export"):
        Classifier.load(folder)


@pytest.mark.parametrize("target", ["merged", pytest.param("onnx", marks=pytest.mark.slow)])
def test_weights_of_which_one_byte_was_changed_are_refused(
    target: str, exports: Exports, run: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exports["bert", target], tmp_path / "copy"))
    weights = folder / ("model.onnx" if target == "onnx" else "model.safetensors")
    require_shareable(folder)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    for use in (Classifier.load, require_shareable):
        with pytest.raises(UserError, match=rf"{weights.name}: was changed after the export; export the run again"):
            use(folder)


def test_a_full_disk_is_told_with_the_folder(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as the writer of an ONNX graph: without a path

    monkeypatch.setattr("featherweight.export.merged.write_merged", full)
    out = tmp_path / "new" / "out"
    with pytest.raises(UserError, match=rf"^{re.escape(str(out))}: cannot be written: No space left"):
        export_run(run, "merged", out)
    assert not list(tmp_path.iterdir())
