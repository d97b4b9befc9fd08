"""The environment that a result depends on: versions, processor, cores and memory."""

from __future__ import annotations

import gc
import os
import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("featherweight", "torch", "transformers", "peft", "accelerate", "datasets", "tokenizers", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python and of the relevant packages by name; packages that are not installed are left out."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    """The result of ``versions``, cached because reading it takes 20 ms and a run needs it three times."""
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, "numpy", "scipy", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor_name() -> str:
    """The name of the processor, with its family and model numbers if Linux lists them.

    The numbers are needed because virtual machines shorten the name: two generations with the same name can differ in
    speed and in the last digits of a result.
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
    """Peak memory of this process (resident set size) in bytes."""
    with suppress(OSError, StopIteration):
        # VmHWM is about this process alone; the value of getrusage may include the parent process before exec.
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def is_first_process() -> bool:
    """Whether this process writes files and messages: it is the only process, or torchrun's process of rank 0."""
    return os.environ.get("RANK", "0") == "0"


def has_several_processes() -> bool:
    """Whether torchrun started this process together with others."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


@contextmanager
def quick_imports() -> Iterator[None]:
    """Switch garbage collection off within the context: it takes a tenth of the time of imports, and finds nothing."""
    collecting, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if len(sys.modules) > modules and not gc.get_freeze_count():
                # What was imported goes to the oldest generation. In the youngest one it would soon be searched twice,
                # which takes about a second after PyTorch and transformers were imported.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def forget_peak_memory() -> None:
    """Reset the peak memory, so that the next training in this process measures its own peak.

    The memory of the process is only reset on Linux, that of a GPU everywhere.
    """
    gc.collect()
    if gpu := _gpu_in_use():
        gpu.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def release_gpu_memory() -> None:
    """Give the unused memory that PyTorch holds on the GPU back, so that other processes can use it."""
    if gpu := _gpu_in_use():
        gpu.empty_cache()


def _gpu_in_use() -> Any:
    """torch.cuda if this process uses a GPU, else None; PyTorch is not imported for it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch and torch.cuda.is_initialized() else None


def describe_machine() -> dict[str, Any]:
    """System, processor, and number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": f"{platform.system()} {platform.machine()}", "processor": processor_name(), "cores": cores}
