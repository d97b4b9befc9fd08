"""The documentation holds: links lead somewhere, commands and recipes are understood, Python compiles or even runs."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
import typer

from featherweight.cli.arguments import load_recipe
from featherweight.cli.main import app
from featherweight.recipe import Recipe, built_in_recipes
from featherweight.recipe.search_space import SearchSpace

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS: Any = typer.main.get_command(app)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TO_COME = re.compile(r"<!-- to come: (\S+) -->")


class Block(NamedTuple):
    """A fenced code block; printed as its page and its first words."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.strip().splitlines()[0][:60]}"


def blocks(*languages: str) -> list[Block]:
    found = (Block(page, *match.groups()) for page in PAGES for match in FENCE.finditer(page.read_text("utf-8")))
    return [block for block in found if block.language in languages]


def prose(page: Path) -> str:
    """The page without code, in which brackets mean other things."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """Names of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_and_images_lead_somewhere(page: Path) -> None:
    to_come = set(TO_COME.findall(page.read_text("utf-8")))
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        leads_to = (page.parent / path) if path else page
        assert leads_to.exists() or path in to_come, f"{page.name}: {target} is not there"
        assert not anchor or anchor in anchors(leads_to), f"{page.name}: {target}: no such heading"


def test_every_page_of_the_guide_is_in_the_index() -> None:
    listed = {target.partition("#")[0] for target in LINK.findall((ROOT / "docs" / "README.md").read_text("utf-8"))}
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert pages - {"README.md"} <= listed


def shell_lines(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def featherweight_arguments(words: list[str]) -> list[str] | None:
    """What is passed to ``featherweight``, by whatever starts it; None for another program's line."""
    start = next((place for place, word in enumerate(words) if Path(word).name == "featherweight"), None)
    if start is None:
        return None
    before = words[:start]
    started_by = before[-1] == "-m" if before else True
    return words[start + 1 :] if started_by or all("=" in word for word in before) else None


def documented_commands() -> list[tuple[str, list[str]]]:
    lines = ((str(block.page.relative_to(ROOT)), words) for block in blocks("sh") for words in shell_lines(block.text))
    found = [(page, featherweight_arguments(words)) for page, words in lines]
    return [(page, arguments) for page, arguments in found if arguments is not None]


@pytest.mark.parametrize(
    ("page", "arguments"), documented_commands(), ids=lambda part: part if isinstance(part, str) else " ".join(part)
)
def test_commands_are_understood(page: str, arguments: list[str]) -> None:
    with COMMANDS.make_context("featherweight", list(arguments)) as top:
        name, command, rest = COMMANDS.resolve_command(top, [*top._protected_args, *top.args])
        with command.make_context(name, rest, parent=top) as parsed:
            values = parsed.params
    if values.get("recipe") in built_in_recipes():
        load_recipe(values["recipe"], values["overrides"], values["budget"])


def test_every_verb_is_documented_and_no_other() -> None:
    verbs = {next(word for word in arguments if not word.startswith("-")) for _, arguments in documented_commands()}
    mentioned = {verb for page in PAGES for verb in re.findall(r"`featherweight ([a-z]+)", page.read_text("utf-8"))}
    assert verbs | mentioned <= set(COMMANDS.commands)
    assert set(COMMANDS.commands) <= verbs | mentioned


def test_makes_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = [words for block in blocks("sh", "") for words in shell_lines(block.text) if words[0] == "make"]
    assert lines
    assert {words[1] for words in lines} <= targets


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_recipes_are_understood(block: Block) -> None:
    values = tomllib.loads(block.text)
    section = values.pop("search", None)
    recipe = Recipe.parse(values, str(block))
    if section is not None:
        SearchSpace.parse(section, str(block), recipe)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.usefixtures("in_this_process")
def test_the_lines_for_linear_heads_give_the_runs_own_logits(tiny_recipe: Any, tmp_path: Path, pooling: str) -> None:
    import numpy as np

    from featherweight import Classifier, train

    lines = next(block.text for block in blocks("python") if "head.safetensors" in block.text)
    assert '"runs/newsbriefs/adapter"' in lines
    recipe = tiny_recipe("bert", adapter={"head": "linear", "pooling": pooling, "bias": "all"})
    run = train(recipe, tmp_path / "run")
    names: dict[str, Any] = {}
    exec(lines.replace("runs/newsbriefs/adapter", str(run.adapter)), names)
    classifier = Classifier.load(run.folder, precision="fp32")
    np.testing.assert_allclose(names["logits"].numpy(), classifier.logits(names["texts"]), atol=1e-5)
    np.testing.assert_allclose(names["probabilities"], classifier.probabilities(names["texts"]), atol=1e-5)
    assert names["labels"] == [prediction.label for prediction in classifier.predict(names["texts"])]
