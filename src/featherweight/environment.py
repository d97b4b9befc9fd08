"""What a result depends on beside its recipe: versions, processor, threads."""

from __future__ import annotations

import gc
import os
import platform
import resource
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("featherweight", "torch", "transformers", "peft", "accelerate", "datasets", "tokenizers", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, "numpy", "scipy", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor_name() -> str:
    """The processor's own name as the system tells it, with family and model where Linux lists them.

    Virtual machines cut the name short, and two generations of one name differ in speed and in a result's last digits.
    """
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    if "model name" not in found:
        return platform.processor() or platform.machine()
    numbers = [f"{key.split()[-1]} {found[key]}" for key in ("cpu family", "model") if key in found]
    return f"{found['model name']} ({', '.join(numbers)})" if numbers else found["model name"]


def peak_memory_bytes() -> int:
    """Most memory that this process has held at once (resident set), in bytes."""
    with suppress(OSError, StopIteration):
        # Linux keeps a mark of this process alone; getrusage's may be the parent's, from before the program was loaded.
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks: of several, torchrun and accelerate number theirs."""
    return os.environ.get("RANK", "0") == "0"


def forget_peak_memory() -> None:
    """Let the peak begin anew, so that the next training in this process has one of its own; Linux alone can do so."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def describe_machine() -> dict[str, Any]:
    """System, processor and number of cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": f"{platform.system()} {platform.machine()}", "processor": processor_name(), "cores": cores}
