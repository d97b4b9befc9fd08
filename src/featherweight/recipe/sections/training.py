"""The section [training]: how the adapter is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from featherweight.recipe.fields import (
    MAX_COUNT,
    FractionOrCount,
    Listed,
    Number,
    Section,
    Switch,
    Text,
    Unique,
    Whole,
    name_or_number,
    weights_in_brackets,
    word_or_list,
)
from featherweight.recipe.values import Tracker

Precision = Literal["auto", "fp32", "bf16", "fp16"]
ClassWeights = Annotated[
    Annotated[Literal["none", "balanced"], Tag("union:word")]
    | Annotated[tuple[Annotated[Number, Field(ge=0, le=MAX_COUNT)], ...], Tag("union:list")],
    Discriminator(word_or_list),
    BeforeValidator(weights_in_brackets),
]
Averaging = Annotated[
    Annotated[Number, Field(ge=0, lt=1), Tag("union:number")] | Annotated[Literal["swa"], Tag("union:name")],
    Discriminator(name_or_number),
]


class TrainingRecipe(Section):
    """How the adapter is trained."""

    epochs: Number = Field(
        3.0, gt=0, le=10_000, description="Number of passes over the training rows; it may be a fraction."
    )
    max_steps: Whole | None = Field(
        None, ge=1, le=MAX_COUNT, description="Maximum number of optimizer steps, even if `epochs` would take more."
    )
    batch_size: Whole = Field(32, ge=1, le=MAX_COUNT, description="Maximum number of rows in a batch.")
    batch_tokens: Whole = Field(
        8192,
        ge=16,
        le=MAX_COUNT,
        description="Maximum number of tokens in a batch, padding included; batches of long texts have fewer rows.",
    )
    accumulate: Whole = Field(
        1, ge=1, le=MAX_COUNT, description="Number of batches whose gradients are added up for one optimizer step."
    )
    learning_rate: Number = Field(5e-4, gt=0, description="Peak learning rate of AdamW.")
    lora_plus_ratio: Number = Field(
        1.0,
        gt=0,
        le=MAX_COUNT,
        description="Learning rate of the LoRA B matrices as a multiple of `learning_rate` (LoRA+).",
    )
    weight_decay: Number = Field(
        0.0, ge=0, le=MAX_COUNT, description="AdamW's decoupled weight decay on matrices; biases have none."
    )
    clip: Number = Field(
        1.0,
        ge=0,
        le=MAX_COUNT,
        description="Gradient norm above which gradients are scaled down; 0 turns clipping off.",
    )
    schedule: Literal["constant", "linear", "cosine", "wsd"] = Field(
        "linear",
        description="Learning rate after the warm-up: constant, or falling to zero linearly or along a cosine; `wsd` "
        "(warmup-stable-decay) is constant and falls to zero in the last part of the training, see `decay`.",
    )
    decay: Number = Field(
        0.2, gt=0, le=1, description="Fraction of all steps in which the learning rate falls to zero, for `wsd`."
    )
    warmup: FractionOrCount = Field(
        0.06,
        ge=0,
        le=MAX_COUNT,
        description="Length of the warm-up: a value below 1 is a fraction of all steps, a value of 1 or more is a "
        "number of steps.",
    )
    average: Averaging = Field(
        0.0,
        description="Decay of a moving average of the trained weights, such as 0.99; the average is evaluated and "
        "saved in place of the last weights. 0 turns it off. `swa` (stochastic weight averaging, arXiv 1803.05407) is "
        "the plain mean of the weights after each step in the last quarter of all steps; use it with "
        '`schedule = "constant"`.',
    )
    label_smoothing: Number = Field(
        0.0, ge=0, lt=1, description="Share of the target probability that is spread evenly over all classes."
    )
    r_drop: Number = Field(
        0.0,
        ge=0,
        le=MAX_COUNT,
        description="R-Drop: each row goes through the network twice, with two dropout masks, and this is the weight "
        "of the divergence between both predictions in the loss. 0 turns it off; it needs dropout, such as "
        "`adapter.dropout`.",
    )
    teacher: Annotated[tuple[Text, ...], Listed, Unique] = Field(
        (),
        description="Finished runs or exports with the same classes: what they predict for the training rows is learnt "
        "beside the labels (distillation); of several, the mean of their probabilities. A relative path is relative to "
        "the working directory.",
    )
    teacher_weight: Number = Field(
        0.5, ge=0, le=1, description="Share of the teachers' predictions in the loss; the labels have the rest."
    )
    teacher_temperature: Number = Field(
        2.0,
        gt=0,
        le=1000,
        description="The logits of the teachers and of the network are divided by it where they are compared; a higher "
        "one shows more of the less probable classes.",
    )
    soup: Annotated[tuple[Text, ...], Listed, Unique] = Field(
        (),
        description="Finished runs from a common start: instead of a training, the mean of their weights is taken; "
        "`featherweight soup` writes such a recipe. A relative path is relative to the working directory.",
    )
    soup_choice: Literal["all", "greedy"] = Field(
        "all",
        description="Which runs of `soup` are taken: all, or the best one and each further one with which the result "
        "on the validation rows does not fall.",
    )
    class_weights: ClassWeights = Field(
        "none",
        description="Weights of the classes in the loss: none, balanced (inverse frequency), or one number per class.",
    )
    early_stopping: Whole = Field(
        0,
        ge=0,
        le=MAX_COUNT,
        description="Stop after this many evaluations in a row without a new best `evaluation.best_by`; 0 turns early "
        "stopping off.",
    )
    evaluate_every: Whole | None = Field(
        None,
        ge=1,
        le=MAX_COUNT,
        description="Optimizer steps between two evaluations on the validation rows; by default 500, and also at the "
        "end of each epoch. There is always an evaluation after the last step.",
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="Which adapter is saved: the best one on the validation rows by `evaluation.best_by`, or the last.",
    )
    order_seed: Whole | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="Seed of the order of the rows and of dropout alone; by default `seed`. Runs that differ only in "
        "it start from the same weights and have the same validation rows.",
    )
    precision: Precision = Field(
        "auto",
        description="Number format of the encoder; auto uses bf16 if that is faster (see the guide on precision and "
        "speed).",
    )
    encoder_dropout: Switch = Field(
        False,
        description="Apply the backbone's own dropout while training. Without it the frozen encoder is deterministic "
        "and a step is faster.",
    )
    prefix_cache: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compute the outputs of the frozen layers below the lowest trained layer only once, and store them "
        "on the disk for all epochs, seeds and runs. auto does so for two or more epochs, if the results are the same "
        "bit for bit and the disk has enough space.",
    )
    checkpoint_steps: Whole = Field(
        1000,
        ge=1,
        le=MAX_COUNT,
        description="Optimizer steps between two checkpoints, from which an interrupted run is resumed.",
    )
    checkpoint_seconds: Number = Field(
        300, gt=0, le=MAX_COUNT, description="A checkpoint is also written after this many seconds without one."
    )
    trackers: Annotated[tuple[Tracker, ...], Listed, Unique] = Field(
        (), description="Experiment trackers that also receive the history, through Accelerate."
    )
