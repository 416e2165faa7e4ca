# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: the controller is killed at every journaled step; resume or rollback leaves no host in between.

Before the first step that the journal of an undisturbed rollout has, and at each, a rollout is killed (KILL, TERM, INT
by turns; FULL=1: each of them) as soon as its journal is that long, and then resumed, or rolled back. The second resume
must change nothing on any host. An interrupted worker of Ansible can take the lock of its queue with it, and then
ansible-playbook waits for that one until it is interrupted once more, as people would: the figures count these.
At the end the ledger of REBUILD=60 hosts (of all lab hosts) is deleted and rebuilt
from their receipts, as it was.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exam
import fleet as fleets

HOSTS = int(os.environ.get("HOSTS", "4"))
FULL = bool(os.environ.get("FULL"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
REBUILD, REBUILD_WITHIN = int(os.environ.get("REBUILD", "60")), 30.0


class Exam:
    def __init__(self, fleet: fleets.Fleet) -> None:
        self.fleet, self.number = fleet, 1
        self.shortfalls: list[str] = []
        self.half, self.kills, self.resumed, self.back, self.twice = 0, 0, 0, 0, 0

    def new(self) -> None:
        self.number += 1
        self.fleet.version(self.number)

    def steps(self) -> list[int]:
        """Lengths that the journal has in an undisturbed rollout, by what reaches the disk together."""
        lengths: list[int] = []

        def ready(lines: list[dict[str, object]]) -> bool:
            if len(lines) > (lengths[-1] if lengths else 0):
                lengths.append(len(lines))
            return False

        self.new()
        with self.fleet.playing("rollout") as process:
            self.fleet.wait_for(process, ready)
            if process.wait() != 0:
                self.shortfalls.append("the undisturbed rollout failed")
        return lengths

    def kill(self, step: int, sent: signal.Signals, resume: bool) -> None:
        before = self.fleet.holds()
        self.new()

        def ready(lines: list[dict[str, object]]) -> bool:
            return len(lines) >= step

        with self.fleet.playing("rollout") as process:
            if not self.fleet.wait_for(process, ready):
                self.shortfalls.append(f"step {step}: it was through before anybody could kill it")
                return
            self.kills += 1
            ended = self.ends(process, sent, 30)
            if not ended and sent == signal.SIGINT:
                self.twice += 1
                ended = self.ends(process, sent, 30)
            if not ended:
                self.shortfalls.append(f"step {step}: {sent.name} did not end it")
        what = f"step {step}, {sent.name}, {'resume' if resume else 'rollback'}"
        print(what, flush=True)
        done = self.fleet.play("resume" if resume else "rollback")
        held = self.fleet.holds()
        pending = [host for host, (_active, waits) in held.items() if waits]
        if done.returncode != 0:
            self.shortfalls.append(f"{what}: status {done.returncode}: {done.stdout[-600:]}")
        if resume:
            self.resumed += 1
            same = [host for host in held if held[host][0] == before[host][0]]
            self.half += len(set(same) | set(pending))
            if same or pending:
                self.shortfalls.append(f"{what}: not updated: {same}, pending: {pending}")
            traces, lines = self.fleet.traces(), len(self.fleet.journal())
            again = self.fleet.play("resume")
            if again.returncode != 0 or self.fleet.traces() != traces or len(self.fleet.journal()) != lines:
                self.shortfalls.append(f"{what}: the second resume changed something")
        else:
            self.back += 1
            other = [host for host in held if held[host][0] != before[host][0]]
            self.half += len(set(other) | set(pending))
            if other or pending:
                self.shortfalls.append(f"{what}: not back: {other}, pending: {pending}")

    @staticmethod
    def ends(process: subprocess.Popen[bytes], sent: signal.Signals, seconds: float) -> bool:
        """Whether the signal ends it in time; an interrupt goes to all of its processes, as from a terminal."""
        os.killpg(process.pid, sent) if sent == signal.SIGINT else process.send_signal(sent)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def outcomes(self) -> dict[str, tuple[str, str, str]]:
        lines = [line for line in self.fleet.journal() if line["host"]]
        return {line["host"]: (line["outcome"], line["from"], line["to"]) for line in lines}

    def rebuild(self) -> tuple[float, int]:
        """(seconds, hosts whose state came out differently)."""
        self.new()
        self.fleet.play("rollout")
        last = self.outcomes()
        shutil.rmtree(self.fleet.rollouts)
        began = time.monotonic()
        done = self.fleet.play("rebuild")
        took = time.monotonic() - began
        found = self.outcomes()
        wrong = sum(found.get(host) != state for host, state in last.items())
        if done.returncode != 0 or wrong or took > REBUILD_WITHIN:
            self.shortfalls.append(
                f"rebuilt in {took:.1f} s with {wrong} hosts wrong, status {done.returncode}"
            )
        back = self.fleet.play("rollback")
        if back.returncode != 0 or any(held[0] == last[host][2] for host, held in self.fleet.holds().items()):
            self.shortfalls.append("the rebuilt rollout could not be rolled back")
        return took, wrong


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        fleet = fleets.Fleet(Path(work) / "fleet", HOSTS, fleets.inventory())
        try:
            fleet.play("rollout")
            one = Exam(fleet)
            steps = one.steps()
            for turn, step in enumerate([0, *steps]):  # 0: the plan is there, and the journal still empty
                for number, sent in enumerate(SIGNALS if FULL else [SIGNALS[turn % len(SIGNALS)]]):
                    one.kill(step, sent, resume=(turn + number) % 2 == 0)
            # Hosts that are files cost nothing: the ledger that is lost is that of a larger fleet.
            large = fleet if fleet.real else fleets.Fleet(Path(work) / "large", REBUILD)
            if not fleet.real:
                large.play("rollout")
            lost = Exam(large)
            lost.number = one.number
            took, wrong = lost.rebuild()
        finally:
            fleet.release()
    shortfalls = one.shortfalls + lost.shortfalls
    figures = {
        "hosts": HOSTS,
        "real": fleet.real,
        "steps": len(steps),
        "kills": one.kills,
        "resumed": one.resumed,
        "interrupted_twice": one.twice,
        "rolled_back": one.back,
        "half_updated": one.half,
        "rebuilt_hosts": len(large.hosts),
        "rebuild_seconds": round(took, 1),
        "rebuild_wrong": wrong,
    }
    exam.end("controller-kill", figures, shortfalls)


if __name__ == "__main__":
    main()
