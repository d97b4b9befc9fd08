"""The pages of results are written from the committed result files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.benchmarks import Load
from support.made_up_benchmarks import a_record, a_spread, limited, predicted, scaled, started, trained

from featherweight.errors import UserError

ROOT = Path(__file__).parents[2]


class TestPages:
    def test_pages_with_tables_and_pictures_come_of_the_results(self, load: Load, tmp_path: Path) -> None:
        recording, docs = load("harness.recording"), tmp_path / "docs"
        for record in (trained(load), predicted(load), limited(load), scaled(load), started(load)):
            recording.save(record, tmp_path / "results" / "zen4")
        pages = load("pages.write").write_pages(recording.load_all(tmp_path / "results"), docs)
        assert pages == [docs / "results" / "speed-zen4.md", docs / "results" / "speed.md"]
        text = pages[0].read_text("utf-8")
        assert "| Trainer + PEFT (fp32) | 20.0 (18.0–22.0) | 12.5× (11.2–13.8) | 90 (81–99) |" in text
        assert "| SetFit | did not run: no setfit |" in text
        assert "Featherweight 92.50%, Trainer + PEFT 92.00%; +0.50 points, 95% -1.00 to +2.00" in text
        assert "| training | 42,467,328 | 900 (810–990) | 700 (630–770) | 200 (180–220) |" in text
        assert "| 540 (486–594) | 60% (54–66) |" in text
        assert "The data has 816 rows. Each further row consists of" in text
        assert "| `aten::mm` | 50.0% | 12 |" in text
        assert "Not measured: onnx-fp32: there is no featherweight.export yet." in text
        assert "Exponents over rows (between the two largest): setup seconds 0.50 (0.70)." in text
        assert "| featherweight --help | 0.25 (0.23–0.28) |" in text
        assert "seeds 0 1" in text and "newsbriefs: 816 train rows" in text
        pictures = [line.split("(../")[1].rstrip(")") for line in text.splitlines() if line.startswith("![")]
        assert len(pictures) == 6  # a training has two
        assert all((docs / path).stat().st_size > 5_000 for path in pictures)

    def test_the_first_screen_has_a_row_a_question_and_a_column_a_machine(self, load: Load) -> None:
        write = load("pages.write")
        weak = {"padding_share": a_spread(0.2), "times_faster": a_spread(3.0)}
        faster = trained(load)
        faster["summary"] |= {"tuned": {**faster["summary"]["trainer"], **weak}}
        records = [
            {**faster, "name": "train-minilm-speed", "machine_folder": "zen4"},
            {**started(load), "machine_folder": "epyc"},
        ]
        predicted = a_record(
            load, "gpu-predict", "gpu-predict-mpnet", settings={"backbone": "mpnet"}, machine_folder="zen4"
        )
        predicted["summary"] = {
            name: {"times_faster": a_spread(times)} for name, times in (("pipeline", 44.0), ("pipeline-64", 4.5))
        }
        records.append(predicted)
        rows = write.overview(write.by_machine(records)).splitlines()[2:]
        assert rows[0].startswith("| Featherweight compared with other tools | EPYC, 2 cores")
        link = "(../../benchmarks/results/zen4/train-minilm-speed.json)"
        assert rows[2].endswith(f" | – | [12.5×]{link} minilm |")
        assert rows[3].endswith(f" | – | [3.0×]{link} minilm* |")
        batched = link.replace("train-minilm-speed", "gpu-predict-mpnet")
        assert "(fp32, one text at a time)" in rows[4] and rows[4].endswith(f" | – | [44.0×]{batched} mpnet |")
        assert "in batches of 64" in rows[5] and rows[5].endswith(f" | – | [4.5×]{batched} mpnet |")
        assert rows[7].endswith(f" | – | [1.00 GB]{link} against 1.00 GB, minilm |")
        assert rows[8].endswith("[0.2 s](../../benchmarks/results/epyc/startup.json) `--help` | – |")

    @pytest.mark.parametrize("page", sorted((ROOT / "docs" / "results").glob("speed*.md")), ids=lambda page: page.stem)
    def test_the_committed_pages_say_what_the_results_say(
        self, load: Load, page: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = load("pages.write")
        places = {path.name: path for path in (ROOT / "docs" / "images").iterdir()}

        def drawn(record: dict[str, Any], folder: Path) -> list[Path]:
            name = f"speed-{record['machine_folder']}-{record['name']}"
            return [places[file] for file in (f"{name}.png", f"{name}-accuracy.png") if file in places]

        monkeypatch.setattr(write.charts, "draw", drawn)
        machines = write.by_machine(load("harness.recording").load_all())
        machine = page.stem.removeprefix("speed-")
        made = write.machine_page(machine, machines[machine], page) if machine in machines else write.overview(machines)
        assert page.read_text("utf-8") == made

    def test_the_design_page_has_its_tables_from_the_results(self, load: Load) -> None:
        page = (ROOT / "docs" / "design" / "speed.md").read_text("utf-8")
        assert page == load("pages.write").with_design_tables(page, load("harness.recording").load_all())

    def test_the_design_page_gets_its_table_and_keeps_its_words(self, load: Load) -> None:
        record = a_record(load, "changes", "changes-minilm", settings={"backbone": "minilm"}, machine_folder="zen4")
        record["contestants"] = {"shipped": {"label": "as shipped", "note": ""},
                                 "order": {"label": "random order", "note": "half"}}  # fmt: skip
        speed = {"samples_per_second": a_spread(100.0), "peak_memory_bytes": None, "failed": None}
        record["summary"] = {"shipped": {**speed, "against_shipped": None},
                             "order": {**speed, "against_shipped": a_spread(0.5)}}  # fmt: skip
        write = load("pages.write").with_design_tables
        aims = "<!-- aims -->\n<!-- end of aims -->"
        text = write(f"before\n<!-- changes -->\nold\n<!-- end of changes -->\n{aims}\nafter\n", [record])
        assert text.startswith("before\n<!-- changes -->\n### On minilm, on zen4\n")
        assert text.endswith(f"\n<!-- end of changes -->\n{aims}\nafter\n") and "old" not in text
        assert "| random order | half | 0.50" in text
        assert write(text, [record]) == text
        with pytest.raises(UserError, match="the page has no place between '<!-- changes -->'"):
            write("no marks", [record])

    def test_an_aim_takes_ratio_and_share_from_one_machine(self, load: Load) -> None:
        def two(folder: str, share: float, ratio: float) -> list[dict[str, Any]]:
            settings = {"backbone": "mpnet"}
            limit = a_record(load, "limit", "limit-mpnet", settings=settings, machine_folder=folder)
            limit["summary"] = {"training": {"share": a_spread(share)}}
            trained = a_record(load, "train", "train-mpnet-speed", settings=settings, machine_folder=folder)
            trained["summary"] = {"trainer": {"times_faster": a_spread(ratio)}}
            return [limit, trained]

        def rows(records: list[dict[str, Any]]) -> list[str]:
            page = load("pages.write").with_design_tables("<!-- aims -->\n<!-- end of aims -->\n", records)
            return [line for line in page.splitlines() if "training" in line]

        first, second = two("epyc", 0.7, 7.0), two("zen4", 0.8, 4.0)
        assert rows(first + second) == [
            "| training, mpnet, against Trainer's defaults, on epyc | 7.0× | 70% | 16× | 160% |",
            "| training, mpnet, against Trainer's defaults, on zen4 | 4.0× | 80% | 16× | 320% |",
        ]
        assert load("pages.write").title(second[1]) == "Training: mpnet (speed)"
        # A share that was twice as large in one turn as in another says nothing.
        second[0]["summary"]["training"]["share"] |= {"low": 0.4, "high": 0.9}
        assert len(rows(first + second)) == 1
        # One machine's share says nothing about another one's ratio.
        assert rows([first[0], second[1]]) == []

    def test_results_of_another_kind_are_left_alone(self, load: Load, tmp_path: Path) -> None:
        other = {"benchmark": "something else", "name": "a", "machine_folder": "zen4"}
        assert load("pages.write").write_pages([other], tmp_path) == []
