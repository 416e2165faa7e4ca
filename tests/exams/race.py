# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A confirmation that comes at the deadline, give or take 50 ms. Never both outcomes, and what is told is what is.

WALKS=10000 random walks over the state machine with a confirmation under way, and RACES=200 over ssh: the module's own
program waits on the host for the moment and then confirms; the host's files tell what became of it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import exam
from lab_host import LabHost, at_once_on, every

exam.sys.path.append(str(exam.ROOT / "tests/unit/plugins/module_utils"))
WALKS, RACES = int(os.environ.get("WALKS", "10000")), int(os.environ.get("RACES", "200"))
SEED, WINDOW, AROUND = int(os.environ.get("SEED", "1")), 3, 0.05
KIND = os.environ.get("BULKHEAD_LAB_KIND", "")
STATE = "/var/lib/bulkhead/nginx"
OTHER = ("max_open: 4096", "max_open: 4000")
UNTIL = "import time\nwhile time.clock_gettime(time.CLOCK_BOOTTIME) < {moment}:\n    time.sleep(0.001)\n"


def near_the_deadline(world: Any, moves: list[Any]) -> list[Any]:
    """While it is applied time stands still: the race is about what is pending."""
    armed = world.record is not None and world.record.phase == "armed"
    return [move for move in moves if move[0] != "time" or not armed]


def walks() -> tuple[Counter[str], list[str]]:
    """How each walk ended: the confirmation comes when the time is nearly over, is over, or the guard is at work."""
    import change_model

    ends: Counter[str] = Counter()
    for number in range(WALKS):
        random.seed(f"{SEED}-{number}")
        world = change_model.World(waiting=(1,))
        try:
            while moves := list(change_model.moves(world, kills=int(random.random() < 0.02), reboots=0)):
                _name, world = random.choice(near_the_deadline(world, moves))
                change_model.check(world)
        except change_model.Broken as problem:
            return ends, [f"walk {number}: {problem}"]
        told = "+".join(answer for _nonce, answer in world.told) or "nothing"
        ends["+".join(what for _nonce, what in world.outcomes) + ", told " + told] += 1
    return ends, []


class Race:
    """Races on one host. What the module is sent is what the action plugin sends, without a playbook around it."""

    def __init__(self, host: LabHost) -> None:
        self.host, self.faults, self.ends = host, list[str](), Counter[str]()
        self.random = random.Random(f"{SEED}-{host.name}")

    def ask(self, operation: str, request: dict[str, Any], before: str = "") -> dict[str, Any]:
        from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.program import pack

        source = (exam.ROOT / "plugins/modules/on_host.py").read_text()
        given = json.dumps({"program": pack(operation, request)})
        text = before + source.replace("<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>", given)
        argv = [*self.host.ssh_words(), "python3", "-"]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=300, check=False)
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def begin(self) -> None:
        assert self.host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", (
            "somebody uses this host"
        )
        self.host.ssh("systemctl start nginx.service")
        self.bundles: list[dict[str, Any]] = []
        for name, changes in (("two", [OTHER]), ("one", [])):
            digest = self.host.run(policies_dirs=[str(self.host.policy(name, *changes))])[0]["digest"]
            self.bundles.append(json.loads(self.host.ssh(f"cat {STATE}/generations/{digest}/bundle.json")))

    def one(self, number: int) -> None:
        old = self.host.ssh(f"cat {STATE}/active")
        bundle = next(one for one in self.bundles if one["digest"] != old)
        answer = self.ask("apply", {"bundle": bundle, "confirm_within": WINDOW})
        if answer.get("state") != "pending":
            self.faults.append(
                f"{self.host.name}, race {number}: not pending but {answer.get('state')}: {answer.get('msg')}"
            )
            return
        deadline = int(self.host.ssh(f"grep -o '\"deadline\": [0-9]*' {STATE}/pending.json").split()[-1])
        moment = deadline + self.random.uniform(-AROUND, AROUND)
        told = self.ask(
            "confirm", {"policy": "nginx", "nonce": answer["nonce"]}, UNTIL.format(moment=moment)
        )["state"]
        quiet = f"ls {STATE}/pending.json {STATE}/reverting.json 2>/dev/null || true"
        if not self.host.until(lambda: self.host.ssh(quiet) == "", 60):
            self.faults.append(f"{self.host.name}, race {number}: still under way after 60 s")
            return
        active = self.host.ssh(f"cat {STATE}/active")
        events = {entry["event"] for entry in self.host.receipts() if entry.get("nonce") == answer["nonce"]}
        ended = sorted(events & {"CONFIRMED", "REVERTED", "REVERT_FAILED", "ABANDONED"})
        limit = self.host.ssh("grep -o 'LimitNOFILE=.*' /etc/systemd/system/nginx.service.d/zz-bulkhead.conf")
        wanted = (["CONFIRMED"], bundle["digest"]) if told == "CONFIRMED" else (["REVERTED"], old)
        number_of = "LimitNOFILE=4096" if active == self.bundles[1]["digest"] else "LimitNOFILE=4000"
        if (ended, active) != wanted or limit != number_of or told not in ("CONFIRMED", "TOO_LATE"):
            self.faults.append(
                f"{self.host.name}, race {number}: told {told}, receipts say {ended}, active {active[:12]}, {limit}"
            )
        self.ends[told] += 1

    def end(self) -> None:
        self.host.run(state="absent", epoch=2**31)


def work(name: str, folder: Path, share: int) -> Race:
    race = Race(LabHost(name, folder, show=lambda _text: None))
    try:
        race.begin()
        for number in range(share):
            race.one(number)
    except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as problem:
        race.faults.append(f"{name}: {problem!r}"[:600])
    race.end()
    return race


def main() -> None:
    began = time.monotonic()
    ends, short = walks()
    figures: dict[str, object] = {"walks": sum(ends.values()), "walks ended": dict(sorted(ends.items()))}
    hosts = every(KIND) if RACES else []
    if RACES and not hosts:
        short.append("no lab is up (make lab-up)")
    elif RACES:
        share = -(-RACES // len(hosts))
        found = at_once_on(hosts, lambda name, folder: work(name, folder, share))
        told = sum((race.ends for race in found), Counter())
        figures |= {"hosts": len(hosts), "races": dict(sorted(told.items()))}
        short += [fault for race in found for fault in race.faults]
        if told.total() < RACES:
            short.append(f"{told.total()} races of {RACES}")
    exam.end("race", {**figures, "seconds": round(time.monotonic() - began)}, short)


if __name__ == "__main__":
    main()
