"""Nothing foreign is run, nothing foreign becomes markup, a formula or a terminal's command."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.commands import Cli
from support.made_up_rounds import TestSet, fabricate_run
from support.made_up_runs import fabricate
from support.onnx_exports import write_onnx_export

from featherweight.errors import UserError, printable
from featherweight.evaluation.comparison import compare_runs
from featherweight.files import sha256_of
from featherweight.formatting import safe_cell
from featherweight.inference.classifier import Classifier
from featherweight.recipe import Recipe
from featherweight.report.comparison.page import write_comparison
from featherweight.report.run.page import write_report
from featherweight.run.folder import Run

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "benchmarks", "notebooks", "dependencies", "tests/fuzz")
SOURCES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
]

RUNS_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
CALLS = {
    "eval", "exec", "torch.load", "torch.save", "torch.hub.load", "pandas.read_pickle", "yaml.load",
    "yaml.unsafe_load", "os.system", "os.popen", "subprocess.getoutput", "tempfile.mktemp",
}  # fmt: skip
METHODS = {"read_pickle", "to_pickle", "extractall", "load_state_dict_from_url"}
SETTINGS = {"trust_remote_code": False, "shell": False, "weights_only": True, "allow_pickle": False}
"""What a keyword must be set to, where it is set at all."""


def full_names(tree: ast.AST) -> dict[str, str]:
    """What the names that a module imports stand for: ``t`` for torch, ``load`` for torch.load."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def in_full(name: str, full: dict[str, str]) -> str:
    """``name`` as it would be without import aliases."""
    first, dot, rest = name.partition(".")
    return full.get(first, first) + dot + rest


def dangers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything in a module that could run foreign code."""
    full = full_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from ((node.lineno, name) for name in names if name.partition(".")[0] in RUNS_CODE)
        if isinstance(node, ast.Call):
            called = in_full(ast.unparse(node.func), full)
            if called in CALLS or called.rpartition(".")[2] in METHODS:
                yield node.lineno, called
            for keyword in node.keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else keyword.value
                if keyword.arg in SETTINGS and value is not SETTINGS[keyword.arg]:
                    yield node.lineno, f"{keyword.arg}={ast.unparse(keyword.value)}"


def untold(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines that do not tell transformers whether a model's code may run: it would ask on the terminal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.fullmatch(r"Auto\w+\.from_pretrained", ast.unparse(node.func)):
            told = {keyword.arg for keyword in node.keywords} & {"trust_remote_code", None}  # None: **options
            yield from () if told else [(node.lineno, ast.unparse(node.func))]


def test_the_search_finds_what_it_is_for() -> None:
    code = "import pickle\nfrom joblib import load\ntorch.load(x)\nf(trust_remote_code=flag)\nframe.to_pickle(p)\n"
    code += "AutoModel.from_pretrained(p)\nAutoModel.from_pretrained(p, trust_remote_code=False)"
    assert [line for line, _ in dangers(ast.parse(code))] == [1, 2, 3, 4, 5]
    assert [line for line, _ in untold(ast.parse(code))] == [6]
    hidden = "import torch as t\nt.load(x)\nfrom torch import load, save as put\nload(x)\nput(x)\n"
    hidden += "import os as o\no.system(x)"
    assert [line for line, _ in dangers(ast.parse(hidden))] == [2, 4, 5, 7]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_of_others_is_run(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert not list(dangers(tree))
    assert "benchmarks" in path.parts or not list(untold(tree))  # those load what they have written themselves


SCRIPT, CLOSING = "<script>alert(1)</script>", "</code></pre></title></style></svg><img src=x onerror=alert(1)>"
ATTRIBUTE = '" onmouseover="alert(1)'
EVIL = (SCRIPT, CLOSING, ATTRIBUTE, "{{ 7 * 7 }}")


class Tags(HTMLParser):
    """All tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def require_harmless(html: str) -> Tags:
    page = Tags(html)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "default-src 'none'" in html
    return page


@pytest.mark.parametrize("evil", EVIL)
def test_the_report_escapes_texts_labels_and_file_names(tmp_path: Path, evil: str) -> None:
    folder = fabricate(tmp_path / evil.replace("/", "∕"), names=("a", evil, "c"), texts=(evil,), rows=60)
    (folder / "recipe.toml").write_text(f"# {evil}\nbackbone = {{name = '''{evil}'''}}\n", "utf-8")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    evaluation["shift"] = {f"data/{evil}.csv": evaluation["test"]}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    environment = json.loads((folder / "environment.json").read_text())
    environment |= {"warnings": [evil], evil: evil, "device": evil, "started": evil}
    (folder / "environment.json").write_text(json.dumps(environment))
    page = require_harmless(write_report(folder).read_text("utf-8"))
    assert page.text.count(evil) > 10


@pytest.mark.usefixtures("empty_pictures")
@pytest.mark.parametrize("evil", EVIL)
def test_the_comparison_escapes_names_in_page_markdown_and_csv(tmp_path: Path, evil: str) -> None:
    test, recipe = TestSet(40), Recipe.load("r3").with_values(data={"train": evil}, backbone={"name": evil})
    place = tmp_path / evil.replace("/", "∕")
    runs = [fabricate_run(place / "r3", recipe, 0.9, test=test)]
    runs.append(fabricate_run(place / "svm", recipe.with_values(name="tfidf-svm"), 0.8, test=test, baseline=f"={evil}"))
    write_comparison(compare_runs(runs), tmp_path / "out")
    page = require_harmless((tmp_path / "out" / "comparison.html").read_text("utf-8"))
    assert page.text.count(evil) > 5
    assert not re.search(r"<(?!br)[a-z/!]", (tmp_path / "out" / "comparison.md").read_text("utf-8"))
    for name in ("comparison.csv", "differences.csv"):
        cells = csv.reader(io.StringIO((tmp_path / "out" / name).read_text("utf-8")))
        assert not any(cell.startswith(("=", "@")) for row in cells for cell in row)


@pytest.mark.usefixtures("empty_pictures")
def test_markdown_names_cannot_become_links_or_pictures(tmp_path: Path) -> None:
    test, recipe = TestSet(40), Recipe.load("r3").with_values(name="tfidf-svm")
    runs = [fabricate_run(tmp_path / "r3", Recipe.load("r3"), 0.9, test=test)]
    runs.append(fabricate_run(tmp_path / "svm", recipe, 0.8, test=test, baseline="![x](http://tracker/)"))
    write_comparison(compare_runs(runs), tmp_path / "out")
    assert "![x](" not in (tmp_path / "out" / "comparison.md").read_text("utf-8")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "", "'=1", " =1", -1, 0.5, None])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) == value


def test_safe_predictions_hold_no_formula(cli: Cli, finished_run: Run) -> None:
    rows = [("=HYPERLINK(1)", "apple"), ("-2", "crow"), ("plain", "iron")]
    Path("texts.csv").write_text("ID,text\n" + "".join(f"{number},{text}\n" for number, text in rows), "utf-8")
    for option, expected in (([], [row[0] for row in rows]), (["--safe-csv"], ["'=HYPERLINK(1)", "'-2", "plain"])):
        assert cli("predict", finished_run.folder, "texts.csv", "-o", "out.csv", "--force", *option).code == 0
        table = list(csv.reader(io.StringIO(Path("out.csv").read_text("utf-8"))))
        assert [row[0] for row in table[1:]] == expected
        assert all(float(cell) >= 0 for row in table[1:] for cell in row[2:])


def test_safe_cells_hold_no_formula_behind_another_separator(cli: Cli, finished_run: Run) -> None:
    Path("texts.csv").write_text('ID,text\n"x;=1+1",apple\n', "utf-8")
    assert cli("predict", finished_run.folder, "texts.csv", "-o", "out.csv", "--safe-csv").code == 0
    assert '"x;=1+1"' in Path("out.csv").read_text("utf-8")


def test_no_data_steers_the_terminal(cli: Cli) -> None:
    Path("data.csv").write_text("text,label\n" + "apple,\x1b[2Jfruit\ncrow,\u202ebird\n" * 3, "utf-8")
    said = cli("check", "data.csv").out
    assert "\x1b" not in said and "\u202e" not in said
    assert "\\x1b[2Jfruit" in said and "\\u202ebird" in said
    assert printable("tab\tand\nline stay, é and 漢 too") == "tab\tand\nline stay, é and 漢 too"


def test_a_message_is_bearable_however_long_what_it_speaks_of() -> None:
    message = str(UserError(f"{'x' * 10_000_000}.csv: no such file\nsecond line"))
    assert message.startswith("xxx") and message.endswith("x.csv: no such file\nsecond line")
    assert len(message) < 700


def test_each_promise_names_a_test_that_there_is() -> None:
    promises = (ROOT / "SECURITY.md").read_text("utf-8").partition("## Promised")[2].partition("## Not promised")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", promises)
    assert len(named) > 20
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"


def test_a_graph_that_names_a_file_outside_its_export_is_refused(tmp_path: Path) -> None:
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    folder = write_onnx_export(tmp_path / "export")
    path, outside = folder / "model.onnx", tmp_path / "secret.bin"
    model = onnx.load(path)
    weights = model.graph.initializer[0]
    outside.write_bytes(weights.raw_data)
    onnx.external_data_helper.set_external_data(weights, "../secret.bin")
    weights.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    described = json.loads((folder / "export.json").read_text("utf-8"))
    described["files"]["model.onnx"] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    (folder / "export.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(UserError, match=r"model\.onnx: cannot be loaded by ONNX Runtime: .*escapes"):
        Classifier.load(folder)
