"""The section [adapter]: what is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator

from featherweight.recipe.fields import (
    MAX_COUNT,
    Listed,
    Number,
    Section,
    Switch,
    Text,
    Unique,
    Whole,
    list_of_tables,
    not_empty,
    word_or_list,
)
from featherweight.recipe.values import Role, check_layers, layers_as_text


class LoraLayers(Section):
    """LoRA matrices of one rank: which linear layers (by role) they adapt, and in which encoder layers."""

    roles: Annotated[tuple[Role, ...], Listed, AfterValidator(not_empty), Unique] = Field(
        ("query", "value"), description="Linear layers to adapt, by their role."
    )
    layers: Annotated[str, BeforeValidator(layers_as_text), AfterValidator(check_layers)] = Field(
        "all",
        description="Encoder layers to adapt: all, lower-half, upper-half, top-4, bottom-4, 0-5, or 0,2,8-11 (0 is "
        "the lowest).",
    )
    rank: Whole = Field(8, ge=1, le=1_000_000, description="Rank of the update, r.")
    alpha: Number | None = Field(
        None,
        gt=0,
        le=MAX_COUNT,
        description="Scale: the update is multiplied by alpha / rank; by default alpha is twice the rank.",
    )

    @property
    def effective_alpha(self) -> float:
        """alpha, or its default of twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


LoraTables = Annotated[
    Annotated[Literal["auto"], Tag("union:word")] | Annotated[tuple[LoraLayers, ...], Tag("union:list")],
    Discriminator(word_or_list),
    BeforeValidator(list_of_tables),
]


class AdapterRecipe(Section):
    """What is trained: LoRA matrices, biases and the head."""

    lora: LoraTables = Field(
        (LoraLayers(),),
        description="LoRA tables, each for its own layers. `auto` chooses the tables that the budget allows; an empty "
        "list trains only the head.",
    )
    dropout: Number = Field(0.0, ge=0, lt=1, description="Dropout on the input of the LoRA matrices while training.")
    rslora: Switch = Field(
        False, description="Scale by alpha / sqrt(rank) instead of alpha / rank (rank-stabilised LoRA)."
    )
    dora: Switch = Field(False, description="Train the magnitude of each adapted weight's columns as well (DoRA).")
    initialisation: Literal["default", "pissa", "eva"] = Field(
        "default",
        description="Initial LoRA matrices: default (B is zero), pissa (from the principal directions of the weights) "
        "or eva (from the principal directions of the inputs).",
    )
    bias: Literal["none", "lora", "all"] = Field(
        "none",
        description="Backbone biases to train: none, those of adapted layers (lora), or all (of linear "
        "layers and layer norms).",
    )
    head: Literal["native", "linear"] = Field(
        "linear",
        description="Classification head: that of the transformers model class (native), or one linear layer (linear).",
    )
    pooling: Literal["first", "mean"] = Field(
        "mean", description="Input of a linear head: the state of the first token, or the mean over all tokens."
    )

    start_from: Text | None = Field(
        None,
        description="Run whose adapter the training starts from, instead of new matrices and a new head. It must have "
        "the same backbone and the same [adapter]. Its classes come first; new classes are added after them.",
    )

    @field_validator("lora")
    @classmethod
    def _tables_do_not_overlap(cls, lora: Any) -> Any:
        # Tables whose layers are written differently can only be compared when the number of layers is known.
        for place, table in enumerate(() if lora == "auto" else lora):
            for earlier, other in enumerate(lora[:place]):
                shared = [role for role in table.roles if role in other.roles]
                if shared and table.layers == other.layers:
                    where = f"tables {earlier} and {place} both adapt {shared[0]} in layers {table.layers!r}"
                    raise ValueError(f"{where}; remove {shared[0]!r} from the roles of one of them")
        return lora
