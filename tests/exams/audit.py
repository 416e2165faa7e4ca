# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit mode on real hosts: nothing is blocked, what can be recorded is, and the verdict names what cannot.

The acts are those of the exam of denials. The application tries them without any policy first, then with the policy in
audit mode: every act must end as it did before. Then each act must have its record, where the clause's verdict names
something that records; where it names nothing, it must say so.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import denials
import denials_acts as table
import exam
from lab_host import at_once, of_each_suite

LEAST = 100
DOCUMENT = {**table.DOCUMENT, "mode": "audit"}


def of_system_service(text: str) -> set[str]:
    """System calls of @system-service, by ``systemd-analyze syscall-filter`` (sets name other sets)."""
    sets: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
        elif name and line[:1].isspace() and word and not word.startswith("#"):
            sets.setdefault(name, []).append(word)
    found: set[str] = set()
    open_ = ["@system-service"]
    while open_:
        for word in sets.pop(open_.pop(), []):
            if word.startswith("@"):
                open_.append(word)
            else:
                found.add(word)
    return found


def recorder(act: table.Act, verdict: dict[str, Any], ordinary: set[str]) -> bool:
    """Whether something of the verdict records this act: by systemd.exec(5), apparmor.d(5) and nft(8)."""
    mechanisms = " ".join(name for name in verdict["mechanisms"] if "none" not in name.split())
    if act.source == "seccomp":
        return "SystemCallLog" in mechanisms and act.id.removeprefix("call ") not in ordinary
    return ("apparmor" if act.source == "apparmor" else "nftables") in mechanisms


def judge(
    name: str,
    acts: list[table.Act],
    verdicts: dict[str, Any],
    rows: list[dict[str, Any]],
    ordinary: set[str],
    found: denials.Findings,
) -> None:
    by_words = {row["act"]: row for row in sorted(rows, key=lambda row: not row["enforced"])}
    for act in (act for act in acts if act.clause):
        verdict, row = verdicts[act.clause], by_words.get(act.words)
        if recorder(act, verdict, ordinary):
            good = row is not None and row["clause"] == act.clause and not row["enforced"]
            found.check(good, "recorded", f"{name}: {act.id}: {row or 'no record'}, not {act.clause}")
        else:
            good = verdict["status"] == "partial" and "audit" in verdict["detail"]
            text = f"{name}: {act.id} leaves no record and the verdict of {act.clause} does not say so: {verdict}"
            found.check(good, "named", text)


def examine(name: str, folder: Path) -> denials.Findings:
    found = denials.Findings()
    with denials.at_work(name, folder, found) as bench:
        uid, gid, release = bench.prepare()
        acts = table.acts(uid, gid, True, release)
        ordinary = of_system_service(bench.shell("systemd-analyze syscall-filter --no-pager"))
        bench.shell(f"systemctl start {table.UNIT}")
        free = bench.force(acts)
        bench.say(f"{len(acts)} acts without a policy")
        bench.host.run(module="denials_record")
        verdicts = bench.apply(DOCUMENT)["verdicts"]
        before = bench.denials()
        watched = bench.force(acts)
        for act in acts:
            found.check(
                watched.get(act.id) == free.get(act.id),
                "unhindered",
                f"{name}: {act.id} is {watched.get(act.id)}, and was {free.get(act.id)} without a policy",
            )
        rows = bench.denials(before["cursor"])["denials"]
        judge(name, acts, verdicts, rows, ordinary, found)
        bench.say(f"{found.count['unhindered right']} unhindered, {found.count['recorded right']} recorded")
    return found


def main() -> None:
    began = time.monotonic()
    chosen = of_each_suite("qemu")
    with tempfile.TemporaryDirectory() as folder:
        results = list(at_once(chosen, folder, examine).values())
    faults = [fault for one in results for fault in (*one.broken, *one.faults)]
    faults += [f"no host of {suite} in the lab" for suite in sorted({"bookworm", "trixie"} - set(chosen))]
    count = {
        kind: [sum(one.count[key] for one in results) for key in (f"{kind} right", kind)]
        for kind in ("unhindered", "recorded", "named")
    }
    if count["unhindered"][1] < LEAST * len(chosen):
        faults.append(f"only {count['unhindered'][1]} acts were tried")
    figures = {
        "hosts": len(results),
        **count,
        "faults": len(faults),
        "seconds": round(time.monotonic() - began),
    }
    exam.end("audit", figures, faults)


if __name__ == "__main__":
    main()
