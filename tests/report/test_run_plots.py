"""The pictures of a run: whole, readable, and with a key where no font can draw a name."""

import itertools
import json
import unicodedata

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from support.made_up_runs import fabricate
from support.report_pages import PICTURES, page_of

from featherweight.report import fonts
from featherweight.report.run.contents import read_contents
from featherweight.report.run.plots import available, draw_plots
from featherweight.report.run.summary import draw_summary
from featherweight.report.style import drawing, shorten
from featherweight.workflows.report import report_run


def test_every_picture_is_a_whole_png(run):
    paths = draw_plots(run)
    assert {path.stem for path in paths} == PICTURES
    assert {path.name for path in (run / "plots").iterdir()} == {f"{name}.png" for name in PICTURES}
    for path in paths:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG") and data.endswith(b"IEND\xaeB`\x82")
        width, height = np.frombuffer(data[16:24], ">u4")
        assert 600 <= width <= 6000 and 200 <= height <= 6000


@pytest.mark.parametrize("classes", [2, 9, 20, 77])
def test_no_two_names_overlap_however_many_classes(tmp_path, classes):
    names = [f"A rather long name of a class, in full number {i}" for i in range(classes)]
    run = read_contents(fabricate(tmp_path / "run", names=names, rows=40 * classes))
    with drawing():
        for name in ("confusion_matrix", "per_class", "weigh_in", "shift"):
            figure = available(run)[name]()
            _assert_apart(figure)


def _assert_apart(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    axes = figure.axes[0]
    for ticks, way in ((axes.get_yticklabels(), "y"), (axes.get_xticklabels(), "x")):
        shown = [tick for tick in ticks if tick.get_text()]
        boxes = [tick.get_window_extent(renderer) for tick in shown]
        assert all(box.x0 >= -1 and box.y0 >= -1 for box in boxes), "a name runs out of the picture"
        if shown and shown[0].get_rotation() not in (0, 90):
            spacing = abs(np.diff(axes.transData.transform([(0, 0), (1, 0)])[:, 0])[0])
            height = shown[0].get_fontsize() * figure.dpi / 72
            assert spacing * np.sin(np.radians(shown[0].get_rotation())) > height
            continue
        starts = sorted((getattr(box, f"{way}0"), getattr(box, f"{way}1")) for box in boxes)
        assert all(after[0] >= before[1] - 0.5 for before, after in itertools.pairwise(starts))


def test_matplotlib_is_left_as_it_was(run):
    before = dict(matplotlib.rcParams)
    draw_plots(run)
    assert dict(matplotlib.rcParams) == before


def test_names_in_any_script_are_drawn_without_complaint(tmp_path, recwarn):
    folder = fabricate(tmp_path / "run", names=("世界", "رياضة", "🏈 sport", "Größe"))
    draw_plots(folder)
    assert "世界" in page_of(folder).text
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


LINEAR_A = "\U00010600\U00010601"  # a script that next to no machine has a font for


def test_a_name_that_no_font_can_draw_is_a_number_in_pictures_with_its_key_on_the_page(tmp_path):
    folder = fabricate(tmp_path / "run", names=("sport", LINEAR_A, "Größe", "мир"))
    with drawing():
        figure = available(read_contents(folder).with_drawable_names())["confusion_matrix"]()
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["sport", "class 1", "Größe", "мир"]
    page = page_of(folder).text
    assert f"class 1 is {LINEAR_A}" in page and "install a font" in page
    said = []
    report_run(folder, said.append)
    assert len(said) == 1 and f"class 1 is {LINEAR_A};" in said[0]


@pytest.mark.parametrize(("character", "font"), [
    ("EMOJI COMPONENT RED HAIR", "Noto Emoji"), ("DEVANAGARI LETTER A", "Noto Sans Devanagari"),
    ("HANGUL SYLLABLE GA", "Noto Sans CJK"), ("LINEAR A SIGN AB001", "Unifont"),
])  # fmt: skip
def test_the_font_to_install_has_the_characters(monkeypatch, character, font):
    monkeypatch.setattr(fonts, "can_draw", str.isascii)
    assert fonts.font_for(f"a {unicodedata.lookup(character)}") == font


def test_a_shift_set_that_no_font_can_draw_is_a_number_too(tmp_path):
    folder = fabricate(tmp_path / "run")
    values = json.loads((folder / "evaluation.json").read_text("utf-8"))
    values["shift"] = {LINEAR_A: values["shift"]["typos"]}
    (folder / "evaluation.json").write_text(json.dumps(values), "utf-8")
    with drawing():
        figure = available(read_contents(folder).with_drawable_names())["shift"]()
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["test", "shift set 1"]
    assert f"shift set 1 is {LINEAR_A}" in page_of(folder).text
    said = []
    report_run(folder, said.append)
    assert len(said) == 1 and f"shift set 1 is {LINEAR_A};" in said[0]


def test_names_that_can_be_drawn_need_no_key(run):
    said = []
    report_run(run, said.append)
    assert not said and "no installed font" not in page_of(run).text


def test_the_summary_says_what_it_cannot_show(tmp_path):
    folder = fabricate(tmp_path / "run")
    (folder / "history.jsonl").unlink()
    with drawing():
        figure = draw_summary(read_contents(folder))
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert said.count("not in this run") == 2


def test_shortening_keeps_both_ends_and_one_line():
    assert shorten("short", 10) == "short"
    assert shorten("card payment fee charged", 12) == "card pa…rged"
    assert shorten("two\nlines\tand \x00 more", 40) == "two lines and more"
    assert len(shorten("x" * 100, 20)) == 20
