# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates of one's own, asked from the controller: a command, a URL, a Prometheus query.

Each says pass, abort, pause or inconclusive, and each try has ``within`` seconds for all of it. What gives no answer is
asked again as often as ``retries`` says, and is inconclusive in the end: no data never passes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url

from . import deadline

PAUSE = 1.0
WITHIN = 10.0
_MOST = 1 << 20  # bytes that are read of an answer
_MOST_SAID = 1 << 16  # bytes that are kept of what a command says
_MOST_VARIABLE = 100_000
_SAID = 200
# A command's exit status: 0 pass, 1 abort, 2 pause; anything else is no answer.
_EXITS = {0: "pass", 1: "abort", 2: "pause"}
# Errors that say what went wrong without naming what they were given: addresses and answers may hold secrets.
_TOLD = (OSError, json.JSONDecodeError, NoConnection)


@dataclass(frozen=True)
class Answer:
    outcome: str
    detail: str
    tries: int = 1


def ask(
    gates: Iterable[Mapping[str, Any]], about: Mapping[str, str], stop: Callable[[], str] = str
) -> list[Answer]:
    """All answers, in the order of ``gates``; never raises. ``about``: what a command finds in its environment.
    ``stop``: why nobody waits for answers any more, or nothing."""
    return [_one(gate, about, stop) for gate in gates]


def _one(gate: Mapping[str, Any], about: Mapping[str, str], stop: Callable[[], str]) -> Answer:
    kind = next(name for name in ASK if name in gate)
    for number in range(1, int(gate.get("retries") or 0) + 2):
        if number > 1:
            time.sleep(PAUSE)
        outcome, detail = _try(kind, gate, about, stop)
        answer = Answer(outcome, f"{kind} {_name(gate[kind])}: {detail}", number)
        if outcome != "inconclusive" or stop():
            break
    return answer


def _try(
    kind: str, gate: Mapping[str, Any], about: Mapping[str, str], stop: Callable[[], str]
) -> tuple[str, str]:
    try:
        if why := stop():
            return "inconclusive", why
        return ASK[kind](gate, deadline.Deadline(float(gate.get("within") or WITHIN), stop), about)
    except deadline.Late as late:
        return "inconclusive", str(late)
    except Exception as error:
        # A gate that raised would leave its wave without a line in the journal.
        text = str(error) if isinstance(error, _TOLD) else ""
        return "inconclusive", f"no answer: {_short(text or type(error).__name__)}"


def _command(gate: Mapping[str, Any], limit: deadline.Deadline, about: Mapping[str, str]) -> tuple[str, str]:
    argv = [str(word) for word in gate["command"]]
    with tempfile.TemporaryDirectory(prefix="bulkhead-") as folder:
        return _run(argv, {**os.environ, **_variables(about, Path(folder))}, limit)


def _variables(about: Mapping[str, str], folder: Path) -> dict[str, str]:
    """For a command's environment. A system starts nothing with a variable above 128 KiB (execve(2)): what is too long
    is in a file, and its variable is "@" and the path. Whoever takes that for a host finds none, and nothing passes."""
    found = {}
    for name, value in about.items():
        if len(value.encode()) > _MOST_VARIABLE:
            path = folder / name
            path.write_text(f"{value}\n")
            value = f"@{path}"
        found[f"BULKHEAD_{name.upper()}"] = value
    return found


def _run(argv: list[str], environment: Mapping[str, str], limit: deadline.Deadline) -> tuple[str, str]:
    process = subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = _said(process, limit)
    except deadline.Late:
        # Its children as well; one that left the group is not waited for.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        if process.stdout:
            process.stdout.close()
    text = _short(said.decode("utf-8", "replace"))
    detail = f"status {process.returncode}" + (f", {text}" if text else "")
    return _EXITS.get(process.returncode, "inconclusive"), detail


def _said(process: subprocess.Popen[bytes], limit: deadline.Deadline) -> bytes:
    """What a command says until it has ended, whoever else still holds its output: a daemon that it began does."""
    if process.stdout is None:
        raise AssertionError("the command is started with a pipe")
    output = process.stdout.fileno()
    os.set_blocking(output, False)
    said, closed = bytearray(), False
    while True:
        left = limit.left()
        ended = process.poll() is not None
        if closed and not ended:
            time.sleep(min(left, 0.05))
        ready = not closed and bool(select.select([output], [], [], 0 if ended else min(left, 0.05))[0])
        # All of it is read, so that the command can go on; only the beginning is kept.
        piece = os.read(output, _MOST_SAID) if ready else b""
        closed = closed or (ready and not piece)
        said += piece[: _MOST_SAID - len(said)]
        if ended and not piece:
            return bytes(said)


def _url(gate: Mapping[str, Any], limit: deadline.Deadline, _about: Mapping[str, str]) -> tuple[str, str]:
    wanted = int(gate.get("status") or 200)
    status, _content = _get(str(gate["url"]), gate, limit, 0)
    good = status == wanted
    return ("pass", f"status {status}") if good else ("abort", f"status {status}, not {wanted}")


def _prometheus(
    gate: Mapping[str, Any], limit: deadline.Deadline, _about: Mapping[str, str]
) -> tuple[str, str]:
    query = urllib.parse.urlencode({"query": str(gate["query"])})
    address = f"{str(gate['prometheus']).rstrip('/')}/api/v1/query?{query}"
    status, content = _get(address, gate, limit, _MOST)
    if status != 200:
        return "inconclusive", f"no answer: HTTP Error {status}"
    data = json.loads(content)
    if data["status"] != "success":
        return "inconclusive", f"no answer: {_short(str(data.get('error') or data['status']))}"
    # A store that is down leaves out its series, and says so here only.
    if data.get("warnings"):
        return "inconclusive", f"no full answer: {_short(str(data['warnings'][0]))}"
    found = data["data"]["result"]
    rows = [found] if data["data"]["resultType"] == "scalar" else [row["value"] for row in found]
    values = [float(row[1]) for row in rows]
    if not values or not all(math.isfinite(value) for value in values):
        return "inconclusive", "the query found no value"
    key = "below" if "below" in gate else "above"
    bound = float(gate[key])
    wrong = [value for value in values if not (value < bound if key == "below" else value > bound)]
    shown = ", ".join(f"{value:g}" for value in (wrong or values)[:3])
    return ("abort" if wrong else "pass"), f"{shown} {'is not' if wrong else 'is'} {key} {bound:g}"


ASK: dict[str, Callable[[Mapping[str, Any], deadline.Deadline, Mapping[str, str]], tuple[str, str]]] = {
    "command": _command,
    "url": _url,
    "prometheus": _prometheus,
}


def _get(address: str, gate: Mapping[str, Any], limit: deadline.Deadline, most: int) -> tuple[int, bytes]:
    """(status, at most so many bytes of the content). Redirects are an answer: a page to log in is not the page."""

    def get() -> tuple[int, bytes]:
        headers = {}
        if gate.get("token_file"):
            token = Path(str(gate["token_file"])).read_text("utf-8").strip()
            headers["Authorization"] = f"Bearer {token}"
        try:
            with open_url(
                address,
                headers=headers,
                timeout=limit.seconds,
                follow_redirects="no",
                http_agent="bulkhead",
                use_netrc=False,
            ) as answer:
                return answer.status, answer.read(most)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, b""

    return deadline.within(limit, get)


def _name(value: Any) -> str:
    """A command by its program, an address without what may be secret in it."""
    if isinstance(value, list):
        return str(value[0])
    try:
        parts = urllib.parse.urlsplit(str(value))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _short(text: str) -> str:
    """One line for people; what would move the cursor of their terminal is left out."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line if len(line) <= _SAID else f"{line[: _SAID - 1]}…"
