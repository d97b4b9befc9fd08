"""Made-up runs of several rounds on the same test rows, without any training: what a comparison reads."""

import json
from pathlib import Path

import numpy as np

from featherweight.backbone.resolve import resolve_backbone
from featherweight.backbone.tokenizer import load_tokenizer
from featherweight.data.fingerprints import fingerprints_without_tokens
from featherweight.data.splits import load_splits
from featherweight.evaluation.metrics import evaluate
from featherweight.evaluation.results import prediction_columns, write_predictions
from featherweight.recipe import Recipe
from featherweight.run.manifest import write_manifest
from support.made_up_runs import NEWS, history, weigh

SHIFTS = {"ag_news": -0.08, "perturbed:typos": -0.03}


class TestSet:
    """Test rows whose difficulty all runs share, so that good runs are right on nearly the same ones."""

    __test__ = False

    def __init__(self, rows=600, names=NEWS, seed=0):
        draw = np.random.default_rng(seed)
        self.names, self.labels = names, draw.integers(0, len(names), rows)
        self.texts = [f"text {seed} {row}" for row in range(rows)]
        self.label_names = names
        self.positions = np.arange(rows)
        self._difficulty = draw.random(rows)

    def __len__(self):
        return len(self.texts)

    def logits(self, skill, seed, noise=0.03):
        """Right on a share of about ``skill`` of the rows, the easy ones; with ``noise`` each seed has its own."""
        draw = np.random.default_rng(seed)
        right = self._difficulty + draw.normal(0, noise, len(self)) < skill
        chosen = np.where(
            right, self.labels, (self.labels + draw.integers(1, len(self.names), len(self))) % len(self.names)
        )
        logits = draw.normal(0, 0.5, (len(self), len(self.names)))
        logits[np.arange(len(self)), chosen] += 3 + draw.random(len(self))
        return logits


def fabricate_run(
    folder: Path, recipe: Recipe, skill, *, test=None, parameters=888_580, shift=True, baseline=None, noise=0.03
):
    """Write the files of one run that a comparison reads; ``skill`` is about its accuracy."""
    folder.mkdir(parents=True)
    test, seed = test or TestSet(), recipe.seed + sum(map(ord, recipe.name))
    sets = {"validation": (TestSet(96, test.names, seed=100 + recipe.seed), skill), "test": (test, skill)}
    shifts = {name: (TestSet(200, test.names, seed=7), skill + less) for name, less in SHIFTS.items()} if shift else {}
    logits = {name: rows.logits(level, seed, noise) for name, (rows, level) in {**sets, **shifts}.items()}
    judged = {
        name: evaluate(logits[name], rows.labels, rows.names, temperature=1.3)
        for name, (rows, _) in {**sets, **shifts}.items()
    }
    evaluation = {name: judged[name] for name in sets} | {"shift": {name: judged[name] for name in shifts}}
    parts = [prediction_columns(name, rows, logits[name], 1.3) for name, (rows, _) in {**sets, **shifts}.items()]
    write_predictions(folder / "predictions.parquet", parts)
    environment = {
        **{"featherweight": "0.1.0", "torch": "2.13.0", "processor": "AMD EPYC", "cores": 2, "device": "cpu"},
        "started": f"2026-03-0{2 + recipe.seed}T09:15:00+00:00",
        "training_seconds": 300.0 + 10 * recipe.seed,
        "peak_memory_bytes": 1_240_000_000,
        "data": {"train": {"rows": 57_362}, "validation": {"rows": 96}},
    }
    if baseline:
        environment |= {"baseline": recipe.name, "baseline_title": baseline, "notes": [f"{baseline}: C = 1."]}
    else:
        (folder / "history.jsonl").write_text(history(90, 15, seed), "utf-8")
    (folder / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    files = {
        "environment": environment,
        "evaluation": evaluation | {"best_step": 90},
        "weigh": weigh() | {"total": parameters},
        "verification": {"identical": True},
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    (folder / "report.html").write_text("<!doctype html>", "utf-8")
    write_manifest(folder)
    return folder


SKILLS = {"r1": (0.90, 962_308), "r2": (0.945, 888_580), "r3": (0.944, 888_580), "r4": (0.947, 990_724)}
BASELINES = {
    "tfidf-svm": ("TF-IDF + linear SVM", 0.915, 4_812_344),
    "linear-probe": ("linear probe", 0.885, 3_076),
    "full-fine-tuning": ("full fine-tuning", 0.95, 124_648_708),
}


def fabricate_rounds(folder: Path, *, seeds=3, rows=600, baselines=True, noise=0.03):
    """Runs of the four rounds with several seeds, and three baselines; returns their folders."""
    test, folders = TestSet(rows), []
    for name, (skill, parameters) in SKILLS.items():
        for seed in range(seeds):
            recipe = Recipe.load(name).with_values(seed=seed)
            own_skill = skill + 0.002 * (seed - 1)
            place = folder / name / f"seed-{seed}"
            folders.append(fabricate_run(place, recipe, own_skill, test=test, parameters=parameters, noise=noise))
    for kind, (title, skill, parameters) in (BASELINES if baselines else {}).items():
        recipe, place = Recipe.load("r1").with_values(name=kind), folder / "baselines" / kind
        folders.append(
            fabricate_run(place, recipe, skill, test=test, parameters=parameters, baseline=title, noise=noise)
        )
    return folders


def claim_rows(folder: Path, recipe: Recipe) -> Path:
    """Let a made-up run say that it was trained and judged on the rows of its recipe, as a real one does."""
    backbone = resolve_backbone(recipe.backbone)
    marks = fingerprints_without_tokens(load_splits(recipe), load_tokenizer(backbone.folder), recipe)
    environment = json.loads((folder / "environment.json").read_text("utf-8"))
    (folder / "environment.json").write_text(json.dumps(environment | marks), "utf-8")
    return folder
