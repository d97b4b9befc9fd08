"""The notebook: shipped with the outputs of a real run, ready for the real thing, and executed from first to last."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from support.backbones import save_tiny_backbone

import featherweight

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "main.ipynb"
MACHINE_PATH = re.compile(r"(?:^|[\s\"'=(:])/(?:work|tmp|root|home|opt|usr|mnt|var|Users|kaggle|content)/|\b[A-Z]:\\")


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: Any) -> dict[str, Any]:
    """Code cells by their ids."""
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def outputs(notebook: Any) -> list[tuple[str, str, str]]:
    """Cell, kind (a stream's name, or a MIME type) and content of every output."""
    found = []
    for name, cell in code_cells(notebook).items():
        for output in cell.outputs:
            parts = output.get("data", {output.get("name", "error"): output.get("text", "")})
            found += [(name, kind, str(content)) for kind, content in parts.items()]
    return found


def test_it_is_shipped_with_the_outputs_of_one_whole_run(notebook: Any) -> None:
    nbformat.validate(notebook)
    cells = list(code_cells(notebook).values())
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    kinds = [kind for _, kind, _ in outputs(notebook)]
    assert kinds.count("image/png") >= 4
    assert "stderr" not in kinds  # warnings are nothing to ship
    assert NOTEBOOK.stat().st_size < 1_000_000
    last = next(text for name, _, text in outputs(notebook) if name == "test")
    right = re.match(r"([\d.]+)% of 240 test texts are right", last)
    assert right and float(right[1]) > 90, "these are the outputs of a short trial"


def test_its_outputs_tell_nothing_of_the_machine(notebook: Any) -> None:
    for name, kind, text in outputs(notebook):
        if kind != "image/png":
            found = MACHINE_PATH.search(text)
            assert found is None, f"{name}: {text[max(0, found.start() - 60) : found.end() + 60]}"


def test_it_needs_the_public_names_alone(notebook: Any) -> None:
    plain = "\n".join(
        line for cell in code_cells(notebook).values() for line in cell.source.splitlines() if "%pip" not in line
    ).replace('if importlib.util.find_spec("featherweight") is None:', "if True: pass\nif True: pass;")
    imported = [node for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.ImportFrom)]
    ours = {alias.name for node in imported if node.module == "featherweight" for alias in node.names}
    assert ours and ours <= set(featherweight.__all__)
    assert {node.module for node in imported} == {"featherweight"}


def test_it_installs_this_repository_and_no_package_of_that_name_from_an_index(notebook: Any) -> None:
    names: dict[str, Any] = {}
    exec(code_cells(notebook)["install"].source.split("if importlib")[0], names)
    place, extra = re.fullmatch(r"(.+)\[(\w+)\]", names["PACKAGE"]).groups()  # type: ignore[union-attr]
    project = tomllib.loads((NOTEBOOK.parent / place / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "featherweight" and extra in project["optional-dependencies"]


def test_cells_are_short_and_each_is_introduced(notebook: Any) -> None:
    assert max(len(cell.source.splitlines()) for cell in code_cells(notebook).values()) <= 12
    assert max(len(line) for cell in notebook.cells for line in cell.source.splitlines()) <= 120
    pages = [target for cell in notebook.cells for target in re.findall(r"\]\((\.\./[^)#]+)", cell.source)]
    assert pages and all((NOTEBOOK.parent / page).is_file() for page in pages)


def test_two_settings_make_it_the_real_thing(notebook: Any) -> None:
    cells = code_cells(notebook)
    settings = cells["settings"].source
    for name, value in (("DATASET", "newsbriefs"), ("BACKBONE", "minilm")):
        assert f'{name} = "{value}"' in settings
    real = settings.replace('"newsbriefs"  #', '"ag_news"  #').replace('"minilm"  #', '"roberta-base"  #')
    names: dict[str, Any] = {}
    for source in (real, cells["imports"].source, cells["recipe"].source, cells["rounds-recipes"].source):
        exec(source, names)
    assert list(names["candidates"]) == ["r4", "r3"]
    for name, parameters in (("r4", 990_724), ("r3", 888_580)):
        recipe = names["candidates"][name]
        assert (recipe.data.train, recipe.backbone.name) == ("ag_news", "roberta-base")
        assert recipe.training == featherweight.Recipe.load(name).training
        assert featherweight.weigh(recipe).total == parameters


SHORTER = """
EPOCHS, SEEDS, BACKBONE = 0.1, 1, "tiny"
from featherweight.verification import reload
reload.reload_check = reload.check_in_this_process
"""
"""A few steps of a small encoder, one seed, and no process for each reload check; all else as a reader runs it."""


@pytest.mark.slow
def test_it_runs_from_first_to_last(notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    for folder in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(folder, str(tmp_path / folder.lower()))
    work = tmp_path / "work"
    work.mkdir()
    save_tiny_backbone(work / "tiny", "bert", max_position_embeddings=512)
    place = next(n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(SHORTER, id="shorter"))
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(work)}}).execute()
    submission = pd.read_csv(work / "submission.csv")
    assert list(submission.columns) == ["ID", "Label"]
    assert submission["ID"].tolist() == list(range(240))
    assert set(submission["Label"]) <= {0, 1, 2, 3}
    said = "".join(text for name, kind, text in outputs(notebook) if (name, kind) == ("rounds", "stdout"))
    assert said.startswith("newsbriefs, seed 0 (run 1 of 3): complete\n")
    assert (work / "runs" / "newsbriefs-tiny" / "comparison.html").is_file()
    assert [kind for name, kind, _ in outputs(notebook) if name == "rounds-pictures"].count("image/png") == 3
