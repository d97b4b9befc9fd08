"""``serve``: answers requests over HTTP with a trained classifier, and has a page to try it."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from featherweight.errors import UserError
from featherweight.hints import to_install
from featherweight.inference.exported import is_export
from featherweight.run.folder import Run

if TYPE_CHECKING:
    from featherweight.serving.auth import Access
    from featherweight.serving.limits import Limits

TOKEN_VARIABLE = "FEATHERWEIGHT_TOKEN"  # noqa: S105  # the name of a variable, no token
NEEDED = ("fastapi", "uvicorn", "prometheus_client")
BUILT_IN = "newsbriefs"
_MOST_EXAMPLES = 8
_LONGEST_EXAMPLE = 400


def serve(
    path: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: str | Path | None = None,
    no_auth: bool = False,
    examples: str | Path | None = None,
    threads: int | None = None,
    limits: dict[str, Any] | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the classifier in ``path``, a run folder or an export, until SIGTERM or Ctrl-C.

    An address other than loopback needs a token, from ``token_file`` or the variable FEATHERWEIGHT_TOKEN, or
    ``no_auth``. ``examples`` is a file of texts to try on the page, one per line. ``limits`` are fields of ``Limits``
    with their values, such as ``{"characters": 5000}``. ``tell`` gets a line when the server is ready. Raises
    UserError before anything listens.
    """
    require_extra()
    from featherweight.serving.server import bound_socket

    access = access_for(host, port, path, token_file=token_file, no_auth=no_auth)
    chosen = checked_limits(limits or {})
    texts = _examples(examples) if examples else None
    if not is_export(path):
        Run(path)  # refuses what is no run
    opened = bound_socket(host, port)  # fails before the model is loaded, which takes seconds
    with opened:
        address = opened.getsockname()
        where = f"http://{f'[{host}]' if ':' in host else host}:{address[1]}"

        def started() -> None:
            tell(f"{where}: page, and POST {where}/v1/classify; Ctrl-C stops")

        _run(Path(path), access, chosen, texts, threads, opened, started)


def _run(
    path: Path,
    access: Access,
    limits: Limits,
    examples: list[str] | None,
    threads: int | None,
    opened: Any,
    started: Callable[[], None],
) -> None:
    from featherweight.serving.app import create_app
    from featherweight.serving.card import card_of
    from featherweight.serving.metrics import Metrics
    from featherweight.serving.server import Server, configure, run

    model = load_model(path, threads)
    note = ""
    if examples is None:
        examples, note = example_texts(path, own=access.only_local_names) if model.pair is None else ([], "")
    metrics, card = Metrics(), card_of(path, model, limits, examples, note)
    app = create_app(model, card, limits=limits, access=access, metrics=metrics)
    run(Server(configure(app, limits, metrics), started), opened)


def require_extra() -> None:
    """Raise UserError if the libraries of the extra ``serve`` are not installed."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"the server needs {', '.join(missing)}: {to_install(*missing)}")


def access_for(host: str, port: int, path: str | Path, *, token_file: str | Path | None, no_auth: bool) -> Access:
    """The access rule of a server at ``host``: clients with the token, or everyone. ``path`` is used in a message.

    Raises UserError if a token is needed and missing, or if both a token and ``no_auth`` are given.
    """
    from featherweight.serving.auth import Access

    token = _token(token_file)
    if token and no_auth:
        raise UserError(f"--no-auth: a token is given as well, by --token-file or {TOKEN_VARIABLE}; leave one out")
    loopback = _is_loopback(host)
    if not token and not no_auth and not loopback:
        raise UserError(
            f"--host {host}: other machines can reach this address, so a token is needed; type\n"
            f"featherweight serve {quote(str(path))} --host {host} --port {port} "
            "--token-file FILE (or --no-auth for no token)"
        )
    return Access(token, only_local_names=loopback and not token and not no_auth)


def checked_limits(given: dict[str, Any]) -> Limits:
    """The limits of a server. Raises UserError if a request with as many texts as allowed would not fit the queue."""
    from featherweight.serving.limits import Limits

    limits = replace(Limits(), **given)
    if limits.texts > limits.queue:
        problem = f"one request may have {limits.texts} texts (--texts); raise --queue to at least that"
        raise UserError(f"--queue {limits.queue}: {problem}")
    # An explanation computes the whole text as well, and a pair may have one part more.
    return replace(limits, explained_parts=max(1, min(limits.explained_parts, limits.queue - 2)))


def load_model(path: Path, threads: int | None = None) -> Any:
    """The classifier for the server. One batch is computed here, because the first takes longer than all later ones."""
    from featherweight.inference.classifier import Classifier
    from featherweight.serving.model import ServedClassifier

    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # PyTorch and both loaders of exports read it when they are loaded
    model = ServedClassifier(Classifier.load(path))
    first: Any = ("a", "b") if model.pair else "a"
    model.probabilities(model.tokenise([first, first]))
    return model


def example_texts(path: Path, *, own: bool) -> tuple[list[str], str]:
    """Texts to try on the page, and a sentence about them ("" if there is none).

    For a run on the built-in data they are some of its test rows. For a run on other data they are texts that the run
    classified wrongly. Since such texts may be private, they are returned only with ``own``, which says that only the
    user of this machine can open the page.
    """
    from featherweight.recipe import Recipe
    from featherweight.run.folder import read_json

    evaluation = path / "evaluation.json"
    recipe = path / "recipe.toml"
    if recipe.is_file() and Recipe.load(recipe).data.train == BUILT_IN:
        return _built_in_examples(), ""
    if not own or not evaluation.is_file():
        return [], ""
    figures = read_json(evaluation)
    rows = (figures.get("test") or figures.get("validation") or {}).get("mistakes") or []
    texts = [str(row["text"])[:_LONGEST_EXAMPLE] for row in rows]
    return list(dict.fromkeys(texts))[:_MOST_EXAMPLES], "Or try one that it got wrong in its own evaluation"


def _built_in_examples() -> list[str]:
    """A short text of each class of the built-in test rows."""
    by_label: dict[str, list[str]] = {}
    rows = resources.files("featherweight") / "data" / BUILT_IN / "test.jsonl"
    for line in rows.read_text("utf-8").splitlines():
        row = json.loads(line)
        by_label.setdefault(row["label"], []).append(row["text"])
    return [min(texts, key=len) for texts in by_label.values()]


def _examples(file: str | Path) -> list[str]:
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--examples {file}: cannot be read: {_reason(error)}; name a UTF-8 text file") from None
    return [line.strip()[:_LONGEST_EXAMPLE] for line in lines if line.strip()][:_MOST_EXAMPLES]


def _token(token_file: str | Path | None) -> str | None:
    from featherweight.serving.auth import LEAST_TOKEN

    if token_file is None:
        token, where = os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE
        token = token and token.strip()  # a secret that was made from a file often ends with a line break
    else:
        where = f"--token-file {token_file}"
        try:
            token = Path(token_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{where}: cannot be read: {_reason(error)}; name a UTF-8 text file") from None
    if token is None:
        return None
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(
            f"{where}: a token has at least {LEAST_TOKEN} letters and digits; make one: openssl rand -hex 24"
        )
    return token


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "it cannot be opened") if isinstance(error, OSError) else "it is no text in UTF-8"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
