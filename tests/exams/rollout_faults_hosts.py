# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of hosts during a rollout: they fail, go away, lie, drift, hang, or are others than before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rollout_world import PAUSED, Shortfall

if TYPE_CHECKING:
    from rollout_world import World


def apply_fails(w: World) -> None:
    w.fleet.fault(w.last, "broken")
    w.says(w.play("rollout", ok=False), f"{w.last}: apply: reverted")
    w.back()


def unreachable_before(w: World) -> None:
    w.fleet.fault(w.last, "away")
    w.play("rollout", ok=False)
    w.back()


def unreachable_within_the_budget_and_back_later(w: World) -> None:
    w.fleet.fault(w.last, "away")
    w.play("rollout", "-e", "rollout_max_failed=1", "-e", '{"rollout_waves": [100]}', ok=True)
    w.updated(w.last)
    w.fleet.fault(w.last, "away", on=False)
    w.play("catch_up", ok=True)
    w.updated()
    traces = w.fleet.traces()
    w.says(w.play("catch_up", ok=True), "0 hosts to catch up")
    w.same(traces, "catching up twice changed something")


def back_while_a_later_rollout_is_paused(w: World) -> None:
    """It catches up with what passed, and what the later rollout has brought to its pilot stays."""
    w.fleet.fault(w.last, "away")
    w.play("rollout", "-e", "rollout_max_failed=1", "-e", '{"rollout_waves": [100]}', ok=True)
    w.fleet.fault(w.last, "away", on=False)
    passed = w.number
    w.new()
    w.play("rollout", *PAUSED, ok=False)
    pilot = w.fleet.holds()[w.first]
    w.fleet.version(passed)
    w.says(w.play("catch_up", ok=True), f"{w.first}: has nginx-e0003, which came later and stays")
    held = w.fleet.holds()
    if held[w.first] != pilot or held[w.last] != held[w.fleet.names[1]]:
        raise Shortfall(f"they hold {held}")
    w.updated()


def unreachable_during(w: World) -> None:
    w.fleet.fault(w.last, "mute")
    w.play("rollout", "-e", "rollout_confirm_within=5", ok=False)
    w.fleet.fault(w.last, "mute", on=False)
    w.play("rollback", ok=True)
    w.back()


def unreachable_after(w: World) -> None:
    """It took the change, and nobody can ask it how it is: that passes no gate, and it is owed until it answers."""
    with w.soaking(seconds=10) as rollout:
        w.fleet.fault(w.first, "away")
        w.ends(rollout, ok=False)
    w.gate("inconclusive")
    w.only(w.first)
    w.says(w.play("rollback", ok=False), f"OWED: {w.first}")
    w.fleet.fault(w.first, "away", on=False)
    w.play("rollback", ok=True)
    w.back()


def slow_host(w: World) -> None:
    """What it would say comes too late: it was not seen, and the others do not wait for it."""
    w.fleet.fault(w.first, "slow")
    w.play("rollout", "-e", "rollout_health_timeout=3", ok=False)
    w.gate("inconclusive")
    w.only(w.first)
    w.fleet.fault(w.first, "slow", on=False)
    w.play("resume", ok=True)
    w.updated()


def sick_after_the_change(w: World) -> None:
    w.fleet.fault(w.first, "sick")
    w.says(w.play("rollout", *w.fleet.soak, ok=False), w.fleet.sick_says)
    w.back()


def crash_loop_that_looks_active(w: World) -> None:
    """Active and healthy whenever somebody looks; only its counter of restarts grows."""
    w.fleet.fault(w.first, "looping")
    w.says(w.play("rollout", *w.fleet.soak, ok=False), "restarts since the apply")
    w.gate("abort")
    w.back()


def drift_during_the_soak(w: World) -> None:
    """Somebody edits a file of the sandbox on the pilot while it soaks."""
    with w.soaking(seconds=10) as rollout:
        w.fleet.fault(w.first, "drifted")
        w.ends(rollout, ok=False)
    w.gate("abort")
    w.back()


def changed_during_the_soak(w: World) -> None:
    """Somebody takes the pilot back while it soaks: what was judged is not what is there."""
    kept = w.fleet.kept(w.first)
    with w.soaking(seconds=20) as rollout:
        w.fleet.take_back(w.first, kept)
        w.ends(rollout, ok=False)
    w.back()


def rollback_fails_on_one(w: World) -> None:
    """The others go back all the same; it is owed by name until it can."""
    w.fleet.fault(w.first, "stuck")
    w.fleet.fault(w.last, "broken")
    w.says(w.play("rollout", *w.fleet.soak, ok=False), f"OWED: {w.first}")
    w.back(w.first)
    w.updated(*(name for name in w.fleet.names if name != w.first))
    w.play("rollback", ok=False)
    w.fleet.fault(w.first, "stuck", on=False)
    w.play("rollback", ok=True)
    w.back()


def host_gone_from_the_inventory(w: World) -> None:
    w.play("rollout", ok=True)
    path = Path(w.fleet.inventory)
    text = path.read_text()
    data = json.loads(text)
    del data["all"]["hosts"][w.last]
    path.write_text(json.dumps(data))
    try:
        w.says(w.play("rollback", ok=False), f"OWED: {w.last}")
    finally:
        path.write_text(text)
    w.back(w.last)
    w.play("rollback", ok=True)
    w.back()


def host_gone_while_it_waits(w: World) -> None:
    """A paused rollout goes on without it: nobody moves up into its place, and within the budget the rest gets it."""
    w.play("rollout", *PAUSED, "-e", '{"rollout_max_failed": 1, "rollout_waves": [100]}', ok=False)
    path, gone = Path(w.fleet.inventory), w.fleet.names[1]
    data = json.loads(text := path.read_text())
    del data["all"]["hosts"][gone]
    path.write_text(json.dumps(data))
    w.says(w.play("resume", ok=True), f"{gone}: it is not in the inventory any more")
    path.write_text(text)
    w.updated(gone)
    plan = json.loads(w.journal.with_name("plan.json").read_text())["plan"]
    waves = {name: wave["name"] for wave in plan["waves"] for name in wave["hosts"]}
    moved = [line for line in w.fleet.journal() if line["host"] and line["wave"] != waves[line["host"]]]
    if moved:
        raise Shortfall(f"changed in another wave than planned: {moved}")
    w.play("rollback", ok=True)
    w.back()


def reinstalled_under_the_same_name(w: World) -> None:
    w.play("rollout", ok=True)
    w.fleet.reinstall(w.last)
    w.play("rollback", ok=True)
    w.back(w.last)
    if w.fleet.holds()[w.last] != ("", False):
        raise Shortfall("the new host got something")


def reinstalled_during_the_rollout(w: World) -> None:
    """A resumed rollout finds a new machine where its pilot was: it gets the version, and only then the rest does."""
    w.play("rollout", *PAUSED, ok=False)
    w.fleet.reinstall(w.first)
    w.play("resume", ok=True)
    w.updated()


FAULTS = (
    apply_fails, unreachable_before, unreachable_within_the_budget_and_back_later,
    back_while_a_later_rollout_is_paused, unreachable_during, unreachable_after, slow_host, sick_after_the_change,
    crash_loop_that_looks_active, drift_during_the_soak, changed_during_the_soak, rollback_fails_on_one,
    host_gone_from_the_inventory, host_gone_while_it_waits, reinstalled_under_the_same_name,
    reinstalled_during_the_rollout,
)  # fmt: skip
