# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants by pattern, asked of finished files: where one is enforced, mounts and profile say together what it says."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date

from hosts import Act, Linux
from linux_support import host, manifest, path

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.evaluate import Outcome, path_act

CLOSED = (
    m.ReadClosure("filesystem.read"),
    m.WriteClosure("filesystem.write"),
    m.ExecuteClosure("filesystem.execute"),
)
FOLDERS = ("/var/lib/app", "/srv/app", "/etc/app", "/srv/app/in")
PATTERNS = ("*.db", "a*", "*", "b?", "[a-c].d", "*/x")
NAMES = ("", "/a", "/a.db", "/b.db/deep", "/bc", "/c.d/y", "/q/x/z", "/other", "/in/a", "/in/q.db")
PLAIN = (m.Read, m.Write, m.Deny, m.Execute)


def policy(seed: int) -> list[m.PathClause]:
    """One or two grants by pattern, and up to three clauses of plain paths around them."""
    chance = random.Random(seed)
    made: dict[str, m.PathClause] = {}
    for _ in range(chance.randint(1, 2)):
        kind = chance.choice((m.Read, m.Write, m.Write))
        where = f"{chance.choice(FOLDERS)}/{chance.choice(PATTERNS)}"
        made[f"{kind.section}[glob {where}]"] = kind(f"{kind.section}[glob {where}]", path=path(where, True))
    for _ in range(chance.randint(0, 3)):
        kind = chance.choice(PLAIN)
        where = chance.choice(FOLDERS) + chance.choice(NAMES)
        made[f"{kind.section}[{where}]"] = kind(f"{kind.section}[{where}]", path=path(where))
    return list(made.values())


def test_a_pattern_that_is_enforced_opens_what_matches_and_nothing_else() -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for seed in range(400):
        clauses = policy(seed)
        bundle = compile_bundle(manifest(*CLOSED, *clauses), host(), date(2026, 11, 24))
        status = {verdict.clause: verdict.status for verdict in bundle.verdicts}
        patterns = {status[clause.id] for clause in clauses if clause.path.glob}
        counts.update(found.value for found in patterns)
        host_ = Linux([(one.kind, one.content.decode()) for one in bundle.artifacts])
        for folder in FOLDERS:
            for name in NAMES:
                for action in ("read", "write", "execute"):
                    said = path_act(clauses, action, folder + name, m.OS.LINUX)
                    open_ = host_.allows(Act(action, folder + name))
                    closure = status[f"filesystem.{action}"]
                    if (
                        said.outcome is Outcome.ALLOW
                        and not open_
                        and status.get(said.clause) is Status.ENFORCED
                    ):
                        wrong.append(
                            f"{seed}: {action} {folder}{name} is granted by {said.clause} and denied"
                        )
                    # What a denial of its own takes away has a verdict of its own.
                    holds = status.get(said.clause, closure) if said.clause else closure
                    if said.outcome is Outcome.DENY and open_ and {holds, closure} == {Status.ENFORCED}:
                        wrong.append(
                            f"{seed}: {action} {folder}{name} is open: {said.clause or 'nothing'} says no"
                        )
    assert not wrong, wrong[:8]
    assert counts["enforced"] > 100 and counts["refused"] > 20
