"""The routes, their limits and refusals, with a model that answers at once."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from support.served import CARD, FakeModel

pytest.importorskip("fastapi")

from featherweight.serving.app import create_app
from featherweight.serving.auth import Access
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics

TOKEN = "a-token-of-24-characters"


def ask(method: str, path: str, *, model: Any = None, access: Any = None, limits: Any = None, **sent: Any) -> Any:
    """One request to a new application."""

    async def answer() -> httpx.Response:
        app = create_app(model or FakeModel(), CARD, access=access, limits=limits)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **sent)

    return asyncio.run(answer())


def classify(texts: Any, **more: Any) -> Any:
    return ask("POST", "/v1/classify", json={"texts": texts}, **more)


def test_texts_get_their_label_probabilities_and_the_id_of_the_model() -> None:
    answer = classify(["The striker scores a goal", "A treaty"]).json()
    assert answer["model"] == CARD["id"]
    first, second = answer["results"]
    assert first["label"] == "Sports" and first["probabilities"] == {"World": pytest.approx(0.1), "Sports": 0.9}
    assert (second["label"], second["labels"], second["tokens"]) == ("World", ["World"], 3)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_the_type_of_the_body_is_read_as_http_writes_it(kind: str) -> None:
    answer = ask("POST", "/v1/classify", content=b'{"texts": ["a goal"]}', headers={"content-type": kind})
    assert answer.status_code == 200


def test_pairs_are_asked_for_as_pairs() -> None:
    model = FakeModel(pair=("premise", "hypothesis"))
    assert classify([["a goal", "b"], ["c", "d"]], model=model).json()["results"][0]["label"] == "Sports"
    assert classify(["a goal"], model=FakeModel(pair=("premise", "hypothesis"))).status_code == 422
    answer = ask("POST", "/v1/explain", model=model, json={"text": ["one goal", "two"]}).json()
    assert [(part["side"], part["start"], part["end"]) for part in answer["parts"]] == [(0, 0, 3), (0, 4, 8), (1, 0, 3)]
    assert [part["without"] for part in answer["parts"]] == pytest.approx([0.9, 0.2, 0.9])
    answer = ask("POST", "/v1/explain", model=model, json={"text": ["one", "two goal"]}).json()
    assert [part["without"] for part in answer["parts"]] == pytest.approx([0.9, 0.9, 0.2])


def test_words_are_explained_by_leaving_each_of_them_out() -> None:
    answer = ask("POST", "/v1/explain", json={"text": "  One goal more"}).json()
    assert (answer["label"], answer["probability"], answer["method"]) == ("Sports", 0.9, "occlusion")
    one, goal, more = answer["parts"]
    assert (goal["start"], goal["end"]) == (6, 10)
    assert goal["without"] == pytest.approx(0.2) and goal["effect"] == pytest.approx(3.58, abs=0.01)
    assert one["effect"] == more["effect"] == 0
    against = ask("POST", "/v1/explain", json={"text": "One goal", "label": "World"}).json()
    assert against["parts"][1]["effect"] == pytest.approx(-3.58, abs=0.01)


def test_words_of_long_texts_are_explained_in_groups() -> None:
    text = " ".join(["word"] * 99 + ["goal"])
    parts = ask("POST", "/v1/explain", json={"text": text}).json()["parts"]
    assert len(parts) <= Limits().explained_parts
    assert "".join(text[part["start"] : part["end"]] + " " for part in parts).strip() == text
    assert ask("POST", "/v1/explain", json={"text": "中文新闻"}).json()["parts"][3]["start"] == 3


CASES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/nothing", {}, 404, "/openapi.json"),
    ("GET", "/healthz/", {}, 404, "/openapi.json"),
    ("POST", "/v1/classify/", {"json": {"texts": ["a"]}}, 404, "/openapi.json"),
    ("DELETE", "/v1/classify", {}, 405, "method"),
    ("POST", "/v1/classify", {"content": "{}"}, 415, "Content-Type: application/json"),
    ("POST", "/v1/classify", {"content": b"{"}, 400, "no valid JSON"),
    ("POST", "/v1/classify", {"content": b'{"texts": ["\xff"]}'}, 400, "UTF-8"),
    ("POST", "/v1/classify", {"content": b'{"texts": ["\\ud800"]}'}, 400, "no valid JSON"),
    ("POST", "/v1/classify", {"content": b"[" * 100_000}, 400, "no valid JSON"),
    ("POST", "/v1/classify", {"content": b"12:30:45 a line of a log\n" * 3000}, 400, "no valid JSON"),
    ("POST", "/v1/classify", {"content": b""}, 400, 'the body is empty; send {"texts": ["Central'),
    ("POST", "/v1/classify", {"json": []}, 422, "the body: must be an object such as {"),
    ("POST", "/v1/classify", {"json": {}}, 422, 'texts: is missing; send {"texts": ["Central'),
    ("POST", "/v1/classify", {"json": {"texts": []}}, 422, "texts: is empty; send at least one text"),
    ("POST", "/v1/classify", {"json": {"texts": "one text"}}, 422, "texts: must be a list of texts, as in {"),
    ("POST", "/v1/classify", {"json": {"texts": ["a", 5]}}, 422, "texts[1]: must be a text, not a number"),
    ("POST", "/v1/classify", {"json": {"texts": [None, True, {}, []]}}, 422, "not null; texts[1]: must be a text, not "
        "true or false; texts[2]: must be a text, not an object; and 1 more"),
    ("POST", "/v1/classify", {"json": {"text": ["a"]}}, 422, "unknown key 'text'; known: texts"),
    ("POST", "/v1/classify", {"json": {"texts": ["a"] * 257}}, 422, "texts: has 257 texts; send at most 256"),
    ("POST", "/v1/classify", {"json": {"texts": ["a" * 20_001]}}, 422, "texts[0]: has 20,001 characters; send"),
    ("POST", "/v1/classify", {"json": {"texts": ["a"], "z" * 900: 1}}, 422, "unknown key 'zzz"),
    ("POST", "/v1/classify", {"content": b" " * 1_048_577}, 413, "1,048,576 bytes"),
    ("POST", "/v1/explain", {"json": {"text": " "}}, 422, "no words"),
    ("POST", "/v1/explain", {"json": {"text": "a " * 401}}, 422, "401 words"),
    ("POST", "/v1/explain", {"json": {"text": "a", "label": 5}}, 422, "label: must be the name of a class"),
    ("POST", "/v1/explain", {"json": {"text": "a", "label": "Weather"}}, 422, "no class"),
    ("GET", "/", {"headers": {"host": "evil.example"}}, 403, "localhost"),
    ("GET", "/v1/model", {"headers": {"host": "[::1"}}, 403, "localhost"),
]  # fmt: skip


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.0.0.2:8000", "[::1]:8000", "[0:0:0:0:0:0:0:1]"])
def test_all_names_of_this_machine_are_answered(host: str) -> None:
    assert ask("GET", "/v1/model", access=Access(only_local_names=True), headers={"host": host}).status_code == 200


@pytest.mark.parametrize(("method", "path", "sent", "status", "says"), CASES)
def test_refusals_are_json_that_says_what_is_wrong(
    method: str, path: str, sent: dict[str, Any], status: int, says: str
) -> None:
    if "content" in sent and sent["content"] != "{}":
        sent = {**sent, "headers": {"content-type": "application/json"}}
    answer = ask(method, path, access=Access(only_local_names=True), **sent)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["status"] == status and says in error["message"] and len(error["message"]) < 700
    assert not re.search("Input should|should have|Field required", error["message"]), "these are words of pydantic"


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/explain"])
@pytest.mark.parametrize("body", [
    b"{" + b",".join(b'"%x":1' % number for number in range(100_000)) + b"}", b'{"x": [' + b"{}," * 300_000 + b"{}]}",
    b'{"texts": [' + b"[]," * 300_000 + b"[]]}", b'{"texts": ["' + b":" * 5000 + b'"' + b',""' * 300_000 + b"]}",
])  # fmt: skip
def test_a_body_of_very_many_keys_or_values_is_refused_unread(
    path: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydantic.BaseModel.model_validate_json", None)  # it takes up to 0.7 s, and all others wait
    answer = ask("POST", path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    send = "at most 256 texts, as in {" if path == "/v1/classify" else "one text, as in {"
    assert answer.json()["error"]["message"].startswith(f"the body: has too many keys and values; send {send}")


def test_texts_may_have_any_number_of_the_characters_of_json() -> None:
    texts = ['{"12:30": [[]]}, \\"' * 40] * 256
    assert classify(texts).status_code == 200
    assert "texts: has 100,000 texts; send at most 256" in classify(["a"] * 100_000).text
    many = {"model": FakeModel(pair=("a", "b")), "limits": Limits(texts=5000, queue=5000)}
    assert classify([["a", "b"]] * 5000, **many).status_code == 200


@pytest.mark.parametrize("texts", [["a goal"], [["a"]], [["a", "b", "c"]], [{"a": 1}]])
def test_what_is_no_pair_is_refused_with_an_example_of_one(texts: Any) -> None:
    message = classify(texts, model=FakeModel(pair=("premise", "hypothesis"))).json()["error"]["message"]
    assert message.startswith('texts[0]: must be a pair of texts such as ["first", "second"], not ')


def test_head_is_answered_like_get_without_a_body() -> None:
    paths = {"/": 200, "/app.js": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/v1/model": 200}
    paths |= {"/openapi.json": 200, "/v1/classify": 405, "/nothing": 404}
    for path, status in paths.items():
        head, get = ask("HEAD", path), ask("GET", path)
        assert (head.status_code, head.content) == (status, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
        if path != "/metrics":
            assert head.headers["content-length"] == get.headers["content-length"]
    assert ask("HEAD", "/v1/model", access=Access(TOKEN)).status_code == 401
    assert ask("POST", "/healthz", json={}).headers["allow"] == "GET, HEAD"


def test_a_body_without_its_length_is_refused_while_it_comes() -> None:
    sent = []

    async def endless() -> Any:
        while len(sent) < 1000:
            sent.append(1)
            yield b" " * 65_536

    answer = ask("POST", "/v1/classify", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413 and len(sent) < 20


def test_a_failure_shows_neither_path_nor_traceback() -> None:
    answer = classify(["one two three four five six seven eight nine ten eleven twelve thirteen"])
    assert answer.status_code == 500
    assert "secret" not in answer.text and "Traceback" not in answer.text and "RuntimeError" not in answer.text


def test_a_failed_batch_does_not_end_the_server() -> None:
    model = FakeModel()

    async def two() -> list[int]:
        app = create_app(model, CARD)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            bad = {"texts": [" ".join(["word"] * 13)]}
            return [(await client.post("/v1/classify", json=body)).status_code for body in (bad, {"texts": ["a"]})]

    assert asyncio.run(two()) == [500, 200]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200), (f"bearer  {TOKEN}", 200), (None, 401), ("Bearer ", 401), (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401), (f"Bearer {TOKEN[:-1]}", 401), (TOKEN, 401),
    ],
)  # fmt: skip
def test_a_token_is_needed_where_one_is_set(header: str | None, status: int) -> None:
    headers = {"authorization": header} if header else {}
    answer = classify(["a"], access=Access(TOKEN), headers=headers)
    assert answer.status_code == status
    assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)


def test_only_page_and_probes_are_open_without_the_token() -> None:
    paths = {"/": 200, "/app.js": 200, "/healthz": 200, "/readyz": 200, "/metrics": 401, "/v1/model": 401}
    paths |= {"/openapi.json": 401, "/nothing": 401}
    assert {path: ask("GET", path, access=Access(TOKEN)).status_code for path in paths} == paths


FAILING = {"texts": [" ".join(["word"] * 13)]}


def test_every_response_forbids_scripts_from_elsewhere() -> None:
    answers = [ask("GET", path) for path in ("/", "/v1/model", "/nothing")]
    answers.append(ask("POST", "/v1/classify", json=FAILING))
    assert [answer.status_code for answer in answers] == [200, 200, 404, 500]
    for headers in (answer.headers for answer in answers):
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


def test_what_is_measured_tells_stages_batches_and_refusals_apart() -> None:
    metrics = Metrics()

    async def answers() -> str:
        app = create_app(FakeModel(), CARD, metrics=metrics)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            await client.post("/v1/classify", json={"texts": ["a", "b"]})
            await client.post("/v1/classify", json={"texts": []})
            await client.post("/v1/classify", json=FAILING)
            return (await client.get("/metrics")).text

    text = asyncio.run(answers())
    for stage in ("tokenise", "queue", "infer", "answer"):
        assert f"featherweight_{stage}_seconds_count 2.0" in text
    assert "featherweight_batch_texts_sum 3.0" in text
    assert 'featherweight_refusals_total{reason="invalid"} 1.0' in text
    assert 'featherweight_responses_total{route="/v1/classify",status="200"} 1.0' in text
    assert 'featherweight_responses_total{route="/v1/classify",status="500"} 1.0' in text
    assert 'featherweight_refusals_total{reason="failure"} 1.0' in text


def test_the_description_of_the_api_is_complete() -> None:
    api = ask("GET", "/openapi.json").json()
    assert {"/v1/classify", "/v1/explain", "/v1/model", "/healthz", "/readyz", "/metrics"} == set(api["paths"])
    post = api["paths"]["/v1/classify"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["texts"]["maxItems"] == Limits().texts and schema["properties"]["texts"]["examples"]
    refused = {"400", "401", "403", "408", "413", "415", "422", "429", "500", "503"}
    assert {"200"} | refused == set(post["responses"])
    assert "probabilities" in json.dumps(api["components"]) and "security" not in post
    assert all(api["components"]["schemas"][name]["examples"] for name in ("Result", "Explained", "Problem"))
    assert api["components"]["schemas"]["Problem"]["required"] == ["status", "code", "message"]
    assert list(api["paths"]["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]


def test_the_description_of_the_api_says_which_paths_need_the_token() -> None:
    answer = ask("GET", "/openapi.json", access=Access(TOKEN), headers={"authorization": f"Bearer {TOKEN}"})
    asked = {
        path: "security" in operation for path, way in answer.json()["paths"].items() for operation in way.values()
    }
    open_paths = {"/healthz", "/readyz"}
    assert asked == {path: path not in open_paths for path in asked} and len(asked) == 6
    assert [one["scheme"] for one in answer.json()["components"]["securitySchemes"].values()] == ["bearer"]
