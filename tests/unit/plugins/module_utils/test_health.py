# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import health, units
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


class Handler(http.server.BaseHTTPRequestHandler):
    calls = 0

    def do_GET(self) -> None:
        type(self).calls += 1
        status = {"/": 200, "/moved": 302}.get(self.path, 500)
        if self.path == "/late":
            status = 200 if type(self).calls > 2 else 503
        self.send_response(status)
        self.send_header("Location", "/")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Handler.calls = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def check(**fields: Any) -> dict[str, Any]:
    return {"id": "health[0]", "http": "", "status": 200, "tcp": "", "command": [], "within": 0.5, **fields}


def test_all_kinds_pass(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # a proxy must not stand in between
    url = f"http://127.0.0.1:{port}"
    health.check_all([check(http=url), check(tcp=f"127.0.0.1:{port}"), check(command=["true"])])


def test_a_redirect_is_not_followed(port: int) -> None:
    health.check_all([check(http=f"http://127.0.0.1:{port}/moved", status=302)])


def test_it_waits_until_the_application_is_there(port: int) -> None:
    health.check_all([check(http=f"http://127.0.0.1:{port}/late", within=5.0)])
    assert Handler.calls == 3


def test_every_failure_is_told_with_its_reason(port: int) -> None:
    checks = [
        check(id="health[0]", http=f"http://127.0.0.1:{port}/broken"),
        check(id="health[1]", tcp="127.0.0.1:1"),
        check(id="health[2]", command=["false"]),
    ]
    with pytest.raises(HostError) as caught:
        health.check_all(checks)
    assert str(caught.value) == (
        f"health check health[0] failed: http://127.0.0.1:{port}/broken answered 500, not 200; "
        "health check health[1] failed: 127.0.0.1:1: Connection refused; "
        "health check health[2] failed: false ended with exit status 1."
    )


def test_time_is_up_after_within(port: int) -> None:
    began = time.monotonic()
    with pytest.raises(HostError):
        health.check_all([check(http=f"http://127.0.0.1:{port}/broken", within=1.0)])
    assert 0.7 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    "after", [{"NRestarts": "1", "MainPID": "8"}, {"MainPID": "8"}, {"ActiveState": "activating"}]
)
def test_a_crash_loop_is_not_healthy(after: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"ActiveState": "active", "NRestarts": "0", "MainPID": "7"}
    monkeypatch.setattr(units, "show", lambda names, extra=(): {names[0]: {**before, **after}})
    monkeypatch.setattr(units, "explain", lambda name, since=0.0: "Main process exited.")
    monkeypatch.setattr(health, "SETTLE", 0.0)
    with pytest.raises(HostError, match="web.service did not stay up: Main process exited."):
        health.settled("web.service", before, time.monotonic())
