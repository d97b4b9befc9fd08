"""Perturbed test sets: the same for everybody, changed in one way, with the labels of the test set."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.perturbations import HEADLINE_WORDS, perturb
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.recipe import PERTURBATIONS, Recipe

TEXTS = [
    "Harbour Strike Ends After Nine Days Dockers in Rotterdam returned to work on Monday after a row over 1,200 jobs.",
    "Sprinter Breaks Record Amara Diallo ran the distance in 21.3 seconds at the meeting in Lisbon on Sunday evening.",
    "Bank Cuts Outlook Shares of Norvik fell by 7 percent after the bank in Oslo lowered its forecast for 2031.",
    "Probe Reaches Comet Engineers in Darmstadt said the probe of the agency arrived 40 days early and took pictures.",
]


def names_of(*kinds: str) -> list[str]:
    return [f"perturbed:{kind}" for kind in kinds]


def recipe(shift: list[str], **data: Any) -> Recipe:
    return Recipe.parse({"data": data, "evaluation": {"shift": shift}})


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_text_is_perturbed_alike_wherever_it_stands(kind: str) -> None:
    source = f"perturbed:{kind}"
    once = perturb(TEXTS, source)
    assert once == perturb(TEXTS, source)
    assert perturb(TEXTS[::-1], source) == once[::-1]
    assert any(changed != text for changed, text in zip(once, TEXTS, strict=True))


def test_casing_changes_nothing_but_case() -> None:
    changed = perturb([*TEXTS, *(f"{text} {number}" for number in range(20) for text in TEXTS)], "perturbed:casing")
    assert {text.islower() for text in changed} == {True, False}
    assert all(text.islower() or text.isupper() for text in changed)
    assert [text.lower() for text in changed[:4]] == [text.lower() for text in TEXTS]


def test_typos_slip_in_some_long_words_by_a_letter() -> None:
    many = [f"{text} number {number}" for number in range(50) for text in TEXTS]
    changed = perturb(many, "perturbed:typos")
    words = [
        pair
        for before, after in zip(many, changed, strict=True)
        for pair in zip(before.split(), after.split(), strict=True)
    ]
    slips = [(before, after) for before, after in words if before != after]
    letters = [sum(map(str.isalpha, before)) for before, _ in words]
    assert 0.07 < len(slips) / sum(length >= 4 for length in letters) < 0.13
    assert all(abs(len(before) - len(after)) <= 1 and sum(map(str.isalpha, before)) >= 4 for before, after in slips)


def test_a_headline_is_the_first_words() -> None:
    for text, headline in zip(TEXTS, perturb(TEXTS, "perturbed:headline"), strict=True):
        assert text.startswith(headline)
        assert len(headline.split()) == HEADLINE_WORDS


def test_entities_are_exchanged_for_others_of_the_set_and_the_rest_stays() -> None:
    changed = perturb(TEXTS, "perturbed:entities")
    assert "Rotterdam" not in changed[0] and "returned to work on" in changed[0]
    assert "1,200" not in changed[0]
    assert "Lisbon" not in changed[1] and "seconds at the meeting in" in changed[1]
    known = set(" ".join(TEXTS).replace(",", "").replace(".", "").split())
    assert {word for word in " ".join(changed).replace(",", "").replace(".", "").split() if word.isalpha()} <= known
    # "Engineers" and "Shares" begin a sentence here; where the set writes them small they are no names.
    assert "Engineers" in perturb([*TEXTS, "the engineers and the shares"], "perturbed:entities")[3]


def test_the_splits_have_the_perturbed_test_rows_with_their_labels() -> None:
    splits = load_splits(recipe(names_of(*PERTURBATIONS), train="newsbriefs"))
    assert splits.test is not None
    assert list(splits.shift) == names_of(*PERTURBATIONS)
    for source, rows in splits.shift.items():
        assert len(rows) == 240 and rows.labels is splits.test.labels
        assert source in rows.origin
        changed = sum(a != b for a, b in zip(rows.texts, splits.test.texts, strict=True))
        assert changed > 200
    other = load_splits(recipe(names_of("typos"), train="newsbriefs").with_values(seed=5))
    assert other.shift["perturbed:typos"].texts == splits.shift["perturbed:typos"].texts


def write_news(path: Path, rows: int, titles: bool = True) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "description", "label"])
        for number in range(rows):
            title = f"Title {number}" if titles and number else ""
            writer.writerow(
                [title, f"a long description of the thing that has number {number} on it", "AB"[number % 2]]
            )
    return str(path)


def test_the_headline_is_the_title_where_the_data_has_one(tmp_path: Path) -> None:
    train, test = write_news(tmp_path / "train.csv", 40), write_news(tmp_path / "test.csv", 10)
    rows = load_splits(recipe(names_of("headline"), train=train, test=test)).shift["perturbed:headline"]
    assert rows.texts[1:3] == ["Title 1", "Title 2"]
    assert rows.texts[0] == "a long description of the thing that has"  # without a title: the first words


def test_perturbations_need_a_test_set_and_a_known_name(tmp_path: Path) -> None:
    train = write_news(tmp_path / "train.csv", 40)
    with pytest.raises(UserError, match=r"perturbed:typos changes the test rows, and there are none; set data\.test"):
        load_splits(recipe(names_of("typos"), train=train))
    with pytest.raises(UserError, match=r"evaluation\.shift.*perturbed:typo.*use one of perturbed:casing"):
        recipe(["perturbed:typo"])


def test_a_perturbation_that_changes_nothing_is_said(tmp_path: Path) -> None:
    for part, rows in (("train", 40), ("test", 10)):
        lines = [f'{{"text": "{"甲乙丙丁"[row % 4] * (row + 2)}", "label": "{"AB"[row % 2]}"}}' for row in range(rows)]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines), "utf-8")
    data = {part: str(tmp_path / f"{part}.jsonl") for part in ("train", "test")}
    warnings = load_splits(recipe(names_of("casing"), **data)).warnings
    assert any("perturbed:casing changes none of the test texts" in line for line in warnings)
