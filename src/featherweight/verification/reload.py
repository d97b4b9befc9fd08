"""The reload check: loads a saved run in a new process and with PEFT alone, and compares the logits.

The new process runs the same operations in the same order as the training process, so on a CPU its logits must
be equal bit for bit. PEFT runs other operations, and a GPU may choose other kernels; there the logits may differ by
rounding (``model/rounding.py``). The tensors that PEFT loads must equal the saved ones bit for bit.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.data.pairs import Text
from featherweight.errors import FeatherweightError
from featherweight.hints import to_resume

if TYPE_CHECKING:
    from torch import Tensor

    from featherweight.inference.classifier import Classifier

_SAFE: dict[str, Any] = {"trust_remote_code": False, "use_safetensors": True}
_Differences = dict[str, float | None]
"""The largest difference of each tensor by name; None for a tensor that is missing or has another shape."""
_PEFT_TEXTS = 8  # enough to detect a missing tensor; PEFT computes in fp32, which is slow


@contextmanager
def reload_check(
    folder: Path, texts: list[Text], logits: np.ndarray, precision: str
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Within the context, a new Python process loads the saved run, and compares its logits of ``texts``.

    They are compared with ``logits`` [texts, labels], which the model in memory has computed. The context yields a
    function that waits for the process, and returns the largest and the allowed difference of each check. The function
    raises FeatherweightError, naming check and difference, if a difference is larger than allowed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        request = Path(temporary) / "request.json"
        request.write_text(json.dumps(request_for(texts, logits, precision)), "utf-8")
        command = [sys.executable, "-P", "-m", "featherweight.verification.reload", str(folder), str(request)]
        # The new process imports the same packages as this one, and nothing from the working directory.
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=variables, **pipes) as process:
            try:
                yield lambda: _result_of(folder, process)
            finally:
                process.kill()  # needed if an error or a signal ended the block; no effect on a process that has ended


def _result_of(folder: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate()
    if process.returncode != 0:
        raise FeatherweightError(
            f"{folder}: the saved adapter cannot be loaded in a new process: {err.strip()[-600:]}\n{_remedy(folder)}"
        )
    result: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    require_passed(folder, result)
    return result


@contextmanager
def check_in_this_process(
    folder: Path, texts: list[Text], logits: np.ndarray, precision: str
) -> Iterator[Callable[[], dict[str, Any]]]:
    """As ``reload_check``, but in this process: for tests and benchmarks, which a new process would slow down."""

    def result() -> dict[str, Any]:
        answer = _answer(folder, json.loads(json.dumps(request_for(texts, logits, precision))))
        require_passed(folder, answer)
        return answer

    yield result


def request_for(texts: list[Text], logits: np.ndarray, precision: str) -> dict[str, Any]:
    """What the new process needs, as JSON values: texts, logits, and settings such as the number of threads."""
    import torch

    return {
        "texts": texts,
        "logits": logits.tolist(),
        "precision": precision,
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def require_passed(folder: Path, result: dict[str, Any]) -> None:
    """Raise FeatherweightError, naming check and difference, if a difference in ``result`` is larger than allowed."""
    subjects = {"reloaded": "reloaded in a fresh process, it", "peft": "loaded by PEFT alone, it"}
    for name, subject in subjects.items():
        check = result.get(name)
        if check is None:
            continue
        if check.get("other_tensors"):
            raise _refusal(folder, _other_tensors_in_words(check))
        largest, allowed = check["largest_difference"], check["allowed"]
        if not largest <= allowed:
            rule = f"rounding explains at most {allowed:.2g}" if allowed else "they must be equal bit for bit"
            problem = f"gives logits that differ by up to {largest:.2g} from those of the trained model; {rule}"
            raise _refusal(folder, f"{subject} {problem}")


def _refusal(folder: Path, problem: str) -> FeatherweightError:
    return FeatherweightError(f"{folder}: the saved adapter is wrong: {problem}\n{_remedy(folder)}")


def _remedy(folder: Path) -> str:
    return f"Do not use this run; to save and check again: {to_resume(folder)}"


def _other_tensors_in_words(check: dict[str, Any]) -> str:
    """Text for a message about the tensors that PEFT loads wrongly: one name, how many, and the largest difference."""
    first, *more = check["other_tensors"]
    largest = check.get("largest_tensor_difference")
    names = f"{first} and {len(more)} more saved tensors" if more else f"the saved tensor {first}"
    if largest is None:
        return f"PEFT does not load {names}, or with another shape; they must be equal bit for bit"
    return f"PEFT loads {names} with other values, which differ by up to {largest:.2g}; they must be equal bit for bit"


def _answer(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    import torch

    from featherweight.inference.classifier import Classifier
    from featherweight.model.rounding import largest_logit, rounding_tolerance

    torch.set_num_threads(request["threads"])
    torch.set_float32_matmul_precision(request["matmul_precision"])
    # JSON has no tuples: a pair comes back as a list.
    texts: list[Text] = [text if isinstance(text, str) else (text[0], text[1]) for text in request["texts"]]
    live = np.array(request["logits"])
    classifier = Classifier.load(folder, precision=request["precision"], merge=False)
    architecture = classifier.network.architecture
    reloaded = classifier.logits(texts)
    # A GPU may choose another kernel in another process; a processor computes the same sums in the same order.
    exact = classifier.engine.device == "cpu"
    share = 0.0 if exact else rounding_tolerance(architecture, classifier.engine.precision)
    result: dict[str, Any] = {"reloaded": _compared(live, reloaded, share * largest_logit(live, reloaded))}
    if (classifier.engine.device, classifier.engine.precision) != ("cpu", "fp32"):  # as PEFT computes
        classifier = Classifier.load(folder, precision="fp32", device="cpu", merge=False)
    theirs = _peft_logits(folder / "adapter", classifier, texts[:_PEFT_TEXTS])
    if theirs is not None:
        ours, (logits, differences) = classifier.logits(texts[:_PEFT_TEXTS]), theirs
        allowed = rounding_tolerance(architecture, "fp32") * largest_logit(ours, logits)
        result["peft"] = _compared(ours, logits, allowed) | {"other_tensors": list(differences)}
        if differences:
            amounts = [amount for amount in differences.values() if amount is not None]
            result["peft"]["largest_tensor_difference"] = max(amounts, default=None)
    # JSON stores every digit of a float64, so an exact comparison is possible.
    result["identical"] = result["reloaded"]["largest_difference"] == 0.0
    return result


def _peft_logits(adapter: Path, plain: Classifier, texts: list[Text]) -> tuple[np.ndarray, _Differences] | None:
    """The logits [texts, labels] that PEFT alone computes from ``adapter``, and the tensors that it loads wrongly.

    ``plain``, the classifier of the same run, gives tokens and batches. None if the adapter has no part in PEFT's
    format.
    """
    if not (adapter / "adapter_config.json").is_file():
        return None
    import torch

    from featherweight.data.batches import collate
    from featherweight.data.sources import Rows
    from featherweight.model.predict import prediction_batches

    network, model = _native(adapter) if plain.network.head is None else _linear(adapter)
    encoded = plain.model.encode(Rows(texts, None, plain.labels, "texts"))
    apart = encoded.by_window
    logits = np.zeros((len(apart), len(plain.labels)))
    for rows in prediction_batches(apart, plain.engine):
        batch = collate(apart, rows, plain.model.tokenizer.pad_token_id)
        with torch.inference_mode():
            types = plain.network.types_read(batch.token_types)
            inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, **types}
            logits[rows] = model(inputs).double().numpy()
    return encoded.averaged(logits), _other_tensors(adapter, network)


def _other_tensors(adapter: Path, network: Any) -> _Differences:
    """{tensor name: largest absolute difference} for each saved tensor that differs from that of ``network``.

    The difference is None if ``network`` has no tensor of this name and shape. Equal tensors are left out.
    """
    import torch
    from safetensors.torch import load_file

    from featherweight.adapter.storage import WEIGHTS
    from featherweight.adapter.trained import peft_name

    loaded = {peft_name(name): parameter for name, parameter in network.named_parameters()}
    saved = load_file(adapter / WEIGHTS[0])
    differences: _Differences = {}
    for name, tensor in saved.items():
        own = loaded.get(name)
        if own is None or own.shape != tensor.shape:
            differences[name] = None
        elif not torch.equal(own, tensor):
            differences[name] = float((own.double() - tensor.double()).abs().max())
    return differences


def _native(adapter: Path) -> tuple[Any, Callable[[dict[str, Tensor]], Tensor]]:
    from peft import AutoPeftModelForSequenceClassification

    model = AutoPeftModelForSequenceClassification.from_pretrained(str(adapter), **_SAFE).eval()
    return model, lambda inputs: model(**inputs).logits


def _linear(adapter: Path) -> tuple[Any, Callable[[dict[str, Tensor]], Tensor]]:
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

    def logits(inputs: dict[str, Tensor]) -> Tensor:
        states = model(**inputs).last_hidden_state
        return pool(states, inputs["attention_mask"], pooling) @ head["head.out.weight"].T + head["head.out.bias"]

    return model, logits


def _compared(one: np.ndarray, other: np.ndarray, allowed: float) -> dict[str, Any]:
    """A dict of the number of ``rows``, the ``largest_difference`` of two arrays of logits, and what is ``allowed``."""
    largest = float(np.abs(one - other).max(initial=0.0))
    return {"rows": len(one), "largest_difference": largest, "allowed": allowed}


if __name__ == "__main__":
    # The check must not wait for the hub: all files are on this machine.
    os.environ["HF_HUB_OFFLINE"] = "1"
    gc.disable()  # the search for garbage is a tenth of the time to import the libraries, and as much again at the end
    print(json.dumps(_answer(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")))))
    gc.freeze()
