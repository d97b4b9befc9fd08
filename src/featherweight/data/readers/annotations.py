"""Converts exports of annotation tools (Label Studio, Prodigy, Argilla), and chats, to rows of texts and labels.

A chat is a row of messages between a user and an assistant, in a format for training language models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from featherweight.data.readers.features import classes_of
from featherweight.data.readers.reading import Reading

_TASK = frozenset(
    {
        "id",
        "data",
        "annotations",
        "completions",
        "predictions",
        "drafts",
        "meta",
        "inner_id",
        "created_at",
        "updated_at",
        "project",
        "updated_by",
        "file_upload",
        "total_annotations",
        "cancelled_annotations",
        "total_predictions",
        "comment_count",
        "unresolved_comment_count",
        "last_comment_updated_at",
        "comment_authors",
        "is_labeled",
        "overlap",
        "agreement",
        "reviews_accepted",
        "reviews_rejected",
    }
)
"""Keys of a task in Label Studio's JSON."""
_GIVEN = ("annotations", "completions")
"""Keys of what was annotated; the second one is that of early versions."""
_OF_CHAT = frozenset({"messages", "conversations", "id", "tools", "functions"})
"""Keys of a row that is a chat, as it is written to train language models."""
_OF_VIEWER = frozenset({"row_idx", "row", "truncated_cells"})
"""Keys of a row that the viewer of data sets on the hub answers."""
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
_ANSWERS = ("accept", "reject", "ignore")
_OF_PRODIGY = frozenset(
    {"_input_hash", "_task_hash", "_session_id", "_view_id", "_timestamp", "options", "accept", "config"}
)
"""Keys that only Prodigy writes; they are left out."""
LABEL = "label"


@dataclass
class Annotations:
    """Converts the rows of one file to rows of texts and labels, and remembers the names of their label columns."""

    change: Callable[[Mapping[str, Any], dict[str, None]], dict[str, Any]]
    """Returns the row of texts and labels, and adds the names of its label columns."""
    note: str
    labels: dict[str, None] = field(default_factory=dict)
    """The label columns so far, in their order."""
    gaps: bool = True
    """Whether rows without a label belong to the format."""

    def rows(self, rows: Sequence[Any]) -> list[Any]:
        """The converted rows; a row that is not an object is returned unchanged."""
        for row in rows:  # all label columns must be known before the first row is made
            if isinstance(row, Mapping):
                self.change(row, self.labels)
        return [self.change(row, self.labels) if isinstance(row, Mapping) else row for row in rows]

    def of_table(self, features: Any) -> dict[str, Any]:
        """The fields ``label``, ``gaps`` and ``classes`` of the table.

        There is no label column if the rows have none, or more than one. ``features`` are what the viewer of data sets
        says of their columns: only its rows have the class numbers that these name.
        """
        label = next(iter(self.labels)) if len(self.labels) == 1 else None
        classes = classes_of(features) if self.change is _of_viewer else {}
        return {"label": label, "gaps": self.gaps, "classes": classes}


def annotations_of(first: Any, reading: Reading) -> Annotations | None:
    """The converter for a file whose first row is ``first``; None if its rows need no conversion.

    That is so if ``first`` is neither from an annotation tool nor a chat, or if the text or label column of the recipe
    is a path into the unconverted rows, such as ``text = "data.title"`` for an export of Label Studio.
    """
    if not isinstance(first, Mapping):
        return None
    if isinstance(first.get("data"), Mapping) and {*first} <= _TASK and not _names_inside(reading):
        return Annotations(_of_label_studio, "is read as an export of Label Studio: the choices of its annotations")
    if first.get("answer") in _ANSWERS and (_OF_PRODIGY & {*first} or isinstance(first.get(LABEL), str)):
        return Annotations(
            _of_prodigy, 'is read as an export of Prodigy: a row has a label where its answer is "accept"'
        )

    of_argilla = isinstance(first.get("fields"), Mapping) and isinstance(first.get("responses"), Mapping | list)
    if of_argilla and not _names_inside(reading):
        return Annotations(_of_argilla, "is read as records of Argilla: the first response to each question")
    if isinstance(first.get("row"), Mapping) and {*first} <= _OF_VIEWER and not _names_inside(reading):
        note = "is read as rows of the viewer of data sets on the hub: the columns are those under the key 'row'"
        return Annotations(_of_viewer, note, gaps=False)
    if _turns(first) and {*first} <= _OF_CHAT:
        return Annotations(
            _of_chat, "is read as chats: the text is what the user wrote last, the label the answer to it"
        )
    return None


def viewer_classes(first: Any, features: Any) -> dict[str, tuple[str, ...]]:
    """Class names by the path of a column in the unconverted rows of the hub's viewer, such as ``row.label``."""
    if not isinstance(first, Mapping) or not isinstance(first.get("row"), Mapping) or not {*first} <= _OF_VIEWER:
        return {}
    return {f"row.{column}": names for column, names in classes_of(features).items()}


def _names_inside(reading: Reading) -> bool:
    return any(
        name.split(".")[0] in ("data", "fields", "responses", "row", *_GIVEN) for name in reading.known if "." in name
    )


def _of_label_studio(row: Mapping[str, Any], labels: dict[str, None]) -> dict[str, Any]:
    """A row of Label Studio as {column: value}: the texts under its key ``data``, and the chosen labels.

    The labels are the choices of the first annotation that was not skipped. The column of a choice is named after
    its control in Label Studio (``from_name``). ``labels`` has the names of the label columns so far as its keys; those
    of this row are added.
    """
    inner = row.get("data")
    found: dict[str, Any] = dict(inner) if isinstance(inner, Mapping) else {}
    if "id" in row:
        found.setdefault("id", row["id"])
    results = _results(row)
    choices: dict[str, list[Any]] = {name: [] for name in labels} if results is not None else {}
    for result in results or ():
        value = result.get("value") if isinstance(result, Mapping) else None
        if isinstance(value, Mapping) and isinstance(value.get("choices"), list):
            name = str(result.get("from_name") or LABEL)
            labels.setdefault(name)
            choices.setdefault(name, []).extend(value["choices"])
    return {**found, **dict.fromkeys(labels), **choices}


def _results(row: Mapping[str, Any]) -> list[Any] | None:
    """The results of the first annotation that was not skipped; None if there is no such annotation."""
    given: list[Any] = next((row[key] for key in _GIVEN if isinstance(row.get(key), list)), [])
    done = (one for one in given if isinstance(one, Mapping) and not one.get("was_cancelled"))
    results = next(done, {}).get("result")
    return results if isinstance(results, list) else None


def _of_prodigy(row: Mapping[str, Any], labels: dict[str, None]) -> dict[str, Any]:
    """A row of Prodigy as {column: value}, without the keys that only Prodigy uses.

    ``label`` holds what the annotator accepted: the chosen options, or the label that the row proposed. It is None if
    the answer is not "accept". The name of this column is added to the keys of ``labels``.
    """
    labels.setdefault(LABEL)
    accepted = row.get("accept", row.get(LABEL))
    if isinstance(accepted, list):
        names = {one["id"]: one.get("text") for one in _options(row) if isinstance(one.get("id"), int)}
        accepted = [names.get(key) or key if isinstance(key, int) else key for key in accepted]
    answer = row.get("answer")
    kept = {key: value for key, value in row.items() if key not in _OF_PRODIGY}
    return {**kept, LABEL: accepted if answer == "accept" else None, "answer": None if answer == "ignore" else answer}


def _options(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    options = row.get("options")
    return [one for one in options if isinstance(one, Mapping)] if isinstance(options, list) else []


def _of_argilla(row: Mapping[str, Any], labels: dict[str, None]) -> dict[str, Any]:
    """A record of Argilla as {column: value}: its fields, and for each question the first submitted response.

    The questions are the label columns: their names are added to the keys of ``labels``.
    """
    fields, responses = row.get("fields"), row.get("responses")
    found: dict[str, Any] = dict(fields) if isinstance(fields, Mapping) else {}
    if "id" in row:
        found.setdefault("id", row["id"])
    given: dict[str, Any] = {}
    if isinstance(responses, Mapping):  # by question, each with a list of responses
        given = {str(name): _first_submitted(answers) for name, answers in responses.items()}
    elif isinstance(responses, list):  # by annotator, each with the values of all questions
        values = _first_submitted(responses, "values")
        for name, one in values.items() if isinstance(values, Mapping) else ():
            given[str(name)] = one.get("value") if isinstance(one, Mapping) else None
    for name in given:
        labels.setdefault(name)
    return {**found, **dict.fromkeys(labels), **given}


def _first_submitted(answers: Any, key: str = "value") -> Any:
    given = [one for one in answers if isinstance(one, Mapping)] if isinstance(answers, list) else []
    return next((one.get(key) for one in given if one.get("status", "submitted") in ("submitted", None)), None)


def _of_viewer(row: Mapping[str, Any], labels: dict[str, None]) -> dict[str, Any]:
    inner = row.get("row")
    return dict(inner) if isinstance(inner, Mapping) else {}


def _of_chat(row: Mapping[str, Any], labels: dict[str, None]) -> dict[str, Any]:
    """The chat as a row: ``text`` is the last message of the user, and ``label`` is the answer to it."""
    labels.setdefault(LABEL)
    said: dict[str, Any] = {}
    for role, content in _turns(row):
        said[role] = content
        if role == "user":
            said.pop("assistant", None)
    beside = {key: value for key, value in row.items() if key == "id"}
    return {**beside, "text": said.get("user"), LABEL: said.get("assistant")}


def _turns(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The messages of a chat as (role, content), in the format of OpenAI or ShareGPT; empty if ``row`` is no chat."""
    turns = row.get("messages", row.get("conversations"))
    if not isinstance(turns, list) or not all(isinstance(one, Mapping) for one in turns):
        return []
    named = [(one.get("role", one.get("from")), one.get("content", one.get("value"))) for one in turns]
    return [(_ROLES[who], content) for who, content in named if isinstance(who, str) and who in _ROLES]
