# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: faults of a rollout that meet the controller, each injected, the end state read from the hosts' files.

On hosts that are files (see the connection that makes them up). Faults inside of a host (power cuts, full disks, a
guard that is killed, clocks that jump) are tried by tests/lab on machines of their own. ONLY=name runs one of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exam
import fleet as fleets

HOSTS = int(os.environ.get("HOSTS", "4"))
ONLY = os.environ.get("ONLY", "")


class Shortfall(Exception):
    pass


class World:
    """A fleet that has version 1. ``before``: what it held then."""

    def __init__(self, fleet: fleets.Fleet) -> None:
        self.fleet, self.number = fleet, 1
        self.before = fleet.holds()

    @property
    def last(self) -> str:
        return self.fleet.names[-1]

    def new(self) -> None:
        self.number += 1
        self.fleet.version(self.number)

    def play(self, name: str, *arguments: str, ok: bool) -> str:
        done = self.fleet.play(name, *arguments)
        if (done.returncode == 0) is not ok:
            raise Shortfall(f"{name} ended with {done.returncode}: {done.stdout[-500:]}")
        return done.stdout

    def back(self, *but: str) -> None:
        held = self.fleet.holds()
        wrong = [host for host in held if host not in but and held[host] != self.before[host]]
        if wrong:
            raise Shortfall(f"not as before: {wrong}")

    def updated(self, *but: str) -> None:
        held = self.fleet.holds()
        same = [h for h in held if h not in but and (held[h][1] or held[h][0] == self.before[h][0])]
        if same:
            raise Shortfall(f"not updated: {same}")

    def says(self, output: str, *texts: str) -> None:
        flat = " ".join(output.split())
        for text in texts:
            if text not in flat:
                raise Shortfall(f"nobody was told: {text}")


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
    if w.fleet.traces() != traces:
        raise Shortfall("catching up twice changed something")


def unreachable_during(w: World) -> None:
    w.fleet.fault(w.last, "mute")
    w.play("rollout", "-e", "rollout_confirm_within=5", ok=False)
    w.fleet.fault(w.last, "mute", on=False)
    w.play("rollback", ok=True)
    w.back()


def never_to_an_aborted_version(w: World) -> None:
    w.fleet.fault(w.last, "broken")
    w.play("rollout", ok=False)
    w.fleet.fault(w.last, "broken", on=False)
    w.says(w.play("resume", ok=False), "aborted")
    w.says(w.play("promote", "-e", "reason=please", ok=False), "an aborted rollout never starts again")
    # The version that was promoted is the one before; the policy's file has the aborted one.
    w.play("catch_up", ok=True)
    w.back()


def two_controllers(w: World) -> None:
    with w.fleet.playing("rollout", "-e", "rollout_soak=600") as first:
        w.fleet.wait_for(first, lambda lines: any(line["outcome"] == "changed" for line in lines[-3:]))
        w.says(w.play("rollout", ok=False), "is being changed by a rollout to")
        w.play("abort", "-e", "reason=exam", ok=True)
        if first.wait(timeout=300) == 0:
            raise Shortfall("the aborted rollout says that all is well")
    w.back()


def paused_while_it_soaks(w: World) -> None:
    with w.fleet.playing("rollout", "-e", "rollout_soak=600") as first:
        w.fleet.wait_for(first, lambda lines: any(line["outcome"] == "changed" for line in lines[-3:]))
        w.play("pause", "-e", "reason=exam", ok=True)
        if first.wait(timeout=300) == 0:
            raise Shortfall("the paused rollout says that it passed")
    held = w.fleet.holds()
    if sum(held[host] != w.before[host] for host in held) != 1:
        raise Shortfall("more or less than the pilot has changed")
    w.play("rollback", ok=True)
    w.back()


def sick_after_the_change(w: World) -> None:
    w.fleet.fault(w.fleet.names[0], "sick")
    w.says(w.play("rollout", ok=False), "status 502")
    w.back()


def denials_that_begin_late(w: World) -> None:
    w.fleet.fault(w.fleet.names[0], "noisy")
    told = {"rollout_denials": True, "rollout_poll": 1, "rollout_soak": 120}
    w.says(w.play("rollout", "-e", json.dumps(told), ok=False), "e-value")
    w.back()


def telemetry_missing(w: World) -> None:
    w.says(
        w.play("rollout", "-e", '{"rollout_gates": [{"url": "http://127.0.0.1:9/"}]}', ok=False), "no answer"
    )
    if all(held == w.before[host] for host, held in w.fleet.holds().items()):
        raise Shortfall("the pilot did not stay as it was")
    w.play("rollback", ok=True)
    w.back()


def report_sink_down(w: World) -> None:
    hooks = json.dumps(
        {"rollout_webhooks": ["http://127.0.0.1:9/s3cret"], "rollout_metrics": "/no/such/folder"}
    )
    if "s3cret" in w.play("rollout", "-e", hooks, ok=True):
        raise Shortfall("the address of the webhook was shown")
    w.updated()


def same_digest_again(w: World) -> None:
    w.play("rollout", ok=True)
    traces = w.fleet.traces()
    w.play("rollout", ok=True)
    if w.fleet.traces() != traces:
        raise Shortfall("the second rollout changed something")


def limit(w: World) -> None:
    w.says(w.play("rollout", "--limit", w.last, ok=False), "cannot be limited with --limit")
    w.back()
    w.play("rollout", ok=True)
    held = w.fleet.holds()
    w.says(w.play("rollback", "--limit", w.last, ok=False), "and nothing was rolled back")
    if w.fleet.holds() != held:
        raise Shortfall("a limited rollback changed something")


def host_gone_from_the_inventory(w: World) -> None:
    w.play("rollout", ok=True)
    path = w.fleet.inventory
    text = Path(path).read_text()
    data = json.loads(text)
    del data["all"]["hosts"][w.last]
    Path(path).write_text(json.dumps(data))
    try:
        w.says(w.play("rollback", ok=False), f"OWED: {w.last}")
    finally:
        Path(path).write_text(text)
    w.back(w.last)
    w.play("rollback", ok=True)
    w.back()


def reinstalled_under_the_same_name(w: World) -> None:
    w.play("rollout", ok=True)
    (w.fleet.work / f"hosts/{w.last}.json").unlink()
    w.play("rollback", ok=True)
    w.back(w.last)
    if w.fleet.holds()[w.last] != ("", False):
        raise Shortfall("the new host got something")


def journal(w: World) -> Path:
    return max(w.fleet.rollouts.glob("nginx-e*/journal.jsonl"))


def torn_journal(w: World) -> None:
    w.play("rollout", "-e", '{"rollout_pause_after": ["pilot"]}', ok=False)
    with journal(w).open("a") as stream:
        stream.write('{"phase": "gate", "outc')
    w.play("resume", ok=True)
    w.updated()


def tampered_journal(w: World) -> None:
    w.play("rollout", "-e", '{"rollout_pause_after": ["pilot"]}', ok=False)
    text = journal(w).read_text()
    journal(w).write_text(text.replace('"outcome":"pause"', '"outcome":"pass"'))
    w.says(w.play("resume", ok=False), "was changed after it was written")
    journal(w).write_text(text)
    w.play("rollback", ok=True)
    w.back()


def tampered_plan(w: World) -> None:
    w.play("rollout", "-e", '{"rollout_pause_after": ["pilot"]}', ok=False)
    path = journal(w).with_name("plan.json")
    path.write_text(path.read_text().replace('"max_failed": 0', '"max_failed": 9'))
    held = w.fleet.holds()
    w.says(w.play("resume", ok=False), "was changed after it was written")
    if w.fleet.holds() != held:
        raise Shortfall("something was changed by a plan that nobody made")


def another_policy_than_planned(w: World) -> None:
    w.play("rollout", "-e", '{"rollout_pause_after": ["pilot"]}', ok=False)
    w.new()
    held = w.fleet.holds()
    w.says(w.play("resume", ok=False), "is not what")
    if w.fleet.holds() != held:
        raise Shortfall("another policy was applied than was planned")


def earlier_run_half_finished(w: World) -> None:
    with w.fleet.playing("rollout", "-e", "rollout_soak=600") as first:
        w.fleet.wait_for(first, lambda lines: any(line["outcome"] == "changed" for line in lines[-3:]))
    # It was killed for good; a new one of the same version finds what it left.
    w.play("rollout", ok=True)
    w.updated()


def sliced_job(w: World) -> None:
    w.says(w.play("rollout", "-e", "awx_job_slice_count=2", ok=False), "a rollout cannot be sliced")
    w.back()


def changed_during_the_soak(w: World) -> None:
    """Somebody takes the pilot back while it soaks: what was judged is not what is there."""
    pilot = w.fleet.names[0]
    path = w.fleet.work / f"hosts/{pilot}.json"
    old = path.read_text()
    with w.fleet.playing("rollout", "-e", "rollout_soak=20") as first:
        w.fleet.wait_for(first, lambda lines: any(line["outcome"] == "changed" for line in lines[-3:]))
        path.write_text(old)
        if first.wait(timeout=300) == 0:
            raise Shortfall("a generation that is not there passed")
    w.back()


FAULTS: tuple[Callable[[World], None], ...] = (
    apply_fails,
    unreachable_before,
    unreachable_within_the_budget_and_back_later,
    unreachable_during,
    never_to_an_aborted_version,
    two_controllers,
    paused_while_it_soaks,
    sick_after_the_change,
    denials_that_begin_late,
    telemetry_missing,
    report_sink_down,
    same_digest_again,
    limit,
    host_gone_from_the_inventory,
    reinstalled_under_the_same_name,
    torn_journal,
    tampered_journal,
    tampered_plan,
    another_policy_than_planned,
    earlier_run_half_finished,
    sliced_job,
    changed_during_the_soak,
)


def main() -> None:
    shortfalls: list[str] = []
    chosen = [fault for fault in FAULTS if ONLY in ("", fault.__name__)]
    for fault in chosen:
        with tempfile.TemporaryDirectory() as work:
            fleet = fleets.Fleet(Path(work) / "fleet", HOSTS)
            try:
                if fleet.play("rollout").returncode:
                    raise Shortfall("the first rollout failed")
                world = World(fleet)
                world.new()
                fault(world)
            except (Shortfall, subprocess.TimeoutExpired) as problem:
                shortfalls.append(f"{fault.__name__}: {problem}")
        print(
            f"{fault.__name__}: {'ok' if not any(s.startswith(fault.__name__) for s in shortfalls) else 'SHORT'}",
            flush=True,
        )
    exam.end("rollout-faults", {"faults": len(chosen), "survived": len(chosen) - len(shortfalls)}, shortfalls)


if __name__ == "__main__":
    main()
