# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates of one's own, asked from the controller: a command, a URL, a Prometheus query.

Each says pass, abort, pause or inconclusive. What gives no answer is asked again as often as ``retries`` says, and is
inconclusive in the end: no data never passes.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import time
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url

PAUSE = 1.0
_MOST = 1 << 20  # bytes that are read of an answer
_SAID = 200
# A command's exit status: 0 pass, 1 abort, 2 pause; anything else is no answer.
_EXITS = {0: "pass", 1: "abort", 2: "pause"}


@dataclass(frozen=True)
class Answer:
    outcome: str
    detail: str
    tries: int = 1


def ask(gates: Iterable[Mapping[str, Any]], about: Mapping[str, str]) -> list[Answer]:
    """All answers, in the order of ``gates``. ``about``: what a command finds in its environment."""
    return [_one(gate, about) for gate in gates]


def _one(gate: Mapping[str, Any], about: Mapping[str, str]) -> Answer:
    kind = next(name for name in ASK if name in gate)
    answer = Answer("inconclusive", "")
    for number in range(1, int(gate.get("retries") or 0) + 2):
        if number > 1:
            time.sleep(PAUSE)
        try:
            outcome, detail = ASK[kind](gate, float(gate.get("within") or 10), about)
        except (OSError, ValueError, KeyError, IndexError, TypeError, NoConnection) as error:
            outcome, detail = "inconclusive", f"no answer: {_short(str(error) or type(error).__name__)}"
        answer = Answer(outcome, f"{kind} {_name(gate[kind])}: {detail}", number)
        if outcome != "inconclusive":
            break
    return answer


def _command(gate: Mapping[str, Any], within: float, about: Mapping[str, str]) -> tuple[str, str]:
    argv = [str(word) for word in gate["command"]]
    environment = {**os.environ, **{f"BULKHEAD_{name.upper()}": value for name, value in about.items()}}
    process = subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _none = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        # Its children as well: they hold the pipe.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "inconclusive", f"no answer within {within:g} s"
    text = _short(said.decode("utf-8", "replace"))
    detail = f"status {process.returncode}" + (f", {text}" if text else "")
    return _EXITS.get(process.returncode, "inconclusive"), detail


def _url(gate: Mapping[str, Any], within: float, _about: Mapping[str, str]) -> tuple[str, str]:
    wanted = int(gate.get("status") or 200)
    try:
        with _open(str(gate["url"]), gate, within) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    good = status == wanted
    return ("pass", f"status {status}") if good else ("abort", f"status {status}, not {wanted}")


def _prometheus(gate: Mapping[str, Any], within: float, _about: Mapping[str, str]) -> tuple[str, str]:
    query = urllib.parse.urlencode({"query": str(gate["query"])})
    with _open(f"{str(gate['prometheus']).rstrip('/')}/api/v1/query?{query}", gate, within) as answer:
        data = json.loads(answer.read(_MOST))
    if data["status"] != "success":
        return "inconclusive", f"no answer: {_short(str(data.get('error') or data['status']))}"
    found = data["data"]["result"]
    rows = [found] if data["data"]["resultType"] == "scalar" else [row["value"] for row in found]
    values = [float(row[1]) for row in rows]
    if not values or any(math.isnan(value) for value in values):
        return "inconclusive", "the query found no value"
    key = "below" if "below" in gate else "above"
    limit = float(gate[key])
    wrong = [value for value in values if not (value < limit if key == "below" else value > limit)]
    shown = ", ".join(f"{value:g}" for value in (wrong or values)[:3])
    return ("abort" if wrong else "pass"), f"{shown} {'is not' if wrong else 'is'} {key} {limit:g}"


ASK: dict[str, Callable[[Mapping[str, Any], float, Mapping[str, str]], tuple[str, str]]] = {
    "command": _command,
    "url": _url,
    "prometheus": _prometheus,
}


def _open(address: str, gate: Mapping[str, Any], within: float) -> Any:
    headers = {}
    if gate.get("token_file"):
        token = Path(str(gate["token_file"])).read_text("utf-8").strip()
        headers["Authorization"] = f"Bearer {token}"
    # What is secret is not sent along when the server redirects elsewhere.
    return open_url(
        address,
        headers=headers,
        unredirected_headers=["Authorization"],
        timeout=within,
        http_agent="bulkhead",
        use_netrc=False,
    )


def _name(value: Any) -> str:
    """A command by its program, an address without what may be secret in it."""
    if isinstance(value, list):
        return str(value[0])
    parts = urllib.parse.urlsplit(str(value))
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SAID else f"{line[: _SAID - 1]}…"
