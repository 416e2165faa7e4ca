# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all workloads share: steps, commands, services, HTTP. Runs on hosts: Python 3.9, stdlib only."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence  # noqa: UP035

PATIENCE = 180  # seconds for one command; an emulated host on a busy machine needs them
KEEP = Path("/var/lib/bulkhead-workload")  # what cleanup needs to restore; no workload's own data


@dataclass
class Context:
    """``confined``: what must be refused is refused. ``figures``: measured numbers by name."""

    confined: bool = False
    figures: dict[str, float] = field(default_factory=dict)


Step = Callable[[Context], None]


def run_steps(name: str, steps: Sequence[Step], context: Context) -> dict[str, Any]:
    """Run every step, also after a failed one, and tell for each whether its result was right."""
    results = []
    for step in steps:
        started = time.monotonic()
        detail = ""
        try:
            step(context)
        except Exception as error:  # a workload must tell about any fault, not only failed assertions
            detail = f"{type(error).__name__}: {error}"[:2000]
        seconds = round(time.monotonic() - started, 3)
        title = (step.__doc__ or step.__name__).splitlines()[0].rstrip(".")
        results.append({"step": title, "ok": not detail, "detail": detail, "seconds": seconds})
    return {
        "workload": name,
        "confined": context.confined,
        "ok": all(result["ok"] for result in results),
        "steps": results,
        "figures": context.figures,
    }


# --- commands and services ----------------------------------------------------------------------------------


def command(*argv: str, text: str = "", check: bool = True) -> str:
    """Standard output of a command. A failing one raises with what it said."""
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/"
    )
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(argv)[:200]} ended with {done.returncode}: {done.stderr.strip()[-800:]}"
        )
    return done.stdout


def fails(*argv: str, text: str = "") -> str:
    """What a command says when it fails; a command that succeeds is the fault."""
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/"
    )
    assert done.returncode, (
        f"{' '.join(argv)[:200]} should have failed, it said {done.stdout.strip()[:200]!r}"
    )
    return done.stdout + done.stderr


def show(unit: str, prop: str) -> str:
    return command("systemctl", "show", "-p", prop, "--value", unit).strip()


def main_pid(unit: str) -> int:
    """The main process; 0 would signal this very program's own group, so it is a fault."""
    pid = int(show(unit, "MainPID"))
    assert pid, f"{unit} has no main process"
    return pid


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value of ``condition``, tried often; OSError counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        value: Any = None
        last = ""
        try:
            value = condition()
        except (OSError, http.client.HTTPException, AssertionError) as error:
            last = f" ({error})"
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}{last}")
        time.sleep(0.05)


def restart(unit: str) -> None:
    """Restart, and see by the main process that it did."""
    before = show(unit, "MainPID")
    command("systemctl", "reset-failed", unit, check=False)  # repeated runs must not meet the start limit
    command("systemctl", "restart", unit)
    assert show(unit, "ActiveState") == "active", f"{unit} is {show(unit, 'ActiveState')} after a restart"
    assert show(unit, "MainPID") not in ("0", before), f"{unit} was not restarted"


def remember_service(unit: str) -> None:
    """Keep the unit's state for ``restore_service``; a second call keeps the first answer."""
    KEEP.mkdir(mode=0o700, exist_ok=True)
    place = KEEP / f"{unit}.state"
    if not place.exists():
        enabled = command("systemctl", "is-enabled", unit, check=False).strip()
        place.write_text(json.dumps({"enabled": enabled, "active": show(unit, "ActiveState")}))


def restore_service(unit: str) -> None:
    place = KEEP / f"{unit}.state"
    if not place.exists():
        return
    state = json.loads(place.read_text())
    if state["enabled"] == "disabled":
        command("systemctl", "disable", "--quiet", unit, check=False)
    command("systemctl", "restart" if state["active"] == "active" else "stop", unit, check=False)
    command("systemctl", "reset-failed", unit, check=False)
    place.unlink()


# --- files ------------------------------------------------------------------------------------------------


def write(path: str, content: str | bytes, mode: int = 0o644, owner: str | None = None) -> None:
    """Write a file of the workload, with its parent folder, atomically. ``owner``: ``user:group``."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    temporary = place.with_name(f".{place.name}.workload")
    temporary.write_bytes(data)
    temporary.chmod(mode)
    if owner:
        shutil.chown(temporary, *owner.split(":"))
    temporary.replace(place)


def keep_file(path: str) -> None:
    """Keep a configuration file's bytes, mode and owner for ``restore_file``."""
    KEEP.mkdir(mode=0o700, exist_ok=True)
    copy = KEEP / path.replace("/", "%")
    if not copy.exists():
        command("cp", "-a", path, str(copy))


def restore_file(path: str) -> None:
    copy = KEEP / path.replace("/", "%")
    if copy.exists():
        command("cp", "-a", str(copy), path)
        copy.unlink()


def forget() -> None:
    with contextlib.suppress(OSError):  # other workloads may still keep something here
        KEEP.rmdir()


# --- HTTP -------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def data(self) -> Any:
        return json.loads(self.body)


def http_request(
    port: int,
    path: str,
    method: str = "GET",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    authority: ssl.SSLContext | None = None,
) -> Answer:
    """One request to the loopback address; with ``authority`` over TLS."""
    connection: http.client.HTTPConnection
    if authority:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=15, context=authority)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    with contextlib.closing(connection):
        connection.request(method, path, body or None, headers or {})
        reply = connection.getresponse()
        return Answer(reply.status, reply.read(), {k.lower(): v for k, v in reply.getheaders()})


# --- backends: what an application calls --------------------------------------------------------------------

ECHO = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("backend " + sys.argv[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def start_backend(port: int) -> None:
    """A small HTTP server outside of every sandbox that answers ``backend PORT``."""
    unit = f"workload-backend-{port}.service"
    if show(unit, "ActiveState") != "active":
        command(
            "systemd-run", "--quiet", "--collect", f"--unit={unit}", "-p", "DynamicUser=yes",
            sys.executable, "-c", ECHO, str(port),
        )  # fmt: skip
    expected = f"backend {port}".encode()
    until(lambda: http_request(port, "/").body == expected, f"the backend on port {port}")


def stop_backend(port: int) -> None:
    command("systemctl", "stop", f"workload-backend-{port}.service", check=False)


@contextlib.contextmanager
def backend(port: int) -> Iterator[None]:
    start_backend(port)
    try:
        yield
    finally:
        stop_backend(port)
