"""push: what it uploads, what it shows, and what it says where the hub cannot be used. No test needs a network."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from support.commands import Cli, refused

from featherweight.errors import FeatherweightError, HubUnreachable, UserError
from featherweight.run.folder import Run
from featherweight.workflows.push import push

removed: list[str] = []
"""Patterns of the files that the last upload removed from the repository."""

FILES = {
    "me/bert": [".gitattributes", "README.md", "config.json", "model.safetensors"],
    "me/earlier": ["README.md", "adapter_model.safetensors", "recipe.toml"],
    "me/new": [".gitattributes", "README.md"],
}
"""The files in repositories of the hub."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A hub that takes everything: what it was asked, in order."""
    asked: list[Any] = []
    removed.clear()

    def create(self: HfApi, repo: str, **options: Any) -> str:
        asked.append((repo, options))
        return f"https://hub/{repo}"

    def upload(self: HfApi, *, repo_id: str, folder_path: Path, **options: Any) -> None:
        asked.append((repo_id, sorted(path.name for path in folder_path.iterdir() if path.read_bytes())))
        removed.extend(options["delete_patterns"])

    def info(self: HfApi, repo: str, *, repo_type: str) -> ModelInfo:
        return ModelInfo(id=repo, private=repo != "me/public")

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "list_repo_files", lambda self, repo, **options: [*FILES.get(repo, ())])
    monkeypatch.setattr(HfApi, "repo_info", info)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "token")
    return asked


def test_the_adapter_and_its_card_are_uploaded_and_nothing_else(finished_run: Run, hub: list[Any]) -> None:
    done = push(finished_run.folder, "me/fruit", private=True)
    (repo, options), (uploaded_to, names) = hub
    assert repo == uploaded_to == "me/fruit"
    assert options == {"private": True, "repo_type": "model", "exist_ok": True}
    assert names == sorted(done.files)
    # A file of an earlier export that stays would make the repository be read as this export.
    for name in {*names, "export.json", "model.safetensors", "model.onnx", "model.bin", "config.json"} - {"README.md"}:
        assert any(fnmatch(name, pattern) for pattern in removed), name
    assert not any(fnmatch(name, pattern) for name in ("README.md", "notes.md", "data.csv") for pattern in removed)
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors", "featherweight.json"} <= set(names)
    assert not [name for name in names if name.startswith(("predictions", "history", "checkpoint", "evaluation"))]
    assert done.url == "https://hub/me/fruit"


def test_private_uploads_nothing_to_a_public_repository(finished_run: Run, cli: Cli, hub: list[Any]) -> None:
    told = "me/public: exists and is public, so --private cannot hide the upload; make it private on the hub"
    refused(cli, "push", finished_run.folder, "me/public", "--private", naming=told)
    assert [asked for asked in hub if isinstance(asked[1], list)] == []  # only the repository was asked for
    push(finished_run.folder, "me/public")
    assert "README.md" in hub[-1][1]


def test_files_of_others_in_the_repository_are_not_removed(finished_run: Run, cli: Cli, hub: list[Any]) -> None:
    told = "me/bert: has files that Featherweight did not upload and would remove (config.json, model.safetensors)"
    refused(cli, "push", finished_run.folder, "me/bert", naming=told)
    assert removed == []
    for repo in ("me/earlier", "me/new"):
        assert push(finished_run.folder, repo).url == f"https://hub/{repo}"


def test_a_dry_run_shows_files_and_card_without_hub_and_token(
    finished_run: Run, cli: Cli, hub: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    answer = cli("push", finished_run.folder, "me/fruit", "--dry-run")
    assert answer.code == 0
    assert "adapter_model.safetensors" in answer.out
    assert "pipeline_tag: text-classification" in answer.out
    assert "nothing was uploaded" in answer.out
    assert hub == []


def test_refusals(finished_run: Run, cli: Cli, hub: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    folder = finished_run.folder
    refused(cli, "push", folder, "fruit", naming="write the repository as user/name")
    refused(cli, "push", folder, "me/a/b", naming="me/a/b: is no name of a repository")
    refused(cli, "push", "nowhere", "me/fruit", naming="nowhere: neither a run nor an export")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    refused(cli, "push", folder, "me/fruit", naming="no token for the hub; run `hf auth login`")
    assert hub == []


def http_error(status: int) -> HfHubHTTPError:
    error = HfHubHTTPError.__new__(HfHubHTTPError)
    error.response = httpx.Response(status)  # type: ignore[assignment]
    return error


class TransportError(Exception):
    """Named like the base class of the connection errors of the hub's client."""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (http_error(403), UserError, r"the token has no right to write there \(HTTP 403\)"),
        (http_error(500), FeatherweightError, r"refused the upload \(HTTP status 500\)"),
        (
            OfflineModeIsEnabled("offline"),
            HubUnreachable,
            "does not answer; try again later .dry_run=True works without",
        ),
        (TransportError(), HubUnreachable, "the hub does not answer"),
        (
            ValueError("license is wrong\nmore"),
            UserError,
            "model card: license is wrong; check license_name$",
        ),
    ],
)
def test_an_error_of_the_hub_is_one_line(
    finished_run: Run, hub: list[Any], monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type, message: str
) -> None:
    def fail(self: HfApi, repo: str, **options: Any) -> None:
        raise error

    monkeypatch.setattr(HfApi, "create_repo", fail)
    with pytest.raises(FeatherweightError, match=message) as caught:
        push(finished_run.folder, "me/fruit")
    assert type(caught.value) is kind
