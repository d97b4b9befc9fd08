"""Makes the message for a web address that was given as data: it names the command for the download."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from featherweight.errors import in_a_line

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_STORES = {"s3": "aws s3 cp {} .", "gs": "gsutil cp {} ."}
"""URL schemes of cloud storage, each with the command that downloads a file from it."""


def is_address(source: str) -> bool:
    """Whether ``source`` is an address such as ``https://...`` rather than a path or a name."""
    return _SCHEME.match(source) is not None


def download(source: str) -> str:
    """The message that the web address ``source`` is not a file, with the command that downloads it."""
    origin = in_a_line(source)
    try:
        parts = urlsplit(source)
        host, path = parts.hostname or "", PurePosixPath(unquote(parts.path))
    except ValueError:  # a URL with unbalanced brackets
        return f"{origin}: is an address, not a file; download the file, and name it"
    scheme = parts.scheme.lower()
    if name := _hub_name(scheme, host, path):
        return f"{origin}: is the address of a data set on the hub; give its name instead: {name}"
    if scheme in _STORES:
        return f"{origin}: is an address, not a file; download it, and name the file: {_line(_STORES[scheme], source)}"
    if host == "drive.google.com" or host.endswith("kaggle.com"):
        return f"{origin}: is the address of a page; download the file in a browser, and name the file"
    file = path.name
    if host == "github.com" and "blob" in path.parts:
        owner, repository, _, *rest = path.parts[1:]
        source = f"https://raw.githubusercontent.com/{'/'.join((owner, repository, *rest))}"
    if parts.query and host != "github.com":
        command = f"curl -L -o {shlex.quote(file or 'data.csv')} {shlex.quote(source)}"
    else:
        command = f"curl -LO {shlex.quote(source)}"
    name_it = f"name {in_a_line(file)}" if file else "name the file"
    return f"{origin}: is an address, not a file; download it, and {name_it}: {in_a_line(command)}"


def _hub_name(scheme: str, host: str, path: PurePosixPath) -> str | None:
    """The name of a data set on the hub if the address is the page of this data set; None for other addresses."""
    parts = path.parts[1:]
    if scheme == "hf":
        parts = (host, *parts)
    elif host not in ("huggingface.co", "hf.co"):
        return None
    of_set = len(parts) >= 3 and parts[0] == "datasets" and not {"resolve", "raw"} & {*parts}
    return in_a_line("/".join(parts[1:3])) if of_set else None


def _line(command: str, source: str) -> str:
    return in_a_line(command.format(shlex.quote(source)))
