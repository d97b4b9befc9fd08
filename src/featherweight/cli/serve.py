"""The command `featherweight serve RUN|EXPORT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "serve"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, such as runs/newsbriefs, or an export.")],
    host: Annotated[str, typer.Option(help="Address; any except 127.0.0.1 needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 chooses a free port.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="File with the token; or set $FEATHERWEIGHT_TOKEN."),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Ask nobody for a token: everyone can use the server.")
    ] = False,
    examples: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Text file, one example per line, to try on the server's page.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Cores to use; by default all, for an ONNX or OpenVINO export at most 8."),
    ] = None,
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=1, max=1_000_000, help="Maximum number of tokens in a batch.")
    ] = 2048,
    queue: Annotated[
        int,
        typer.Option(min=1, max=1_000_000, help="Maximum number of waiting texts; if more arrive, the answer is 429."),
    ] = 1024,
    queue_tokens: Annotated[
        int,
        typer.Option("--queue-tokens", min=1, max=100_000_000, help="Maximum number of tokens of all waiting texts."),
    ] = 131_072,
    texts: Annotated[int, typer.Option(min=1, max=100_000, help="Maximum number of texts in a request.")] = 256,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of open connections.")] = 256,
    receive_seconds: Annotated[
        float, typer.Option("--receive-seconds", min=0.1, max=3600, help="Seconds within which a request must arrive.")
    ] = 10.0,
) -> None:
    """Serve a trained classifier over HTTP, with a page to try it."""
    from featherweight.cli.arguments import tell
    from featherweight.workflows.serve import serve

    sizes = {"batch_tokens": batch_tokens, "queue": queue, "queue_tokens": queue_tokens, "texts": texts}
    serve(
        run,
        host=host,
        port=port,
        token_file=token_file,
        no_auth=no_auth,
        examples=examples,
        threads=threads,
        limits={**sizes, "connections": connections, "receive_seconds": receive_seconds},
        tell=lambda line: tell([line]),
    )
