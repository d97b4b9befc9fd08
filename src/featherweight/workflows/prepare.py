"""Prepares a training: resolves the recipe, checks the budget, reads the data and builds the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from featherweight.backbone.adapted import read_adapted
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.resolve import Backbone, most_tokens, resolve_backbone
from featherweight.budget.limit import require_within_budget
from featherweight.budget.weigh import Weight
from featherweight.cache import cache_folder
from featherweight.data.batches import Encoded, encode
from featherweight.data.class_names import known_label_names
from featherweight.data.fingerprints import fingerprints_of, texts_fingerprint
from featherweight.data.long_texts import NOTABLE_CUT, LongTexts
from featherweight.data.splits import Splits, load_splits
from featherweight.data.unknown_tokens import unknown_note
from featherweight.environment import quick_imports
from featherweight.errors import FeatherweightError, UserError
from featherweight.formatting import counted
from featherweight.hints import to_install, to_set
from featherweight.recipe import Recipe
from featherweight.run.doubts import TOO_GOOD
from featherweight.task.class_weights import require_class_weights
from featherweight.workflows.adaptation_texts import evaluated_fingerprints
from featherweight.workflows.continuation import begin_with_the_start, require_same_start, with_classes_of_the_start
from featherweight.workflows.ingredients import Ingredient, ingredients_of, notes_of, require_same_rows
from featherweight.workflows.leaks import start_notes
from featherweight.workflows.resolve import backbone_architecture, resolve_recipe
from featherweight.workflows.teachers import Teacher, teacher_notes, teachers_of, with_full_paths

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator
    from numpy.typing import NDArray

    from featherweight.model.text_model import TextModel


@dataclass
class Prepared:
    """Everything that the first training step needs: resolved recipe, parameter counts, data and model."""

    recipe: Recipe
    weight: Weight
    backbone: Backbone
    splits: Splits
    train: Encoded
    validation: Encoded
    model: TextModel
    accelerator: Accelerator
    teachers: Sequence[Teacher] = ()
    ingredients: Sequence[Ingredient] = ()
    """The runs of the soup, if the recipe makes one in place of a training."""


@dataclass(frozen=True)
class Inputs:
    """What a training reads before it builds a network: resolved recipe, parameter counts, rows, teachers, soup."""

    recipe: Recipe
    weight: Weight
    backbone: Backbone
    splits: Splits
    teachers: Sequence[Teacher]
    ingredients: Sequence[Ingredient]


def read_inputs(recipe: Recipe, splits: Splits | None = None) -> Inputs:
    """Read and check everything that ``recipe`` names; no network is built.

    A command with several trainings calls it for each of them before the first one begins. ``splits`` are the rows of
    the recipe if they have been read already. Raises UserError if anything is missing or does not fit, or the recipe
    exceeds its budget.
    """
    recipe = with_full_paths(with_classes_of_the_start(recipe))
    architecture = backbone_architecture(recipe.backbone)
    # If the recipe does not name the classes, the rows are read first, because the adapter's size depends on them.
    names = splits.train.label_names if splits else known_label_names(recipe.data)
    splits = splits or (None if names else load_splits(recipe))
    resolved = resolve_recipe(recipe, architecture, splits.train.label_names if splits else names)
    require_within_budget(resolved.weight, resolved.recipe, architecture)
    recipe = resolved.recipe
    _require_trackers(recipe)
    ingredients = ingredients_of(recipe)
    splits = splits or load_splits(recipe)
    teachers = teachers_of(recipe, splits.train.label_names)
    backbone = resolve_backbone(recipe.backbone)
    require_settings(recipe, backbone, splits.train.counts)
    require_same_start(recipe, backbone)
    return Inputs(recipe, resolved.weight, backbone, splits, teachers, ingredients)


def require_settings(recipe: Recipe, backbone: Backbone, counts: NDArray[np.int64]) -> None:
    """Raise UserError for a setting that does not work with the backbone, the classes or this machine.

    ``counts`` are the numbers of training rows of the classes, [classes].
    """
    for require in OF_BACKBONE:
        require(recipe, backbone.config)
    require_class_weights(recipe, counts)
    if recipe.training.precision == "fp16":
        with quick_imports():
            from featherweight.model.engine import choose_engine
        choose_engine("fp16")


def prepare(recipe: Recipe) -> Prepared:
    """Read and check all that the training of ``recipe`` needs, and build its network.

    The budget is checked twice: from shapes before any weights are loaded, and by the parameters of the built model.
    """
    inputs = read_inputs(recipe)
    recipe, weight, backbone, splits = inputs.recipe, inputs.weight, inputs.backbone, inputs.splits
    teachers, ingredients = inputs.teachers, inputs.ingredients
    splits.warnings.extend(teacher_notes(teachers, recipe, splits))
    splits.warnings.extend(start_notes(recipe, splits))
    splits.warnings.extend(adaptation_notes(backbone, splits))
    splits.warnings.extend(notes_on_unused(recipe))

    with quick_imports():  # not before everything else is checked: it takes ten seconds on a slow machine
        from featherweight.adapter.build import build_network, initialise_from_data
        from featherweight.backbone.tokenizer import load_tokenizer
        from featherweight.model.engine import bound_memory, choose_engine, move_to_engine
        from featherweight.model.text_model import TextModel
        from featherweight.training.accelerator import build_accelerator

    bound_memory()
    assert backbone.folder is not None
    tokenizer = load_tokenizer(backbone.folder, backbone.config.get("vocab_size"))
    accelerator, engine = build_accelerator(recipe, choose_engine(recipe.training.precision))
    network = build_network(recipe, backbone, splits.train.label_names, attention=engine.attention)
    model = TextModel(network, tokenizer, engine, LongTexts.for_evaluation(recipe))
    train_rows = encode(splits.train, tokenizer, LongTexts.of(recipe.data), cache_folder())
    validation = model.encode(splits.validation, cache_folder())
    require_same_rows(ingredients, fingerprints_of(train_rows, validation, splits), backbone.sha256)
    splits.warnings.extend(_cut_warning(train_rows, LongTexts.of(recipe.data), pairs=recipe.data.join == "pair"))
    splits.warnings.extend(unknown_note(train_rows, splits.train.texts, tokenizer, recipe.backbone.name))
    initialise_from_data(network, recipe, train_rows, tokenizer.pad_token_id)
    if recipe.adapter.start_from is not None:
        splits.warnings.append(begin_with_the_start(network, recipe))
    splits.warnings.extend(notes_of(ingredients, splits.warnings))
    if network.trainable_count() != weight.total:
        counts = f"{network.trainable_count():,} trainable parameters, but {weight.total:,} were counted beforehand"
        raise FeatherweightError(f"the model has {counts}; please report this bug")
    move_to_engine(network, engine)
    return Prepared(recipe, weight, backbone, splits, train_rows, validation, model, accelerator, teachers, ingredients)


def _require_trackers(recipe: Recipe) -> None:
    # Accelerate would silently ignore a tracker that is not installed.
    for name in recipe.training.trackers:
        if find_spec(name) is None:
            raise UserError(f"training.trackers: {name} is not installed: {to_install(name)}")


def _cut_warning(train: Encoded, long_texts: LongTexts, *, pairs: bool) -> list[str]:
    """A list with a warning if at least ``NOTABLE_CUT`` of all training tokens are cut; else an empty list."""
    if train.cut_share < NOTABLE_CUT:
        return []
    longer = (
        f"{train.cut_rows:,} of {counted(len(train), 'training text')} are longer than {long_texts.max_length} tokens"
    )
    return [f"{longer}, and {train.cut_share:.0%} of all tokens are cut; {long_texts.other_ways(pairs=pairs)}"]


def adaptation_notes(backbone: Backbone, splits: Splits) -> list[str]:
    """Notes if the backbone was adapted (see ``workflows.adapt``); else an empty list.

    A second note warns if it, or the backbone that it was made from, was adapted to other texts than the training texts
    of this run, and to further texts that were not compared with all of its validation and test texts.
    """
    adapted = read_adapted(backbone.folder)
    if adapted is None:
        return []
    ours = texts_fingerprint(splits.train)
    texts = [one.texts for one in (adapted, *adapted.earlier)]
    compared = [set(one.unseen) for one in texts if one.without_labels]
    if any(one.fingerprint != ours for one in texts):
        others = "other texts than the training texts of this run"
    elif any(not parts.issuperset(evaluated_fingerprints(splits)) for parts in compared):
        others = "further texts that were not compared with all validation and test texts of this run"
    else:
        return [adapted.in_words()]
    among = f"validation and test texts may be among them, and then the metrics are {TOO_GOOD}"
    return [adapted.in_words(), f"it was adapted to {others}: {among}"]


def notes_on_unused(recipe: Recipe) -> list[str]:
    """A note for each key that is set and has no effect, because it belongs to another one."""
    training, adapter = recipe.training, recipe.adapter
    if training.soup:
        return []  # nothing is trained
    lora, teacher = ("adapter.lora", bool(adapter.lora)), ("training.teacher", bool(training.teacher))
    needs = {
        "training.decay": ('training.schedule = "wsd"', training.schedule == "wsd"),
        "training.teacher_weight": teacher,
        "training.teacher_temperature": teacher,
        "training.soup_choice": ("training.soup", False),
        "adapter.pooling": ('adapter.head = "linear"', adapter.head == "linear"),
        **dict.fromkeys(("adapter.dropout", "adapter.dora", "adapter.rslora", "adapter.initialisation"), lora),
    }
    return [
        f"{key} = {json.dumps(_value_of(recipe, key))} has no effect without {needed}"
        for key, (needed, there) in needs.items()
        if not there and _value_of(recipe, key) != _value_of(Recipe(), key)
    ]


def _value_of(recipe: Recipe, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(recipe, section), name)


def require_length(recipe: Recipe, config: Mapping[str, Any], *, option: str = "") -> None:
    """Raise UserError if ``data.max_length`` is more than the backbone can read; ``config`` is its config.json.

    ``option`` is the option of the command line that sets the length in place of --set, if there is one.
    """
    most = most_tokens(config)
    if most is not None and recipe.data.max_length > most:
        reads = f"{recipe.backbone.name} can read at most {most} tokens"
        if option:
            raise UserError(f"{option} {recipe.data.max_length}: {reads}; write {option} {most}")
        raise UserError(f"data.max_length = {recipe.data.max_length}: {reads}; add {to_set(f'data.max_length={most}')}")


def require_initialisation(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Raise UserError if ``adapter.initialisation`` does not work with the backbone; ``config`` is its config.json."""
    family = FAMILIES.get(config["model_type"])
    if recipe.adapter.initialisation == "eva" and family and not family.eva:
        name = config["model_type"]
        raise UserError(f"adapter.initialisation = 'eva' does not work with {name}; use 'default' or 'pissa'")


def require_dropout(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Raise UserError if the recipe uses R-Drop without dropout: its two forward passes would be equal.

    ``config`` is the config.json of the backbone. A soup has no passes, and only the dropout that its runs share.
    """
    training = recipe.training
    if not training.r_drop or training.soup or (recipe.adapter.lora and recipe.adapter.dropout):
        return
    if recipe.training.encoder_dropout:
        rates = [value for key, value in config.items() if "dropout" in key and isinstance(value, int | float)]
        if any(rates) or not rates:  # transformers' default, for a config without them, is a rate above 0
            return
    elif recipe.adapter.head == "native":
        from featherweight.adapter.build import head_dropout_rates

        if any(head_dropout_rates(config)):
            return
    value = f"training.r_drop = {recipe.training.r_drop:g}"
    raise UserError(
        f"{value} compares two passes with dropout, but the recipe has no dropout; add {to_set('adapter.dropout=0.1')}"
    )


OF_BACKBONE = (require_length, require_dropout, require_initialisation)
"""The checks of a recipe that need only the config.json of its backbone."""
