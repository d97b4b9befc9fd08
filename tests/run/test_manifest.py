"""Which files of its manifest a run lacks."""

from __future__ import annotations

from pathlib import Path

from featherweight.run.manifest import missing_from, write_manifest


def test_a_link_that_leads_nowhere_is_not_missing(tmp_path: Path) -> None:
    """As after a move to another machine: an adapter with a native head has links to the weights of its backbone."""
    weights, run = tmp_path / "weights", tmp_path / "run"
    weights.write_bytes(b"1")
    (run / "adapter").mkdir(parents=True)
    (run / "adapter" / "link").symlink_to(weights)
    for name in ("adapter/file", "report.html"):
        (run / name).write_text("x", "utf-8")
    write_manifest(run)
    assert missing_from(run, "adapter") == []
    weights.unlink()
    (run / "report.html").unlink()
    assert missing_from(run, "adapter") == []
    (run / "adapter" / "file").unlink()
    assert missing_from(run, "adapter") == ["adapter/file"]
