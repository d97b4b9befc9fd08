"""push: uploads the adapter of a run, or an export, to the Hugging Face hub, with a model card."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from featherweight.argument_checks import require_path
from featherweight.backbone.hub import is_connection_error
from featherweight.errors import FeatherweightError, HubUnreachable, UserError
from featherweight.export.card import render_card
from featherweight.export.shareable import require_shareable, write_shareable
from featherweight.formatting import listed
from featherweight.hints import flag

_WRITTEN = (
    "export.json", "recipe.toml", "evaluation.json", "weigh.json", "probes.json", "featherweight.json", "config.json",
    "model.*", "adapter_*", "*.safetensors", "*token*.json", "vocab.*", "merges.txt", "*.model",
)  # fmt: skip
"""Names of files of a run or an export. Those that an upload does not replace are removed from the repository."""


@dataclass(frozen=True)
class Pushed:
    """What was uploaded. After a dry run: what an upload would contain."""

    card: str
    files: dict[str, int]
    """Sizes in bytes, by name."""
    url: str | None
    """Address of the repository; None for a dry run."""


def push(
    run: str | Path, repo: str, *, private: bool = False, license_name: str | None = None, dry_run: bool = False
) -> Pushed:
    """Upload the adapter of a run, or an export, with its model card to ``repo`` (user/name) on the hub.

    The repository is created if it does not exist; with ``private``, one that exists must be private. Only what is
    needed to load the classifier is uploaded: no checkpoints, predictions, history or rows. A dry run needs no network
    and uploads nothing.

    Raises UserError for wrong arguments or a missing token, HubUnreachable if the hub does not answer, and
    FeatherweightError if it refuses the upload.
    """
    require_path(run, "push", "the path of a run folder or an export")
    _require_repo(repo)
    folder = Path(run)
    require_shareable(folder)
    card = render_card(folder, repo, license_name)
    with tempfile.TemporaryDirectory(prefix="featherweight-push-") as temporary:
        staged = Path(temporary)
        files = {
            path.relative_to(staged).as_posix(): path.stat().st_size for path in write_shareable(folder, staged, card)
        }
        url = None if dry_run else _upload(staged, repo, private)
    return Pushed(card, files, url)


def _require_repo(repo: str) -> None:
    """Raise UserError unless ``repo`` looks like user/name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(
            f"{repo}: is no name of a repository: {str(error).partition('. ')[0]}; write user/name"
        ) from None
    if "/" not in repo:
        raise UserError(f"{repo}: write the repository as user/name, such as my-name/{repo}")


def _upload(folder: Path, repo: str, private: bool) -> str:
    """Create the repository if necessary, upload ``folder`` in one commit, and return the URL of the repository."""
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    if get_token() is None:
        raise UserError(f"{repo}: no token for the hub; run `hf auth login`, or set HF_TOKEN to a token that may write")
    api = HfApi(library_name="featherweight")
    try:
        url = api.create_repo(repo, private=private or None, repo_type="model", exist_ok=True)
        if private and not api.repo_info(repo, repo_type="model").private:
            # ``create_repo`` changes nothing about a repository that exists.
            raise UserError(
                f"{repo}: exists and is public, so {flag('--private')} cannot hide the upload; make it private on the "
                "hub, in its settings, or name a new repository"
            )
        _require_own(repo, api.list_repo_files(repo, repo_type="model"))
        # An earlier export in the repository would make a run be read as this export, and the other way round.
        api.upload_folder(
            repo_id=repo, folder_path=folder, commit_message="Upload by Featherweight", delete_patterns=list(_WRITTEN)
        )
    except LocalTokenNotFoundError:
        raise UserError(f"{repo}: no token for the hub; run `hf auth login`, or set HF_TOKEN") from None
    except HfHubHTTPError as error:
        raise _refusal(repo, error.response.status_code) from None
    except ValueError as error:  # the hub checks the metadata of the card, such as the license
        reason = str(error).partition(chr(10))[0]
        raise UserError(f"{repo}: the hub refuses the model card: {reason}; check {flag('--license')}") from None
    except Exception as error:
        if not isinstance(error, ConnectionError | TimeoutError) and not is_connection_error(error):
            raise
        raise HubUnreachable(
            f"{repo}: the hub does not answer; try again later ({flag('--dry-run')} works without it)"
        ) from None
    return str(url)


def _require_own(repo: str, files: Sequence[str]) -> None:
    """Raise UserError if the upload would remove ``files`` of ``repo`` that Featherweight did not upload.

    Each upload has a recipe.toml, so a repository without one has no files of Featherweight.
    """
    lost = [name for name in files if any(fnmatch(name, pattern) for pattern in _WRITTEN)]
    if lost and "recipe.toml" not in files:
        raise UserError(
            f"{repo}: has files that Featherweight did not upload and would remove ({listed(lost, 3)}); "
            "name a new repository, or remove them on the hub"
        )


def _refusal(repo: str, status: int) -> FeatherweightError:
    """The error for the hub's answer with this HTTP ``status``."""
    if status in (401, 403):
        return UserError(
            f"{repo}: the token has no right to write there (HTTP {status}); check the name, and run `hf auth login`"
        )
    return FeatherweightError(f"{repo}: the hub refused the upload (HTTP status {status}); try again later")
