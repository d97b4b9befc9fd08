"""Classifier: a trained model that is loaded from its run folder and predicts labels and probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from featherweight.adapter.bare_network import bare_network
from featherweight.adapter.merge import merge_adapter
from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder, resolve_base
from featherweight.adapter.peft.given import NOTHING_GIVEN, PeftOptions
from featherweight.adapter.storage import check_adapter, load_adapter, read_description
from featherweight.argument_checks import described, require_path
from featherweight.backbone.folder import has_tokenizer
from featherweight.backbone.resolve import Backbone, most_tokens, resolve_backbone
from featherweight.backbone.tokenizer import SavedTokenizer, load_tokenizer, saved_tokenizer
from featherweight.data.gaps import Blanks
from featherweight.data.long_texts import LongTexts
from featherweight.data.pairs import Text
from featherweight.data.sources import Rows
from featherweight.data.texts import inputs_of
from featherweight.errors import UserError
from featherweight.model.engine import Engine, bound_memory, choose_engine, move_to_engine
from featherweight.model.lean.forward_only import drop_gradients
from featherweight.model.network import Network
from featherweight.model.text_model import TextModel
from featherweight.recipe import Recipe
from featherweight.recipe.sections.training import Precision
from featherweight.task.interface import SINGLE_LABEL, Task, task_of

PRECISIONS: tuple[str, ...] = get_args(Precision)


@dataclass(frozen=True)
class Prediction:
    """One text's label and the calibrated probability of each class."""

    label: str
    """Of several labels all, joined by a comma; empty where there is none."""
    probabilities: dict[str, float]
    labels: tuple[str, ...] = ()
    """All labels of the text: one, or where a text may have several any number."""


@dataclass
class Classifier:
    """A trained text model with its recipe and its temperature for calibrated probabilities."""

    model: TextModel
    recipe: Recipe
    temperature: float = 1.0
    task: Task = SINGLE_LABEL
    """With the thresholds of the labels, where a text may have several."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.network.labels

    @property
    def network(self) -> Network:
        """Encoder, adapter and head."""
        return self.model.network

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers that was saved with the adapter."""
        tokenizer = self.model.tokenizer
        return tokenizer.whole if isinstance(tokenizer, SavedTokenizer) else tokenizer

    @property
    def engine(self) -> Engine:
        """Device, precision and forward pass."""
        return self.model.engine

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        precision: str = "auto",
        device: str | None = None,
        lean: bool = True,
        merge: bool = True,
        labels: Sequence[str] = (),
        base: str | Path | None = None,
        task: str | None = None,
        join: str | None = None,
    ) -> Classifier:
        """Load a classifier from a run folder, its adapter folder, or a folder of a LoRA classifier that PEFT saved.

        ``precision`` is auto, fp32, bf16 or fp16 (GPU only); auto means the precision of the training. The adapter is
        merged into the frozen matrices, which is faster and equal up to rounding. With ``merge=False`` logits equal
        those of the training bit for bit; with ``lean=False`` PEFT's and transformers' own operations are used.

        For a folder that PEFT saved, ``labels`` are the class names and ``base`` is the folder of the base model;
        ``task="multi-label"`` says that a text may have several labels, and ``join="pair"`` that its texts are pairs.
        It is computed with PEFT's operations, in fp32 by default. Raises UserError if the folder contains no adapter,
        is damaged, or has a newer version.
        """
        require_path(path, "Classifier.load", "the path of a run folder")
        bound_memory()
        given = PeftOptions(labels, base, task, join).checked()
        if is_peft_folder(path):
            return _of_peft(path, given, precision, device)
        if given != NOTHING_GIVEN:
            names = "labels, base, task and join"
            raise UserError(f"{path}: is a run, which records its classes; {names} are for folders that PEFT saved")
        folder = Path(path)
        folder = folder / "adapter" if (folder / "adapter").is_dir() else folder
        description = read_description(folder)
        for name in ("recipe.toml", "tokenizer.json"):
            # If the file is missing, transformers would create an empty tokenizer.
            if not (folder / name).is_file():
                raise UserError(f"{folder / name}: missing; the saved adapter is incomplete")
        recipe = Recipe.load(folder / "recipe.toml")
        backbone = resolve_backbone(recipe.backbone)
        _require_same_weights(folder, description, backbone)
        check_adapter(folder, recipe, backbone, description["labels"])
        engine = replace(_engine(recipe, precision, device), lean=lean)
        network = _network(recipe, backbone, description["labels"], engine)
        load_adapter(network, folder)
        if merge and lean:
            merge_adapter(network)
        move_to_engine(network, engine)
        if merge and lean:
            drop_gradients(network)
        tokenizer = saved_tokenizer(folder, backbone.config.get("vocab_size"))
        model = TextModel(network.eval(), tokenizer, engine, LongTexts.of(recipe.data))
        tuned = task_of(recipe).with_thresholds(description.get("thresholds") or ())
        return cls(model, recipe, float(description["temperature"]), tuned)

    def predict(self, texts: Iterable[Text], *, warn: bool = True) -> list[Prediction]:
        """Label and probabilities of each text, in the order of the texts.

        ``texts`` is a list, a pandas Series, a one-dimensional NumPy or Arrow array, a column of a Dataset, or an
        iterator. For a classifier of pairs (``data.join = "pair"``) it contains tuples of two texts, or is a table with
        the two columns. A blank or missing text gets the label of an empty text, with a warning unless ``warn`` is
        off. Raises UserError for anything else.
        """
        probabilities = self._probabilities(_noted(inputs_of(texts, self.recipe.data, "predict(...)"), warn), None)
        names = self.task.label_lists(self.task.decide(probabilities), self.labels)
        return [
            Prediction(", ".join(labels), dict(zip(self.labels, row.tolist(), strict=True)), tuple(labels))
            for labels, row in zip(names, probabilities, strict=True)
        ]

    def probabilities(
        self, texts: Iterable[Text], *, advance: Callable[[int], None] | None = None, warn: bool = True
    ) -> np.ndarray:
        """Calibrated probabilities, float64 [texts, labels]: the softmax of the logits over the temperature.

        If a text may have several labels, they are the sigmoid of each logit.

        ``texts`` are as for ``predict``; ``advance`` is called after each batch with its number of texts.
        """
        return self._probabilities(_noted(inputs_of(texts, self.recipe.data, "probabilities(...)"), warn), advance)

    def logits(self, texts: Iterable[Text], *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        """Raw logits, float64 [texts, labels].

        ``texts`` are as for ``predict``; ``advance`` is called after each batch with its number of texts.
        """
        return self._logits(_noted(inputs_of(texts, self.recipe.data, "logits(...)")), advance)

    def _probabilities(self, texts: list[Text], advance: Callable[[int], None] | None) -> np.ndarray:
        return self.task.probabilities(self._logits(texts, advance), self.temperature)

    def _logits(self, texts: list[Text], advance: Callable[[int], None] | None) -> np.ndarray:
        if not texts:
            return np.zeros((0, len(self.labels)))
        rows = Rows(texts=texts, labels=None, label_names=self.labels, origin="texts")
        return self.model.logits(rows, advance=advance)


def _noted(texts: list[Text], warn: bool = True) -> list[Text]:
    """``texts``, with a warning on blank ones."""
    blanks = Blanks()
    blanks.add(texts)
    if warn and blanks.note:
        warnings.warn(blanks.note, UserWarning, stacklevel=3)  # where the user's own code calls
    return texts


def _network(recipe: Recipe, backbone: Backbone, labels: Sequence[str], engine: Engine) -> Network:
    """The network of ``recipe`` with an adapter still to be loaded; of PEFT's classes only where it needs them."""
    if engine.lean and engine.device == "cpu" and (network := bare_network(recipe, backbone, labels)):
        return network
    from featherweight.adapter.build import build_network

    attention = engine.attention if engine.lean else None  # None: what transformers takes by itself
    return build_network(recipe, backbone, labels, attention=attention)


def _of_peft(path: str | Path, given: PeftOptions, precision: str, device: str | None) -> Classifier:
    """The classifier of a folder that PEFT saved. Its temperature is 1, because PEFT saves none."""
    from featherweight.adapter.peft.network import build_peft_network

    found = read_peft_folder(path, given)
    backbone = resolve_base(found)
    assert backbone.folder is not None
    tokenizer = load_tokenizer(found.folder if has_tokenizer(found.folder) else backbone.folder)
    if len(tokenizer) > (most := int(found.config.get("vocab_size", len(tokenizer)))):
        raise UserError(f"{path}: its tokenizer has {len(tokenizer):,} tokens, but its base model only {most:,}")
    longest = most_tokens(found.config) or found.config.get("max_position_embeddings", 512)
    length = max(4, min(tokenizer.model_max_length, longest))
    data = {"labels": list(found.labels), "max_length": length, "text": list(found.data.text), "join": found.data.join}
    settings = {"task": found.task, "backbone": {"name": found.base.name}, "training": {"precision": "fp32"}}
    recipe = Recipe.parse({"data": data, **settings})
    network = build_peft_network(found, backbone)
    engine = replace(_engine(recipe, precision, device), lean=False)
    move_to_engine(network, engine)
    return Classifier(TextModel(network, tokenizer, engine, LongTexts.of(recipe.data)), recipe, task=task_of(recipe))


def _engine(recipe: Recipe, precision: str, device: str | None) -> Engine:
    """The engine in the given precision; ``auto`` is the precision of the recipe if this machine supports it."""
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise UserError(f"precision takes one of {', '.join(PRECISIONS)}, not {described(precision)}")
    chosen = recipe.training.precision if precision == "auto" else precision
    try:
        return choose_engine(chosen, device and str(device))  # PyTorch has a type of its own for devices
    except UserError:
        if precision != "auto":
            raise
        return choose_engine("auto", device)


def _require_same_weights(folder: Path, description: dict[str, Any], backbone: Backbone) -> None:
    trained_on = description.get("backbone_sha256")
    if trained_on and backbone.sha256 and trained_on != backbone.sha256:
        raise UserError(
            f"{folder}: the weights of {backbone.name} on this machine are not those of the training "
            f"(sha256 {backbone.sha256[:12]}..., not {trained_on[:12]}...); restore them or train again"
        )
