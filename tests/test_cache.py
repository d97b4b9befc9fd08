"""What is kept between runs: texts in a pool, their states in files, and the command that shows and clears it all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Cli
from support.prefix_caches import kept_files

from featherweight.data.batches import Encoded
from featherweight.training.prefix_cache.file import open_states, write_states
from featherweight.training.prefix_cache.texts import pool_of


def test_a_pool_has_every_text_once_in_an_order_of_its_own() -> None:
    def part(texts: list[list[int]]) -> Encoded:
        offsets = np.cumsum([0, *map(len, texts)])
        return Encoded(np.concatenate(texts).astype(np.int32), offsets, None, 0, "")

    texts = [[5, 6], [7], [5, 6, 7], [7, 8], [5, 6]]
    one, other = pool_of([part(texts[:3]), part(texts[3:])]), pool_of([part(texts[::-1])])
    assert one.fingerprint == other.fingerprint and one.lengths.tolist() == [1, 2, 2, 3]
    assert one.fingerprint != pool_of([part([*texts, [9]])]).fingerprint
    starts = np.concatenate(one.starts).tolist()
    assert starts == other.starts[0].tolist()[::-1]
    assert starts[0] == starts[4] and len(set(starts)) == 4
    assert one.starts[0].tolist()[1:] == [0, 5]


def test_states_come_back_padded_with_zeros(tmp_path: Path) -> None:
    states = np.arange(12, dtype=np.float32).reshape(6, 2)
    write_states(tmp_path / "a.states", 6, 2, "fp32", [states[:4], states[4:]])
    file = open_states(tmp_path / "a.states", 6, 2, "fp32")
    assert file is not None
    padded = file.padded(np.array([4, 0]), np.array([1, 3]))
    assert padded.tolist() == [[[8, 9], [0, 0], [0, 0]], [[0, 1], [2, 3], [4, 5]]]
    assert open_states(tmp_path / "a.states", 6, 2, "bf16") is None
    assert open_states(tmp_path / "a.states", 4, 3, "fp32") is None


class TestCacheCommand:
    @pytest.fixture
    def filled(self, cache: Path) -> Path:
        for kind, name in (("states", "ab.states"), ("encoded", "cd.tokens.npy"), ("encoded", "cd.rows.npy")):
            (cache / kind).mkdir(parents=True, exist_ok=True)
            (cache / kind / name).write_bytes(bytes(2_500_000))
        joined = cache / "backbones" / "mpnet-0123456789ab"
        joined.mkdir(parents=True)
        (joined / "model.safetensors").write_bytes(bytes(1000))
        return cache

    def test_lists_kinds_with_size_and_age(self, cli: Cli, filled: Path) -> None:
        os.utime(filled / "states" / "ab.states", (0, (filled.stat().st_mtime - 3 * 86_400)))
        answer = cli("cache")
        lines = {line.split()[0]: " ".join(line.split()) for line in answer.out.splitlines()}
        assert answer.code == 0 and str(filled) in answer.out
        assert lines["states"].startswith("states 1 2.5 MB 3 days ago")
        assert lines["encoded"].startswith("encoded 2 5.0 MB just now")
        assert lines["backbones"].startswith("backbones 1 1 kB just now")
        assert "encoded" not in cli("cache", "states").out

    def test_removes_states_by_default_and_other_kinds_by_name(self, cli: Cli, filled: Path) -> None:
        assert cli("cache", "--clear").out == "states: 2.5 MB freed\n"
        assert not kept_files(filled) and len(list((filled / "encoded").iterdir())) == 2
        assert cli("cache", "--clear", "encoded").out == "encoded: 5.0 MB freed\n"
        assert (filled / "backbones" / "mpnet-0123456789ab").is_dir()
        assert cli("cache", "all", "--clear").out == "states, encoded, teachers, backbones: 1 kB freed\n"
        assert not any(path.is_file() for path in filled.rglob("*"))
        assert cli("cache", "--clear").out == "states: 0 kB freed\n"

    def test_touches_nothing_that_is_not_its_own(self, cli: Cli, filled: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.states").write_text("mine")
        (filled / "states" / "link.states").symlink_to(tmp_path / "mine.states")
        (filled / "states" / "notes.txt").write_text("mine")
        (filled / "backbones" / "my-own-model").mkdir()
        (filled / "encoded").rename(tmp_path / "elsewhere")
        (filled / "encoded").symlink_to(tmp_path / "elsewhere")
        assert cli("cache", "all", "--clear").code == 0
        assert (tmp_path / "mine.states").exists() and len(list((tmp_path / "elsewhere").iterdir())) == 2
        assert {path.name for path in (filled / "states").iterdir()} == {"link.states", "notes.txt"}
        assert (filled / "backbones" / "my-own-model").is_dir()

    def test_leaves_a_file_in_the_making_and_takes_what_a_killed_process_left(self, cli: Cli, cache: Path) -> None:
        path = cache / "states" / "ab.states"

        def chunks() -> Any:
            (path.parent / ".ef.states.x.part").write_bytes(bytes(1_000))
            assert cli("cache", "--clear").out == "states: 1 kB freed\n"
            yield np.zeros((2, 3), np.float32)

        write_states(path, 2, 3, "fp32", chunks())
        assert kept_files(cache) == [path]

    def test_an_unknown_kind_is_bad_input(self, cli: Cli, cache: Path) -> None:
        answer = cli("cache", "stats", "--clear")
        assert answer.code == 2 and "no such kind; choose states, encoded, teachers, backbones or all" in answer.err
