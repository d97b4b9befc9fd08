"""The sections of a recipe: each key with its type, its limits, its default and one sentence on what it does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator

from featherweight.recipe.fields import (
    MOST,
    FractionOrCount,
    Number,
    Section,
    Switch,
    Text,
    Whole,
    each_once,
    one_at_least,
    one_table_is_a_list,
    two_classes_at_least,
    words_or_list,
)
from featherweight.recipe.values import Role, Tracker, check_layers, check_shift

Precision = Literal["auto", "fp32", "bf16", "fp16"]


class DataRecipe(Section):
    """Where the texts and labels come from, and how they are split."""

    train: Text = Field(
        "newsbriefs",
        description="Training rows: a built-in name (newsbriefs), a file (CSV, TSV, JSON, JSONL, Parquet; gzip or zstd "
        "too), a folder saved by `datasets`, or a data set's name on the hub; a relative path starts at the working "
        "directory, not at the recipe.",
    )
    test: str | None = Field(
        None,
        description="Test rows, looked at once, for the report; by default the test split of `train`, if any. An empty "
        "text means no test, whatever `train` brings along.",
    )
    validation: Text | None = Field(
        None,
        description="Validation rows on which choices are made; by default `validation_size` is split off the training "
        "rows.",
    )
    validation_size: FractionOrCount = Field(
        0.1,
        gt=0,
        le=MOST,
        description="Size of the split-off validation set: a fraction of the training rows below 1, a number of rows "
        "from 1 on.",
    )
    config: Text | None = Field(None, description="Name of the hub data set's configuration, where it has several.")
    revision: Text | None = Field(None, description="Revision of the hub data set, for a repeatable download.")
    text: Annotated[tuple[Text, ...], AfterValidator(each_once)] = Field(
        (), description="Text columns, joined by a space; by default `text`, or `title` and `description`."
    )
    label: Text = Field("label", description="The label column.")
    labels: Annotated[tuple[Text, ...], AfterValidator(each_once), AfterValidator(two_classes_at_least)] = Field(
        (),
        description="Names of the classes in the order of their numbers; by default those of the data set, or the "
        "sorted label texts.",
    )
    clean: Literal["none", "ag_news"] = Field(
        "none",
        description="Text repair before tokenizing: `ag_news` mends that set's broken entities (`#39;`, `&lt;b&gt;`) "
        "and stray backslashes.",
    )
    train_rows: Whole | None = Field(
        None, ge=1, le=MOST, description="Train on a stratified sample of this many rows, drawn by the seed."
    )
    max_length: Whole = Field(
        256,
        ge=4,
        le=1_000_000,
        description="Tokens kept of a text, special tokens included; longer texts are cut at the end.",
    )


class BackboneRecipe(Section):
    """The frozen pre-trained encoder."""

    name: Text = Field(
        "minilm", description="Hub name, local folder, or an installed wheel's short name (minilm, mpnet)."
    )
    revision: Text | None = Field(None, description="Revision of the hub model, for a repeatable download.")
    roles: dict[Role, Text] = Field(
        {},
        description="Module name of each role inside a layer, for an encoder family that is not built in, such as "
        '{query = "attn.q_proj"}.',
    )


class LoraLayers(Section):
    """LoRA of one rank on some roles in some layers."""

    roles: Annotated[tuple[Role, ...], AfterValidator(one_at_least), AfterValidator(each_once)] = Field(
        ("query", "value"), description="Linear layers to adapt, by what they do."
    )
    layers: Annotated[str, AfterValidator(check_layers)] = Field(
        "all",
        description="Encoder layers to adapt: all, lower-half, upper-half, top-4, bottom-4, 0-5, or 0,2,8-11 (0 is the "
        "lowest).",
    )
    rank: Whole = Field(8, ge=1, le=1_000_000, description="Rank of the update, r.")
    alpha: Number | None = Field(
        None,
        gt=0,
        le=MOST,
        description="Scale: the update is multiplied by alpha / rank; by default alpha is twice the rank.",
    )

    @property
    def effective_alpha(self) -> float:
        """The scale in force: the one given, or twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


LoraTables = Annotated[
    Annotated[Literal["auto"], Tag("union:words")] | Annotated[tuple[LoraLayers, ...], Tag("union:list")],
    Discriminator(words_or_list),
    BeforeValidator(one_table_is_a_list),
]
ClassWeights = Annotated[
    Annotated[Literal["none", "balanced"], Tag("union:words")]
    | Annotated[tuple[Annotated[Number, Field(ge=0, le=MOST)], ...], Tag("union:list")],
    Discriminator(words_or_list),
]


class AdapterRecipe(Section):
    """All that is trained: LoRA matrices, biases and the head."""

    lora: LoraTables = Field(
        (LoraLayers(),),
        description="LoRA tables, each over its own layers; `auto` takes what the budget affords; an empty list trains "
        "the head alone.",
    )
    dropout: Number = Field(0.0, ge=0, lt=1, description="Dropout on the input of the LoRA matrices while training.")
    rslora: Switch = Field(
        False, description="Scale by alpha / sqrt(rank) instead of alpha / rank (rank-stabilised LoRA)."
    )
    dora: Switch = Field(False, description="Train the magnitude of each adapted weight's columns as well (DoRA).")
    initialisation: Literal["default", "pissa", "eva"] = Field(
        "default",
        description="Start of the LoRA matrices: default (B is zero), pissa (the weight's principal directions) or eva "
        "(the inputs' principal directions).",
    )
    bias: Literal["none", "lora", "all"] = Field(
        "none", description="Backbone biases to train: none, those of adapted layers (lora), or all true biases."
    )
    head: Literal["native", "linear"] = Field(
        "linear",
        description="Classification head: the transformers class's own (native) or one linear layer (linear).",
    )
    pooling: Literal["first", "mean"] = Field(
        "mean", description="What a linear head sees: the first token's state or the mean over the tokens."
    )

    @field_validator("lora")
    @classmethod
    def _tables_do_not_overlap(cls, lora: Any) -> Any:
        # Tables with differently written layers are compared once the backbone's number of layers is known.
        for place, table in enumerate(() if lora == "auto" else lora):
            for earlier, other in enumerate(lora[:place]):
                shared = [role for role in table.roles if role in other.roles]
                if shared and table.layers == other.layers:
                    where = f"tables {earlier} and {place} both adapt {shared[0]} in layers {table.layers!r}"
                    raise ValueError(f"{where}; name it in one of them only")
        return lora


class TrainingRecipe(Section):
    """The optimisation."""

    epochs: Number = Field(
        3.0, gt=0, le=10_000, description="Passes over the training rows; a fraction stops inside one."
    )
    max_steps: Whole | None = Field(
        None, ge=1, le=MOST, description="Stop after this many optimizer steps, whatever the epochs say."
    )
    batch_size: Whole = Field(32, ge=1, le=MOST, description="Rows in a batch at the most.")
    batch_tokens: Whole = Field(
        8192,
        ge=16,
        le=MOST,
        description="Tokens in a batch at the most, padding included; long texts make smaller batches.",
    )
    accumulate: Whole = Field(
        1, ge=1, le=MOST, description="Batches whose gradients are added up before an optimizer step."
    )
    learning_rate: Number = Field(5e-4, gt=0, description="Peak learning rate of AdamW.")
    lora_plus_ratio: Number = Field(
        1.0, gt=0, le=MOST, description="Learning rate of the LoRA B matrices as a multiple of `learning_rate` (LoRA+)."
    )
    weight_decay: Number = Field(
        0.0, ge=0, le=MOST, description="AdamW's decoupled weight decay on matrices; biases have none."
    )
    clip: Number = Field(
        1.0, ge=0, le=MOST, description="Gradient norm above which gradients are scaled down; 0 turns clipping off."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "linear",
        description="Learning rate after the warm-up: constant, or falling to zero linearly or along a cosine.",
    )
    warmup: FractionOrCount = Field(
        0.06, ge=0, le=MOST, description="Warm-up: a fraction of all steps below 1, a number of steps from 1 on."
    )
    label_smoothing: Number = Field(
        0.0, ge=0, lt=1, description="Share of each label's weight spread evenly over all classes."
    )
    class_weights: ClassWeights = Field(
        "none",
        description="Weights of the classes in the loss: none, balanced (inverse frequency), or one number a class.",
    )
    early_stopping: Whole = Field(
        0,
        ge=0,
        le=MOST,
        description="Stop after this many evaluations without a better validation accuracy, or a better loss at "
        "the same accuracy; 0 never stops early.",
    )
    evaluate_every: Whole = Field(
        500, ge=1, le=MOST, description="Optimizer steps between two evaluations on the validation rows."
    )
    keep: Literal["best", "last"] = Field(
        "best", description="Adapter that is saved: the best by validation accuracy, or the last."
    )
    precision: Precision = Field(
        "auto",
        description="Arithmetic of the encoder; auto takes bf16 where the processor computes it natively.",
    )
    encoder_dropout: Switch = Field(
        False,
        description="Keep the backbone's own dropout while training; off, the frozen encoder is deterministic and a "
        "step is faster.",
    )
    prefix_cache: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compute the states of the frozen layers below the lowest trained one once, and keep them on the "
        "disk for all epochs, seeds and trials; auto does so from two epochs on, where the result is the same bit for "
        "bit and the disk has room.",
    )
    checkpoint_steps: Whole = Field(
        1000,
        ge=1,
        le=MOST,
        description="Optimizer steps between two checkpoints, from which an interrupted run goes on.",
    )
    checkpoint_seconds: Number = Field(
        300, gt=0, le=MOST, description="A checkpoint is also due after this many seconds without one."
    )
    trackers: Annotated[tuple[Tracker, ...], AfterValidator(each_once)] = Field(
        (), description="Experiment trackers that receive the history as well, through Accelerate."
    )


class EvaluationRecipe(Section):
    """What is reported at the end."""

    shift: Annotated[tuple[Annotated[Text, AfterValidator(check_shift)], ...], AfterValidator(each_once)] = Field(
        (),
        description="Further labelled sets, from other distributions than the training data; read like `data.test`, or "
        "made from it: `perturbed:casing`, `perturbed:typos`, `perturbed:headline`, `perturbed:entities`.",
    )
    bins: Whole = Field(
        15, ge=2, le=1_000, description="Confidence bins of the calibration error and the reliability diagram."
    )
    mistakes: Whole = Field(
        20, ge=0, le=10_000, description="Number of the most confident errors that the report shows."
    )
