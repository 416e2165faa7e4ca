# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: every fault that a rollout has to survive, each injected, the end state read from the hosts' files.

On hosts that are files (see the connection that makes them up), or on the lab's (BULKHEAD_LAB_INVENTORY), where the
faults are made on the hosts and on the wire to them: four, the last one of another system, as with HOSTS=4
SUITES=bookworm,bookworm,bookworm,trixie. Faults inside of a host (power cuts, full disks, a guard that is
killed, clocks that jump) are tried by exams of their own: LIST says by which one. ONLY="name name" runs some of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exam
import fleet as fleets
import rollout_faults_hosts as hosts
import rollout_faults_records as records
import rollout_faults_runs as runs
from fleet_lab import LabFleet
from rollout_world import Shortfall, World

HOSTS = int(os.environ.get("HOSTS", "4"))
ONLY = os.environ.get("ONLY", "").split()
LAB = fleets.inventory()
# What lab hosts do not let us make up: denials in number. There are exams of these. And the kernel ring of a machine
# cannot be made unreadable; containers have none.
NOT_ON_LAB = {"denials_that_begin_late"}
Fault = Callable[[World], None]
FAULTS: dict[str, Fault] = {fault.__name__: fault for fault in (*hosts.FAULTS, *records.FAULTS, *runs.FAULTS)}
# Each fault that a rollout has to survive, and where it is tried: here by name, or in the exam of that file.
LIST: dict[str, tuple[str, ...]] = {
    "apply fails on one host": ("apply_fails",),
    "host unreachable before": ("unreachable_before",),
    "host unreachable during": ("unreachable_during",),
    "host unreachable after": ("unreachable_after",),
    "policy breaks sshd": ("lockout.py",),
    "controller killed at every journaled step": ("controller_kill.py",),
    "controller killed for good": (
        "killed_for_good_between_apply_and_confirm",
        "killed_for_good_while_it_soaks",
        "kill.py",
    ),
    "two controllers": ("two_controllers", "controller_that_was_thought_dead"),
    "power cut at every state": ("powercut.py",),
    "reboot in the confirm window": ("powercut.py",),
    "disk full": ("faults.py",),
    "torn journal line": ("torn_journal",),
    "truncated pending file": ("faults.py",),
    "guard killed": ("kill.py", "faults.py"),
    "confirm at the deadline": ("race.py",),
    "stale marker": ("faults.py",),
    "clock jump of a day": ("faults.py",),
    "telemetry missing": ("telemetry_missing", "denials_unreadable"),
    "telemetry stale": ("telemetry_stale",),
    "denials that begin late": ("denials_that_begin_late",),
    "crash loop that looks active": ("sick_after_the_change", "crash_loop_that_looks_active"),
    "rollback failing on one of N": (
        "rollback_fails_on_one",
        "host_gone_from_the_inventory",
        "host_gone_while_it_waits",
    ),
    "drift during soak": ("drift_during_the_soak", "changed_during_the_soak"),
    "host reinstalled under the same name": (
        "reinstalled_under_the_same_name",
        "reinstalled_during_the_rollout",
    ),
    "--limit": ("limit", "sliced_job", "run_in_part"),
    "offline host returns": (
        "unreachable_within_the_budget_and_back_later",
        "back_while_a_later_rollout_is_paused",
        "never_to_an_aborted_version",
        "ledger_lost_while_a_host_is_away",
    ),
    "slow host": ("slow_host",),
    "same digest again": ("same_digest_again",),
    "several rollouts taken back in turn": ("taken_back_one_after_the_other",),
    "half-finished earlier run of the same version": ("earlier_run_half_finished",),
    "tampered policy": (
        "another_policy_than_planned",
        "policy_edited_while_it_runs",
        "rebuilt_and_resumed_with_another_policy",
        "approval.py",
    ),
    "tampered journal": ("tampered_journal", "tampered_plan"),
    "tampered receipt": ("tampered_receipts", "bitflips.py"),
    "author approving himself": ("author_approving_himself", "approval.py"),
    "abort while a gate runs": ("abort_while_a_gate_runs", "paused_while_it_soaks"),
    "report sink down": ("report_sink_down", "report_sink_hangs"),
}


def unlisted() -> list[str]:
    """What the list names and nobody tries, and what is tried and in no list."""
    there = {path.name for path in Path(__file__).parent.glob("*.py")}
    named = {name for names in LIST.values() for name in names}
    return [f"nobody tries {name}" for name in sorted(named - there - set(FAULTS))] + [
        f"{name} is in no list" for name in sorted(set(FAULTS) - named)
    ]


def tried(fault: Fault) -> str:
    """What fell short, on a fleet of its own, or nothing."""
    with tempfile.TemporaryDirectory() as work:
        place = Path(work) / "fleet"
        fleet = LabFleet(place, HOSTS, LAB) if LAB else fleets.Fleet(place, HOSTS)
        try:
            if (first := fleet.play("rollout")).returncode:
                raise Shortfall(f"the first rollout failed: {first.stdout[-500:]}")
            world = World(fleet)
            world.new()
            fault(world)
        except (Shortfall, subprocess.SubprocessError, OSError, LookupError) as problem:
            return str(problem) or repr(problem)
        finally:
            fleet.release()
    return ""


def main() -> None:
    shortfalls, bad = unlisted() + [f"there is no fault {name}" for name in ONLY if name not in FAULTS], 0
    chosen = [name for name in FAULTS if (not ONLY or name in ONLY) and not (LAB and name in NOT_ON_LAB)]
    for name in chosen:
        began = time.monotonic()
        problem = tried(FAULTS[name])
        if problem:
            bad += 1
            shortfalls.append(f"{name}: {problem}")
        said = f"SHORT: {' '.join(problem.split())[-300:]}" if problem else "ok"
        print(f"{name}: {said}, {time.monotonic() - began:.0f} s", flush=True)
    figures = {"faults": len(chosen), "survived": len(chosen) - bad, "listed": len(LIST), "real": bool(LAB)}
    exam.end("rollout-faults", figures, shortfalls)


if __name__ == "__main__":
    main()
