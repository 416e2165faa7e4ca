# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import progress
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make

PLAN = make(
    rollout="nginx-e0003",
    epoch=3,
    policy="nginx",
    created="",
    hosts=[PlannedHost(f"h{number}", fingerprint="x", policy="nginx") for number in range(5)],
    options=Options(waves=(50, 100), soak=60, poll=10, denials=True),
)
START = datetime(2026, 11, 26, 10, tzinfo=UTC).timestamp()


def at(second: float, phase: str, outcome: str, wave: str = "", host: str = "", **more: object) -> Record:
    time = datetime.fromtimestamp(START + second, UTC).isoformat().replace("+00:00", "Z")
    made = Record(
        phase, outcome, "nginx-e0003", wave=wave, host=host, policy="nginx" if host else "", time=time
    )
    return replace(made, **more)  # type: ignore[arg-type]


MADE = at(0, "plan", "made")
INTENT = at(10, "apply", "intent", "pilot", "h0")
CHANGED = at(20, "apply", "changed", "pilot", "h0")
POLL = at(40, "poll", "seen", "pilot", exposure={"asked": 1, "hosts": 1, "seconds": 10, "events": {"a": 2}})
PASSED = at(80, "gate", "pass", "pilot")


def line(*records: Record, second: float) -> str:
    return progress.line(progress.of(PLAN, records, START + second))


def test_from_the_plan_to_the_end() -> None:
    assert line(MADE, second=1) == (
        "nginx-e0003: pilot (1 of 3), 0 of 5 hosts, 0 denials (e-value 0 of 100), planned"
    )
    assert line(MADE, INTENT, second=11).endswith(", changing")
    soaking = line(MADE, INTENT, CHANGED, POLL, second=50)
    assert "1 of 5 hosts, 2 denials (e-value " in soaking
    assert soaking.endswith("soaking, 30 s to go, about 5 min left")
    assert line(MADE, INTENT, CHANGED, second=81).split(", ")[-2] == "being judged"
    assert "gate pilot pass, between waves" in line(MADE, INTENT, CHANGED, PASSED, second=81)
    back = at(99, "rollback", "rolled_back", "pilot", "h0")
    told = line(MADE, INTENT, CHANGED, at(80, "gate", "abort", "pilot"), back, second=99)
    assert "1 rolled_back, " in told
    assert "gate pilot abort, going back" in told
    ended = line(MADE, INTENT, CHANGED, PASSED, at(99, "end", "inconclusive"), second=100)
    assert ended.endswith("gate pilot pass, ended: inconclusive")


def test_the_bar_of_a_terminal() -> None:
    seen = progress.of(PLAN, [MADE, INTENT, CHANGED], START)
    assert progress.line(seen, drawn=True).startswith("nginx-e0003: ████░░░░░░░░░░░░░░░░, pilot")


def test_what_status_shows() -> None:
    asked = at(85, "control", "pause", detail="pause by alice: lunch")
    assert progress.lines(PLAN, [MADE, INTENT, CHANGED, PASSED, asked], START + 90, "nobody works on it")[
        1:
    ] == [
        "  pilot: 1 changed; gate pass: ",
        "  wave 1: 2 untouched",
        "  wave 2: 2 untouched",
        "  2026-11-26T10:01:25Z pause by alice: lunch",
        "  nobody works on it",
    ]


def test_spans() -> None:
    assert [progress.span(seconds) for seconds in (-1, 99, 100, 3600, 7261)] == [
        "0 s",
        "99 s",
        "2 min",
        "60 min",
        "2 h 1 min",
    ]
