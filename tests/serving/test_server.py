"""A real server on a real socket: deadlines, limits, clients that leave, and the end."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import Any

import httpx
import pytest
from support.served import Running, running

pytest.importorskip("uvicorn")

from featherweight.errors import UserError
from featherweight.serving.server import bound_socket, run

HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"texts": ["a goal"]}).encode()
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


def everything(connection: socket.socket) -> bytes:
    """What the server sends until it closes."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def wait_for(condition: Any) -> None:
    stop = time.monotonic() + 5
    while not condition() and time.monotonic() < stop:
        time.sleep(0.01)
    assert condition()


@pytest.fixture(scope="module")
def quick() -> Any:
    with running(receive_seconds=0.4, send_seconds=0.4, connections=6) as server:
        yield server


def test_head_is_answered_without_a_body_and_the_connection_goes_on(quick: Running) -> None:
    with quick.connect() as connection:
        connection.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = connection.recv(65_536)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = everything(connection)
    assert head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n") and b"content-length: 15" in head
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"POST /v1/cl", b" 408 "),
        (HEAD, b" 408 "),
        (HEAD + b'Content-Length: 100\r\n\r\n{"tex', b" 408 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[[[[[\r\n", b" 408 "),
        (b"", b""),
        (WHOLE.replace(b"Content-Length: %d" % len(BODY), b"Content-Length: 9999999"), b" 413 "),
    ],
    ids=["line", "head", "body", "chunks", "nothing", "too large"],
)
def test_a_request_that_does_not_arrive_is_refused_in_time(
    quick: Running, begun: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("uvicorn.error").addHandler(caplog.handler)
    started = time.monotonic()
    with quick.connect() as connection:
        connection.sendall(begun)
        answer = everything(connection)
    assert time.monotonic() - started < 3
    assert status in answer[:20]
    if b"408" in status:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"
    assert caplog.records == [], "a client that leaves is no error of the server"


def test_a_slow_sender_gets_no_more_time_by_sending_a_little(quick: Running) -> None:
    started = time.monotonic()
    with quick.connect() as connection:
        connection.sendall(HEAD)
        with pytest.raises(OSError):  # reset or broken pipe
            while time.monotonic() - started < 4:
                connection.sendall(b"X-A: b\r\n")
                time.sleep(0.05)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n", b"A" * 20_000]
)
def test_what_is_no_http_is_refused_as_json(quick: Running, sent: bytes) -> None:
    with quick.connect() as connection:
        connection.sendall(sent)
        answer = everything(connection)
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer
    assert (
        answer.startswith(b"HTTP/1.1 400 ") and json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == 400
    )


def test_requests_one_after_the_other_and_pipelined_are_answered(quick: Running) -> None:
    with quick.connect() as connection:
        connection.sendall(WHOLE + WHOLE + WHOLE.replace(b"localhost\r\n", b"localhost\r\nConnection: close\r\n"))
        assert everything(connection).count(b"HTTP/1.1 200 ") == 3


def test_connections_above_the_limit_get_503(quick: Running) -> None:
    wait_for(lambda: quick.metrics.registry.get_sample_value("featherweight_connections") == 0)
    held = [quick.connect() for _ in range(6)]
    try:
        time.sleep(0.05)
        with quick.connect() as connection:
            answer = everything(connection)
        assert b" 503 " in answer[:20] and b"retry-after: 1" in answer.lower()
    finally:
        for connection in held:
            connection.close()
    wait_for(lambda: quick.metrics.registry.get_sample_value("featherweight_connections") == 0)
    assert httpx.get(f"{quick.url}/healthz").status_code == 200


@pytest.mark.parametrize("leave", ["close", "half"])
def test_texts_are_dropped_when_their_client_leaves(leave: str) -> None:
    with running() as server:
        server.model.free.clear()
        waiting = lambda: server.metrics.registry.get_sample_value("featherweight_texts_waiting")  # noqa: E731
        first = server.connect()
        first.sendall(WHOLE)
        wait_for(lambda: waiting() == 1)
        time.sleep(0.05)
        second = server.connect()
        second.sendall(WHOLE)
        wait_for(lambda: waiting() == 2)
        second.close() if leave == "close" else second.shutdown(socket.SHUT_WR)
        wait_for(lambda: waiting() == 1)
        server.model.free.set()
        assert b" 200 " in first.recv(65_536)[:20]
        assert server.model.batches == [1]
        first.close()
        second.close()


def test_the_end_answers_what_was_accepted_and_what_is_arriving() -> None:
    answers: list[bytes] = []

    def ask(server: Running, pause: float) -> None:
        with server.connect() as connection:
            connection.sendall(WHOLE[:60])
            time.sleep(pause)
            connection.sendall(WHOLE[60:])
            answers.append(everything(connection))

    with running() as server:
        server.model.free.clear()
        idle = server.connect()
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in idle.recv(65_536)
        clients = [threading.Thread(target=ask, args=(server, pause)) for pause in (0, 0, 0, 0.5)]
        for client in clients:
            client.start()
        time.sleep(0.2)
        server.stop()
        everything(idle)  # an idle connection is closed
        with pytest.raises(OSError):
            server.connect()
        time.sleep(0.2)
        server.model.free.set()
        for client in clients:
            client.join(5)
        server.thread.join(5)
        assert not server.thread.is_alive()
    assert len(answers) == 4
    assert all(answer.startswith(b"HTTP/1.1 200 ") and b"connection: close" in answer for answer in answers)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_gets_its_answer(quick: Running) -> None:
    command = ["curl", "-s", f"{quick.url}/v1/classify", "-H", "Content-Type: application/json", "-d", BODY.decode()]
    answer = subprocess.run(command, capture_output=True, timeout=20, check=True).stdout
    assert json.loads(answer)["results"][0]["label"] == "Sports"


@pytest.mark.parametrize(("host", "says"), [("no such host", "--host no such host"), ("127.0.0.1", "already in use")])
def test_an_address_that_cannot_be_used_is_refused(host: str, says: str) -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(UserError, match=says):
            bound_socket(host, taken.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_uvicorn_handles_it_ends_the_server(number: int) -> None:
    class Starting:
        should_exit = False

        def run(self, sockets: Any) -> None:
            os.kill(os.getpid(), number)

    server: Any = Starting()
    with bound_socket("127.0.0.1", 0) as opened:
        run(server, opened)
    assert server.should_exit
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
