"""The web application of the server: its routes, and how they answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from featherweight.serving import schemas
from featherweight.serving.auth import Access
from featherweight.serving.batching import Batcher
from featherweight.serving.explain import effects, spans_of, without
from featherweight.serving.gate import Gate
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics
from featherweight.serving.model import Model
from featherweight.serving.page import FILES as PAGE
from featherweight.serving.page import page_routes
from featherweight.serving.refusals import Refusal, as_response

Value = TypeVar("Value")
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Error, "description": description}
    for status, description in {
        400: "The body is no JSON.",
        401: "The token is missing or wrong.",
        403: "The host is no name of this machine; only a server on loopback without a token answers this.",
        408: "The request was not complete in time.",
        413: "The body is too large.",
        415: "The body is not declared as JSON.",
        422: "The body has another form, or too many or too long texts.",
        429: "Too many texts are waiting; Retry-After says when to try again.",
        500: "The server failed on this request.",
        503: "The answer took too long, or the server stops.",
    }.items()
}

_NOT_ALLOWED: dict[int | str, dict[str, Any]] = {status: _ERRORS[status] for status in (401, 403)}
_NO_ROUTE = {
    404: "no such path; /openapi.json lists all paths",
    405: "this path has no such method; /openapi.json lists the methods",
}


class Service:
    """What the routes share: model, queue of texts, limits, metrics, and the model card (the answer of /v1/model)."""

    def __init__(self, model: Model, card: dict[str, Any], limits: Limits, metrics: Metrics) -> None:
        self.model, self.limits, self.metrics = model, limits, metrics
        self.card, self.id = card, str(card["id"])
        self.batcher = Batcher(model, limits, metrics)
        self.classify_schema, self.explain_schema = schemas.request_models(model, limits)
        self._explaining = 0

    async def classify(self, request: Request) -> BaseModel:
        """Classify the texts of a request to /v1/classify; the answer has labels and probabilities of each text."""
        asked: Any = schemas.read(self.classify_schema, await request.body(), self.limits.texts)
        texts = [tuple(text) for text in asked.texts] if self.model.pair else asked.texts
        probabilities, tokens = await self._answer(request, self.batcher.probabilities(texts))
        names, results = self.model.labels, []
        decided = self.model.decide(probabilities)
        for labels, row, count in zip(decided, probabilities.tolist(), tokens, strict=True):
            by_name = dict(zip(names, row, strict=True))
            results.append(schemas.Result(label=", ".join(labels), labels=labels, probabilities=by_name, tokens=count))
        return schemas.Classified(model=self.id, results=results)

    async def explain(self, request: Request) -> BaseModel:
        """Explain the text of a request to /v1/explain; the answer has the effect of each word on one probability."""
        asked: Any = schemas.read(self.explain_schema, await request.body(), self.limits.texts)
        if asked.label is not None and asked.label not in self.model.labels:
            raise Refusal(422, "label: is no class of this model; /v1/model lists the classes")
        text = tuple(asked.text) if self.model.pair else asked.text
        spans = spans_of(text, self.limits)
        if self._explaining >= self.limits.explanations:
            raise Refusal(429, "too many explanations are waiting; try again later", retry_after=1)
        self._explaining += 1
        try:
            variants = [text, *(without(text, span) for span in spans)]
            probabilities, _ = await self._answer(request, self.batcher.probabilities(variants))
        finally:
            self._explaining -= 1
        place = probabilities[0].argmax() if asked.label is None else self.model.labels.index(asked.label)
        whole, *left_out = probabilities[:, place].tolist()
        parts = [
            schemas.Part(start=span.start, end=span.end, side=span.side, without=alone, effect=effect)
            for span, alone, effect in zip(spans, left_out, effects(whole, left_out).tolist(), strict=True)
        ]
        return schemas.Explained(model=self.id, label=self.model.labels[place], probability=whole, parts=parts)

    async def _answer(self, request: Request, work: Coroutine[Any, Any, Value]) -> Value:
        """The result of ``work``. Raises ClientLeft if the client leaves, and Refusal (503) after the time limit.

        In both cases ``work`` is cancelled.
        """
        started = time.perf_counter()
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request.receive))
        try:
            await asyncio.wait({task, gone}, timeout=self.limits.answer_seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                self.metrics.answer.observe(time.perf_counter() - started)
                return task.result()
            if gone.done():
                raise ClientLeft
            raise Refusal(503, "the answer took too long; try again later", retry_after=5)
        finally:
            for pending in (task, gone):
                pending.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


class ClientLeft(Exception):
    """The client closed its connection before the answer was ready."""


async def _gone(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def create_app(
    model: Model,
    card: dict[str, Any],
    *,
    limits: Limits | None = None,
    access: Access | None = None,
    metrics: Metrics | None = None,
) -> FastAPI:
    """The application for ``model``; ``card`` is the answer of /v1/model and has at least the key ``id``."""
    limits, access, metrics = limits or Limits(), access or Access(), metrics or Metrics()
    service = Service(model, card, limits, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.batcher.stop)

    # The page of docs_url would load scripts from elsewhere; a redirect would lead to the Host that the client sent.
    settings: dict[str, Any] = {"docs_url": None, "redoc_url": None, "redirect_slashes": False}
    app = FastAPI(title="Featherweight", version=service.id, lifespan=lifespan, **settings)
    app.state.service = service
    # The gate checks the token; this only declares it in the OpenAPI.
    guarded = [Depends(HTTPBearer(auto_error=False, description="The server's token."))] if access.token else []
    _add_probes(app, service, guarded)
    _add_model_routes(app, service, guarded)
    app.routes.extend(page_routes())
    paths = frozenset({route.path for route in app.routes if hasattr(route, "path")} | set(PAGE))
    app.add_middleware(Gate, access=access, limits=limits, metrics=metrics, routes=paths)
    app.add_exception_handler(HTTPException, _refused)
    for left in (ClientLeft, ClientDisconnect):
        app.add_exception_handler(left, _left)
    return app


def _add_probes(app: FastAPI, service: Service, guarded: Sequence[Any]) -> None:
    @app.get("/healthz", summary="Whether the process lives", responses={403: _ERRORS[403]})
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether texts are classified", responses={403: _ERRORS[403], 503: _ERRORS[503]})
    async def readyz() -> dict[str, str]:
        if not service.batcher.alive:
            raise Refusal(503, "the model does not answer", retry_after=5)
        return {"status": "ready"}

    @app.get(
        "/metrics",
        summary="Measurements for Prometheus",
        response_class=PlainTextResponse,
        responses=_NOT_ALLOWED,
        dependencies=guarded,
    )
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_model_routes(app: FastAPI, service: Service, guarded: Sequence[Any]) -> None:
    @app.get(
        "/v1/model",
        summary="The model: recipe, budget, results, limits",
        responses=_NOT_ALLOWED,
        dependencies=guarded,
    )
    async def model() -> dict[str, Any]:
        return service.card

    @app.post(
        "/v1/classify",
        summary="Label and calibrated probabilities of each text",
        response_model=schemas.Classified,
        responses=_ERRORS,
        dependencies=guarded,
        openapi_extra=schemas.body_schema(service.classify_schema),
    )
    async def classify(request: Request) -> Response:
        return _as_json(await service.classify(request))

    @app.post(
        "/v1/explain",
        summary="The words that spoke for and against a label, by leaving each of them out",
        response_model=schemas.Explained,
        responses=_ERRORS,
        dependencies=guarded,
        openapi_extra=schemas.body_schema(service.explain_schema),
    )
    async def explain(request: Request) -> Response:
        return _as_json(await service.explain(request))


def _as_json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if (error.headers or {}).get("Allow") == "GET":
        error = HTTPException(error.status_code, error.detail, {"Allow": "GET, HEAD"})
    if error.status_code in _NO_ROUTE and not isinstance(error, Refusal):
        error = HTTPException(error.status_code, _NO_ROUTE[error.status_code], error.headers)
    return as_response(error)


async def _left(_: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nginx's status for a client that has left; nobody reads it
