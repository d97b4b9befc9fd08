"""The command `featherweight doctor`."""

from __future__ import annotations

NAME = "doctor"
_OPTIONAL = (
    "openpyxl",
    "cleanlab",
    "optuna",
    "psycopg",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "openvino",
    "nncf",
    "fastapi",
    "uvicorn",
    "prometheus_client",
    "tensorboard",
    "mlflow",
    "trackio",
    "wandb",
)


def command() -> None:
    """Show versions, processor, optional packages, and which backbones are available."""
    from importlib.util import find_spec

    from rich.table import Table

    from featherweight.backbone.resolve import known_backbones
    from featherweight.cache import cache_folder
    from featherweight.console import plain_console
    from featherweight.environment import describe_machine, versions
    from featherweight.model.engine import choose_engine, processor_flags

    table = Table("what", "found", box=None, pad_edge=False, show_header=False)
    for name, version in versions().items():
        table.add_row(name, version)
    for key, value in describe_machine().items():
        table.add_row(key, str(value))
    interesting = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "bf16")
    table.add_row(
        "instructions", " ".join(sorted(processor_flags() & set(interesting))) or "none that speed up matrix products"
    )
    engine = choose_engine()
    table.add_row("arithmetic", f"{engine.precision} on {engine.device}: {engine.reason}")
    table.add_row("optional", " ".join(name for name in _OPTIONAL if find_spec(name)) or "none installed")
    table.add_row("cache", str(cache_folder()))
    for backbone in known_backbones():
        lacking = "not installed" if backbone.source == "wheel" else "not downloaded yet"
        state = "available" if backbone.available else lacking
        table.add_row(f"backbone {backbone.name}", f"{backbone.source}: {state}")
    plain_console().print(table, soft_wrap=True)
