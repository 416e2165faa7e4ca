# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what a rollout rests on: its journal, its plan, the policy, the hosts' receipts, and what gates ask."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

from rollout_world import PAUSED, Shortfall, answering

if TYPE_CHECKING:
    from rollout_world import World

NO_VALUE = '{"status": "success", "data": {"resultType": "vector", "result": []}}'


def torn_journal(w: World) -> None:
    w.play("rollout", *PAUSED, ok=False)
    with w.journal.open("a") as stream:
        stream.write('{"phase": "gate", "outc')
    w.play("resume", ok=True)
    w.updated()


def tampered_journal(w: World) -> None:
    w.play("rollout", *PAUSED, ok=False)
    text = w.journal.read_text()
    w.journal.write_text(text.replace('"outcome":"pause"', '"outcome":"pass"'))
    w.says(w.play("resume", ok=False), "was changed after it was written")
    w.journal.write_text(text)
    w.play("rollback", ok=True)
    w.back()


def tampered_plan(w: World) -> None:
    w.play("rollout", *PAUSED, ok=False)
    path = w.journal.with_name("plan.json")
    text = path.read_text()
    path.write_text(text.replace('"max_failed": 0', '"max_failed": 9'))
    if path.read_text() == text:
        raise Shortfall("the plan has no budget to tamper with")
    traces = w.fleet.traces()
    w.says(w.play("resume", ok=False), "was changed after it was written")
    w.same(traces, "something was changed by a plan that nobody made")


def tampered_receipts(w: World) -> None:
    """A host whose receipts were changed is no witness: the journal says who goes back, and people are told."""
    w.play("rollout", *PAUSED, ok=False)
    w.fleet.fault(w.first, "forged")
    w.says(w.play("resume", ok=True), f"{w.first}: its receipts cannot be trusted")
    w.updated()
    w.says(w.play("rollback", ok=True), f"{w.first}: its receipts cannot be trusted")
    w.back()


def another_policy_than_planned(w: World) -> None:
    w.play("rollout", *PAUSED, ok=False)
    w.new()
    traces = w.fleet.traces()
    w.says(w.play("resume", ok=False), "is not what")
    w.same(traces, "another policy was applied than was planned")


def policy_edited_while_it_runs(w: World) -> None:
    """What was planned goes on with the file as it was, and the edited one to nobody."""
    with w.soaking(seconds=10) as rollout:
        w.new()
        w.ends(rollout, ok=False)
    w.gate("inconclusive")
    w.only(w.first)
    w.says(w.play("resume", ok=False), "is not what")
    w.fleet.version(w.number - 1)
    w.play("resume", ok=True)
    w.updated()
    if len({active for active, _pending in w.fleet.holds().values()}) > 2:  # one for each kind of system
        raise Shortfall(f"more than was planned: {w.fleet.holds()}")


def ledger_lost_while_a_host_is_away(w: World) -> None:
    """It cannot be asked what it holds: it is owed until it answers, and goes back to what it had, not to nothing."""
    w.play("rollout", ok=True)
    shutil.rmtree(w.fleet.rollouts)
    w.fleet.fault(w.last, "away")
    w.says(w.play("rebuild", ok=True), f"no answer: {w.last}")
    w.says(w.play("rollback", ok=False), f"OWED: {w.last}")
    w.fleet.fault(w.last, "away", on=False)
    w.play("rollback", ok=True)
    w.back()


def rebuilt_and_resumed_with_another_policy(w: World) -> None:
    """Nobody knows the policy any more: what the hosts hold is judged, and nothing is applied."""
    w.play("rollout", ok=True)
    shutil.rmtree(w.fleet.rollouts)
    w.new()
    held = w.fleet.holds()
    w.play("rebuild", ok=True)
    w.play("resume", ok=True)
    if w.fleet.holds() != held:
        raise Shortfall("a rebuilt rollout applied another policy")


def denials_that_begin_late(w: World) -> None:
    """None in the first looks at the pilot."""
    told = {"rollout_denials": True, "rollout_poll": 1, "rollout_soak": 120}
    with w.fleet.playing("rollout", "-e", json.dumps(told)) as rollout:
        if not w.fleet.wait_for(rollout, lambda lines: sum(line["phase"] == "poll" for line in lines) >= 3):
            raise Shortfall("nobody looked at the pilot")
        quiet = [line for line in w.fleet.journal() if line["phase"] == "poll" and line["exposure"]["events"]]
        w.fleet.fault(w.first, "noisy")
        w.ends(rollout, ok=False)
    gate = [line["detail"] for line in w.fleet.journal() if line["phase"] == "gate"][-1]
    if quiet or "e-value" not in gate:
        raise Shortfall(f"denials before they began: {len(quiet)}, and the gate says {gate}")
    w.back()


def denials_unreadable(w: World) -> None:
    w.fleet.fault(w.first, "deaf")
    told = {"rollout_denials": True, "rollout_poll": 1, "rollout_soak": 2}
    w.says(w.play("rollout", "-e", json.dumps(told), ok=False), "could not be read")
    w.gate("inconclusive")
    w.only(w.first)


def telemetry_missing(w: World) -> None:
    gates = '{"rollout_gates": [{"url": "http://127.0.0.1:9/"}]}'
    w.says(w.play("rollout", "-e", gates, ok=False), "no answer")
    w.gate("inconclusive")
    w.only(w.first)
    w.play("rollback", ok=True)
    w.back()


def telemetry_stale(w: World) -> None:
    """What was scraped last is so old that the query finds no value any more."""
    with answering(NO_VALUE) as address:
        gates = {"rollout_gates": [{"prometheus": address, "query": "errors", "below": 1}]}
        w.says(w.play("rollout", "-e", json.dumps(gates), ok=False), "the query found no value")
    w.gate("inconclusive")
    w.only(w.first)


def report_sink_down(w: World) -> None:
    hooks = {"rollout_webhooks": ["http://127.0.0.1:9/s3cret"], "rollout_metrics": "/no/such/folder"}
    if "s3cret" in w.play("rollout", "-e", json.dumps(hooks), ok=True):
        raise Shortfall("the address of the webhook was shown")
    w.updated()


def report_sink_hangs(w: World) -> None:
    """It takes what it is told and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        hooks = {"rollout_webhooks": [f"http://127.0.0.1:{server.getsockname()[1]}/"]}
        began = time.monotonic()
        w.play("rollout", "-e", json.dumps(hooks), ok=True)
        if time.monotonic() - began > 240:
            raise Shortfall("the rollout waited for it")
    w.updated()


FAULTS = (
    torn_journal, tampered_journal, tampered_plan, tampered_receipts, another_policy_than_planned,
    policy_edited_while_it_runs, ledger_lost_while_a_host_is_away, rebuilt_and_resumed_with_another_policy,
    denials_that_begin_late, denials_unreadable, telemetry_missing, telemetry_stale, report_sink_down,
    report_sink_hangs,
)  # fmt: skip
