"""The program of a new process that loads an export and computes logits.

For an ONNX or OpenVINO export, imports of torch, transformers and peft fail in this process. This proves that they are
not needed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def main(folder: str, request: str, result: str) -> None:
    """Load the export in ``folder``, and write the logits of the texts in the JSON file ``request`` to ``result``.

    Prints JSON with the seconds for loading and for computing the logits. ``result`` is a .npy file.
    """
    from featherweight.inference.exported import read_export

    merged = read_export(Path(folder)).target == "merged"
    if not merged:
        for name in ("torch", "transformers", "peft"):
            sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    started = time.perf_counter()
    from featherweight.inference.classifier import Classifier

    classifier = Classifier.load(folder, precision="fp32" if merged else "auto", device="cpu" if merged else None)
    loaded = time.perf_counter()
    # JSON has no tuples: a pair comes back as a list.
    texts = [
        text if isinstance(text, str) else (text[0], text[1]) for text in json.loads(Path(request).read_text("utf-8"))
    ]
    classifier.logits(texts[:2])  # the first texts take longer than all later ones
    began = time.perf_counter()
    logits = classifier.logits(texts)
    seconds = time.perf_counter() - began
    np.save(result, logits)
    print(json.dumps({"seconds": seconds, "load_seconds": loaded - started}))


if __name__ == "__main__":
    from featherweight.errors import FeatherweightError

    try:
        main(*sys.argv[1:])
    except FeatherweightError as error:
        sys.exit(str(error))
