"""`featherweight serve RUN|EXPORT`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "serve"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, such as runs/newsbriefs, or an export.")],
    host: Annotated[str, typer.Option(help="Address to listen on; others than 127.0.0.1 need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="The token; or in $FEATHERWEIGHT_TOKEN.")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let everyone who reaches the address use it.")] = False,
    examples: Annotated[Path | None, typer.Option(metavar="FILE", help="Texts to try on the page, one a line.")] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Cores to compute with (default: all; an ONNX export: 8 at most)."),
    ] = None,
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=1, max=1_000_000, help="Tokens that are computed at once.")
    ] = 2048,
    queue: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Texts that may wait before 429 is answered.")
    ] = 1024,
    queue_tokens: Annotated[
        int, typer.Option("--queue-tokens", min=1, max=100_000_000, help="Tokens of the texts that may wait.")
    ] = 131_072,
    texts: Annotated[int, typer.Option(min=1, max=100_000, help="Texts of a request.")] = 256,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="Open connections.")] = 256,
    receive_seconds: Annotated[
        float, typer.Option("--receive-seconds", min=0.1, max=3600, help="Time in which a request must arrive.")
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
