"""What a person reads when a recipe is not right: one or two lines with file, key, what is wrong and what would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from featherweight.errors import UserError
from featherweight.recipe import Recipe, built_in_recipes

pytestmark = pytest.mark.usefixtures("as_options")


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def refused(source: str | Path, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(UserError) as caught:
        Recipe.load(source, overrides)
    lines = str(caught.value).splitlines()
    assert 1 <= len(lines) <= 2
    return lines


MESSAGES = {
    # what the file says: what the message must say after the file's name
    "[adapter]\nlora = [{rank = 0}]": "adapter.lora.0.rank: must be at least 1 (it is 0)",
    "[adapter]\nlora = [{rank = true}]": "adapter.lora.0.rank: must be a whole number (it is true)",
    "[adapter]\nlora = [{rank = 2.5}]": "adapter.lora.0.rank: must be a whole number (it is 2.5)",
    "[adapter]\nlora = 'autoo'": "adapter.lora: must be auto or a list (it is 'autoo'; did you mean 'auto'?)",
    "[adapter]\nlora = 3": "adapter.lora: must be auto or tables of keys; for LoRA of rank 3 set adapter.lora.rank=3",
    "[training]\nclass_weights = '1, 2'": "training.class_weights: must be none, balanced or a list; write [1, 2]",
    "[training.class_weights]\nspam = 2": "training.class_weights: must be none, balanced or a list of numbers in the",
    "[adapter.lora]\nrank = 2\nlayers = '9-3'": "adapter.lora.0.layers: must go from low to high: write 3-9, not 9-3",
    "[adapter.lora]\nlayers = 'top-0'": "adapter.lora.0.layers: must name at least one layer; top-1 is one",
    "[adapter.lora]\nlayers = 'some'": "adapter.lora.0.layers: must be all, lower-half, upper-half, top-4, bottom-4,",
    "[adapter.lora]\nroles = ['qery']": "adapter.lora.0.roles.0: must be query, key, value, attention_output, mlp_up "
    "or mlp_down (it is 'qery'; did you mean 'query'?)",
    "[adapter.lora]\nroles = []": "adapter.lora.0.roles: must not be empty; name at least one",
    "[adapter.lora]\nroles = ['key', 'key']": "adapter.lora.0.roles: 'key' is listed twice; remove one",
    "[[adapter.lora]]\n[[adapter.lora]]\nroles = ['value']": "adapter.lora: tables 0 and 1 both adapt value in layers "
    "'all'; remove 'value' from the roles of one of them",
    "[adapter]\ndropout = 1": "adapter.dropout: must be less than 1 (it is 1)",
    "[adapter]\ndora = 'yes'": "adapter.dora: must be true or false (it is 'yes')",
    "[adapter]\nrank = 4": "unknown key 'adapter.rank'; did you mean 'adapter.lora.rank'?",
    "[backbone]\nname = ''": "backbone.name: must not be empty; give a value, or leave the key out (it is '')",
    "[backbone.roles]\nqueri = 'q'": "backbone.roles.queri: must be query, key, value, attention_output, mlp_up or "
    "mlp_down (it is 'queri'; did you mean 'query'?)",
    "[backbone.roles]\n\"a\\nb\" = 'q'": "backbone.roles.a\\nb: must be query, key",
    "[data]\nlabels = ['World']": "data.labels: 'World' is the only class; name at least two, or leave the key out",
    "[data]\nlabels = ['a', 'b', 'a']": "data.labels: 'a' is listed twice; remove one",
    "[data]\nlabels = 'World'": "data.labels: 'World' is the only class; name at least two, or leave the key out",
    "[data]\nlabels = 'neg, pos'": 'data.labels: must be a list; write ["neg", "pos"]',
    "[data]\ntext = '[title, body]'": 'data.text: must be a list; write ["title", "body"]',
    "[training]\nlr = 1e-4": "unknown key 'training.lr'; here it is called 'training.learning_rate'",
    "[training]\neval_steps = 5": "unknown key 'training.eval_steps'; here it is called 'training.evaluate_every'",
    "[[adapter.lora]]\nr = 8": "unknown key 'adapter.lora.0.r'; here it is called 'adapter.lora.rank'",
    "[data]\ntest_size = 0.2": "unknown key 'data.test_size'; here it is called 'data.validation_size'",
    "[training]\noptim = 'sgd'": "unknown key 'training.optim'; there is no such key: the optimizer is AdamW",
    "[data]\nvalidation_size = 0": "data.validation_size: must be greater than 0 (it is 0)",
    "[data]\nvalidation_size = 20.5": "data.validation_size: must be a fraction below 1 or a whole number (it is 20.5)",
    "[training]\nepochs = 1e300": "training.epochs: must be at most 10,000 (it is 1e+300)",
    "[training]\nbatch_size = 1000000000000000000000000000000": "training.batch_size: must be at most 1,000,000,000",
    "[training]\ncheckpoint_steps = true": "training.checkpoint_steps: must be a whole number (it is true)",
    "[adapter.lora]\nlayers = 'top-" + "9" * 5000 + "'": "adapter.lora.0.layers: must be all, lower-half, upper-half",
    "[data]\ntrain = 7": 'data.train: must be text in quotes, such as "name" (it is 7)',
    "[data]\nbudget = 5": "unknown key 'data.budget'; it belongs above the first [section]",
    "data = 'train.csv'": "data: must be a table of keys and values (it is 'train.csv')",
    "[training]\nepochs = '3'": "training.epochs: must be a number (it is '3')",
    "[training]\nclip = nan": "training.clip: must be a finite number (it is nan)",
    "[training]\nlearnin_rate = 1": "unknown key 'training.learnin_rate'; did you mean 'training.learning_rate'?",
    "[training]\nclass_weights = 'blanced'": "training.class_weights: must be none, balanced or a list (it is "
    "'blanced'; did you mean 'balanced'?)",
    "[training]\naverage = 'ema'": "training.average: must be swa or a number (it is 'ema')",
    "[training]\naverage = 1.5": "training.average: must be less than 1 (it is 1.5)",
    "[training]\naverage = true": "training.average: must be a number (it is true)",
    "[training]\nclass_weights = [1, -2]": "training.class_weights.1: must be at least 0 (it is -2)",
    "[training]\ntrackers = ['tensorbord']": "training.trackers.0: must be tensorboard, mlflow, trackio or wandb (it "
    "is 'tensorbord'; did you mean 'tensorboard'?)",
    "[trainin]\nepochs = 1": "unknown key 'trainin'; did you mean 'training'?",
    "[serch]\ntraining.epochs = [1, 2]": "unknown key 'serch'; did you mean 'search'?",
    "[[lora]]\nrank = 1": "unknown key 'lora'; did you mean 'adapter.lora'?",
    "[evaluation]\nzzz = 1": "unknown key 'evaluation.zzz'; known here: shift, bins, mistakes",
    "budget = '1,5M'": "budget: must be a count such as 1000000, 100k or 1M (it is '1,5M')",
    "budget = '0.5'": "budget: must be a whole count such as 1000000, 100k or 1M (it is '0.5')",
    "budget = 0": "budget: must be at least 1 (it is 0)",
    "budget = 1e300": "budget: must be at most 1,000,000,000,000 (it is 1",
    "budget = 0x" + "f" * 5000: "budget: must be at most 1,000,000,000,000 (it is a number of more than 4,000 digits)",
    "seed = -1": "seed: must be at least 0 (it is -1)",
    "name = '../up'": "name: must consist of letters, digits, '.', '_' and '-', and start with a letter or a digit",
    # not TOML at all: file and line
    "seed = 1\nseed = 2": "line 2: duplicate key 'seed'; keep one of them",
    "[data]\nlabel = 'a'\n\nlabel = 'b'": "line 4: duplicate key 'label'; keep one of them",
    "[data]\n[training]\n[data]": "line 3: duplicate table [data]; put its keys into one table",
    "backbone = {name = 'a', name = 'b'}": "line 1: duplicate key 'name'; keep one of them",
    "seed = \nname = 'x'": "line 1: not valid TOML: invalid value in 'seed ='",
    "seed = 1\nname": "line 2: not valid TOML: ",
    "x = " + "[" * 3000: "lists or tables are nested too deeply for a recipe",
    ".".join("a" * 500) + " = 1": "lists or tables are nested too deeply for a recipe",
    "# " + "x" * 1_000_000: "is larger than 1,000,000 bytes",
    "seed = " + "9" * 5000: "not valid TOML: ",
}


@pytest.mark.parametrize("text", MESSAGES, ids=lambda text: text[:40])
def test_one_line_names_file_key_and_remedy(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    (line,) = refused(path)
    assert line.startswith(f"{path}: {MESSAGES[text]}")


def test_two_lines_at_most_however_much_is_wrong(tmp_path: Path) -> None:
    lines = refused(written(tmp_path, "seed = -1\nbudget = 0\n[training]\nclip = -1\nepochs = 0"))
    assert len(lines) == 2
    assert lines[1].endswith("(and 2 more)")


def test_recipe_that_does_not_exist_suggests_the_nearest(tmp_path: Path) -> None:
    assert refused("newsbrief") == ["newsbrief: no such recipe file and no built-in recipe; did you mean 'newsbriefs'?"]
    assert "did you mean 'r4'?" in refused("r4.toml")[0]
    path = written(tmp_path, "seed = 1")
    assert f"did you mean {str(path)!r}?" in refused(tmp_path / "mime.toml")[0]
    lines = refused("nothing-like-it")
    assert lines == [
        "nothing-like-it: no such recipe file and no built-in recipe",
        f"The built-in recipes are: {', '.join(built_in_recipes())}",
    ]


def test_what_is_no_recipe_file_is_said(tmp_path: Path) -> None:
    assert "is a folder, not a recipe; name a TOML file" in refused(tmp_path)[0]
    (tmp_path / "recipe.toml").write_text("")
    assert f"did you mean {str(tmp_path / 'recipe.toml')!r}?" in refused(tmp_path)[0]
    (tmp_path / "latin.toml").write_bytes(b"seed = 1\ndescription = 'caf\xe9'")
    assert "line 2 is not UTF-8" in refused(tmp_path / "latin.toml")[0]
    assert "cannot be read as a recipe file" in refused("x" * 5000)[0]
    assert "cannot be read as a recipe file" in refused("a\0b")[0]


BAD_OVERRIDES = {
    "seed": "--set seed: write it as section.key=value",
    "=3": "--set =3: write it as section.key=value",
    "training..epochs=3": "--set training..epochs=3: write it as section.key=value",
    "adapter.lora.2.rank=4": "--set adapter.lora.2.rank=4: write adapter.lora.NUMBER.KEY, such as adapter.lora.0.rank",
    "adapter.lora.².rank=4": "r1 with --set adapter.lora.².rank=4: unknown key 'adapter.lora.0.²'",
    "data.train=": "--set data.train=: the value is empty; give one (only optional keys can be removed)",
    "training.learning_rate=": "--set training.learning_rate=: the value is empty; give one",
    "training=": "--set training=: the value is empty; give one",
    "adapter.lora=": "--set adapter.lora=: the value is empty; give one",
    ".".join("a" * 5000) + "=1": "--set a.a.a.",
    "name=\ud800": "r1 with --set name=\\ud800: name: must be valid Unicode text",
    "name=\x1b[2J": "r1 with --set name=\\x1b[2J: name: must consist of letters, digits",
    "training.epochs=" + "x" * 5000: "r1 with --set training.epochs=xxxxx",
    "name.length=4": "--set name.length=4: name has a value and no keys, so 'length' cannot be set in it",
    "training.learning_rate=0": "r1 with --set training.learning_rate=0: training.learning_rate: must be greater",
    "adapter.lora.rank=0": "r1 with --set adapter.lora.rank=0: adapter.lora.0.rank: must be at least 1 (it is 0)",
    "training.epoch=4": "r1 with --set training.epoch=4: unknown key 'training.epoch'; did you mean 'training.epochs'?",
    "trainin.epochs=4": "r1 with --set trainin.epochs=4: unknown key 'trainin'; did you mean 'training'?",
}


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_bad_overrides_are_named(override: str) -> None:
    assert refused("r1", ("budget=5k", override))[0].startswith(BAD_OVERRIDES[override])


def test_a_single_item_of_a_list_cannot_be_overridden() -> None:
    message = refused("r1", ("data.text=['title', 'body']", "data.text.0=head"))[0]
    assert message.startswith("--set data.text.0=head: data.text has a value and no keys, so '0' cannot be set in it")


def test_a_slip_in_the_file_is_not_blamed_on_an_override(tmp_path: Path) -> None:
    path = written(tmp_path, "[training]\nclip = -1")
    assert refused(path, ("training.epochs=1",))[0].startswith(f"{path}: training.clip: ")
