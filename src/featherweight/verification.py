"""Proof that a run was saved whole: reloaded in a fresh process, it gives the live model's logits, and PEFT's too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from featherweight.errors import FeatherweightError

_SAFE: dict[str, Any] = {"trust_remote_code": False, "use_safetensors": True}
_GPU_ROUNDING = 0.05  # of a logit in 16 bits, where another kernel adds in another order


def verify_in_fresh_process(folder: Path, texts: list[str], logits: np.ndarray, precision: str) -> dict[str, Any]:
    """Reload the run in a new Python process and compare with ``logits`` [texts, labels] of the live model.

    Returns the largest differences; raises FeatherweightError where the reloaded model gives other logits.
    """
    with tempfile.TemporaryDirectory() as temporary:
        question = Path(temporary) / "question.json"
        question.write_text(json.dumps({"texts": texts, "logits": logits.tolist(), "precision": precision}), "utf-8")
        command = [sys.executable, "-P", "-m", "featherweight.verification", str(folder), str(question)]
        # It finds the packages where this process found them, and nothing that happens to lie in the working directory.
        place = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(command, capture_output=True, text=True, env=place)
    if done.returncode != 0:
        raise FeatherweightError(f"{folder}: the saved adapter cannot be loaded again: {done.stderr.strip()[-600:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if not result["identical"]:
        raise FeatherweightError(
            f"{folder}: the reloaded adapter gives other logits than the trained one ({result}); do not use this run"
        )
    return result


def _answer(folder: Path, question: dict[str, Any]) -> dict[str, Any]:
    from featherweight.classifier import Classifier

    texts, live = question["texts"], np.array(question["logits"])
    classifier = Classifier.load(folder, precision=question["precision"], merge=False)
    reloaded = classifier.logits(texts)
    plain = Classifier.load(folder, precision="fp32", device="cpu", lean=False)
    ours, theirs = plain.logits(texts[:8]), _peft_logits(folder / "adapter", plain, texts[:8])
    result: dict[str, Any] = {"reloaded": _difference(live, reloaded)}
    if theirs is not None:
        result["peft"] = _difference(ours, theirs)
    # A GPU may pick another kernel in another process; on a processor the same sums are made in the same order.
    allowed = {"reloaded": 0.0 if classifier.engine.device == "cpu" else _GPU_ROUNDING}
    result["identical"] = all(part["largest_difference"] <= allowed.get(name, 0.0) for name, part in result.items())
    return result


def _peft_logits(adapter: Path, plain: Any, texts: list[str]) -> np.ndarray | None:
    """What PEFT alone computes from the saved folder; None where nothing of PEFT's was trained."""
    if not (adapter / "adapter_config.json").is_file():
        return None
    import torch

    from featherweight.data.batches import collate, encode
    from featherweight.data.sources import Rows
    from featherweight.model.inference import prediction_batches

    model = _native(adapter) if plain.network.head is None else _linear(adapter)
    encoded = encode(Rows(texts, None, plain.labels, "texts"), plain.tokenizer, plain.recipe.data.max_length)
    logits = np.zeros((len(texts), len(plain.labels)))
    for rows in prediction_batches(encoded, plain.engine):
        batch = collate(encoded, rows, plain.tokenizer.pad_token_id)
        with torch.inference_mode():
            logits[rows] = model(batch.input_ids, batch.attention_mask).double().numpy()
    return logits


def _native(adapter: Path) -> Any:
    from peft import AutoPeftModelForSequenceClassification

    model = AutoPeftModelForSequenceClassification.from_pretrained(str(adapter), **_SAFE).eval()
    return lambda input_ids, mask: model(input_ids=input_ids, attention_mask=mask).logits


def _linear(adapter: Path) -> Any:
    import tomllib

    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModel

    from featherweight.model.network import pool

    base = json.loads((adapter / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"]
    pooling = tomllib.loads((adapter / "recipe.toml").read_text("utf-8"))["adapter"]["pooling"]
    encoder = AutoModel.from_pretrained(base, dtype=torch.float32, trust_remote_code=False, use_safetensors=True)
    model = PeftModel.from_pretrained(encoder, str(adapter)).eval()
    head = load_file(adapter / "head.safetensors")

    def logits(input_ids: Any, mask: Any) -> Any:
        states = model(input_ids=input_ids, attention_mask=mask).last_hidden_state
        return pool(states, mask, pooling) @ head["head.out.weight"].T + head["head.out.bias"]

    return logits


def _difference(one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    return {"rows": len(one), "largest_difference": float(np.abs(one - other).max(initial=0.0))}


if __name__ == "__main__":
    # Nothing here may wait for a hub: everything compared lies on this machine's disk.
    os.environ["HF_HUB_OFFLINE"] = "1"
    print(json.dumps(_answer(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")))))
