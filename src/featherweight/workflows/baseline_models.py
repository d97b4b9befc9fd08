"""The models of the baselines: linear ones on TF-IDF or on frozen states, and a fully fine-tuned backbone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.backbone.resolve import resolve_backbone
from featherweight.cache import cache_folder
from featherweight.data.batches import encode
from featherweight.data.long_texts import LongTexts
from featherweight.data.pairs import joined
from featherweight.data.sources import Rows
from featherweight.data.splits import Splits
from featherweight.recipe import Recipe
from featherweight.run.best import rank
from featherweight.task.interface import task_of

if TYPE_CHECKING:
    from featherweight.training.listeners import Listener

TITLES = {
    "tfidf-svm": "TF-IDF + linear SVM",
    "tfidf-logistic": "TF-IDF + logistic regression",
    "linear-probe": "linear probe",
    "full-fine-tuning": "full fine-tuning",
}
"""The kinds of baselines, with their titles in tables."""
HIGHEST_RATE = 1e-4
"""Maximum learning rate of full fine-tuning, because that of an adapter with few parameters is far more than ten times
as high."""
ON_THE_BACKBONE = ("linear-probe", "full-fine-tuning")
"""The baselines that use the backbone of the recipe."""
STRENGTHS = {
    "tfidf-svm": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "tfidf-logistic": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
    "linear-probe": (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0),
}
"""Values of C (inverse regularisation strength) to try; the best one on validation rows is used."""

Logits = Callable[[Rows], np.ndarray]
"""Returns logits, or the margins of a linear classifier, [rows, classes]."""


@dataclass(frozen=True)
class Fitted:
    """A trained baseline: a function from rows to logits, its number of parameters, and entries for the results."""

    logits: Logits
    parameters: int
    note: str
    """A note about its training, for readers of the results."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """Further keys for evaluation.json."""
    seconds: float | None = None
    """Duration of the training, if it may have been resumed."""


def bag_of_words(kind: str, recipe: Recipe, splits: Splits) -> Fitted:
    """A linear classifier on TF-IDF features of words and pairs of words, with sublinear term frequency."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    words.fit(map(joined, splits.train.texts))

    def make(strength: float) -> Any:
        if kind == "tfidf-svm":
            return LinearSVC(C=strength, random_state=recipe.seed)
        return LogisticRegression(C=strength, max_iter=1000, random_state=recipe.seed)

    return _best_linear(kind, recipe, splits, lambda rows: words.transform(map(joined, rows.texts)), make)


def probe(recipe: Recipe, splits: Splits) -> Fitted:
    """Logistic regression on the pooled hidden states of the frozen backbone."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def make(strength: float) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000, random_state=recipe.seed))

    return _best_linear("linear-probe", recipe, splits, frozen_features(recipe), make)


def frozen_features(recipe: Recipe) -> Callable[[Rows], np.ndarray]:
    """A function from rows to the pooled hidden states of their texts, [rows, hidden].

    The states are computed as the logits of a network whose head is the identity.
    """
    import torch

    from featherweight.adapter.build import build_network
    from featherweight.backbone.describe import architecture_of
    from featherweight.backbone.tokenizer import load_tokenizer
    from featherweight.model.engine import choose_engine, move_to_engine
    from featherweight.model.text_model import TextModel

    backbone = resolve_backbone(recipe.backbone)
    hidden = architecture_of(backbone.config, recipe.backbone.roles).hidden
    frozen = recipe.with_values(adapter={"head": "linear"})
    engine = choose_engine(recipe.training.precision)
    network = build_network(frozen, backbone, [str(place) for place in range(hidden)], attention=engine.attention)
    assert network.head is not None
    torch.nn.init.eye_(network.head.out.weight)
    torch.nn.init.zeros_(network.head.out.bias)
    move_to_engine(network, engine)
    assert backbone.folder is not None
    model = TextModel(network, load_tokenizer(backbone.folder), engine, LongTexts.for_evaluation(recipe))
    return partial(model.logits, cache=cache_folder())


def _best_linear(
    kind: str, recipe: Recipe, splits: Splits, features: Callable[[Rows], Any], make: Callable[[float], Any]
) -> Fitted:
    """The linear classifier with the best inverse regularisation C, as measured by ``evaluation.best_by``.

    Of several equally good values the smallest C is chosen.

    With several labels per text there is one classifier per label.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.multiclass import OneVsRestClassifier

    task, labels = task_of(recipe), splits.validation.labels
    assert labels is not None
    train, validation = features(splits.train), features(splits.validation)
    best: tuple[float, float, Any] | None = None
    for strength in STRENGTHS[kind]:
        with warnings.catch_warnings():
            # A classifier that did not converge is still evaluated on the validation rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            whole = OneVsRestClassifier(make(strength)) if splits.train.several else make(strength)
            model = whole.fit(train, splits.train.labels)
        margins = _margins(model, validation)
        loss = float(task.log_losses(margins, labels).mean())
        figure, _ = rank({**task.scores(margins, labels), "loss": loss}, recipe.evaluation.best_by)
        if best is None or figure > best[0]:
            best = figure, strength, model
    assert best is not None
    _, strength, model = best
    tried = STRENGTHS[kind]
    edge = "; one beyond these may be better" if strength in (min(tried), max(tried)) else ""
    listed = ", ".join(f"{c:g}" for c in tried)
    note = f"{TITLES[kind]}: C = {strength:g}, the best of {listed} on validation rows{edge}."
    return Fitted(lambda rows: _margins(model, features(rows)), _parameters(model), note)


def _parameters(model: Any) -> int:
    """The number of weights of a linear classifier, or of all classifiers if there is one per label.

    A label that all rows have, or that no row has, needs no weights.
    """
    ends = [each[-1] if hasattr(each, "steps") else each for each in getattr(model, "estimators_", [model])]
    return sum(int(end.coef_.size + end.intercept_.size) for end in ends if hasattr(end, "coef_"))


def _margins(model: Any, features: Any) -> np.ndarray:
    """Margins [rows, classes] of a linear classifier, also with two classes, for which scikit-learn returns [rows]."""
    margins = np.asarray(model.decision_function(features), dtype=np.float64)
    return margins if margins.ndim == 2 else np.column_stack([-margins / 2, margins / 2])


def fine_tuned(recipe: Recipe, splits: Splits, folder: Path, listeners: Sequence[Listener]) -> Fitted:
    """Fine-tune all parameters of backbone and head with the same training loop as LoRA.

    The forward pass is that of transformers: the faster one of this package (``model/lean``) computes no gradients of
    the backbone's matrices.
    """
    from featherweight.adapter.build import build_network, unfreeze
    from featherweight.backbone.tokenizer import load_tokenizer
    from featherweight.model.engine import choose_engine, move_to_engine
    from featherweight.model.text_model import TextModel
    from featherweight.progress import RowProgress
    from featherweight.training.accelerator import build_accelerator
    from featherweight.training.checkpoint import has_checkpoint
    from featherweight.training.job import Job
    from featherweight.training.listeners import notify
    from featherweight.training.loop import fit
    from featherweight.training.signals import stop_on_signals

    backbone = resolve_backbone(recipe.backbone)
    assert backbone.folder is not None
    tokenizer = load_tokenizer(backbone.folder)
    accelerator, engine = build_accelerator(recipe, replace(choose_engine(recipe.training.precision), lean=False))
    network = build_network(recipe, backbone, splits.train.label_names, attention=engine.attention)
    unfreeze(network)
    move_to_engine(network, engine)
    model = TextModel(network, tokenizer, engine, LongTexts.for_evaluation(recipe))
    train = encode(splits.train, tokenizer, LongTexts.of(recipe.data), cache_folder())
    validation = model.encode(splits.validation, cache_folder())
    with stop_on_signals() as stop:
        parts = (recipe, network, engine, accelerator, train, validation)
        job = Job(*parts, tokenizer.pad_token_id, folder, listeners, stop, rows=splits.train)
        state = fit(job, resume=has_checkpoint(folder / "checkpoint"))
    return Fitted(
        lambda rows: model.logits(
            rows, cache=cache_folder(), advance=RowProgress(partial(notify, listeners), "full fine-tuning", len(rows))
        ),
        network.trainable_count(),
        "Full fine-tuning trains the whole backbone, to which no budget applies: at a learning rate of "
        f"{recipe.training.learning_rate:g} (a tenth of the first round's, at most {HIGHEST_RATE:g}), falling "
        "linearly, with its own dropout.",
        state.found(recipe.evaluation.best_by),
        state.seconds,
    )
