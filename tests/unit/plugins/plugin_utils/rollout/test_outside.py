# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real server and real processes."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
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
