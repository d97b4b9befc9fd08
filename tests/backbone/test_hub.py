"""Backbones from the hub: what is fetched, what is refused, and what happens when it does not answer."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.backbones import TINY_CONFIG, named, tiny_weights

from featherweight.backbone import hub
from featherweight.backbone.resolve import config_of, resolve_backbone
from featherweight.errors import HubUnreachable, UserError


@dataclass
class FakeHub:
    """Answers the few requests of the hub's client; ``mood`` is ``well``, ``slow``, ``failing`` or ``breaking``."""

    files: dict[str, bytes]
    mood: str = "well"
    requests: list[str] = field(default_factory=list)
    commit: str = "a" * 40


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    from huggingface_hub import constants

    state = FakeHub({
        "config.json": json.dumps(TINY_CONFIG).encode(),
        "model.safetensors": tiny_weights(),
        "tokenizer.json": b"{}",
        "pytorch_model.bin": b"never fetched",
        "run_me.py": b"never fetched",
    })  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    template = constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "TIMEOUT", 0.5)
    yield state
    state.mood = "well"
    server.shutdown()
    server.server_close()


def _handler(state: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, *args: Any) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            state.requests.append(self.path)
            if state.mood == "slow":
                time.sleep(2)
            if state.mood == "failing":
                return self._send(503, b"", {})
            path = self.path.partition("?")[0]
            if "absent" in path:
                return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            if "/revision/" in path and not path.endswith(("/main", state.commit)):
                return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            if path.startswith("/api/models/"):
                return self._send(200, json.dumps(self._about(path)).encode(), {"Content-Type": "application/json"})
            file = path.rpartition("/")[2]
            if file not in state.files:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            if state.mood == "breaking" and file == "model.safetensors":
                return self._send(503, b"", {})
            data = state.files[file]
            tag = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": state.commit}
            self._send(200, data if with_body else b"", {**tag, "Content-Length": str(len(data))})

        def _about(self, path: str) -> Any:
            if "/tree/" in path:
                entries = state.files.items()
                return [
                    {"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()} for n, d in entries
                ]
            siblings = [{"rfilename": name} for name in state.files]
            return {"id": "some/model", "sha": state.commit, "siblings": siblings, "private": False, "tags": []}

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler


def test_hub_model_is_downloaded_without_code_and_pickle(fake_hub: FakeHub) -> None:
    backbone = resolve_backbone(named("some/model"))
    assert backbone.source == "hub"
    assert backbone.folder is not None
    assert {path.name for path in backbone.folder.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    assert backbone.sha256 == hashlib.sha256(tiny_weights()).hexdigest()


def test_config_of_an_unknown_hub_name_fetches_the_config_alone(fake_hub: FakeHub) -> None:
    assert config_of(named("some/model")) == TINY_CONFIG
    assert not [path for path in fake_hub.requests if "safetensors" in path]


@pytest.mark.parametrize("mood", ["slow", "failing"])
def test_cached_copy_serves_when_the_hub_does_not(fake_hub: FakeHub, mood: str) -> None:
    first = resolve_backbone(named("some/model"))
    fake_hub.mood = mood
    assert resolve_backbone(named("some/model")) == first


@pytest.mark.parametrize("mood", ["slow", "failing"])
def test_hub_out_of_reach_is_said_quickly_and_in_one_line(fake_hub: FakeHub, mood: str) -> None:
    fake_hub.mood = mood
    started = time.perf_counter()
    with pytest.raises(HubUnreachable) as error:
        resolve_backbone(named("some/model"))
    assert time.perf_counter() - started < 2
    assert str(error.value).startswith("backbone.name = some/model: the hub does not answer and no copy is cached")
    assert len(str(error.value).splitlines()) == 1


def test_offline_mode_asks_nothing(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachable, match="the hub does not answer"):
        resolve_backbone(named("some/model"))
    assert not fake_hub.requests


def test_cached_config_alone_is_not_taken_for_the_model(fake_hub: FakeHub) -> None:
    config_of(named("some/model"))
    fake_hub.mood = "failing"
    assert config_of(named("some/model")) == TINY_CONFIG
    with pytest.raises(HubUnreachable, match=r"backbone\.name = some/model"):
        resolve_backbone(named("some/model"))


def test_pickle_on_the_hub_is_refused_before_any_download(fake_hub: FakeHub) -> None:
    del fake_hub.files["model.safetensors"]
    with pytest.raises(UserError, match=r"the weights are a pickle .* reads only safetensors") as error:
        resolve_backbone(named("some/model"))
    assert 'set backbone.name = "converted"' in str(error.value)
    assert not [path for path in fake_hub.requests if "/resolve/" in path]


@pytest.mark.parametrize(
    ("name", "revision", "part"),
    [
        ("some/absent", None, "is neither a model on the hub, nor a folder, nor a built-in short name"),
        ("some/model", "v9", "backbone.revision = v9: some/model has no such revision"),
        ("not a name", None, "no such folder, and not a valid name on the hub"),
    ],
)
def test_wrong_names_are_told_apart(fake_hub: FakeHub, name: str, revision: str | None, part: str) -> None:
    with pytest.raises(UserError) as error:
        resolve_backbone(named(name, revision))
    assert part in str(error.value)
    assert not isinstance(error.value, HubUnreachable)


def test_download_that_breaks_off_is_said(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client's own retries, without their pauses.
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    fake_hub.mood = "breaking"
    with pytest.raises(HubUnreachable, match=r"backbone\.name = some/model: the download failed; try again"):
        resolve_backbone(named("some/model"))
