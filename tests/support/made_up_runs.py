"""A made-up but plausible run folder, without any training: what the report reads."""

import json
from pathlib import Path

import numpy as np
import tomli_w

from featherweight.evaluation.calibration import fit_temperature
from featherweight.evaluation.metrics import evaluate, most_confident_errors

NEWS = ("World", "Sports", "Business", "Sci/Tech")
HEADLINES = (
    "Central bank holds rates as growth slows",
    "Striker signs for rivals in record move",
    "Chip maker cuts jobs",
)


def scores(rows, classes, skill, seed):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, rows)
    logits = draw.normal(size=(rows, classes)) * 1.6
    logits[np.arange(rows), labels] += skill + np.log(classes)
    logits[:, -1] += 0.8 * logits[:, -2]  # the last two classes are taken for each other
    return logits * 2.2, labels


def history(steps, every, seed=0):
    draw = np.random.default_rng(seed)
    lines = []
    for step in range(1, steps + 1):
        left = np.exp(-3 * step / steps)
        loss = max(0.02, 0.12 + 1.2 * left + draw.normal() * (0.05 + 0.2 * left))
        right = draw.binomial(32, min(0.99, 0.97 - 0.65 * left**1.5)) / 32
        rate = 5e-4 * min(step / (0.06 * steps), 1 - (step - 1) / steps)
        lines.append({
            "kind": "step", "step": step, "epoch": 3 * step / steps, "loss": loss, "accuracy": right,
            "learning_rate": rate, "grad_norm": 1.0, "rows": 32, "tokens": 1700, "seconds": step * 0.4,
        })  # fmt: skip
        if step % every == 0 or step == steps:
            lines.append({"kind": "evaluation", "step": step, "split": "validation", "loss": 0.16 + left,
                          "accuracy": 0.96 - 0.5 * left**1.4, "rows": 96, "seconds": 0.5})  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in lines)


def evaluation(names, rows, skill, shift=True, texts=HEADLINES):
    classes = len(names)
    temperature = fit_temperature(*scores(2000, classes, skill, 1))
    figures = {}
    for split, seed in (("validation", 2), ("test", 3)):
        logits, labels = scores(rows, classes, skill, seed)
        figures[split] = evaluate(logits, labels, names, temperature=temperature)
    shown = [f"{texts[row % len(texts)]}, story {row}" for row in range(rows)]
    figures["test"]["mistakes"] = most_confident_errors(logits, labels, shown, names, 12)
    sets = {"ag_news test": (2 * rows, skill - 1.2), "typos": (rows, skill - 0.7)} if shift else {}
    figures["shift"] = {
        name: evaluate(*scores(size, classes, less, 5), names, temperature=temperature)
        for name, (size, less) in sets.items()
    }
    return figures | {"best_step": 90, "best_validation_accuracy": figures["validation"]["accuracy"]}


def weigh(budget=1_000_000, labels=4):
    components = [
        {"name": "LoRA query, layers 0-5, rank 8", "kind": "lora", "parameters": 36_864},
        {"name": "LoRA value, layers 0-5, rank 8", "kind": "lora", "parameters": 36_864},
        {"name": "LoRA attention_output, layers 0-5, rank 8", "kind": "lora", "parameters": 92_160},
        {"name": "LoRA mlp_down, layers 0-5, rank 8", "kind": "lora", "parameters": 92_160},
        {"name": "biases of the encoder", "kind": "bias", "parameters": 27_648},
        {"name": "head: linear, mean pooling", "kind": "head", "parameters": 385 * labels},
    ]
    total = sum(part["parameters"] for part in components)
    return {"components": components, "total": total, "backbone_parameters": 22_713_216, "budget": budget,
            "labels": labels, "percent": 100 * total / 22_713_216, "margin": budget - total, "peft_total": total + 1544,
            "peft_note": "PEFT counts the head's 1,544 parameters twice."}  # fmt: skip


def fabricate(
    folder: Path, *, names=NEWS, rows=240, skill=3.0, steps=90, every=15, recipe=None, texts=HEADLINES
) -> Path:
    """Write a whole run folder of a classifier into ``names`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    values = recipe or {
        "name": "newsbriefs",
        "description": "Four kinds of news, learnt in a minute.",
        "budget": 1_000_000,
        "backbone": {"name": "minilm"},
        "adapter": {"lora": [{"roles": ["query", "value"], "rank": 8}]},
    }
    (folder / "recipe.toml").write_text(tomli_w.dumps(values), "utf-8")
    environment = {
        "featherweight": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2",
        "processor": "AMD EPYC 9B45", "cores": 2, "threads": 2, "device": "cpu", "precision": "bf16",
        "attention": "eager", "seed": 0, "started": "2026-03-02T09:15:00+00:00", "seconds": 51.7,
        "peak_memory_bytes": 1_240_000_000,
        "data": {"train": {"rows": 864, "fingerprint": "3f1a9c0d11e2b4a7"}, "test": {"rows": rows}},
        "warnings": ["Validation has 96 rows: its accuracy is known to within 8.4 points only."],
    }  # fmt: skip
    write = {
        "environment.json": environment,
        "weigh.json": weigh(labels=len(names)),
        "evaluation.json": evaluation(names, rows, skill, texts=texts),
        "verification.json": {
            "reloaded": {"rows": 64, "largest_difference": 0.0},
            "peft": {"rows": 64, "largest_difference": 0.0},
            "identical": True,
        },
    }
    for name, content in write.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    (folder / "history.jsonl").write_text(history(steps, every), "utf-8")
    return folder
