# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: no approval that is forged, replayed, expired or self-made lets a wave begin; good ones do.

Real keys and signatures of ssh-keygen; what is asked is the action that stands before each wave.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exam
from ansible.playbook.play_context import PlayContext  # noqa: E402
from ansible.playbook.task import Task  # noqa: E402
from ansible.plugins.loader import connection_loader  # noqa: E402

from ansible_collections.bulkhead.fleet.plugins.action.rollout_state import ActionModule  # noqa: E402
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (  # noqa: E402
    approval,
    journal,
    plan,
    signatures,
    store,
)

BAD = int(os.environ.get("BAD", "100"))
SEED = int(os.environ.get("SEED", "1"))
PEOPLE = ("alice", "bob", "carol", "dave", "mallory")
RULES = """allowed_signers: allowed_signers
approvers: [alice, bob, carol, caroline]
authors: [carol]
approvals: 1
hours: 48
"""


class World:
    """Keys of five people and a folder of rollouts. carol is the author, dave no approver, nobody knows mallory."""

    def __init__(self, work: Path) -> None:
        self.work, self.place = work, store.Store(work / "rollouts")
        for name in PEOPLE:
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(work / name)]
            subprocess.run(argv, check=True)
        public = {name: " ".join((work / f"{name}.pub").read_text().split()[:2]) for name in PEOPLE}
        lines = [f"{name} {public[name]}" for name in PEOPLE if name != "mallory"]
        lines.append(f"caroline {public['carol']}")  # the author's own key under a second name
        (work / "allowed_signers").write_text("\n".join(lines) + "\n")
        (work / "approvers.yml").write_text(RULES)
        self.random = random.Random(SEED)

    def plan(self) -> plan.Plan:
        epoch = self.place.next_epoch("nginx")
        made = plan.make(
            rollout=store.rollout_id("nginx", epoch),
            epoch=epoch,
            policy="nginx",
            created=journal.now(),
            hosts=[plan.PlannedHost("h1", to_digest="d", policy="nginx")],
            options=plan.Options(approvals=1, approvers=str(self.work / "approvers.yml")),
            versions=[plan.Version("nginx", "1.0.0", "d", "carol")],
            author="carol",
        )
        self.place.write_plan(made)
        journal.append(self.place.journal(made.rollout), journal.Record("plan", "made", made.rollout, epoch))
        return made

    def put(self, made: plan.Plan, said: bytes, signature: bytes, name: str = "approval") -> None:
        folder = self.place.folder(made.rollout) / "approvals"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(said)
        (folder / f"{name}.sig").write_bytes(signature)

    def approve(self, made: plan.Plan, by: str, key: str = "", hours: float = 24, **more: Any) -> None:
        said = approval.statement(made, by, datetime.now(UTC) + timedelta(hours=hours))
        self.put(made, said, self.sign(said, key or by, more.get("namespace", signatures.APPROVAL)))

    def sign(self, said: bytes, key: str, namespace: str = signatures.APPROVAL) -> bytes:
        return signatures.sign(said, self.work / key, namespace)

    def verdict(self, made: plan.Plan) -> str:
        """What the action that stands before the wave says."""
        task = Task()
        task.args = {
            "rollout_dir": str(self.place.root),
            "rollout": made.rollout,
            "epoch": made.epoch,
            "host": "h1",
        }
        action = ActionModule(task, connection_loader.get("local", PlayContext()), None, None, None, None)
        return str(action.run(task_vars={})["verdict"])


def random_bytes(world: World, made: plan.Plan) -> None:
    said = approval.statement(made, "alice", datetime.now(UTC) + timedelta(hours=1))
    world.put(made, said, world.random.randbytes(200))


def flipped(world: World, made: plan.Plan) -> None:
    world.approve(made, "alice")
    path = world.place.folder(made.rollout) / "approvals/approval.sig"
    lines = path.read_text().splitlines()
    row = world.random.randrange(1, len(lines) - 2)  # the last letters of the last row may mean nothing
    column = world.random.randrange(len(lines[row]) - 1)
    old = lines[row][column]
    new = world.random.choice([c for c in "ABCDEFGHabcdefgh0123" if c != old])
    lines[row] = lines[row][:column] + new + lines[row][column + 1 :]
    path.write_text("\n".join(lines) + "\n")


def altered(world: World, made: plan.Plan) -> None:
    """Signed for one hour, then made to last for longer; or signed for another who may approve."""
    said = approval.statement(made, "alice", datetime.now(UTC) + timedelta(hours=1))
    later = approval.statement(
        made, "alice", datetime.now(UTC) + timedelta(hours=world.random.randrange(2, 40))
    )
    other = approval.statement(made, "bob", datetime.now(UTC) + timedelta(hours=1))
    world.put(made, world.random.choice([later, other]), world.sign(said, "alice"))


def replayed(world: World, made: plan.Plan) -> None:
    """A good approval of the plan before."""
    before = world.plan()
    world.approve(before, "alice")
    folder = world.place.folder(before.rollout) / "approvals"
    world.put(made, (folder / "approval").read_bytes(), (folder / "approval.sig").read_bytes())


def replayed_by_name(world: World, made: plan.Plan) -> None:
    """The statement of the plan before, with this rollout's name written into it."""
    before = world.plan()
    said = approval.statement(before, "alice", datetime.now(UTC) + timedelta(hours=1))
    forged = said.replace(before.rollout.encode(), made.rollout.encode())
    world.put(made, forged, world.sign(said, "alice"))


CASES: dict[str, Callable[[World, plan.Plan], None]] = {
    "forged: random bytes": random_bytes,
    "forged: one letter of the signature": flipped,
    "forged: altered after signing": altered,
    "forged: an unknown key": lambda w, p: w.approve(p, "alice", key="mallory"),
    "forged: an unknown name": lambda w, p: w.approve(p, "mallory"),
    "forged: another approver's key": lambda w, p: w.approve(p, "alice", key="bob"),
    "forged: signed for another purpose": lambda w, p: w.approve(p, "alice", namespace="file"),
    "forged: an option for a name": lambda w, p: w.approve(p, "-Overify-time=19700101", key="alice"),
    "forged: no approver": lambda w, p: w.approve(p, "dave"),
    "replayed": replayed,
    "replayed: renamed": replayed_by_name,
    "expired": lambda w, p: w.approve(p, "alice", hours=-w.random.random() - 0.001),
    "expired: good for too long": lambda w, p: w.approve(p, "alice", hours=49 + w.random.randrange(9999)),
    "self-made": lambda w, p: w.approve(p, "carol"),
    "self-made: a second name": lambda w, p: w.approve(p, "caroline", key="carol"),
    "self-made: for another": lambda w, p: w.approve(p, "alice", key="carol"),
}


def main() -> None:
    shortfalls: list[str] = []
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as work:
        world, accepted, good = World(Path(work)), 0, 0
        for number in range(BAD):
            name = list(CASES)[number % len(CASES)]
            kinds[name.partition(":")[0]] += 1
            made = world.plan()
            CASES[name](world, made)
            if world.verdict(made) != "pause":
                accepted += 1
                shortfalls.append(f"{name}: the wave may begin")
        for who in ("alice", "bob"):
            made = world.plan()
            if world.verdict(made) != "pause":
                shortfalls.append("a wave may begin without any approval")
            world.approve(made, who)
            good += world.verdict(made) == "pass"
        changed = made = world.plan()
        world.approve(made, "alice")
        path = world.place.folder(changed.rollout) / "plan.json"
        path.write_text(path.read_text().replace('"max_failed": 0', '"max_failed": 9'))
        if world.verdict(changed) == "pass":
            shortfalls.append("a plan that was changed after its approval may begin")
    if good != 2:
        shortfalls.append(f"{2 - good} of 2 good approvals were refused")
    exam.end(
        "approval", {"bad": BAD, **kinds, "accepted": accepted, "good": 2, "good_accepted": good}, shortfalls
    )


if __name__ == "__main__":
    main()
