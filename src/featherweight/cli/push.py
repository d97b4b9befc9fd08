"""The command `featherweight push RUN|EXPORT REPO`."""

from __future__ import annotations

from typing import Annotated

import typer

NAME = "push"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, such as runs/newsbriefs, or an export.")],
    repo: Annotated[str, typer.Argument(help="The repository on the hub: user/name.")],
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
    license_name: Annotated[
        str | None, typer.Option("--license", metavar="NAME", help="The license in the card, such as apache-2.0.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files and card; upload nothing.")] = False,
) -> None:
    """Upload the adapter of a run, or an export, to the Hugging Face hub, with a model card."""
    from featherweight.workflows.push import push

    done = push(run, repo, private=private, license_name=license_name, dry_run=dry_run)

    from featherweight.errors import printable
    from featherweight.formatting import counted, size_in_words

    for name, size in done.files.items():
        print(f"{size_in_words(size):>10}  {printable(name)}")
    if done.url is None:
        print(f"\nREADME.md:\n\n{printable(done.card)}\n{repo}: nothing was uploaded (--dry-run)")
    else:
        print(f"{done.url}: uploaded, {counted(len(done.files), 'file')}")
