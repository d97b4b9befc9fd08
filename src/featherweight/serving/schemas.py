"""Pydantic models, with examples, of the requests and answers of the server.

The request models are classes made when a server starts: they contain its limits, and take single texts or pairs.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model

from featherweight.formatting import counted
from featherweight.serving.limits import Limits
from featherweight.serving.model import Model
from featherweight.serving.refusals import Refusal

Asked = TypeVar("Asked", bound=BaseModel)

_EXAMPLES = ("Central bank holds rates as growth slows", "Striker signs for rivals in record move")
_MOST_ERRORS = 3
_MOST_PARTS = 4096
"""Keys, strings and closed lists and objects of a body that is read; a megabyte of them takes pydantic 0.7 s."""
_PARTS_OF_A_TEXT = 8
"""The same for each text of the limit, if that is more: a pair has three."""
_PART = re.compile(rb'"(?:[^"\\]+|\\.)*+"?|[:\]}]', re.DOTALL)
"""A string, which may be cut off, or what a key or a closed list or object has outside of strings."""


class Request(BaseModel):
    """Base class of the request bodies. Unknown keys are refused, because they are probably typing errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Result(BaseModel):
    """The answer for one text."""

    label: str = Field(description="The most probable class; of several labels all, joined by a comma.")
    labels: list[str] = Field(description="All labels of the text; exactly one unless a text may have several.")
    probabilities: dict[str, float] = Field(description="The calibrated probability of each class.")
    tokens: int = Field(description="The number of tokens that were read.")
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "label": "Business",
                    "labels": ["Business"],
                    "probabilities": {"World": 0.02, "Sports": 0.001, "Business": 0.97, "Sci/Tech": 0.009},
                    "tokens": 9,
                }
            ]
        }
    )


class Classified(BaseModel):
    """The answer of /v1/classify."""

    model: str = Field(
        description="The model's name and the start of its adapter's SHA-256; of an export, also its kind."
    )
    results: list[Result] = Field(description="One result a text, in the order of the texts.")


class Part(BaseModel):
    """A word or some neighbouring words of the text, and how the probability changes without them."""

    start: int = Field(description="Index of its first character in the text, in Unicode code points.")
    end: int = Field(description="Index behind its last character.")
    side: int = Field(description="0; of a pair, 0 for the first text and 1 for the second.")
    without: float = Field(description="Probability of the label if this part is left out.")
    effect: float = Field(description="Log-odds of the label with this part minus without it; positive speaks for it.")


class Explained(BaseModel):
    """The answer of /v1/explain."""

    model: str
    label: str = Field(description="The class that is explained.")
    probability: float = Field(description="Its probability for the whole text.")
    method: str = "occlusion"
    parts: list[Part] = Field(description="The words, in the order of the text; of a long text, groups of words.")
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "news-0123456789ab",
                    "label": "Business",
                    "probability": 0.97,
                    "method": "occlusion",
                    "parts": [
                        {"start": 0, "end": 7, "side": 0, "without": 0.95, "effect": 0.53},
                        {"start": 8, "end": 12, "side": 0, "without": 0.61, "effect": 3.03},
                    ],
                }
            ]
        }
    )


class Problem(BaseModel):
    """Why a request was refused."""

    status: int = Field(description="The HTTP status.")
    code: str = Field(description="A name for the status, for programs.")
    message: str = Field(description="What is wrong, where, and what to send.")
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": 422, "code": "invalid", "message": "texts[1]: must be a text, not a number"},
                {"status": 429, "code": "too_many_requests", "message": "too many texts are waiting; try again later"},
            ]
        }
    )


class Error(BaseModel):
    """The answer to a refused request."""

    error: Problem


def request_models(model: Model, limits: Limits) -> tuple[type[BaseModel], type[BaseModel]]:
    """Pydantic models of the request bodies of /v1/classify and /v1/explain.

    Each text is a pair if the classifier was trained on pairs.
    """
    text: Any = Annotated[str, StringConstraints(max_length=limits.characters)]
    examples: list[Any] = list(_EXAMPLES)
    if model.pair:
        text = Annotated[list[text], Field(min_length=2, max_length=2)]
        examples = [["A man sleeps.", "A man is awake."]]
    texts = Annotated[list[text], Field(min_length=1, max_length=limits.texts, examples=[examples])]
    one = Annotated[text, Field(examples=examples[:1])]
    label = Annotated[str | None, Field(description="A class; by default the most probable one.", examples=[None])]
    classify = create_model("Classify", __base__=Request, texts=(texts, ...))
    explain = create_model("Explain", __base__=Request, text=(one, ...), label=(label, None))
    return classify, explain


def read(schema: type[Asked], body: bytes, most_texts: int) -> Asked:
    """The request in ``body``. Raises Refusal: 400 if ``body`` is no JSON, 422 if it does not fit ``schema``.

    A list or object with far more keys and values than ``most_texts`` texts need is refused before it is parsed.
    """
    if not body.strip():
        raise Refusal(400, f"the body is empty; send {_example(schema)}")
    if body.lstrip()[:1] in (b"{", b"[") and _has_more_parts(body, max(_MOST_PARTS, _PARTS_OF_A_TEXT * most_texts)):
        texts = f"at most {counted(most_texts, 'text')}" if "texts" in schema.model_fields else "one text"
        raise Refusal(422, f"the body: has too many keys and values; send {texts}, as in {_example(schema)}")
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
    if found[0]["type"] == "json_invalid":
        reason = str(found[0]["msg"]).removeprefix("Invalid JSON: ")[:200]
        raise Refusal(400, f"the body is no valid JSON in UTF-8 ({reason})")
    more = f"; and {len(found) - _MOST_ERRORS} more" if len(found) > _MOST_ERRORS else ""
    raise Refusal(422, "; ".join(_in_words(one, schema) for one in found[:_MOST_ERRORS]) + more)


def _has_more_parts(body: bytes, most: int) -> bool:
    """Whether JSON has more than ``most`` keys, strings and closed lists and objects; texts may have any characters."""
    if sum(map(body.count, (b":", b"]", b"}"))) <= most:
        return False  # long lists of texts, too: pydantic refuses them at once, and says how many they are
    return sum(1 for _ in islice(_PART.finditer(body), most + 1)) > most


def body_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """The entry ``requestBody`` for OpenAPI, as a dict with this one key."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema.model_json_schema()}}}}


def _in_words(error: Any, schema: type[BaseModel]) -> str:
    """Where the request is wrong, why, and what to send; of the value that was sent, only its kind or its size."""
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in error["loc"]).lstrip(".")[:100]
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where}'; known: {', '.join(schema.model_fields)}"
    return f"{where or 'the body'}: {_problem(error, schema)}"


def _problem(error: Any, schema: type[BaseModel]) -> str:
    """What is wrong with the value at ``error["loc"]``: ``"must be a text, not a number"``."""
    kind, sent, limits = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return f"is missing; send {_example(schema)}"
    if kind == "string_too_long":
        return f"has {len(sent):,} characters; send at most {limits['max_length']:,} per text"
    if kind == "string_type":
        return f"must be {'the name of a class' if error['loc'] == ('label',) else 'a text'}, not {_kind(sent)}"
    if not error["loc"]:
        return f"must be an object such as {_example(schema)}, not {_kind(sent)}"
    if error["loc"] != ("texts",):
        found = _kind(sent) if kind == "list_type" else counted(len(sent), "text")
        return f'must be a pair of texts such as ["first", "second"], not {found}'
    if kind == "too_long":
        return f"has {len(sent):,} texts; send at most {limits['max_length']:,} in a request"
    if kind == "too_short":
        return "is empty; send at least one text"
    return f"must be a list of texts, as in {_example(schema)}, not {_kind(sent)}"


def _example(schema: type[BaseModel]) -> str:
    """The shortest body of ``schema``, as JSON: its first key, with one of the texts of its example."""
    key, field = next(iter(schema.model_fields.items()))
    example = (field.examples or [None])[0]
    return json.dumps({key: example[:1] if key == "texts" else example})


def _kind(value: Any) -> str:
    """What ``value`` is in JSON: ``"a text"``, ``"a number"``, ``"null"``."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "an object")
