"""The vocabulary as data: every choice of a run, validated, read from TOML and written back to it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from featherweight.errors import UserError

Role = Literal["query", "key", "value", "attention_output", "mlp_up", "mlp_down"]
ROLES: tuple[Role, ...] = ("query", "key", "value", "attention_output", "mlp_up", "mlp_down")
Tracker = Literal["tensorboard", "mlflow", "trackio", "wandb"]


def parse_count(value: Any) -> Any:
    """Turn ``"100k"``, ``"1M"`` or ``"1_000_000"`` into an integer; anything else is left to the validation."""
    if not isinstance(value, str):
        return value
    text = value.strip().replace("_", "").replace(",", "").lower()
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:], 1)
    digits = text[:-1] if factor > 1 else text
    try:
        return int(round(float(digits) * factor))
    except (ValueError, OverflowError):
        raise ValueError("must be a count such as 1000000, 100k or 1M") from None


def layer_numbers(spec: str, layers: int) -> tuple[int, ...]:
    """Layer numbers (0 is the lowest) that ``spec`` names in an encoder of ``layers`` layers.

    ``all``, ``lower-half``, ``upper-half``, ``top-K``, ``bottom-K``, or numbers and ranges such as ``0-5`` or ``0,2,8-11``.
    Raises ValueError where a number lies outside the encoder or the text is none of these.
    """
    named = {"all": range(layers), "lower-half": range(layers // 2), "upper-half": range(layers // 2, layers)}
    if spec in named:
        return tuple(named[spec])
    side, _, count = spec.partition("-")
    if side in ("top", "bottom") and count.isdigit():
        wanted = int(count)
        if not 1 <= wanted <= layers:
            raise ValueError(f"layers = {spec!r}: the backbone has {layers} layers")
        return tuple(range(layers - wanted, layers) if side == "top" else range(wanted))
    numbers: set[int] = set()
    for part in spec.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ValueError(f"layers = {spec!r}: use all, lower-half, upper-half, top-4, bottom-4, 0-5 or 0,2,8-11")
        numbers.update(range(int(first), int(last or first) + 1))
    if not numbers or max(numbers) >= layers:
        raise ValueError(f"layers = {spec!r}: the backbone has layers 0 to {layers - 1}")
    return tuple(sorted(numbers))


def _check_layers(spec: str) -> str:
    layer_numbers(spec, 10_000)
    return spec


class Section(BaseModel):
    """Base of all recipe sections: unknown keys are refused, and a validated recipe never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataRecipe(Section):
    """Where the texts and labels come from, and how they are split."""

    train: str = Field("newsbriefs", description="Training rows: a built-in name (newsbriefs), a file (CSV, TSV, JSON, JSONL, Parquet; gzip or zstd too), a folder saved by `datasets`, or a data set's name on the hub.")
    test: str | None = Field(None, description="Test rows, looked at once, for the report; by default the test split of `train`, where it has one.")
    validation: str | None = Field(None, description="Validation rows on which choices are made; by default `validation_size` is split off the training rows.")
    validation_size: float = Field(0.1, gt=0, description="Size of the split-off validation set: a fraction of the training rows below 1, a number of rows from 1 on.")
    config: str | None = Field(None, description="Name of the hub data set's configuration, where it has several.")
    revision: str | None = Field(None, description="Revision of the hub data set, for a repeatable download.")
    text: tuple[str, ...] = Field((), description="Text columns, joined by a space; by default `text`, or `title` and `description`.")
    label: str = Field("label", description="The label column.")
    labels: tuple[str, ...] = Field((), description="Names of the classes in the order of their numbers; by default those of the data set, or the sorted label texts.")
    clean: Literal["none", "ag_news"] = Field("none", description="Text repair before tokenizing: `ag_news` mends that set's broken entities (`#39;`, `&lt;b&gt;`) and stray backslashes.")
    train_rows: int | None = Field(None, ge=1, description="Train on a stratified sample of this many rows, drawn by the seed.")
    max_length: int = Field(256, ge=4, description="Tokens kept of a text, special tokens included; longer texts are cut at the end.")


class BackboneRecipe(Section):
    """The frozen pre-trained encoder."""

    name: str = Field("minilm", min_length=1, description="Hub name, local folder, or an installed wheel's short name (minilm, mpnet).")
    revision: str | None = Field(None, description="Revision of the hub model, for a repeatable download.")
    roles: dict[Role, str] = Field({}, description="Module name of each role inside a layer, for an encoder family that is not built in, such as {query = \"attn.q_proj\"}.")


class LoraLayers(Section):
    """LoRA of one rank on some roles in some layers."""

    roles: tuple[Role, ...] = Field(("query", "value"), min_length=1, description="Linear layers to adapt, by what they do.")
    layers: Annotated[str, AfterValidator(_check_layers)] = Field("all", description="Encoder layers to adapt: all, lower-half, upper-half, top-4, bottom-4, 0-5, or 0,2,8-11 (0 is the lowest).")
    rank: int = Field(8, ge=1, description="Rank of the update, r.")
    alpha: float | None = Field(None, gt=0, description="Scale: the update is multiplied by alpha / rank; by default alpha is twice the rank.")

    @property
    def effective_alpha(self) -> float:
        """The scale in force: the one given, or twice the rank."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


def _one_table_is_a_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class AdapterRecipe(Section):
    """All that is trained: LoRA matrices, biases and the head."""

    lora: Annotated[Literal["auto"] | tuple[LoraLayers, ...], BeforeValidator(_one_table_is_a_list)] = Field((LoraLayers(),), description="LoRA tables, each over its own layers; `auto` takes what the budget affords; an empty list trains the head alone.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the input of the LoRA matrices while training.")
    rslora: bool = Field(False, description="Scale by alpha / sqrt(rank) instead of alpha / rank (rank-stabilised LoRA).")
    dora: bool = Field(False, description="Train the magnitude of each adapted weight's columns as well (DoRA).")
    initialisation: Literal["default", "pissa", "eva"] = Field("default", description="Start of the LoRA matrices: default (B is zero), pissa (the weight's principal directions) or eva (the inputs' principal directions).")
    bias: Literal["none", "lora", "all"] = Field("none", description="Backbone biases to train: none, those of adapted layers (lora), or all true biases.")
    head: Literal["native", "linear"] = Field("linear", description="Classification head: the transformers class's own (native) or one linear layer (linear).")
    pooling: Literal["first", "mean"] = Field("mean", description="What a linear head sees: the first token's state or the mean over the tokens.")

    @model_validator(mode="after")
    def _tables_do_not_overlap(self) -> AdapterRecipe:
        if self.lora == "auto":
            return self
        for place, table in enumerate(self.lora):
            for other in self.lora[:place]:
                if set(table.roles) & set(other.roles) and table.layers == other.layers:
                    raise ValueError(f"two tables of adapter.lora adapt {table.roles[0]} in layers {table.layers}; keep one")
        return self


class TrainingRecipe(Section):
    """The optimisation."""

    epochs: float = Field(3, gt=0, description="Passes over the training rows; a fraction stops inside one.")
    max_steps: int | None = Field(None, ge=1, description="Stop after this many optimizer steps, whatever the epochs say.")
    batch_size: int = Field(32, ge=1, description="Rows in a batch at the most.")
    batch_tokens: int = Field(8192, ge=16, description="Tokens in a batch at the most, padding included; long texts make smaller batches.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are added up before an optimizer step.")
    learning_rate: float = Field(5e-4, gt=0, description="Peak learning rate of AdamW.")
    lora_plus_ratio: float = Field(1.0, gt=0, description="Learning rate of the LoRA B matrices as a multiple of `learning_rate` (LoRA+).")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's decoupled weight decay on matrices; biases have none.")
    clip: float = Field(1.0, ge=0, description="Gradient norm above which gradients are scaled down; 0 turns clipping off.")
    schedule: Literal["constant", "linear", "cosine"] = Field("linear", description="Learning rate after the warm-up: constant, or falling to zero linearly or along a cosine.")
    warmup: float = Field(0.06, ge=0, description="Warm-up: a fraction of all steps below 1, a number of steps from 1 on.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each label's weight spread evenly over all classes.")
    class_weights: Literal["none", "balanced"] | tuple[float, ...] = Field("none", description="Weights of the classes in the loss: none, balanced (inverse frequency), or one number a class.")
    early_stopping: int = Field(0, ge=0, description="Stop after this many evaluations without a better validation accuracy; 0 never stops early.")
    evaluate_every: int = Field(500, ge=1, description="Optimizer steps between two evaluations on the validation rows.")
    keep: Literal["best", "last"] = Field("best", description="Adapter that is saved: the best by validation accuracy, or the last.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="Arithmetic of the encoder; auto takes bf16 where the processor computes it natively.")
    encoder_dropout: bool = Field(False, description="Keep the backbone's own dropout while training; off, the frozen encoder is deterministic and a step is faster.")
    trackers: tuple[Tracker, ...] = Field((), description="Experiment trackers that receive the history as well, through Accelerate.")


class EvaluationRecipe(Section):
    """What is reported at the end."""

    shift: tuple[str, ...] = Field((), description="Further labelled sets, from other distributions than the training data; read like `data.test`.")
    bins: int = Field(15, ge=2, description="Confidence bins of the calibration error and the reliability diagram.")
    mistakes: int = Field(20, ge=0, description="Number of the surest mistakes that the report shows.")


class Recipe(Section):
    """Every choice of one run."""

    name: str = Field("recipe", min_length=1, pattern=r"^[A-Za-z0-9._-]+$", description="Name of the recipe; the run folder's name starts with it.")
    description: str = Field("", description="One line on what the recipe is for.")
    budget: Annotated[int, BeforeValidator(parse_count), Field(ge=1)] = Field(1_000_000, description="Most trainable parameters that the run may have (100k and 1M are understood); over it, the run is refused.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the adapter's first weights, the split, the order of batches and dropout.")
    data: DataRecipe = Field(DataRecipe(), description="Texts and labels.")
    backbone: BackboneRecipe = Field(BackboneRecipe(), description="The frozen encoder.")
    adapter: AdapterRecipe = Field(AdapterRecipe(), description="What is trained.")
    training: TrainingRecipe = Field(TrainingRecipe(), description="How it is trained.")
    evaluation: EvaluationRecipe = Field(EvaluationRecipe(), description="How it is judged.")

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """Read a built-in recipe by its name, or a TOML file, and apply ``section.key=value`` overrides.

        Raises UserError, naming file and key, where anything is not as the recipe reference says.
        """
        origin, text = _read(name_or_path)
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"{origin}: not valid TOML: {_plain_toml_error(error)}") from None
        if isinstance(name_or_path, Path) or origin != name_or_path:
            values.setdefault("name", Path(origin).stem)
        for override in overrides:
            _override(values, override)
        return cls.parse(values, origin)

    @classmethod
    def parse(cls, values: dict[str, Any], origin: str = "recipe") -> Recipe:
        """Validate a nested dictionary; ``origin`` names its source in messages. Raises UserError."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError("\n".join(_explain(issue, origin) for issue in error.errors()[:2])) from None

    def with_values(self, **sections: dict[str, Any]) -> Recipe:
        """A copy with some keys of some sections replaced, validated anew."""
        values = self.model_dump(mode="json", exclude_none=True)
        for section, keys in sections.items():
            values[section] = {**values[section], **keys}
        return Recipe.parse({k: v for k, v in values.items()}, self.name)

    def to_toml(self) -> str:
        """The resolved recipe as TOML, every default written out (unset optional keys are left out)."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def built_in_recipes() -> dict[str, str]:
    """Names of the recipes that ship with the package, each with its TOML text."""
    folder = resources.files("featherweight") / "recipes"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text("utf-8") for f in files}


def _read(name_or_path: str | Path) -> tuple[str, str]:
    built_in = built_in_recipes()
    if str(name_or_path) in built_in:
        return str(name_or_path), built_in[str(name_or_path)]
    path = Path(name_or_path)
    if not path.is_file():
        near = difflib.get_close_matches(str(name_or_path), built_in, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{name_or_path}: no such recipe file and no built-in recipe{hint}\nBuilt in: {', '.join(built_in)}")
    try:
        return str(path), path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; a recipe is a UTF-8 text file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _plain_toml_error(error: tomllib.TOMLDecodeError) -> str:
    # tomllib words a repeated key as an overwrite; say what the user did.
    return str(error).replace("Cannot overwrite a value", "duplicate key").replace("Cannot declare", "duplicate table")


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    key, text = key.strip(), text.strip()
    if not equals or not key:
        raise UserError(f"--set {override}: write it as section.key=value, such as training.learning_rate=3e-4")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    _assign(values, key.split("."), value, override)


def _assign(place: Any, path: list[str], value: Any, override: str) -> None:
    head, rest = path[0], path[1:]
    if isinstance(place, list):
        # `adapter.lora.rank=4` sets the key in every table, `adapter.lora.0.rank=4` in the first alone.
        if not head.isdigit():
            for item in place:
                _assign(item, path, value, override)
            return
        if int(head) >= len(place) or not rest:
            raise UserError(f"--set {override}: there is no table number {head} to set a key in")
        _assign(place[int(head)], rest, value, override)
    elif not isinstance(place, dict):
        raise UserError(f"--set {override}: {head!r} is not a key that can be set there")
    elif not rest:
        place[head] = value
    else:
        if head == "lora" and not isinstance(place.get(head), (dict, list)):
            place[head] = [{}]
        _assign(place.setdefault(head, {}), rest, value, override)


def _explain(issue: Any, origin: str) -> str:
    """One line for one pydantic issue: file, key, what is wrong, what to do."""
    path = [str(part) for part in issue["loc"] if not str(part).startswith(("tuple[", "literal[", "function-"))]
    key = ".".join(path) or "recipe"
    if issue["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5) or _other_section(path[-1])
        hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
        return f"{origin}: unknown key {key!r}{hint}"
    message = issue["msg"].removeprefix("Value error, ")
    shown = f" (it is {issue['input']!r})" if isinstance(issue["input"], (str, int, float, bool)) else ""
    return f"{origin}: {key}: {message[0].lower()}{message[1:]}{shown}"


def _keys_at(path: Iterable[str]) -> list[str]:
    section: type[BaseModel] = Recipe
    nested = {"data": DataRecipe, "backbone": BackboneRecipe, "adapter": AdapterRecipe, "training": TrainingRecipe, "evaluation": EvaluationRecipe, "lora": LoraLayers}
    for part in path:
        section = nested.get(part, section)
    return list(section.model_fields)


def _other_section(key: str) -> list[str]:
    # A right key in the wrong section: name the place where it belongs.
    for name in ("data", "backbone", "adapter", "training", "evaluation"):
        if key in _keys_at([name]):
            return [f"{name}.{key}"]
    return [key] if key in Recipe.model_fields else []
