"""Small made-up data in the shapes of well-known sets: trained, evaluated and predicted as ``train FILE`` does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from support.commands import Cli
from support.several_labels import EMOTIONS, TOXIC, texts_with_labels

from featherweight.run.folder import Run

FEW_STEPS = ("--budget", "20k", "--set", "training.max_steps=2", "--set", "training.batch_size=8")
GROUPS = tuple(f"{top}.{rest}" for top in ("alt", "comp", "rec", "sci", "talk") for rest in ("a", "b", "misc", "x-y"))
INTENTS_77 = tuple(f"intent_{number:02}?" for number in range(77))
INTENTS_150 = tuple(f"ask_{number:03}" for number in range(150))
QUEUES = ("Billing", "IT Support", "Returns & Exchanges")
WORDS = ("the", "we", "found", "it", "very", "good", "price", "team", "game", "card", "light", "paper", "late", "again")
NEWS = ("体育", "娱乐", "财经")


@dataclass(frozen=True)
class Shape:
    """A data set: how it is written, what is typed for it, and what must come of it."""

    write: Callable[[], str]
    """Writes it into the working directory, and returns what ``train`` gets."""
    labels: tuple[str, ...]
    """All classes, in the order of their numbers."""
    text: tuple[str, ...] = ("text",)
    label: str | tuple[str, ...] = "label"
    options: tuple[str, ...] = ()
    """What is typed beside the name of the file."""
    new: str | None = None
    """The rows to predict; the test rows by default."""
    test_rows: int = 0
    """The evaluated test rows; 0 if there is no labelled test."""
    predicted: int = field(kw_only=True)
    """The predicted rows."""
    said: tuple[str, ...] = field(default=(), kw_only=True)
    """Words of the notes on the terminal."""


def sentence(draw: random.Random, about: str) -> str:
    """A sentence of common words with one that tells its class."""
    words = draw.choices(WORDS, k=8)
    return " ".join([*words[:4], about.lower().strip("?"), *words[4:]]) + "."


def rows(labels: tuple[str, ...], each: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts with their labels, ``each`` of every class."""
    draw = random.Random(seed)
    return [(f"{sentence(draw, label)} {number}", label) for number in range(each) for label in labels]


def sms_spam() -> str:
    lines = [f'{label},"{text} – £5",,,' for text, label in rows(("ham", "ham", "spam"), 8)]
    Path("spam.csv").write_text("v1,v2,,,\n" + "\n".join(lines) + "\n", "cp1252")
    return "spam.csv"


def folders(root: str, labels: tuple[str, ...], each: int, ending: str, encoding: str = "utf-8") -> None:
    for number, (text, label) in enumerate(rows(labels, each)):
        folder = Path(root, label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}{ending}").write_text(f"{text}<br />Größe", encoding)


def imdb() -> str:
    folders("aclImdb/train", ("neg", "pos"), 10, ".txt")
    folders("aclImdb/test", ("neg", "pos"), 4, ".txt")
    folders("aclImdb/train", ("unsup",), 3, ".txt")
    Path("aclImdb/README").write_text("Large Movie Review Dataset")
    Path("aclImdb/train/labeledBow.feat").write_text("9 0:9 1:1")
    return "aclImdb"


def newsgroups() -> str:
    folders("20news-bydate-train", GROUPS, 3, "", "latin-1")
    return "20news-bydate-train"


def banking77() -> str:
    for name, each in (("train", 3), ("test", 1)):
        frame = pd.DataFrame(rows(INTENTS_77, each, seed=each), columns=["text", "category"])
        frame.to_csv(f"{name}.csv", index=False)
    return "train.csv"


def clinc() -> str:
    parts = {"train": 4, "val": 1, "test": 1}
    content = {name: [list(row) for row in rows(INTENTS_150, each, seed=each)] for name, each in parts.items()}
    outside = [["what is the meaning of it", "oos"]]
    content |= {"oos_val": outside, "oos_test": outside, "oos_train": outside}
    Path("data_full.json").write_text(json.dumps(content), "utf-8")
    return "data_full.json"


def jigsaw() -> str:
    pairs = texts_with_labels(TOXIC, 40, 0, 0.12)
    flags = [{name: int(name in labels) for name in TOXIC} for _, labels in pairs]
    table = [{"id": f"{n:04x}", "comment_text": f'"{text}"\n:: signed'} | flags[n] for n, (text, _) in enumerate(pairs)]
    pd.DataFrame(table).to_csv("train.csv", index=False)
    pd.DataFrame(table)[["id", "comment_text"]][:9].to_csv("test.csv", index=False)
    return "train.csv"


def go_emotions() -> str:
    for name, count in (("train.tsv", 90), ("test.tsv", 12)):
        pairs = texts_with_labels(EMOTIONS, count, count, 0.04)
        lines = [(text, ",".join(str(EMOTIONS.index(label)) for label in labels or ["neutral"]), f"e{n}")
                 for n, (text, labels) in enumerate(pairs)]  # fmt: skip
        Path(name).write_text("".join("\t".join(line) + "\n" for line in lines), "utf-8")
    return "train.tsv"


def mnli() -> str:
    draw = random.Random(0)
    for name, count in (("train", 24), ("dev", 6)):
        lines = []
        for number in range(count):
            label = ("entailment", "neutral", "contradiction")[number % 3]
            premise, hypothesis = sentence(draw, "premise"), sentence(draw, label)
            parses = {"sentence1_parse": f"(ROOT {premise})", "sentence2_parse": f"(ROOT {hypothesis})"}
            more = {"annotator_labels": [label] * 5, "genre": "fiction", "pairID": f"{number}e", **parses}
            lines.append(json.dumps({**more, "gold_label": label, "sentence1": premise, "sentence2": hypothesis}))
        Path(f"multinli_{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return "multinli_train.jsonl"


def arxiv() -> str:
    draw = random.Random(0)
    table = [
        {"id": f"2101.{number:05}", "title": sentence(draw, "title"), "abstract": " ".join(
            sentence(draw, category) for _ in range(20)), "category": category, "year": 2021}
        for number in range(8) for category in ("cs.CL", "math.PR", "stat.ML")
    ]  # fmt: skip
    pd.DataFrame(table).to_parquet("arxiv.parquet")
    return "arxiv.parquet"


def tickets() -> str:
    draw = random.Random(0)
    table = [
        {"Ticket ID": 1000 + number, "Created": pd.Timestamp("2024-01-01") + pd.Timedelta(hours=number),
         "Subject": sentence(draw, "subject"), "Body": f"Hello,\n{sentence(draw, queue)}\nRegards", "Queue": queue,
         "Priority": ("low", "high")[number % 2]}
        for number in range(8) for queue in QUEUES
    ]  # fmt: skip
    pd.DataFrame(table).to_excel("tickets.xlsx", index=False)
    return "tickets.xlsx"


def tweets() -> str:
    marks = {"negative": "😡👎🏽", "neutral": "🤷‍♀️", "positive": "😍🇫🇷"}
    table = [
        {"tweet_id": 570306133677760513 + number, "airline_sentiment": label, "airline_sentiment_confidence": 0.5,
         "airline": ("United", "Delta")[number % 2], "text": f"@air {text} {marks[label]} #late http://t.co/x",
         "tweet_created": f"2015-02-24 11:35:{number:02} -0800"}
        for number, (text, label) in enumerate(rows(tuple(marks), 9))
    ]  # fmt: skip
    pd.DataFrame(table).to_csv("Tweets.csv", index=False)
    return "Tweets.csv"


def chinese_news() -> str:
    draw = random.Random(0)
    lines = [f"{label}\t{''.join(draw.choices('中国新闻比赛电影市场今天北京上涨', k=30))}{label}" for label in NEWS * 8]
    Path("cnews.train.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return "cnews.train.txt"


SENTIMENTS = ("negative", "neutral", "positive")
MULTI_LABEL = ("--set", "task=multi-label")
SHAPES: dict[str, Shape] = {
    "SMS spam": Shape(sms_spam, ("ham", "spam"), ("v2",), "v1", predicted=24, said=("cp1252",)),
    "IMDB": Shape(imdb, ("neg", "pos"), new="aclImdb", test_rows=8, predicted=8),
    "20 newsgroups": Shape(newsgroups, GROUPS, predicted=60),
    "banking77": Shape(banking77, INTENTS_77, label="category", options=("--test", "test.csv"), test_rows=77,
                       predicted=77),
    "CLINC": Shape(clinc, INTENTS_150, test_rows=150, predicted=150),
    "Jigsaw": Shape(jigsaw, TOXIC, ("comment_text",), TOXIC, ("--test", "test.csv", *MULTI_LABEL), "test.csv",
                    predicted=9, said=("test.csv has no labels",)),
    "GoEmotions": Shape(
        go_emotions, EMOTIONS, label="labels", new="test.tsv", test_rows=12, predicted=12, options=(
            "--test", "test.tsv", *MULTI_LABEL, "--set", 'data.columns=["text", "labels", "id"]',
            "--set", f"data.labels={json.dumps(EMOTIONS)}"),
    ),
    "MNLI": Shape(
        mnli, ("contradiction", "entailment", "neutral"), ("sentence1", "sentence2"), "gold_label",
        options=("--test", "multinli_dev.jsonl", "--text", "sentence1", "--text", "sentence2", "--label", "gold_label",
                 "--set", "data.join=pair"), test_rows=6, predicted=6,
    ),
    "arXiv": Shape(arxiv, ("cs.CL", "math.PR", "stat.ML"), ("title", "abstract"), "category",
                   ("--set", "data.long=windows", "--set", "data.max_length=64"), predicted=24),
    "tickets": Shape(tickets, QUEUES, ("Subject", "Body"), "Queue", ("--label", "Queue"), predicted=24),
    "tweets": Shape(tweets, SENTIMENTS, label="airline_sentiment", options=("--label", "airline_sentiment"),
                    predicted=27),
    "Chinese news": Shape(chinese_news, tuple(sorted(NEWS)), options=("--set", 'data.columns=["label", "text"]'),
                          predicted=24),
}  # fmt: skip


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_trained_evaluated_and_predicted(name: str, cli: Cli, tiny_backbones: dict[str, Path]) -> None:
    shape = SHAPES[name]
    source = shape.write()
    answer = cli("train", source, *shape.options, *FEW_STEPS, "--backbone", tiny_backbones["bert"], "--out", "run")
    assert answer.code == 0, answer
    assert all(words in answer.out for words in shape.said), answer.out
    run = Run("run")
    data = run.recipe.data
    assert (data.text or ("text",), data.label) == (shape.text, shape.label)
    figures = run.evaluation["test" if shape.test_rows else "validation"]
    assert [row["label"] for row in figures["per_class"]] == list(shape.labels)
    assert shape.test_rows in (0, figures["rows"])

    new = shape.new or data.test or source
    assert cli("predict", "run", new, "-o", "out.jsonl").code == 0
    found = pd.read_json("out.jsonl", lines=True, dtype=False)
    lists = found["label"] if data.several else found["label"].map(lambda label: [label])
    assert {label for labels in lists for label in labels} <= {*shape.labels}
    assert [column.removeprefix("p_") for column in found.columns[2:]] == list(shape.labels)
    assert found.iloc[:, 2:].to_numpy().min() >= 0 and len(found) == shape.predicted
    judged = cli("evaluate", "run", "--data", source, "--json")
    assert judged.code == 0, judged
    assert 0 <= json.loads(judged.out)["accuracy"] <= 1
