# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others are told of a rollout: webhooks and a text file for Prometheus. That it fails changes nothing."""

from __future__ import annotations

import json
import os
import tempfile
import urllib.error
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url

from . import progress, state
from .journal import Record
from .plan import Plan

WITHIN = 5.0
VERDICTS = ("pass", "abort", "pause", "inconclusive", "rolled_back", "owed")


def event(plan: Plan, records: Sequence[Record], now: float) -> dict[str, Any]:
    """What a webhook gets: plain JSON; ``text`` is one sentence, as chat services want it."""
    seen = progress.of(plan, records, now)
    last = next((one for one in reversed(records) if one.phase in ("gate", "end", "plan", "control")), None)
    return {
        "text": progress.line(seen),
        "event": last.phase if last else "",
        "outcome": last.outcome if last else "",
        "detail": last.detail if last else "",
        "rollout": plan.rollout,
        "policies": list(plan.policies),
        "wave": seen.wave,
        "waves": seen.waves,
        "done": seen.done,
        "hosts": seen.total,
        "states": dict(seen.states),
        "e_value": seen.e_value,
        "verdict": seen.verdict,
        "plan": plan.digest,
    }


def send(addresses: Iterable[str], told: Mapping[str, Any]) -> list[str]:
    """Post ``told`` to each address at once. What went wrong, without what may be secret in an address."""
    body = json.dumps(told).encode()
    wanted = list(addresses)
    if not wanted:
        return []
    with ThreadPoolExecutor(len(wanted)) as pool:
        return [text for text in pool.map(lambda one: _post(one, body), wanted) if text]


def _post(address: str, body: bytes) -> str:
    try:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https"):
            return "a webhook was not told: its address does not begin with http:// or https://."
        headers = {"Content-Type": "application/json"}
        with open_url(address, body, headers, "POST", timeout=WITHIN, http_agent="bulkhead", use_netrc=False):
            return ""
    except (OSError, ValueError, NoConnection) as error:
        host = urllib.parse.urlsplit(address).hostname if "://" in address else "?"
        reason = getattr(error, "reason", None) or type(error).__name__
        return f"the webhook on '{host}' was not told: {' '.join(str(reason).split())[:100]}."


def metrics(plan: Plan, records: Sequence[Record], now: float) -> str:
    """Text for node_exporter's textfile collector (Prometheus exposition format)."""
    seen = progress.of(plan, records, now)
    label = f'policy="{plan.policy}",rollout="{plan.rollout}"'
    counted = Counter(one.name for one in state.hosts(plan, records))
    out = [
        "# HELP bulkhead_rollout_hosts Hosts of the latest rollout by state.",
        "# TYPE bulkhead_rollout_hosts gauge",
    ]
    out += [
        f'bulkhead_rollout_hosts{{{label},state="{word}"}} {number}'
        for word, number in sorted(counted.items())
    ]
    out += [
        "# HELP bulkhead_rollout_verdict 1 for the verdict that stands.",
        "# TYPE bulkhead_rollout_verdict gauge",
        *(
            f'bulkhead_rollout_verdict{{{label},verdict="{one}"}} {int(one == seen.verdict)}'
            for one in VERDICTS
        ),
    ]
    values = {
        "wave": ("Number of the wave at work.", seen.number),
        "waves": ("Waves of the plan.", seen.waves),
        "done": ("Hosts of which an outcome is known.", seen.done),
        "denials": ("Kinds of denials on hosts that changed, counted once a look.", seen.denials or 0),
        "e_value": ("Evidence that changed hosts are denied more than others.", round(seen.e_value, 6)),
        "e_value_line": (
            "The line that the e-value must not cross, 0 where denials are not compared.",
            seen.line,
        ),
        "updated_seconds": ("When this was written.", round(now)),
    }
    for name, (text, value) in values.items():
        out += [f"# HELP bulkhead_rollout_{name} {text}", f"# TYPE bulkhead_rollout_{name} gauge"]
        out.append(f"bulkhead_rollout_{name}{{{label}}} {value}")
    return "\n".join(out) + "\n"


def write(folder: Path, plan: Plan, text: str) -> str:
    """Put the metrics where the collector finds them, whole or not at all; what went wrong."""
    path = folder / f"bulkhead_{plan.policy.replace('+', '_')}.prom"
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".bulkhead-")
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), 0o644)  # the collector is another user
        Path(name).replace(path)
    except OSError as error:
        return f"the metrics were not written to '{folder}': {error.strerror}."
    return ""
