"""Where the fuzzing of each target begins: inputs that are right, or nearly so, and words that chance would miss."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile

from fuzz.workplace import CONFIG, EXPORTED, LORA, OWN, TOKENIZER, export_description, safetensors

FIGURES = {
    "rows": 2, "accuracy": 0.5, "accuracy_interval": [0.1, 0.9], "macro_f1": 0.5,
    "per_class": [{"label": name, "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 1} for name in "ab"],
    "confusion_matrix": [[1, 0], [1, 0]], "log_loss": 0.7, "log_loss_scaled": 0.7, "calibration_error": 0.1,
    "calibration_error_scaled": 0.1, "temperature": 1.0,
    "reliability": [{"rows": 2, "confidence": 0.5, "accuracy": 0.5, "interval": [0.1, 0.9]}],
}  # fmt: skip
STEP = {"kind": "step", "step": 1, "epoch": 0.5, "loss": 0.7, "accuracy": 0.5, "rows": 8, "tokens": 90, "seconds": 0.1}
JUDGED = {"kind": "evaluation", "step": 1, "split": "validation", "loss": 0.7, "accuracy": 0.5, "seconds": 0.1}
RECIPE = """name = "mine"
budget = "100k"
[data]
train = "rows.csv"
text = ["title", "body"]
labels = ["a", "b"]
validation_size = 0.2
[adapter]
lora = [{roles = ["query", "value"], layers = "0,2-5", rank = 8, alpha = 16}]
bias = "lora"
[training]
epochs = 1.5
class_weights = [1.0, 2.0]
trackers = ["tensorboard"]
[evaluation]
shift = ["perturbed:typos"]
"""
PEFT = {
    "peft_type": "LORA", "task_type": "SEQ_CLS", "r": 1, "lora_alpha": 2, "target_modules": ["query"],
    "modules_to_save": ["classifier"], "rank_pattern": {"query": 1}, "base_model_name_or_path": "roberta-base",
}  # fmt: skip


def text_of(values: object) -> bytes:
    """Values as JSON."""
    return json.dumps(values).encode()


def header_of(tensors: dict[str, list[int]]) -> bytes:
    """The header of a safetensors file, without its length and its numbers."""
    content = safetensors(tensors)
    (size,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + size]


def zipped(name: str, content: bytes) -> bytes:
    """A zip archive of one file, of the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


_MAIN = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
SHEET = (
    b"<worksheet " + _MAIN + b'><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c><c r="B1" '
    b't="inlineStr"><is><t>label</t></is></c></row><row r="2"><c r="A2"><v>1</v></c><c r="B2" t="b"><v>1</v></c></row>'
    b'<row r="3"><c r="A3"><v>2</v></c><c r="B3" t="b"><v>0</v></c></row></sheetData></worksheet>'
)
STRINGS = (
    b"<sst "
    + _MAIN
    + b">"
    + b"".join(b"<si><t>%s</t></si>" % text for text in (b"text", b"label", b"one", b"a", b"two"))
    + b"</sst>"
)
CSV = b'text,label,ID\n"one, two",a,1\n"say ""three""",b,2\n'
ROWS = [{"text": "one", "label": "a"}, {"text": "two", "label": 1, "id": None}]
PAIRS = [["one two", "a"], ["three four", "b"], ["five six", "a"]]
NOTES = [{"title": f"the title {n}", "note": f"the note of day {n}", "kind": "xy"[n % 2], "at": [n]} for n in range(6)]
LISTS = [{"body": f"a body of text {n}", "tags": ["a", "b"][: n % 3], "bad": n % 2, "meta": {"n": n}} for n in range(6)]
TASKS = [
    {"id": n, "data": {"text": f"a text {n}"}, "annotations": [
        {"was_cancelled": n == 3, "result": [{"from_name": "a", "value": {"choices": ["xyz"[n % 3]]}}]}]}
    for n in range(9)
]  # fmt: skip
ANSWERS = [
    {
        "text": f"a text {n}",
        "options": [{"id": 1, "text": "a"}],
        "accept": [1, 2][: n % 3],
        "answer": "accept",
        "_task_hash": n,
    }
    for n in range(6)
]
DESCRIPTION = {"format": 1, "labels": ["no", "yes"], "temperature": 1.5, "backbone_sha256": "0" * 64}
EXPORT = export_description(EXPORTED)
PROBES = {"ids": [[1] * 8, [1, 1], [2, 1, 3, 1]], "logits": [[0.0, 0.0]] * 3,
          "texts": ["Stocks fell 3.5% after the bank's forecast.", "naïve Größe", "it scored twice!"]}  # fmt: skip
ADAPTED = {"source": {"name": "minilm", "sha256": None}, "texts": {"rows": 9, "held_out": 1, "fingerprint": "0"},
           "epochs": 3.0, "steps": 9, "seed": 0, "loss_before": 2.5, "loss_after": 1.5}  # fmt: skip
SEEDS: dict[str, list[bytes]] = {
    "recipe": [RECIPE.encode(), b"seed = 1\n", b"\xef\xbb\xbf[adapter.lora]\nrank = 4\n", b'[data]\ntrain = """a"""\n'],
    "overrides": [b"training.epochs=2\nbudget=1M", b"adapter.lora.0.rank=4\ndata.test=", b'data.text=["a", "b"]'],
    "delimited": [b"\0" + CSV, b"\xfe" + CSV.replace(b",", b"\t"), b"\0" + b'3,"a","b"\n4,"c","d"\n', b"\x01" + CSV,
                  b'\0text,label\n"a \\"b\\", c",x\n"d",y\n', b"\0May\n\n" + CSV],
    "headerless": [b"\0a,one\nb,two\n", b"\x04label;text\na;caf\xe9\n", b"\x02" + "a,one\nb,two\n".encode("utf-16"),
                   b"\0sep=|\n# note\na|one\nb|two\n"],
    "lines": [b"\0__label__a one\n__label__b __label__c two\n", b"\x04one@a\ntwo @ b\n", b"\x01one\ntwo, three\n",
              b"\xf0text\tlabel\none\ta\n", b"\x02__label__a one\n",
              b"\0" + b"0 one two\n1 three four\n" * 4, b"\0" + b"a B-LOC\nb O\n" * 3],
    "zip": [b"\x00" + zipped("rows.csv", CSV)[4:], b"\x80" + CSV, b"\x81" + text_of({"text": "a", "label": "b"})],
    "excel": [b"\0" + SHEET, b"\x01" + STRINGS],
    "folder": [b"one", "größe".encode(), "größe".encode("latin-1"), "größe".encode("utf-16")],
    "shards": [b"\xfe" + CSV, b"\xfetext,label\ntwo,b\n", b"\0" + text_of({"text": "two", "label": "b"}),
               b"\0" + text_of({"label": "b", "note": 1})],
    "json": [b"\xfe" + text_of({"a b": "x", "c d": "x", "e f": "x", "g h": "y", "i j": "y", "k l": "y"}),
             b"\xfe" + text_of({"x": ["a b", "c d"], "y": ["e f"]}),
             b"\xfe" + text_of({"data": ROWS}), b"\xfe" + text_of({"val": PAIRS, "train": PAIRS, "test": []}),
             b"\xfe" + text_of({"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 2}}),
             b"\xfe" + text_of({"columns": ["text", "label"], "index": [3], "data": PAIRS}),
             b"\xfe" + text_of(ROWS[0]) * 2, b"\xfe" + text_of(PAIRS), b"\xfe" + text_of({"a": {"text": "b"}}),
             b"\xfe" + text_of(ROWS), b"\0" + b"\n".join(map(text_of, ROWS)), b"\0" + text_of({"text": "\U0001f600"})],
    "nested": [b"\xfe" + text_of([{"data": {"text": "one"}, "a": [{"label": name}]} for name in "xyx"]),
               b"\0" + text_of({"data": {"text": "one", "b": [[1]]}, "a": {"0": {"label": ["x"]}}})],
    "annotations": [b"\0" + text_of({"id": 1, "fields": {"text": "one"}, "responses": {"mood": [{"value": "a"}]}}),
                    b"\0" + text_of({"messages": [{"role": "user", "content": "t"}, {"role": "gpt", "content": "a"}]}),
                    b"\xfe" + text_of(TASKS), b"\0" + b"\n".join(map(text_of, ANSWERS)),
                    b"\0" + b"\n".join(text_of({**row, "label": "a"}) for row in ANSWERS),
                    b"\xfe" + text_of([{"text": f"t {n}", "k": {"choices": ["a", "b"][: n % 3]}} for n in range(6)]),
                    b"\xfe" + text_of([{"text": f"t {n}", "k": [{"id": 1, "name": "a"}]} for n in range(6)])],
    "columns": [b"\0" + b"\n".join(map(text_of, NOTES)), b"\xff" + b"\n".join(map(text_of, LISTS))],
    "label_lists": [b"\0" + b"\n".join(text_of({"text": f"t {n}", "label": ["a", "b"][: n % 3]}) for n in range(6)),
                    b"\0" + b"\n".join(text_of({"text": f"t {n}", "label": [n % 2, 1, 0]}) for n in range(4)),
                    b"\x01text,label\none,a|b\ntwo,b\nthree,\n", b"\x01text,label\none,\"['a', 'b']\"\ntwo,[]\n",
                    b"\x01text,label\none,\"a, b\"\ntwo,b\n", b"\x02text,a,b\none,0,1\ntwo,True,false\n"],
    "compressed": [b"\0" + gzip.compress(CSV, mtime=0)[3:], b"\x01" + gzip.compress(b"", mtime=0)[3:],
                   b"\x04" + bz2.compress(CSV)[3:], b"\x06" + lzma.compress(CSV)[6:], b"\x80" + CSV, b"\x94" + CSV,
                   b"\x8a" + text_of(ROWS[0]) + b"\n" + text_of(ROWS[1])],
    "export": [b"\0" + text_of(EXPORT), b"\0" + text_of({**EXPORT, "format": 2, "thresholds": [0.5]}),
               b"\1" + text_of(PROBES), b"\1" + text_of({**PROBES, "ids": [[1], [2, 3], []]}),
               b"\1" + text_of({**PROBES, "logits": [[0.0], [1.0, -1.0], []]}), b"\2" + text_of(TOKENIZER)],
    "sample": [b"\0id,kind\n7,yes\n8,no\n", b"\x01tweetid;mood\n1;0\n2;-1\n", b"\x02id,p_1,p_2\na,0.5,0.5\n",
               b"\x03id,true\n1,0.5\n", b"\x84" + text_of({"id": 1, "kind": "no"})],
    "adapter": [b"\0" + header_of(OWN), b"\x01" + header_of(LORA), b"\x02" + text_of(DESCRIPTION),
                b"\x03" + b"[adapter]\nlora = []\n"],
    "peft": [b"\0" + text_of(PEFT), b"\x01" + header_of(LORA), b"\x02" + text_of({"id2label": {"0": "a", "1": "b"}})],
    "backbone": [b"\0" + text_of(CONFIG), b"\0" + text_of({**CONFIG, "model_type": "modernbert", "norm_bias": False}),
                 b"\0" + text_of({**CONFIG, "model_type": "deberta-v2", "position_buckets": 4}),
                 b"\x01" + text_of({"weight_map": {"a": "model-1.safetensors"}}), b"\x02" + text_of(ADAPTED)],
    "run": [b"\0" + text_of(STEP) + b"\n" + text_of(JUDGED) + b"\n", b"\x01" + text_of({"validation": FIGURES}),
            b"\x02" + text_of({"format": 1, "seconds": 1.5, "data": {"train": {"rows": 3}}}),
            b"\x03" + text_of({"total": 3, "components": [{"name": "a", "kind": "lora", "parameters": 3}]}),
            b"\x04" + text_of({"reloaded": {"rows": 3, "largest_difference": 0.0}, "identical": True})],
    "request": [b"\0" + text_of({"texts": ["one two", ""]}),
                b"\x01" + text_of({"text": " one  two\u4e2d", "label": None}),
                b"\x02" + text_of({"texts": [["one", "two"]]}), b"\x03" + text_of({"text": ["one", " two three "]}),
                b"\0" + b'{"texts": ["\\ud800", "\xff"]}'],
}  # fmt: skip
WORDS = [
    *(
        "true",
        "false",
        "null",
        "NaN",
        "Infinity",
        "-1",
        "1e400",
        "9" * 40,
        "0x10",
        "nan",
        '\\"',
        "\\\\ud800",
        '"""',
        "[[",
        "{}",
    ),
    *(
        "name",
        "budget",
        "data",
        "adapter",
        "lora",
        "rank",
        "roles",
        "layers",
        "auto",
        "training",
        "evaluation",
        "shift",
    ),
    *(
        "text",
        "label",
        "id",
        "format",
        "labels",
        "temperature",
        "kind",
        "step",
        "loss",
        "dtype",
        "shape",
        "data_offsets",
    ),
    *(
        "F32",
        "BF16",
        "__metadata__",
        "model_type",
        "hidden_size",
        "id2label",
        "__label__",
        "sep=",
        "inlineStr",
        "annotations",
        "choices",
        "result",
        "accept",
        "weight_map",
        "\\x00",
        "\\xef\\xbb\\xbf",
        "\\x0d\\x0a",
    ),
]
"""For libFuzzer's dictionary, in its own escapes."""
