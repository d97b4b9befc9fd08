"""Classifiers as people save them with PEFT, on tiny bases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

LABELS = ("bird", "fruit", "metal")
TEXTS = ["apple pear", "iron", "a heron and an owl and a crow and a robin", "zinc, copper, silver " * 4]
WEIGHTS = "adapter_model.safetensors"

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "roberta": ("roberta", {"target_modules": ["query", "value"], "bias": "all"}),
    "bert": (
        "bert",
        {"target_modules": r".*layer\.1\..*(query|key)", "rank_pattern": {"query": 3}, "lora_dropout": 0.1},
    ),
    "bert-biases": ("bert", {"target_modules": ["query"], "bias": "all"}),  # a head of one layer
    "bert-rslora": ("bert", {"target_modules": "all-linear", "use_rslora": True, "alpha_pattern": {"key": 5}}),
    "distilbert": ("distilbert", {"target_modules": ["q_lin", "lin1"], "bias": "lora_only"}),
    "deberta-v2": ("deberta-v2", {"target_modules": ["query_proj"], "modules_to_save": ["pooler"], "use_dora": True}),
    "modernbert": ("modernbert", {"target_modules": ["Wqkv"], "modules_to_save": ["head"], "lora_bias": False}),
    "mpnet": ("mpnet", {"target_modules": ["q", "v"], "layers_to_transform": [1]}),
    "electra-pissa": ("electra", {"target_modules": ["query"], "init_lora_weights": "pissa"}),
}
"""A backbone's family, and arguments of PEFT's LoraConfig."""


def wrapped(base: Path, **lora: Any) -> Any:
    """A tiny base in PEFT's hands, as people write it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, dtype=torch.float32)
    return get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **{"r": 2, "lora_alpha": 4, **lora}))


def save_by_hand(folder: Path, base: Path, **lora: Any) -> int:
    """Train two steps, save with PEFT's own ``save_pretrained``; returns PEFT's count of what it trains."""
    import torch
    from transformers import AutoTokenizer

    model, tokenizer = wrapped(base, **lora), AutoTokenizer.from_pretrained(base)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(2):
        batch = tokenizer(TEXTS[:3], padding=True, return_tensors="pt")
        model(**batch, labels=torch.tensor([1, 2, 0])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return int(model.get_nb_trainable_parameters()[0])


def peft_logits(folder: Path, base: Path) -> np.ndarray:
    """The same folder, loaded by PEFT and transformers alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, dtype=torch.float32)
    model, tokenizer = PeftModel.from_pretrained(model, folder).eval(), AutoTokenizer.from_pretrained(base)
    rows = [tokenizer([text], return_tensors="pt", truncation=True) for text in TEXTS]
    with torch.inference_mode():
        return np.concatenate([model(r["input_ids"], r["attention_mask"]).logits.double().numpy() for r in rows])


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """The same sums; where weights lie in memory may change the last digit of one."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-8)


def set_keys(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changes}), "utf-8")
