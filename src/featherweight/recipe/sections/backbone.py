"""The section [backbone]: the frozen pre-trained encoder."""

from __future__ import annotations

from pydantic import Field

from featherweight.recipe.fields import (
    Section,
    Text,
)
from featherweight.recipe.values import Role


class BackboneRecipe(Section):
    """The frozen pre-trained encoder."""

    name: Text = Field(
        "minilm", description="Hub name, local folder, or an installed wheel's short name (minilm, mpnet)."
    )
    revision: Text | None = Field(None, description="Revision of the hub model, for a repeatable download.")
    roles: dict[Role, Text] = Field(
        {},
        description="Module name of each role inside a layer, such as "
        '{query = "attn.q_proj"}; only needed for encoder families that are not built in.',
    )
