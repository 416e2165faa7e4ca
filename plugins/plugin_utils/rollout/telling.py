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

from ansible.module_utils.urls import open_url

from . import deadline, progress, state
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


def send(addresses: Iterable[object], told: Mapping[str, Any]) -> list[str]:
    """Post ``told`` to each address at once. What went wrong, without what may be secret in an address."""
    body = json.dumps(told).encode()
    wanted = list(addresses)
    if not wanted:
        return []
    with ThreadPoolExecutor(len(wanted)) as pool:
        return [text for text in pool.map(lambda one: _told(one, body), wanted) if text]


def _told(address: object, body: bytes) -> str:
    """What went wrong. Of an error only the type, or what a system or a server says: its text may quote the address."""
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        return "a webhook was not told: its address does not begin with http:// or https://."
    try:
        deadline.within(deadline.Deadline(WITHIN), lambda: _post(address, body))
    except deadline.Late as late:
        why = str(late)
    except urllib.error.HTTPError as error:
        why = f"{error.reason}"
    except Exception as error:
        reason = getattr(error, "reason", error)
        why = str(reason) if isinstance(reason, OSError) else type(error).__name__
    else:
        return ""
    return f"the webhook on '{_host(address)}' was not told: {' '.join(why.split())[:100]}."


def _post(address: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    with open_url(address, body, headers, "POST", timeout=WITHIN, http_agent="bulkhead", use_netrc=False):
        return


def _host(address: str) -> str:
    """Of an address that is whole; one that is not may have its secret anywhere."""
    try:
        parts = urllib.parse.urlsplit(address)
        return parts.hostname if parts.hostname and parts.port != 0 and "@" not in parts.path else "?"
    except ValueError:
        return "?"


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
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".bulkhead-")
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), 0o644)  # the collector is another user
        Path(name).replace(path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        return f"the metrics were not written to '{folder}': {error.strerror}."
    return ""
