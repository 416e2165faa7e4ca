# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: bad policies are stopped at pilot or canary, and none of them reaches more than a tenth of the hosts.

BAD=40 policies of SEED=1 in seven kinds, one rollout each, on the hosts of BULKHEAD_LAB_INVENTORY (nginx, real
policies) or on HOSTS=30 hosts that are files. Each has to end in an abort with every host as it was before. Beside them
GOOD=200 rollouts whose hosts are simulated and break nothing. ONLY="kind, kind" runs the bad policies of some kinds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exam
import fleet as fleets
from bad_policies_kinds import GRANTED, LATE, PAGE, SUITES, Bad, made
from good_rollouts import verdicts

BAD, GOOD = int(os.environ.get("BAD", "40")), int(os.environ.get("GOOD", "200"))
HOSTS, SEED = int(os.environ.get("HOSTS", "30")), int(os.environ.get("SEED", "1"))
ONLY = [kind.strip() for kind in os.environ.get("ONLY", "").split(",") if kind.strip()]
MISSED, FALSE, SHARE = 1, 1, 0.1
# A page that is served from elsewhere; what was there comes back at the end.
CALM = "kill $(cat /run/exam-crash.pid) 2>/dev/null; rm -f /run/exam-crash*;"
PREPARE = (
    f"{CALM} systemctl reset-failed nginx; systemctl start nginx;"
    " [ -e {page}.exam ] || [ -L {page} ] || mv {page} {page}.exam 2>/dev/null;"
    " for f in {places} {late}; do mkdir -p $f; echo ok >$f/index.html; chmod -R a+rX $f; done;"
    " ln -sfn {place}/index.html {page}"
)
CLEAN = f"{CALM} rm -rf {{page}} {{places}} {{late}}; mv {{page}}.exam {{page}} 2>/dev/null; true"


class Exam:
    def __init__(self, fleet: fleets.Fleet) -> None:
        self.fleet, self.number = fleet, 1
        self.shortfalls: list[str] = []
        self.stopped = {"pilot": 0, "canary": 0}
        self.tried, self.most, self.wide, self.left = 0, 0, 0, 0

    # --- hosts ---

    def everywhere(self, command: str) -> None:
        def of(name: str) -> str:
            suite = SUITES[self.fleet.hosts[name]["bulkhead_lab_suite"]]
            return command.format(page=PAGE, places=" ".join(SUITES.values()), late=LATE, place=suite)

        if self.fleet.real and command:
            self.fleet.at_once(of)

    def begin(self) -> None:
        """A version that breaks nothing, on every host."""
        self.everywhere(PREPARE)
        self.fleet.version(1, **(GRANTED if self.fleet.real else {}))
        if (done := self.fleet.play("rollout")).returncode != 0:
            raise SystemExit(f"the good version was not taken: {done.stdout[-1500:]}")

    def prepare(self, bad: Bad) -> None:
        self.number += 1
        self.fleet.policy = bad.policy if self.fleet.real else "nginx"
        if not self.fleet.real:
            self.fleet.version(self.number)
            (self.fleet.work / "bad.json").write_text(json.dumps({f"1.{self.number}.0": bad.behaviour}))
        elif bad.text:
            (self.fleet.work / f"policies/{bad.policy}.yml").write_text(bad.text)
        else:
            self.fleet.version(self.number, **GRANTED, **bad.edits)
            self.everywhere(f"{PREPARE}; {bad.world}")

    # --- trials ---

    def one(self, bad: Bad) -> None:
        self.prepare(bad)
        self.tried += 1
        before = self.fleet.holds()
        began = time.monotonic()
        status = self.rollout(bad)
        lines = self.fleet.journal()
        aborts = [line for line in lines if (line["phase"], line["outcome"]) == ("gate", "abort")]
        wave, why = (aborts[0]["wave"], aborts[0]["detail"]) if aborts else ("", "")
        touched = {
            line["host"]
            for line in lines
            if line["phase"] == "apply" and line["outcome"] not in ("unchanged", "refused")
        }
        left = sorted(host for host, held in self.fleet.holds().items() if held != before[host])
        what = f"{bad.kind} ({bad.what})"
        print(
            f"{self.tried}: {what}: stopped at {wave or 'no wave'}, {len(touched)} hosts,"
            f" {time.monotonic() - began:.0f} s. {why[:200]}",
            flush=True,
        )
        self.most = max(self.most, len(touched))
        if wave in self.stopped:
            self.stopped[wave] += 1
        else:
            last = lines[-1]["detail"] if lines else ""
            self.shortfalls.append(f"{what}: stopped at {wave or 'no wave'}, status {status} {last}")
        if len(touched) > SHARE * len(before):
            self.wide += 1
            self.shortfalls.append(f"{what}: reached {len(touched)} of {len(before)} hosts")
        if left or status == 0:
            self.left += len(left)
            ends = {line["host"]: line["detail"] for line in lines if line["phase"] == "rollback"}
            why_not = "; ".join(f"{host}: {ends.get(host, 'did not go back')}" for host in left)
            self.shortfalls.append(f"{what}: status {status}, not as before: {why_not}")

    def rollout(self, bad: Bad) -> int:
        """The status of a rollout with ``bad``; where it has one, the flip comes while the pilot soaks."""
        place = self.fleet.inventory if self.fleet.real else self.fleet.work
        gate = [sys.executable, str(Path(__file__).with_name("memory_gate.py")), str(place)]
        told: dict[str, Any] = {
            "rollout_soak": bad.soak,
            "rollout_poll": 1,
            "rollout_confirm_within": 20,
            # In containers nobody may read what the kernel refused.
            "rollout_denials": not self.fleet.real or self.kind == "qemu",
        }
        if bad.policy == "nginx":
            told["rollout_gates"] = [{"command": gate, "within": 90}]
        with self.fleet.playing("rollout", "-e", json.dumps(told)) as process:
            if bad.flip and self.fleet.real:
                flip = Thread(target=self.flip, args=(process, bad.flip), daemon=True)
                flip.start()
            return process.wait(timeout=1800)

    @property
    def kind(self) -> str:
        return str(next(iter(self.fleet.hosts.values())).get("bulkhead_lab_kind", ""))

    def flip(self, process: subprocess.Popen[bytes], command: str) -> None:
        if self.fleet.wait_for(process, lambda lines: any(line["phase"] == "poll" for line in lines)):
            self.everywhere(command)

    def end(self) -> None:
        self.everywhere(CLEAN)
        for policy in ("sshd", "nginx"):
            self.fleet.policy = policy
            self.fleet.release()


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        fleet = fleets.Fleet(Path(work) / "fleet", HOSTS, fleets.inventory())
        (Path(work) / "fleet/bad.json").write_text("{}")
        one = Exam(fleet)
        chosen = [bad for bad in made(BAD, SEED) if not ONLY or bad.kind in ONLY]
        random.Random(SEED).shuffle(chosen)
        try:
            if chosen:
                one.begin()
            for bad in chosen:
                one.one(bad)
        finally:
            one.end()
    ends = verdicts(GOOD, HOSTS, SEED)
    stopped = sum(one.stopped.values())
    # One that got further is forgiven, as long as no host keeps it and no more than a tenth had it.
    short = one.shortfalls if len(chosen) - stopped > MISSED or one.wide or one.left else []
    if ends["abort"] > FALSE:
        short = [*short, f"{ends['abort']} of {GOOD} good rollouts were aborted"]
    figures = {
        "hosts": len(fleet.hosts),
        "real": fleet.real,
        "bad": len(chosen),
        **{f"stopped_at_{wave}": number for wave, number in one.stopped.items()},
        "most_hosts": one.most,
        "not_back": one.left,
        "good": GOOD,
        "false_aborts": ends["abort"],
        "paused": GOOD - ends["pass"] - ends["abort"],
    }
    exam.end("bad-policies", figures, short)


if __name__ == "__main__":
    main()
