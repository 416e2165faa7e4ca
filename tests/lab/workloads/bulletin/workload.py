# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bulletin board as its users use it: post, list, call the backend, reload, restart. Runs on the host."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import signal
import time
from pathlib import Path

import steps
from steps import Context

UNIT = "bulletin.service"
PORT = 8200
ALLOWED, FORBIDDEN = 8210, 8211  # the backend of the policy, and one that the policy does not know
HERE = Path(__file__).parent
CONFIG = "/etc/bulletin/bulletin.ini"
LOG = "/var/log/bulletin/access.log"
DATA = "/var/lib/bulletin"


def install() -> None:
    """As a package would: account, program, configuration, folders, unit."""
    if "bulletin:" not in Path("/etc/passwd").read_text():
        steps.command(
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            "bulletin",
        )
    steps.write("/opt/bulletin/bulletin.py", (HERE / "bulletin.py").read_bytes(), 0o755)
    steps.write(CONFIG, (HERE / "bulletin.ini").read_bytes(), 0o644)
    steps.write("/etc/systemd/system/bulletin.service", (HERE / "bulletin.service").read_bytes())
    for folder in (DATA, "/var/log/bulletin"):
        Path(folder).mkdir(mode=0o750, exist_ok=True)
        shutil.chown(folder, "bulletin", "bulletin")
    steps.command("systemctl", "daemon-reload")


def prepare() -> None:
    install()
    steps.command("systemctl", "enable", "--quiet", "--now", UNIT)
    steps.until(lambda: steps.http_request(PORT, "/healthz").status == 200, "the bulletin board to start")


def cleanup() -> None:
    for port in (ALLOWED, FORBIDDEN):
        steps.stop_backend(port)
    if Path("/etc/systemd/system/bulletin.service").exists():
        steps.command("systemctl", "disable", "--quiet", "--now", UNIT)
    Path("/etc/systemd/system/bulletin.service").unlink(missing_ok=True)
    for folder in ("/opt/bulletin", "/etc/bulletin", DATA, "/var/log/bulletin"):
        shutil.rmtree(folder, ignore_errors=True)
    steps.command("systemctl", "daemon-reload")
    steps.command("systemctl", "reset-failed", UNIT, check=False)
    if "bulletin:" in Path("/etc/passwd").read_text():
        steps.command("userdel", "bulletin")


def _post(author: str, text: str) -> int:
    answer = steps.http_request(
        PORT, "/messages", "POST", json.dumps({"author": author, "text": text}).encode()
    )
    assert answer.status == 201, f"status {answer.status}: {answer.body[:200]!r}"
    return int(answer.data["id"])


def _messages() -> dict[int, str]:
    return {message["id"]: message["text"] for message in steps.http_request(PORT, "/messages").data}


def _configure(**changes: str) -> None:
    """Change ``key = value`` lines of the shipped configuration and reload as an operator does."""
    lines = (HERE / "bulletin.ini").read_text().splitlines()
    changed = [
        f"{key} = {changes[key]}" if (key := line.split(" = ")[0]) in changes else line for line in lines
    ]
    steps.write(CONFIG, "\n".join(changed) + "\n")
    steps.command("systemctl", "reload", UNIT)


def _until_title(title: str) -> None:
    steps.until(lambda: steps.http_request(PORT, "/healthz").data["title"] == title, f"the title {title!r}")


def answers(context: Context) -> None:
    """Answers its health check and refuses unknown pages."""
    steps.until(lambda: steps.http_request(PORT, "/healthz").data["status"] == "ok", "the health check")
    assert steps.http_request(PORT, "/nothing").status == 404


def post_and_list(context: Context) -> None:
    """A posted message is listed, in any script."""
    number = _post("Ada", "Grüße, 世界 'quoted'; DROP TABLE message")
    assert _messages()[number] == "Grüße, 世界 'quoted'; DROP TABLE message"


def rejects_rubbish(context: Context) -> None:
    """Rubbish is answered with 400 and not stored."""
    before = _messages()
    assert steps.http_request(PORT, "/messages", "POST", b"{nonsense").status == 400
    assert steps.http_request(PORT, "/messages", "POST", b"x" * 70000).status == 413
    assert _messages() == before


def many_at_once(context: Context) -> None:
    """Forty posts from eight clients all arrive, each once."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda i: _post("crowd", f"message {i}"), range(40)))
    context.figures["posts_per_second"] = round(40 / (time.monotonic() - started), 1)
    assert len(set(numbers)) == 40
    assert {f"message {i}" for i in range(40)} <= set(_messages().values())


def calls_backend(context: Context) -> None:
    """Reaches the one backend that it needs."""
    with steps.backend(ALLOWED):
        answer = steps.http_request(PORT, "/backend")
    assert (answer.status, answer.data) == (200, {"backend": f"backend {ALLOWED}"}), answer.body


def calls_nothing_else(context: Context) -> None:
    """Reaches no other service once confined, though that answers others."""
    try:
        with steps.backend(FORBIDDEN):
            # The title tells when the reload has happened: a refused call alone might be the old backend's.
            _configure(url=f"http://127.0.0.1:{FORBIDDEN}/", title="Elsewhere")
            _until_title("Elsewhere")
            answer = steps.http_request(PORT, "/backend")
    finally:
        _configure()
    if context.confined:
        assert answer.status == 502, f"reached a backend that the policy does not name: {answer.body!r}"
    else:
        assert answer.data == {"backend": f"backend {FORBIDDEN}"}, answer.body


def reload_changes_title(context: Context) -> None:
    """SIGHUP takes a new title without a restart."""
    before = steps.show(UNIT, "MainPID")
    _configure(title="Noticeboard")
    _until_title("Noticeboard")
    _configure()
    _until_title("Bulletin")
    assert steps.show(UNIT, "MainPID") == before


def log_rotation(context: Context) -> None:
    """After the log is moved away and SIGHUP, lines go to a new log."""
    old = Path(LOG + ".1")
    old.unlink(missing_ok=True)
    Path(LOG).rename(old)
    os.kill(steps.main_pid(UNIT), signal.SIGHUP)
    steps.until(lambda: Path(LOG).exists(), "a new log")
    mark = f"/rotated-{time.monotonic_ns()}"
    steps.http_request(PORT, mark)
    steps.until(lambda: f"GET {mark} " in Path(LOG).read_text(), "a line in the new log")
    assert mark not in old.read_text()
    assert '"POST /messages HTTP/1.1" 201' in old.read_text()
    old.unlink()


def restart_keeps(context: Context) -> None:
    """Messages are there after a restart, and the stop was clean."""
    number = _post("Grace", "still here")
    steps.restart(UNIT)
    steps.until(lambda: steps.http_request(PORT, "/healthz").status == 200, "the restarted board")
    assert _messages()[number] == "still here"
    invocations = steps.command("journalctl", "-u", UNIT, "-o", "cat", "-n", "20", "--no-pager")
    assert "bulletin: stopped" in invocations, invocations


STEPS = (
    answers,
    post_and_list,
    rejects_rubbish,
    many_at_once,
    calls_backend,
    calls_nothing_else,
    reload_changes_title,
    log_rotation,
    restart_keeps,
)
