"""Proof that a run was saved whole: reloaded in a fresh process, it gives the live model's logits, and PEFT's too.

Two kinds of check are made. The fresh process runs the operations of the training process, in the same order, so on a
processor its logits must be the same bit for bit. PEFT runs other operations, and a GPU may pick other kernels, so
there the logits may differ by rounding (``model.rounding``); the tensors that PEFT loads must be the saved ones bit for
bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.errors import FeatherweightError

if TYPE_CHECKING:
    from torch import Tensor

    from featherweight.inference.classifier import Classifier

_SAFE: dict[str, Any] = {"trust_remote_code": False, "use_safetensors": True}
_Differences = dict[str, float | None]
"""Names of tensors, with the largest difference of each; None for one that is not there, or of another shape."""
_PEFT_TEXTS = 8  # as many show what is lost as all would, and PEFT computes in fp32, which is slow


def verify_in_fresh_process(folder: Path, texts: list[str], logits: np.ndarray, precision: str) -> dict[str, Any]:
    """Reload the run in a new Python process and compare with ``logits`` [texts, labels] of the live model.

    Returns for each check the largest difference and the one that is allowed; raises FeatherweightError, which names
    the check and the difference, where one is larger.
    """
    with tempfile.TemporaryDirectory() as temporary:
        question = Path(temporary) / "question.json"
        question.write_text(json.dumps(question_of(texts, logits, precision)), "utf-8")
        command = [sys.executable, "-P", "-m", "featherweight.verification.reload", str(folder), str(question)]
        # It finds the packages where this process found them, and nothing that happens to lie in the working directory.
        place = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(command, capture_output=True, text=True, env=place)
    if done.returncode != 0:
        raise FeatherweightError(f"{folder}: the saved adapter cannot be loaded again: {done.stderr.strip()[-600:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    require_passed(folder, result)
    return result


def verify_in_this_process(folder: Path, texts: list[str], logits: np.ndarray, precision: str) -> dict[str, Any]:
    """The same checks without the start of a process, for tests and benchmarks of what comes before and after them."""
    question = json.loads(json.dumps(question_of(texts, logits, precision)))
    result = _answer(folder, question)
    require_passed(folder, result)
    return result


def question_of(texts: list[str], logits: np.ndarray, precision: str) -> dict[str, Any]:
    """What the fresh process is told: texts, logits, and all that decides the order in which sums are added up."""
    import torch

    return {
        "texts": texts,
        "logits": logits.tolist(),
        "precision": precision,
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def require_passed(folder: Path, result: dict[str, Any]) -> None:
    """Raise FeatherweightError, naming check and difference, unless every check of ``result`` is within its limit."""
    subjects = {"reloaded": "reloaded in a fresh process, it", "peft": "loaded by PEFT alone, it"}
    for name, subject in subjects.items():
        check = result.get(name)
        if check is None:
            continue
        if check.get("other_tensors"):
            raise _refusal(folder, _other_tensors_in_words(check))
        largest, allowed = check["largest_difference"], check["allowed"]
        if not largest <= allowed:
            rule = f"at most {allowed:.2g} is rounding" if allowed else "they must be the same bit for bit"
            problem = f"gives logits that differ by up to {largest:.2g} from the trained model's; {rule}"
            raise _refusal(folder, f"{subject} {problem}")


def _refusal(folder: Path, problem: str) -> FeatherweightError:
    again = "to save and check again, run the same command with --resume"
    return FeatherweightError(f"{folder}: the saved adapter is wrong: {problem}\nDo not use this run; {again}")


def _other_tensors_in_words(check: dict[str, Any]) -> str:
    """How many tensors PEFT loads with other values, the first one, and by how much they differ at the most."""
    first, *more = check["other_tensors"]
    largest = check.get("largest_tensor_difference")
    amount = ", or without any" if largest is None else f", which differ by up to {largest:.2g}"
    how_many = f"{len(more) + 1} of the saved tensors, {first} the first," if more else f"the saved tensor {first}"
    return f"PEFT loads {how_many} with other values{amount}; they must be the same bit for bit"


def _answer(folder: Path, question: dict[str, Any]) -> dict[str, Any]:
    import torch

    from featherweight.inference.classifier import Classifier
    from featherweight.model.rounding import largest_logit, rounding_tolerance

    torch.set_num_threads(question["threads"])
    torch.set_float32_matmul_precision(question["matmul_precision"])
    texts, live = question["texts"], np.array(question["logits"])
    classifier = Classifier.load(folder, precision=question["precision"], merge=False)
    architecture = classifier.network.architecture
    reloaded = classifier.logits(texts)
    # A GPU may pick another kernel in another process; on a processor the same sums are made in the same order.
    exact = classifier.engine.device == "cpu"
    share = 0.0 if exact else rounding_tolerance(architecture, classifier.engine.precision)
    result: dict[str, Any] = {"reloaded": _compared(live, reloaded, share * largest_logit(live, reloaded))}
    plain = Classifier.load(folder, precision="fp32", device="cpu", lean=False)
    ours, theirs = plain.logits(texts[:_PEFT_TEXTS]), _peft_logits(folder / "adapter", plain, texts[:_PEFT_TEXTS])
    if theirs is not None:
        logits, differences = theirs
        allowed = rounding_tolerance(architecture, "fp32") * largest_logit(ours, logits)
        result["peft"] = _compared(ours, logits, allowed) | {"other_tensors": list(differences)}
        if differences:
            amounts = [amount for amount in differences.values() if amount is not None]
            result["peft"]["largest_tensor_difference"] = max(amounts, default=None)
    # JSON keeps every digit of a double: that there is no difference at all can be said.
    result["identical"] = result["reloaded"]["largest_difference"] == 0.0
    return result


def _peft_logits(adapter: Path, plain: Classifier, texts: list[str]) -> tuple[np.ndarray, _Differences] | None:
    """What PEFT alone computes from the saved folder, and the tensors that it loaded with other values.

    None where nothing of PEFT's was trained.
    """
    if not (adapter / "adapter_config.json").is_file():
        return None
    import torch

    from featherweight.data.batches import collate
    from featherweight.data.sources import Rows
    from featherweight.model.predict import prediction_batches

    network, model = _native(adapter) if plain.network.head is None else _linear(adapter)
    encoded = plain.model.encode(Rows(texts, None, plain.labels, "texts"))
    logits = np.zeros((len(texts), len(plain.labels)))
    for rows in prediction_batches(encoded, plain.engine):
        batch = collate(encoded, rows, plain.tokenizer.pad_token_id)
        with torch.inference_mode():
            logits[rows] = model(batch.input_ids, batch.attention_mask).double().numpy()
    return logits, _other_tensors(adapter, network)


def _other_tensors(adapter: Path, network: Any) -> _Differences:
    """The saved tensors that ``network`` lacks, or holds with other values."""
    import torch
    from safetensors.torch import load_file

    from featherweight.adapter.storage import WEIGHTS, peft_name

    loaded = {peft_name(name): parameter for name, parameter in network.named_parameters()}
    saved = load_file(adapter / WEIGHTS[0])
    found: _Differences = {}
    for name, tensor in saved.items():
        there = loaded.get(name)
        if there is None or there.shape != tensor.shape:
            found[name] = None
        elif not torch.equal(there, tensor):
            found[name] = float((there.double() - tensor.double()).abs().max())
    return found


def _native(adapter: Path) -> tuple[Any, Callable[[Tensor, Tensor], Tensor]]:
    from peft import AutoPeftModelForSequenceClassification

    model = AutoPeftModelForSequenceClassification.from_pretrained(str(adapter), **_SAFE).eval()
    return model, lambda input_ids, mask: model(input_ids=input_ids, attention_mask=mask).logits


def _linear(adapter: Path) -> tuple[Any, Callable[[Tensor, Tensor], Tensor]]:
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

    def logits(input_ids: Tensor, mask: Tensor) -> Tensor:
        states = model(input_ids=input_ids, attention_mask=mask).last_hidden_state
        return pool(states, mask, pooling) @ head["head.out.weight"].T + head["head.out.bias"]

    return model, logits


def _compared(one: np.ndarray, other: np.ndarray, allowed: float) -> dict[str, Any]:
    """Rows, the largest difference between two arrays of logits, and the one that is allowed."""
    largest = float(np.abs(one - other).max(initial=0.0))
    return {"rows": len(one), "largest_difference": largest, "allowed": allowed}


if __name__ == "__main__":
    # Nothing here may wait for a hub: everything compared lies on this machine's disk.
    os.environ["HF_HUB_OFFLINE"] = "1"
    print(json.dumps(_answer(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")))))
