"""Checks the content of JSON files that may come from another machine, or be damaged and still valid JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from featherweight.errors import UserError, damaged
from featherweight.recipe.messages import refuse

Count = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
Number = Annotated[float, Strict()]
Label = Annotated[str, Strict()]


class Checked(BaseModel):
    """Base class of the schemas of JSON files: unknown keys are allowed, and numbers must be finite."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


def require(values: Any, schema: type[Checked], where: str | Path) -> None:
    """Raise UserError, naming ``where`` and the key, if ``values`` do not match the ``schema``."""
    if not isinstance(values, dict):
        raise damaged(where, "it contains no JSON object")
    try:
        schema.model_validate(values)
    except ValidationError as error:
        problems = refuse(error, schema, f"{where}: damaged")
        raise UserError(f"{problems}; restore the file from a copy, or repeat the command that wrote it") from None
