"""The recipe of the container, as far as it can be checked without an engine."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.onnx_exports import convert_to_openvino, write_onnx_export

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
RUNTIMES = ("onnx", "openvino")
NOT_IMPORTED = {"huggingface-hub", "openvino-telemetry"}
"""Asked for by tokenizers, which imports it only to download, and by OpenVINO, which is imported without it."""


def listed(runtime: str) -> list[str]:
    lines = (ROOT / "deploy" / f"requirements-{runtime}.txt").read_text("utf-8").splitlines()
    return [str(canonicalize_name(line)) for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_installed_is_complete_pinned_and_without_pytorch(runtime: str) -> None:
    pinned = {
        str(canonicalize_name(line.split("==")[0]))
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line
    }
    names = listed(runtime)
    assert set(names) <= pinned
    assert not {"torch", "transformers", "peft", "datasets"} & set(names)
    needed = set()
    for name in names:
        try:
            wanted = map(Requirement, importlib.metadata.requires(name) or ())
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed: the extras {runtime} and serve are missing")
        needed |= {
            str(canonicalize_name(one.name))
            for one in wanted
            if one.marker is None or (one.marker.evaluate({"extra": ""}) and "extra" not in str(one.marker))
        }
    assert needed - set(names) <= NOT_IMPORTED


def test_the_recipe_is_not_root_and_copies_what_is_there() -> None:
    user = re.findall(r"^USER (\S+)$", RECIPE, re.MULTILINE)
    assert len(user) == 1 and all(part.isdecimal() and int(part) >= 10_000 for part in user[0].split(":"))
    last = RECIPE.rsplit("FROM ", 1)[1]
    assert "USER" in last and "RUN" not in last, "nothing is installed in the image that runs"
    copied = [s for line in re.findall(r"^COPY (?!--from)(.+)$", RECIPE, re.MULTILINE) for s in line.split()[:-1]]
    assert {"src", "export"} <= {*copied}
    for source in copied:
        assert source == "export" or (ROOT / source).exists(), source
    entry = re.search(r"^ENTRYPOINT \[(.+)\]$", RECIPE, re.MULTILINE)
    assert entry and '"serve", "/model"' in entry[1] and "--no-auth" not in entry[1]
    assert all(install.count("--no-deps") for install in RECIPE.split("pip install")[1:])


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_export_is_served_by_what_is_listed_alone(tmp_path: Path, runtime: str) -> None:
    pytest.importorskip("onnx")
    export, log = write_onnx_export(tmp_path / "export"), tmp_path / "log"
    if runtime == "openvino":
        convert_to_openvino(export)
    kept = {path.name for path in export.iterdir()}
    script, packages = ROOT / "tests" / "support" / "only_listed.py", ROOT / "deploy" / f"requirements-{runtime}.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOME": "/nowhere"}
    command = [sys.executable, script, packages, "serve", export, "--port", "0"]
    with log.open("w") as file, subprocess.Popen(command, stderr=file, env=environment, cwd="/") as process:
        try:
            url = _address(process, log)
            content = {"texts": ["a goal", "a treaty"]}
            results = httpx.post(f"{url}/v1/classify", json=content).json()["results"]
            page = httpx.get(url).text
        finally:
            process.terminate()
        assert process.wait(20) == 0, log.read_text()
    assert [result["label"] for result in results] == ["Sports", "World"]
    assert "Type or paste a text" in page
    assert {path.name for path in export.iterdir()} == kept


def _address(process: subprocess.Popen, log: Path) -> str:
    for _ in range(400):
        if found := re.search(r"(http://127\.0\.0\.1:\d+): page", log.read_text()):
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())
