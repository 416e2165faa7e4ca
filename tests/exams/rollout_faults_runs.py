# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of runs and of people: two controllers, one that is dead, limits, aborts at the wrong time, the same again."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from rollout_world import PAUSED, Shortfall

if TYPE_CHECKING:
    from rollout_world import World


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
    with w.soaking() as first:
        w.says(w.play("rollout", ok=False), "is being changed by a rollout to")
        w.play("abort", "-e", "reason=exam", ok=True)
        w.ends(first, ok=False)
    w.back()


def controller_that_was_thought_dead(w: World) -> None:
    """It was killed, its rollout was taken back; a task that it left over reaches a host with the epoch of then."""
    w.play("rollout", *PAUSED, ok=False)
    epoch = w.fleet.journal()[-1]["epoch"]
    w.play("rollback", ok=True)
    w.back()
    traces = w.fleet.traces()
    said = w.fleet.task(w.first, f"policy=nginx epoch={epoch} rollout=stray")
    w.says(said, f"epoch {epoch} is refused")
    w.same(traces, "a controller of yesterday changed something")


def paused_while_it_soaks(w: World) -> None:
    with w.soaking() as first:
        w.play("pause", "-e", "reason=exam", ok=True)
        w.ends(first, ok=False)
    w.only(w.first)
    w.play("rollback", ok=True)
    w.back()


def abort_while_a_gate_runs(w: World) -> None:
    """At the last wave's gate, which has asked already whether anybody wants to stop, and passes."""
    begun, script = w.fleet.work / "begun", w.fleet.work / "gate.sh"
    last = f"wave {2 if len(w.fleet.names) > 3 else 1}"
    script.write_text(f'case "$BULKHEAD_WAVE" in "{last}") touch {begun}; sleep 30;; esac\n')
    gates = json.dumps({"rollout_gates": [{"command": ["/bin/sh", str(script)], "within": 60}]})
    with w.fleet.playing("rollout", "-e", gates) as first:
        if not w.fleet.wait_for(first, lambda _lines: begun.exists()):
            raise Shortfall("the last gate was not asked")
        w.play("abort", "-e", "reason=exam", ok=True)
        w.ends(first, ok=False)
    w.back()


def same_digest_again(w: World) -> None:
    w.play("rollout", ok=True)
    traces = w.fleet.traces()
    w.play("rollout", ok=True)
    w.same(traces, "the second rollout changed something")


def taken_back_one_after_the_other(w: World) -> None:
    """The later one first; what it left is no origin of the first one, which came to unconfined hosts."""
    w.play("rollout", ok=True)
    w.says(
        w.play("rollback", "-e", "rollout=nginx-e0001", ok=False), "which came later: take that back first"
    )
    w.play("rollback", ok=True)
    w.back()
    w.play("rollback", "-e", "rollout=nginx-e0001", ok=True)
    left = {host: held for host, held in w.fleet.holds().items() if held != ("", False)}
    if left:
        raise Shortfall(f"not unconfined: {left}")


def limit(w: World) -> None:
    w.says(w.play("rollout", "--limit", w.last, ok=False), "cannot be limited with --limit")
    w.back()
    w.play("rollout", ok=True)
    held = w.fleet.holds()
    w.says(w.play("rollback", "--limit", w.last, ok=False), "and nothing was rolled back")
    if w.fleet.holds() != held:
        raise Shortfall("a limited rollback changed something")


def run_in_part(w: World) -> None:
    """What tags leave out, or a start in the middle, is no rollout that ended well, and no rollback."""
    w.play("rollout", ok=True)
    held = w.fleet.holds()
    w.new()
    for name in ("rollout", "rollback", "resume", "status"):
        w.says(w.play(name, "--tags", "nobody", ok=False), "cannot be run in part")
    w.says(w.play("rollback", "--skip-tags", "untagged", ok=False), "cannot be run in part")
    begun = w.play("rollout", "--start-at-task", "Open the rollout that goes back", ok=False)
    w.says(begun, "This run has planned nothing")
    if w.fleet.holds() != held:
        raise Shortfall("a run in part changed something")
    w.play("rollout", "--skip-tags", "nobody", ok=True)
    w.updated()


def earlier_run_half_finished(w: World) -> None:
    with w.soaking():
        pass
    # It was killed for good; a new one of the same version finds what it left.
    w.play("rollout", ok=True)
    w.updated()


def killed_for_good_between_apply_and_confirm(w: World) -> None:
    """Nobody comes back: the host whose change was never confirmed returns by itself."""
    w.fleet.fault(w.first, "mute")
    with w.fleet.playing("rollout", "-e", "rollout_confirm_within=20") as first:
        if not w.fleet.wait_for(first, lambda _lines: w.fleet.holds()[w.first][1], seconds=120):
            raise Shortfall("no change was pending")
    if not w.fleet.until(lambda: w.fleet.holds() == w.before, seconds=40):
        raise Shortfall(f"not as before: {w.fleet.holds()}")


def killed_for_good_while_it_soaks(w: World) -> None:
    """With a lease no host keeps what nobody has judged; resumed, each one keeps it for good."""
    lease = json.dumps({"rollout_poll": 2, "rollout_lease": 60})
    with w.soaking("-e", lease, seconds=20):
        if not w.fleet.until(lambda: any(line["phase"] == "poll" for line in w.fleet.journal()), seconds=120):
            raise Shortfall("nobody looked at the pilot")
    if not w.fleet.holds()[w.first][1]:
        raise Shortfall("the pilot has no lease")
    if not w.fleet.until(lambda: w.fleet.holds() == w.before, seconds=70):
        raise Shortfall(f"not as before: {w.fleet.holds()}")
    w.play("resume", ok=True)
    # Nothing is pending any more: what waits no longer cannot lapse.
    w.updated()


def sliced_job(w: World) -> None:
    w.says(w.play("rollout", "-e", "awx_job_slice_count=2", ok=False), "a rollout cannot be sliced")
    w.back()


def author_approving_himself(w: World) -> None:
    """He signs well, and who asked for the rollout is not who may agree to it."""
    work = w.fleet.work
    for name in ("alice", "bob"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(work / name)]
        subprocess.run(words, check=True, timeout=60)
    signers = [f"{name} {(work / f'{name}.pub').read_text()}" for name in ("alice", "bob")]
    (work / "signers").write_text("".join(signers))
    rules = {"approvals": 1, "allowed_signers": "signers", "approvers": ["alice", "bob"]}
    (work / "approvers.yml").write_text(json.dumps(rules))
    told = ("-e", json.dumps({"rollout_approvers": str(work / "approvers.yml"), "rollout_author": "alice"}))

    def approve(name: str) -> subprocess.CompletedProcess[str]:
        return w.fleet.play("approve", "-e", f"approve_as={name}", "-e", f"approve_key={work / name}", *told)

    w.play("rollout", *told, ok=False)
    if approve("alice").returncode == 0:
        raise Shortfall("the author agreed to his own rollout")
    w.play("resume", *told, ok=False)
    w.back()
    if (done := approve("bob")).returncode != 0:
        raise Shortfall(f"nobody can agree: {done.stdout[-300:]}")
    w.play("resume", *told, ok=True)
    w.updated()


FAULTS = (
    never_to_an_aborted_version, two_controllers, controller_that_was_thought_dead, paused_while_it_soaks,
    abort_while_a_gate_runs, same_digest_again, taken_back_one_after_the_other, limit, run_in_part,
    earlier_run_half_finished,
    killed_for_good_between_apply_and_confirm, killed_for_good_while_it_soaks, sliced_job, author_approving_himself,
)  # fmt: skip
