"""SetFit: the encoder trained on pairs of texts, then a logistic regression on its sentence vectors.

SetFit draws pairs of rows, and lists all of them first: its memory grows with the square of the rows. Here each row
stands in two pairs (``num_iterations=1``), the fewest with which SetFit looks at every row.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from harness.measuring import Job, forget_warm_up, memory, read_rows, timed, versions
from setfit import SetFitModel, Trainer, TrainingArguments

WARM_UP_ROWS = 16


def solve(job: Job) -> dict[str, Any]:
    """A few rows with a model that is thrown away, then the measured training."""
    texts, labels = sample(*read_rows(job["files"]["train"]), job["setfit_rows"])
    few = max(WARM_UP_ROWS, 2 * len(job["labels"]))
    train(job, *sample(texts, labels, few))
    forget_warm_up()
    model, seconds = train(job, texts, labels)
    held = memory()
    accuracy = {}
    for name in ("validation", "test"):
        if name in job["files"]:
            rows, truth = read_rows(job["files"][name])
            predicted = [str(label) for label in model.predict(rows, as_numpy=True)]
            accuracy[name] = sum(map(str.__eq__, predicted, truth)) / len(truth)
    numbers = {name: number for number, name in enumerate(job["labels"])}
    return {
        "samples_per_second": len(texts) / seconds,
        "training_seconds": seconds,
        "rows_seen": len(texts),
        "evaluations": [{"step": 0, "seconds": seconds, "accuracy": accuracy["validation"]}],
        "predicted": [numbers[label] for label in predicted],
        "trainable": sum(tensor.numel() for tensor in model.model_body.parameters() if tensor.requires_grad),
        "threads": torch.get_num_threads(),
        "versions": versions() | {name: version(name) for name in ("sentence-transformers", "setfit")},
        **held,
    }


def train(job: Job, texts: list[str], labels: list[str]) -> tuple[Any, float]:
    """One training, pairs and head; returns model and seconds."""
    model = SetFitModel.from_pretrained(job["backbone_folder"], labels=job["labels"])
    pairs = 2 * len(texts)
    arguments = TrainingArguments(
        output_dir=str(Path(job["scratch"]) / "setfit"),
        num_iterations=1,
        num_epochs=1,
        # Bounds the list of pairs to those that are drawn.
        max_steps=-(-pairs // job["setfit_batch"]),
        batch_size=job["setfit_batch"],
        max_length=job["max_length"],
        seed=job["seed"],
        save_strategy="no",
        report_to="none",
        show_progress_bar=False,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict({"text": texts, "label": labels}))
    return model, timed(trainer.train)[0]


def sample(texts: list[str], labels: list[str], wanted: int) -> tuple[list[str], list[str]]:
    """About ``wanted`` rows, the first ones of each class, as many of one class as of another."""
    import pandas as pd

    rows = pd.DataFrame({"text": texts, "label": labels})
    kept = rows.groupby("label", sort=False).head(-(-wanted // rows["label"].nunique()))
    return kept["text"].tolist(), kept["label"].tolist()
