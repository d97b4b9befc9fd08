"""What is trained is exactly what is saved, and what is saved is exactly what PEFT loads."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.adapters import LABELS, built, saved
from support.backbones import FAMILIES

from featherweight.adapter.storage import load_adapter
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.resolve import resolve_backbone
from featherweight.backbone.tokenizer import load_tokenizer
from featherweight.budget.weigh import weigh
from featherweight.errors import UserError
from featherweight.model.network import Network

ALL_ROLES = ["query", "key", "value", "attention_output", "mlp_up", "mlp_down"]


def disturb(network: Network) -> None:
    """Stand-in for training: every trained tensor becomes something that no initialisation gives."""
    generator = torch.Generator().manual_seed(7)
    for parameter in network.trainable().values():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)


def example() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[101, 2023, 2003, 1037, 3231, 102], [101, 6207, 102, 0, 0, 0]])
    return ids, (ids != 0).long()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapter", [{}, {"head": "native"}, {"bias": "all", "head": "native"}, {"bias": "lora"}])
def test_the_live_count_is_the_weighed_count(tiny_recipe: Any, family: str, adapter: dict[str, Any]) -> None:
    recipe = tiny_recipe(family, adapter=adapter)
    architecture = architecture_of(resolve_backbone(recipe.backbone).config)
    assert built(recipe).trainable_count() == weigh(recipe, architecture, len(LABELS)).total


@pytest.mark.parametrize("adapter", [{"dora": True}, {"lora": [{"roles": ALL_ROLES, "rank": 3}]}, {"lora": []}])
@pytest.mark.parametrize("head", ["native", "linear"])
def test_the_count_holds_for_dora_all_layers_and_the_head_alone(
    tiny_recipe: Any, adapter: dict[str, Any], head: str
) -> None:
    recipe = tiny_recipe("bert", adapter={**adapter, "head": head})
    architecture = architecture_of(resolve_backbone(recipe.backbone).config)
    assert built(recipe).trainable_count() == weigh(recipe, architecture, len(LABELS)).total


def test_relative_attention_bias_is_an_embedding_and_never_trained(tiny_recipe: Any) -> None:
    trained = built(tiny_recipe("mpnet", adapter={"bias": "all", "head": "native"})).trainable()
    assert any(name.endswith("bias") for name in trained)
    assert not any("relative_attention_bias" in name for name in trained)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapter", [{"head": "native", "bias": "all"}, {"head": "linear", "bias": "lora"}])
def test_reload_gives_the_same_logits(tiny_recipe: Any, tmp_path: Path, family: str, adapter: dict[str, Any]) -> None:
    recipe = tiny_recipe(family, adapter=adapter)
    network = built(recipe)
    disturb(network)
    folder = saved(network, tmp_path / "adapter", recipe)
    again = built(recipe)
    load_adapter(again, folder)
    with torch.no_grad():
        assert torch.equal(network(*example()), again(*example()))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bias", ["none", "all"])
def test_peft_alone_gives_the_same_logits_for_native_heads(
    tiny_recipe: Any, tmp_path: Path, family: str, bias: str
) -> None:
    from peft import AutoPeftModelForSequenceClassification

    recipe = tiny_recipe(family, adapter={"head": "native", "bias": bias})
    network = built(recipe)
    disturb(network)
    folder = saved(network, tmp_path / "adapter", recipe)
    ids, mask = example()
    theirs = AutoPeftModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        torch.testing.assert_close(network(ids, mask), theirs(input_ids=ids, attention_mask=mask).logits)
    assert theirs.config.id2label == dict(enumerate(LABELS))


@pytest.mark.parametrize("options", [{"rslora": True}, {"dora": True}, {"initialisation": "pissa"}, {"dropout": 0.3}])
def test_lora_variants_survive_saving(tiny_recipe: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    from peft import AutoPeftModelForSequenceClassification

    recipe = tiny_recipe("bert", adapter={"head": "native", **options})
    network = built(recipe)
    disturb(network)
    folder = saved(network, tmp_path / "adapter", recipe)
    ids, mask = example()
    theirs = AutoPeftModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        np.testing.assert_allclose(network(ids, mask), theirs(input_ids=ids, attention_mask=mask).logits, atol=1e-5)


def test_ranks_and_scales_by_layer_reach_peft(tiny_recipe: Any) -> None:
    tables = [
        {"roles": ["value"], "layers": "lower-half", "rank": 2, "alpha": 8},
        {"roles": ["query", "value"], "layers": "upper-half", "rank": 3, "alpha": 3},
    ]
    network = built(tiny_recipe("roberta", adapter={"lora": tables}))
    shapes = {name: tuple(p.shape) for name, p in network.trainable().items() if "lora_A" in name}
    assert sorted(shape[0] for shape in shapes.values()) == [2, 3, 3]
    scalings = [module.scaling["default"] for _, module in network.named_modules() if hasattr(module, "lora_A")]
    assert sorted(scalings) == [1.0, 1.0, 4.0]


def test_the_same_seed_draws_the_same_adapter_and_leaves_the_callers_randomness_alone(tiny_recipe: Any) -> None:
    torch.manual_seed(1)
    one = built(tiny_recipe())
    drawn = torch.rand(1)
    torch.manual_seed(2)
    other, third = built(tiny_recipe()), built(tiny_recipe(seed=5))
    assert all(torch.equal(a, b) for a, b in zip(one.trainable().values(), other.trainable().values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.trainable().values(), third.trainable().values(), strict=True))
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))


def test_an_adapter_of_another_recipe_is_refused(tiny_recipe: Any, tmp_path: Path) -> None:
    folder = saved(built(tiny_recipe()), tmp_path / "adapter", tiny_recipe())
    wider = tiny_recipe(adapter={"lora": [{"roles": ["query", "value"], "rank": 4}]})
    with pytest.raises(UserError, match="has shape"):
        load_adapter(built(wider), folder)
    with pytest.raises(UserError, match="lacks"):
        load_adapter(built(tiny_recipe(adapter={"bias": "all"})), folder)


def test_encoder_dropout_is_off_unless_asked_for(tiny_recipe: Any) -> None:
    still, noisy = built(tiny_recipe()).train(), built(tiny_recipe(training={"encoder_dropout": True})).train()
    with torch.no_grad():
        assert torch.equal(still(*example()), still(*example()))
        assert not torch.equal(noisy(*example()), noisy(*example()))


@pytest.mark.parametrize("head", ["native", "linear"])
def test_a_backbone_stored_in_half_precision_is_taken_as_fp32_by_all(
    tiny_recipe: Any, tmp_path: Path, head: str
) -> None:
    from featherweight.inference.classifier import Classifier
    from featherweight.verification.reload import _peft_logits

    source = Path(tiny_recipe("bert").backbone.name)
    folder = shutil.copytree(source, tmp_path / "half")
    tensors = {name: tensor.half() for name, tensor in load_file(source / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    recipe = tiny_recipe("bert", backbone={"name": str(folder)}, adapter={"head": head})
    network = built(recipe)
    disturb(network)
    saved(network, tmp_path / "adapter", recipe)
    classifier = Classifier.load(tmp_path / "adapter", precision="fp32", lean=False)
    texts = ["one robin", "copper and zinc"]
    theirs, other = _peft_logits(tmp_path / "adapter", classifier, texts)
    np.testing.assert_allclose(classifier.logits(texts), theirs, rtol=0, atol=1e-5)
    assert other == {}


def test_weights_that_lack_a_layer_are_refused_not_drawn_at_random(tiny_recipe: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_recipe("bert").backbone.name, tmp_path / "short")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(UserError, match=r"short: the weights lack encoder\.layer\.2"):
        built(tiny_recipe("bert", backbone={"name": str(folder)}))


def test_an_adapter_is_not_loaded_onto_other_weights(tiny_recipe: Any, tmp_path: Path) -> None:
    from featherweight.inference.classifier import Classifier

    folder = shutil.copytree(tiny_recipe("bert").backbone.name, tmp_path / "backbone")
    recipe = tiny_recipe("bert", backbone={"name": str(folder)})
    saved(built(recipe), tmp_path / "adapter", recipe)
    Classifier.load(tmp_path / "adapter")
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(UserError, match="are not those of the training"):
        Classifier.load(tmp_path / "adapter")


def test_an_adapter_whose_backbone_was_moved_is_loaded_as_the_message_says(tiny_recipe: Any, tmp_path: Path) -> None:
    from featherweight.inference.classifier import Classifier

    before, now, adapter = tmp_path / "before", tmp_path / "now", tmp_path / "adapter"
    shutil.copytree(tiny_recipe("bert").backbone.name, before)
    recipe = tiny_recipe("bert", backbone={"name": str(before)})
    saved(built(recipe), adapter, recipe)
    logits = Classifier.load(adapter).logits(["one robin"]).tolist()
    before.rename(now)
    told = f"adapter: its backbone, the folder {before}, is not there; move it back, or put a link to it there\nIf you"
    with pytest.raises(UserError, match=re.escape(told)):
        Classifier.load(adapter)
    before.symlink_to(now)
    assert Classifier.load(adapter).logits(["one robin"]).tolist() == logits
    before.unlink()
    file = adapter / "recipe.toml"
    file.write_text(file.read_text("utf-8").replace(str(before), str(now)), "utf-8")
    assert Classifier.load(adapter).logits(["one robin"]).tolist() == logits


def test_a_tokenizer_without_words_is_refused(tiny_recipe: Any, tmp_path: Path) -> None:
    folder = tmp_path / "wordless"
    folder.mkdir()
    (folder / "vocab.txt").write_text("")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(UserError, match="has an empty vocabulary"):
        load_tokenizer(folder)
