# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real server and real processes."""

from __future__ import annotations

import json
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import outside

ABOUT = {"rollout": "nginx-e0001", "wave": "pilot", "hosts": "a b"}


class Server(BaseHTTPRequestHandler):
    seen: list[tuple[str, str]] = []
    answers: dict[str, tuple[int, str]] = {}

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/ok")
            self.end_headers()
            return
        self.seen.append((self.path, self.headers.get("Authorization", "")))
        path = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(path.query).get("query", [""])[0]
        status, body = self.answers.get(query or path.path, (404, ""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: Any) -> None:
        return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), Server)
    Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "PAUSE", 0.0)


def one(gate: dict[str, Any]) -> outside.Answer:
    return outside.ask([gate], ABOUT)[0]


@pytest.mark.parametrize(
    ("script", "outcome", "detail"),
    [
        ("exit 0", "pass", "command /bin/sh: status 0"),
        ("echo 5 errors; exit 1", "abort", "command /bin/sh: status 1, 5 errors"),
        ("exit 2", "pause", "command /bin/sh: status 2"),
        ("exit 3", "inconclusive", "command /bin/sh: status 3"),
        ("kill -9 $$", "inconclusive", "command /bin/sh: status -9"),
        ('test "$BULKHEAD_WAVE $BULKHEAD_HOSTS" = "pilot a b"', "pass", "command /bin/sh: status 0"),
    ],
)
def test_a_command(script: str, outcome: str, detail: str) -> None:
    assert one({"command": ["/bin/sh", "-c", script]}) == outside.Answer(outcome, detail)


def test_a_command_is_told_a_large_wave_in_a_file() -> None:
    hosts = " ".join(f"web{number:05}.eu-central-1.shop.example.org" for number in range(5000))
    script = 'case "$BULKHEAD_HOSTS" in @*) read -r hosts < "${BULKHEAD_HOSTS#@}"; set -- $hosts; echo $# $1;; esac'
    [answer] = outside.ask([{"command": ["/bin/sh", "-c", script]}], {"hosts": hosts})
    assert (answer.outcome, answer.detail) == (
        "pass",
        "command /bin/sh: status 0, 5000 web00000.eu-central-1.shop.example.org",
    )


def test_a_command_that_hangs_is_ended_with_its_children() -> None:
    began = time.monotonic()
    answer = one({"command": ["/bin/sh", "-c", "sleep 30 & sleep 30"], "within": 0.3})
    assert (answer.outcome, answer.detail) == ("inconclusive", "command /bin/sh: no answer within 0.3 s")
    assert time.monotonic() - began < 10


def test_a_command_that_is_not_there_is_asked_again_and_never_passes() -> None:
    answer = one({"command": ["/no/such/program"], "retries": 2})
    assert (answer.outcome, answer.tries) == ("inconclusive", 3)
    assert "no answer: [Errno 2]" in answer.detail


def test_a_url(server: str, tmp_path: Path) -> None:
    Server.answers = {"/ok": (200, ""), "/gone": (410, ""), "/bad": (503, "")}
    assert one({"url": f"{server}/ok?token=secret"}).detail == f"url {server}/ok: status 200"
    assert one({"url": f"{server}/gone", "status": 410}).outcome == "pass"
    assert one({"url": f"{server}/bad"}) == outside.Answer("abort", f"url {server}/bad: status 503, not 200")
    assert one({"url": "http://127.0.0.1:9/"}).outcome == "inconclusive"
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    assert one({"url": f"{server}/ok", "token_file": str(token)}).outcome == "pass"
    assert Server.seen[-1] == ("/ok", "Bearer s3cret")


def prometheus(kind: str, result: Any, status: str = "success") -> tuple[int, str]:
    return 200, json.dumps({"status": status, "error": "bad", "data": {"resultType": kind, "result": result}})


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        (prometheus("vector", [{"value": [1, "0.01"]}]), "pass", "0.01 is below 0.05"),
        (prometheus("scalar", [1, "0.01"]), "pass", "0.01 is below 0.05"),
        (
            prometheus("vector", [{"value": [1, "0.01"]}, {"value": [1, "0.2"]}]),
            "abort",
            "0.2 is not below 0.05",
        ),
        (prometheus("vector", []), "inconclusive", "the query found no value"),
        (prometheus("vector", [{"value": [1, "NaN"]}]), "inconclusive", "the query found no value"),
        (prometheus("vector", [{"value": [1, "-Inf"]}]), "inconclusive", "the query found no value"),
        (
            (200, '{"status": "success", "warnings": ["a store is down"], "data": {}}'),
            "inconclusive",
            "no full answer: a store is down",
        ),
        ((200, "[" * 200000), "inconclusive", "no answer: RecursionError"),
        (prometheus("vector", [], "error"), "inconclusive", "no answer: bad"),
        ((200, "<html>"), "inconclusive", "no answer: Expecting value"),
        ((200, "[]"), "inconclusive", "no answer: "),
        ((500, ""), "inconclusive", "no answer: HTTP Error 500"),
    ],
)
def test_a_prometheus_query(server: str, answer: tuple[int, str], outcome: str, detail: str) -> None:
    Server.answers = {"rate(x[5m]) > 0": answer}
    told = one({"prometheus": server, "query": "rate(x[5m]) > 0", "below": 0.05})
    assert told.outcome == outcome
    assert detail in told.detail


def test_a_value_that_has_to_be_above(server: str) -> None:
    Server.answers = {"up": prometheus("scalar", [1, "3"])}
    assert one({"prometheus": server, "query": "up", "above": 2}).outcome == "pass"
    assert one({"prometheus": server, "query": "up", "above": 3}).outcome == "abort"


def test_a_command_is_not_waited_for_beyond_its_end() -> None:
    """A daemon that it leaves behind holds its output."""
    began = time.monotonic()
    script = "echo fine; setsid sleep 5 & exit 0"
    assert one({"command": ["/bin/sh", "-c", script]}).detail == "command /bin/sh: status 0, fine"
    late = one({"command": ["/bin/sh", "-c", "setsid sleep 5 & sleep 9"], "within": 0.3})
    assert late.detail == "command /bin/sh: no answer within 0.3 s"
    assert time.monotonic() - began < 4


def test_of_what_a_command_says_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    said = outside._said
    monkeypatch.setattr(outside, "_said", lambda *given: kept.append(len(found := said(*given))) or found)
    assert one({"command": ["/bin/sh", "-c", "head -c 20M /dev/zero; exit 1"]}).outcome == "abort"
    assert kept == [outside._MOST_SAID]
    answer = one({"command": ["printf", "a\033[2Jb\n"]})
    assert answer.detail == "command printf: status 0, a [2Jb"


@contextmanager
def raw(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

        Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def drip(answer: socket.socket) -> None:
    with answer, suppress(OSError):
        answer.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(50):
            answer.sendall(b"X-%d: y\r\n" % number)
            time.sleep(0.1)


def garbage(answer: socket.socket) -> None:
    with answer:
        answer.sendall(b"garbage\r\n\r\n")


def test_an_answer_that_comes_byte_by_byte_is_late() -> None:
    began = time.monotonic()
    with raw(drip) as address:
        answers = [one({"url": address, "within": 0.4})]
        answers.append(one({"prometheus": address, "query": "up", "below": 1, "within": 0.4}))
    assert [answer.outcome for answer in answers] == ["inconclusive"] * 2
    assert answers[0].detail == f"url {address}: no answer within 0.4 s"
    assert time.monotonic() - began < 4


def test_whatever_goes_wrong_is_no_answer_and_names_no_secret() -> None:
    with raw(garbage) as address:
        assert one({"url": address}).detail == f"url {address}: no answer: BadStatusLine"
    for address in (
        "http://127.0.0.1/?token=S3CRET x",
        "http://u:S3CRET/x@127.0.0.1/",
        "http://[S3CRET/",
        "http://127.0.0.1:99999/?t=S3CRET",
    ):
        answer = one({"url": address})
        assert answer.outcome == "inconclusive"
        assert "S3CRET" not in answer.detail.partition(": no answer")[2]
    assert one({"url": "http://127.0.0.1:9/", "within": "soon"}).outcome == "inconclusive"


def test_a_redirect_is_not_followed(server: str) -> None:
    Server.answers = {"/ok": (200, "")}
    assert one({"url": f"{server}/elsewhere"}).detail == f"url {server}/elsewhere: status 302, not 200"
    assert one({"url": f"{server}/elsewhere", "status": 302}).outcome == "pass"


def test_nobody_waits_for_an_answer_after_an_abort() -> None:
    began, calls = time.monotonic(), iter([""])
    gates = [{"command": ["sleep", "9"], "retries": 3}, {"command": ["/bin/true"]}]
    found = outside.ask(gates, ABOUT, lambda: next(calls, "abort by root: no"))
    assert [answer.detail for answer in found] == [
        "command sleep: abort by root: no",
        "command /bin/true: abort by root: no",
    ]
    assert time.monotonic() - began < 4
