"""The page of a run: complete, self-contained, and honest about what is missing."""

import json
import os
import subprocess
import sys

import pytest
from support.made_up_runs import fabricate
from support.report_pages import PICTURES, Page, page_of

from featherweight.errors import UserError
from featherweight.report.run.page import write_report
from featherweight.report.run.plots import draw_plots
from featherweight.report.style import VARIABLES

SECTIONS = [
    "Training", "Confusion matrix (test)", "Per class", "Reliability", "Weigh-in", "Shift", "Most confident errors",
    "Warnings", "Environment", "Recipe",
]  # fmt: skip


def test_the_page_has_its_sections_in_order_and_the_headline_in_words(run):
    page = page_of(run)
    figures = json.loads((run / "evaluation.json").read_text())["test"]
    assert page.headings == SECTIONS
    assert f"{figures['accuracy']:.1%} of 240 test texts classified correctly" in page.text
    low, high = figures["accuracy_interval"]
    for words in (
        f"95% interval {low:.1%} to {high:.1%}",
        f"Macro-F1 {figures['macro_f1']:.4f} higher is better",
        f"Log loss (lower is better) {figures['log_loss']:.4f} {figures['log_loss_scaled']:.4f}",
        f"{figures['calibration_error']:.2%} {figures['calibration_error_scaled']:.2%}",
        "287,236",
        "29% of the budget of 1,000,000",
        "minilm",
        "52 s",
        "Validation has 96 rows",
        "PEFT would print 288,780",
        "AMD EPYC 9B45",
        "Reloaded in a fresh process: the same logits for 64 rows, bit for bit.",
        'name = "newsbriefs"',
        figures["mistakes"][0]["text"],
    ):
        assert words in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) == 8


def test_the_page_needs_nothing_but_itself(run):
    page = page_of(run)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "img"}
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
    html = (run / "report.html").read_text("utf-8")
    assert "@import" not in html and "url(http" not in html and "<!DOCTYPE svg" not in html
    assert "default-src 'none'" in html


def test_every_colour_follows_dark_mode(run):
    html = (write_report(run)).read_text("utf-8")
    body = html[html.index("</style>") :]
    assert "prefers-color-scheme: dark" in html
    for colour, name in VARIABLES.items():
        assert colour not in body
        assert f"--{name}:" in html
    assert "#" not in {value[:1] for tag, a in Page(body).tags for value in (a.get("fill", ""), a.get("stroke", ""))}


def test_what_the_data_says_is_never_markup(tmp_path):
    bad = "<script>alert(1)</script>"
    recipe = {"name": bad, "description": bad, "backbone": {"name": bad}}
    names = (bad, "</text></svg><img src=x onerror=y>", "A & B", '"quoted" $x$ \x07')
    folder = fabricate(tmp_path / "run", names=names, recipe=recipe, texts=(bad,))
    page = page_of(folder)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(bad) > 10
    assert "A & B" in page.text and '"quoted" $x$' in page.text
    assert draw_plots(folder)


def test_many_classes_are_told_in_full_in_a_table(tmp_path):
    names = [f"class {i}" for i in range(150)]
    page = page_of(fabricate(tmp_path / "run", names=names, rows=3000))
    assert "All 150 classes" in page.text and "the 30 of 150 classes with the lowest F1" in page.text
    assert all(f" {name} " in page.text for name in names)


def test_one_step_and_one_evaluation_are_points(tmp_path):
    folder = fabricate(tmp_path / "run", steps=1, every=500)
    assert "a point, not a curve" in page_of(folder).text
    assert {path.stem for path in draw_plots(folder)} == PICTURES


def test_losses_that_are_not_finite_are_warned_of_and_left_out(tmp_path):
    folder = fabricate(tmp_path / "run")
    with (folder / "history.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 91, "epoch": 3.1, "loss": NaN, "accuracy": null, "learning_rate": 0}\n')
        file.write('{"kind": "evaluation", "step": 91, "split": "validation", "loss": NaN, "accuracy": 0.25}\n')
    assert "The training loss was not finite in 1 of 91 steps." in page_of(folder).text
    assert draw_plots(folder)


def test_a_run_that_was_cut_off_while_writing_still_reports(tmp_path):
    folder = fabricate(tmp_path / "run")
    history = folder / "history.jsonl"
    history.write_text(history.read_text()[:-40])
    assert write_report(folder).is_file()
    history.write_text("{broken\n" + history.read_text())
    with pytest.raises(UserError, match=r"history.jsonl: damaged: line 1 is not valid JSON"):
        write_report(folder)


def test_damaged_files_and_other_folders_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        draw_plots(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a run folder"):
        write_report(tmp_path)
    folder = fabricate(tmp_path / "run")
    (folder / "weigh.json").write_text("{")
    with pytest.raises(UserError, match=r"weigh\.json: damaged"):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_the_same_run_gives_the_same_page(run):
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


@pytest.mark.slow
def test_the_whole_report_takes_no_torch(run):
    code = (
        "import sys\n"
        "from featherweight.report.run.page import write_report\n"
        "from featherweight.report.run.plots import draw_plots\n"
        "write_report(sys.argv[1]); draw_plots(sys.argv[1])\n"
        "loaded = {'torch', 'matplotlib.pyplot', 'transformers'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, str(run)], check=True, env=environment)
