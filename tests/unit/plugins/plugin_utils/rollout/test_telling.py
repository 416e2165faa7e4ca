# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import telling
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make

PLAN = make(
    rollout="nginx-e0003",
    epoch=3,
    policy="nginx",
    created="",
    hosts=[PlannedHost("a", policy="nginx"), PlannedHost("b", policy="nginx")],
    options=Options(waves=(100,)),
)
TIME = "2026-11-26T10:00:00.000Z"
RECORDS = [
    Record("apply", "changed", wave="pilot", host="a", policy="nginx", time=TIME),
    Record("gate", "abort", wave="pilot", detail="A host of the pilot failed.", time=TIME),
]


class Server(BaseHTTPRequestHandler):
    bodies: list[Any] = []
    status = 200

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), Server)
    Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/hook/s3cret"
    made.shutdown()
    made.server_close()


def test_a_webhook_is_told_what_happened_last(server: str) -> None:
    told = telling.event(PLAN, RECORDS, 0)
    assert telling.send([server], told) == []
    got = Server.bodies[-1]
    assert (got["event"], got["outcome"], got["detail"]) == ("gate", "abort", "A host of the pilot failed.")
    assert (got["rollout"], got["done"], got["hosts"], got["verdict"]) == ("nginx-e0003", 1, 2, "abort")
    assert got["text"].startswith("nginx-e0003: pilot (1 of 2), 1 of 2 hosts, gate pilot abort")


def test_what_goes_wrong_is_told_without_the_secret(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "status", 500)
    troubles = telling.send([server, "http://127.0.0.1:9/s3cret", "file:///etc/passwd", "nonsense"], {})
    assert troubles == [
        "the webhook on '127.0.0.1' was not told: Internal Server Error.",
        "the webhook on '127.0.0.1' was not told: [Errno 111] Connection refused.",
        "a webhook was not told: its address does not begin with http:// or https://.",
        "a webhook was not told: its address does not begin with http:// or https://.",
    ]
    assert not any("s3cret" in text for text in troubles)


def test_metrics_in_the_exposition_format(tmp_path: Path) -> None:
    text = telling.metrics(PLAN, RECORDS, 1000.4)
    lines = text.splitlines()
    label = 'policy="nginx",rollout="nginx-e0003"'
    assert f'bulkhead_rollout_hosts{{{label},state="changed"}} 1' in lines
    assert f'bulkhead_rollout_verdict{{{label},verdict="abort"}} 1' in lines
    assert f'bulkhead_rollout_verdict{{{label},verdict="pass"}} 0' in lines
    assert f"bulkhead_rollout_updated_seconds{{{label}}} 1000" in lines
    names = [line.split("{")[0] for line in lines if not line.startswith("#")]
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert set(names) == set(typed)
    assert len(typed) == len(set(typed))
    assert telling.write(tmp_path, PLAN, text) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["bulkhead_nginx.prom"]
    assert (tmp_path / "bulkhead_nginx.prom").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    trouble = telling.write(tmp_path / "x", PLAN, "")
    assert trouble == f"the metrics were not written to '{tmp_path / 'x'}': No such file or directory."


def test_a_folder_without_room_keeps_nothing_of_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int, _mode: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(telling.os, "fchmod", full)
    trouble = telling.write(tmp_path, PLAN, "x")
    assert trouble == f"the metrics were not written to '{tmp_path}': No space left on device."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:9/hooks/S3CRET x", "the webhook on '127.0.0.1' was not told: InvalidURL."),
        ("http://u:S3CRET/x@127.0.0.1/", "the webhook on '?' was not told: InvalidURL."),
        ("http://[S3CRET/", "the webhook on '?' was not told: ValueError."),
        ("http://127.0.0.1:S3CRET/", "the webhook on '?' was not told: InvalidURL."),
        ({"url": "http://127.0.0.1/S3CRET"}, "a webhook was not told: its address does not begin with"),
    ],
)
def test_no_error_quotes_an_address(address: object, said: str) -> None:
    [trouble] = telling.send([address], {})
    assert trouble.startswith(said)
    assert "S3CRET" not in trouble


def test_a_webhook_that_answers_byte_by_byte_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "WITHIN", 0.4)

    def slow(*_given: Any, **_more: Any) -> None:
        time.sleep(3)

    monkeypatch.setattr(telling, "open_url", slow)
    began = time.monotonic()
    assert telling.send(["http://127.0.0.1/x"], {}) == [
        "the webhook on '127.0.0.1' was not told: no answer within 0.4 s."
    ]
    assert time.monotonic() - began < 2
