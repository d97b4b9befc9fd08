"""The section [data]: where texts and labels come from, and how they are split."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from featherweight.recipe.fields import (
    MAX_COUNT,
    FractionOrCount,
    Listed,
    Number,
    Section,
    Source,
    Text,
    Unique,
    Whole,
    at_least_two_classes,
    blank_as_empty,
    known_encoding,
    list_or_word,
    one_character,
    several_columns,
)
from featherweight.recipe.values import TaskName

LabelColumns = Annotated[
    Annotated[Text, Tag("union:word")]
    | Annotated[tuple[Text, ...], Unique, AfterValidator(several_columns), Tag("union:list")],
    Discriminator(list_or_word),
]


class DataRecipe(Section):
    """Where the texts and labels come from, and how they are split."""

    train: Source = Field(
        "newsbriefs",
        description="Training rows: a built-in name (newsbriefs), a file (CSV, TSV, JSON, JSONL, Parquet, Excel, text; "
        "compressed too), a folder of .txt files with a folder for each class, a folder saved by `datasets`, or the "
        "name of a data set on the hub. A relative path is relative to the working directory, not to the recipe.",
    )
    test: Annotated[str | None, AfterValidator(blank_as_empty)] = Field(
        None,
        description="Test rows, evaluated once, at the end; by default the test split of `train`, if it has one. An "
        "empty text means that there is no test.",
    )
    validation: Source | None = Field(
        None,
        description="Validation rows, used to choose the best adapter and to fit the temperature; by default "
        "`validation_size` of the training rows are split off.",
    )
    validation_size: FractionOrCount = Field(
        0.1,
        gt=0,
        le=MAX_COUNT,
        description="Size of the validation set that is split off: a value below 1 is a fraction of the training rows, "
        "a value of 1 or more is a number of rows.",
    )
    config: Text | None = Field(None, description="Configuration of the hub data set, if it has several.")
    revision: Text | None = Field(None, description="Revision of the hub data set, for a repeatable download.")
    text: Annotated[tuple[Text, ...], Listed, Unique] = Field(
        (), description="Text columns, joined by a space; by default `text`, or `title` and `description`."
    )
    join: Literal["text", "pair"] = Field(
        "text",
        description="How two text columns become one input: `text` joins them by a space, `pair` gives both to the "
        "tokenizer as a pair, with its separator and token types, such as a premise and a hypothesis.",
    )
    label: LabelColumns = Field(
        "label",
        description='The label column. With `task = "multi-label"` its cells are lists of labels, or texts such as '
        "`a|b`; or give a list of columns of yes and no, one per label.",
    )
    label_separator: Text | None = Field(
        None,
        description='Separator between the labels in a cell of text, with `task = "multi-label"`; by default the '
        "first of `|`, `;` and `,` that occurs.",
    )
    labels: Annotated[tuple[Text, ...], Listed, Unique, AfterValidator(at_least_two_classes)] = Field(
        (),
        description="Names of the classes in the order of their numbers; by default those of the data set, or the "
        "sorted label texts.",
    )
    format: Literal["auto", "csv", "tsv", "ag_news", "fasttext", "text@label", "lines"] = Field(
        "auto",
        description="Format of text files; by default it is detected from file extension and content. It is `csv`, "
        "`tsv`, `ag_news` (class,title,description without a header, classes 1 to 4), `fasttext` (`__label__x text`), "
        "`text@label`, or `lines` (one text per line, no labels). It does not apply to JSON, Parquet and Excel files.",
    )
    columns: Annotated[tuple[Text, ...], Listed, Unique] = Field(
        (), description="Names of the columns, in their order, of files without a header."
    )
    separator: Annotated[str | None, AfterValidator(one_character)] = Field(
        None, description="The character between two fields of a line; by default it is detected from the content."
    )
    encoding: Annotated[str | None, AfterValidator(known_encoding)] = Field(
        None,
        description="Encoding of text files, such as `cp1252`, `gb18030` or `shift_jis`. By default it is that of the "
        "byte order mark, otherwise UTF-8, or `cp1252` if a table or text is not UTF-8.",
    )
    clean: Literal["none", "ag_news"] = Field(
        "none",
        description="Text repair before tokenizing: `ag_news` repairs the broken HTML entities (`#39;`, `&lt;b&gt;`) "
        "and stray backslashes of that data set.",
    )
    empty: Literal["error", "drop"] = Field(
        "error",
        description="What to do with training, validation, test and shift rows whose text or label is missing: `error` "
        "stops with a message that names the first one, `drop` leaves them out and reports their number.",
    )
    drop: Source | None = Field(
        None,
        description="CSV file with the columns `text` and `label`, such as the suspects that `featherweight noise` "
        "writes: training rows that are in it are left out. Validation and test rows stay.",
    )
    train_rows: Whole | None = Field(
        None, ge=1, le=MAX_COUNT, description="Train on a stratified sample of this many rows; the seed determines it."
    )
    max_length: Whole = Field(
        256,
        ge=4,
        le=1_000_000,
        description="Maximum number of tokens of a text, special tokens included; `long` decides what happens to "
        "longer texts.",
    )
    long: Literal["head", "tail", "head-tail", "windows"] = Field(
        "head",
        description="Which tokens of a text longer than `max_length` are used: `head` (the first ones), `tail` (the "
        "last ones), `head-tail` (a quarter from the start, the rest from the end), or `windows` (all, in overlapping "
        "windows whose logits are averaged, in training and in prediction).",
    )
    window_overlap: Number = Field(
        0.25,
        ge=0,
        le=0.9,
        description='Minimum share of a window that overlaps with the next one, with `long = "windows"`.',
    )
    _task: TaskName = PrivateAttr("single-label")

    @field_validator("join")
    @classmethod
    def _two_columns_for_a_pair(cls, join: str, info: ValidationInfo) -> str:
        columns = info.data.get("text")  # missing if it is invalid
        if join == "pair" and columns is not None and len(columns) != 2:
            raise ValueError("a pair needs exactly two columns, such as text = ['premise', 'hypothesis']")
        return join

    @field_validator("long")
    @classmethod
    def _pairs_are_cut_by_the_tokenizer(cls, long: str, info: ValidationInfo) -> str:
        if info.data.get("join") == "pair" and long not in ("head", "tail"):
            raise ValueError(
                'must be "head" or "tail" with join = "pair": a pair is cut at the end or the start of its longer text'
            )
        return long

    @model_validator(mode="after")
    def _labels_are_named_once(self) -> Self:
        if not isinstance(self.label, str) and self.labels:
            raise ValueError(
                "data.label is a list of columns, whose names are the class names; remove the key data.labels"
            )
        return self

    @model_validator(mode="after")
    def _no_column_has_texts_and_labels(self) -> Self:
        labels = set(map(str.casefold, self.label_columns if "label" in self.model_fields_set else ()))
        if both := next((name for name in self.text if name.casefold() in labels), None):
            raise ValueError(
                f"data.text and data.label both name the column {both!r}, but a text must not be its own label; "
                "name another column in one of them"
            )
        return self

    def for_task(self, task: TaskName) -> Self:
        """This section for a recipe with this ``task``, which decides how labels are read.

        Raises ValueError if a key of the section contradicts the task.
        """
        if task == "single-label" and not isinstance(self.label, str):
            raise ValueError('data.label is a list of columns; name a single column, or set task = "multi-label"')
        if task == "single-label" and self.label_separator is not None:
            raise ValueError('data.label_separator needs task = "multi-label"; set this task, or remove the key')
        if task == self._task:
            return self
        section = self.model_copy()
        section._task = task
        return section

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self._task == "multi-label"

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Names of all columns that hold labels."""
        return (self.label,) if isinstance(self.label, str) else self.label

    @property
    def label_name(self) -> str:
        """Name of the label column; an empty text if there is one column per label."""
        return self.label if isinstance(self.label, str) else ""
