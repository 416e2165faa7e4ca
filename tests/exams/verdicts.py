# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Crippled hosts: for each kind, what the verdicts say against what an independent program can do inside of the units.

No clause that is called enforced may be got through; nearly none that holds may be called anything else.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import exam
from crippled.booting import LAB_DIR, boot, lab
from crippled.hosts import ExamHost
from crippled.judge import Findings, Said, judge
from crippled.kinds import KINDS, OPENED, TURNS, Kind
from crippled.table import PLACES, rows

ROWS = rows()
DROPINS = (
    "/usr/lib/systemd/system/{0}.service.d/10-vendor.conf",
    "/etc/systemd/system/{0}.service.d/50-admin.conf",
)
LEAST_KINDS = 10
began = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - began:5.0f} s] {text}", flush=True)


def opened(host: ExamHost, there: bool) -> None:
    """Drop-ins of a package and of an administrator that allow everything."""
    for path in (one.format(unit) for unit in PLACES for one in DROPINS):
        folder = Path(path).parent
        text = (
            f"mkdir -p {folder} && cat >{path}"
            if there
            else f"rm -f {path}; rmdir {folder} 2>/dev/null || true"
        )
        host.command(text, OPENED.encode() if there else b"")


def refused(host: ExamHost, kind: Kind) -> dict[str, list[str]]:
    """{policy: clauses that this host cannot enforce}, as check mode says."""
    checked = host.sandbox(host.policies({}), check=True, variables=kind.variables)
    return {
        policy: [name for name, claim in answer.get("verdicts", {}).items() if claim["status"] == "refused"]
        for policy, answer in checked.items()
    }


def refusing(host: ExamHost, kind: Kind, waived: dict[str, list[str]], found: Findings) -> None:
    """Such a host has to say why, in check mode and without, and to stay as it is."""
    before = host.marks()
    for check in (True, False):
        answers = host.sandbox(host.policies(waived), check=check, variables=kind.variables)
        for policy, answer in answers.items():
            found.count["clauses"] += 1
            message = str(answer.get("msg", ""))
            if (
                not answer.get("failed")
                or not re.search(kind.refuses, message)
                or answer.get("state") != "refused"
            ):
                found.fault("not_refused", f"{kind.name} {policy}: {answer.get('state')}: {message[:300]}")
    found.table[kind.name] = Counter(refused=2 * len(PLACES))
    if host.marks() != before:
        changed = sorted(set(host.marks()) ^ set(before))[:6]
        found.fault("not_refused", f"{kind.name}: refused, but changed {changed}")


def examine(host: ExamHost, kind: Kind, free: dict[str, Said], found: Findings, alive: bool) -> None:
    """Ask in check mode, waive what is refused, apply, try everything; ``alive``: also how units live and die."""
    waived = refused(host, kind)
    folder = host.policies(waived)
    applied = host.sandbox(folder, variables=kind.variables)
    for policy, answer in applied.items():
        if answer.get("state") != "confirmed":
            found.fault(
                "not_applied", f"{kind.name} {policy}: {answer.get('state')}: {str(answer.get('msg'))[:800]}"
            )
    say(f"{host.name} {kind.name}: applied, {sum(map(len, waived.values()))} clauses waived")
    bound = host.try_all(kind.name, life_seconds=25 if alive else 0)
    total: Counter[str] = Counter()
    for policy, answer in applied.items():
        claims: dict[str, dict[str, Any]] = answer.get("verdicts", {})
        total.update(claim["status"] for claim in claims.values())
        mine = [row for row in ROWS if row.policy == policy]
        if answer.get("state") == "confirmed":
            judge(f"{kind.name} {policy}", claims, mine, free[policy], bound[policy], found)
    found.table[kind.name] = total
    removed = host.sandbox(folder, state="absent", variables=kind.variables)
    for policy, answer in removed.items():
        if answer.get("state") != "absent" and answer.get("changed"):
            found.fault("not_removed", f"{kind.name} {policy}: {answer.get('msg')}")


def one_kind(host: ExamHost, kind: Kind, free: dict[str, Said], found: Findings, alive: bool) -> None:
    faults = len(found.faults)
    try:
        # No clause may be the reason why a host refuses all: what it cannot do by itself is waived beforehand.
        waived = refused(host, replace(kind, variables={})) if kind.refuses else {}
        if kind.opened:
            opened(host, True)
        if kind.cripple:
            host.command(kind.cripple)
        if kind.refuses:
            refusing(host, kind, waived, found)
        else:
            host.command(
                "systemctl daemon-reload; systemctl restart " + " ".join(f"{unit}.service" for unit in PLACES)
            )
            examine(host, kind, free, found, alive)
    except (AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError) as problem:
        found.fault("broken", f"{kind.name}: {type(problem).__name__}: {problem}")
    finally:
        if kind.mend:
            host.command(kind.mend)
        if kind.opened:
            opened(host, False)
    say(
        f"{host.name} {kind.name}: {dict(found.table.get(kind.name, {}))}, {len(found.faults) - faults} faults"
    )
    for fault in found.faults[faults:]:
        print(f"    {fault}", flush=True)


def all_kinds(name: str, kinds: list[Kind], folder: Path) -> Findings:
    """Every kind that this host can be, after one look at what the acts do there without any policy."""
    found = Findings()
    host = ExamHost(name, folder)
    try:
        if host.ssh("ls /var/lib/bulkhead 2>/dev/null || true"):  # what an exam that was ended left behind
            host.sandbox(host.policies({}), state="absent")
        host.put_witness(ROWS)
        free = host.try_all("free", life_seconds=18)
        through = sum(answer[0] is True for said in free.values() for answer in said.values())
        say(f"{name}: {through} acts get through without a policy")
        for number, kind in enumerate(kinds):
            # What is taken from a host later on is nothing that its service manager lives by.
            one_kind(host, kind, free, found, alive=number == 0)
    except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as problem:
        found.fault("broken", f"{name}: {type(problem).__name__}: {problem}")
    return found


def one_turn(
    turn: tuple[str, ...], wanted: list[Kind], folder: Path, missing: dict[str, str]
) -> list[Findings]:
    """Boot what can be booted, all its kinds at the same time. What cannot is named in ``missing``."""
    turn = tuple(word for word in turn if any(kind.boots == word for kind in wanted))
    for word in turn:
        image = [
            "--kind",
            "nspawn" if word.startswith("nspawn:") else "qemu",
            "--suites",
            word.removeprefix("nspawn:"),
        ]
        trouble = lab("image", *image)
        if trouble:
            missing |= {kind.name: trouble for kind in wanted if kind.boots == word}
            turn = tuple(one for one in turn if one != word)
    if not turn:
        return []
    try:
        names = boot(turn)
    except RuntimeError as problem:
        missing |= {kind.name: str(problem) for kind in wanted if kind.boots in turn}
        return []
    say(f"up: {', '.join(f'{name} ({word})' for word, name in names.items())}")
    work = []
    for word, name in names.items():
        place = folder / f"{name}-{word.replace(':', '-')}"
        place.mkdir()
        work.append((name, [kind for kind in wanted if kind.boots == word], place))
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda one: all_kinds(*one), work))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="kinds whose name matches this")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args()
    wanted = [kind for kind in KINDS if re.search(options.only, kind.name)]
    missing: dict[str, str] = {}
    found = []
    LAB_DIR.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number, turn in enumerate(TURNS):
                place = Path(folder, str(number))
                place.mkdir()
                found += one_turn(turn, wanted, place, missing)
    finally:
        if not options.keep:
            lab("down")
    report(wanted, found, missing)


def report(wanted: list[Kind], found: list[Findings], missing: dict[str, str]) -> None:
    count: Counter[str] = sum((one.count for one in found), Counter())
    table = {name: row for one in found for name, row in one.table.items()}
    for line in sorted({note for one in found for note in one.notes}):
        print(f"  ({line})")
    print(f"\n  {'kind of host':42} enforced partial waived refused")
    for kind in wanted:
        if kind.name in table:
            row = [table[kind.name][status] for status in ("enforced", "partial", "waived", "refused")]
            print(f"  {kind.name:42} {row[0]:8} {row[1]:7} {row[2]:6} {row[3]:7}")
    for name, why in missing.items():
        print(f"  {name:42} not booted: {why}")
    clauses = max(count["clauses"], 1)
    # Everything else that went wrong is a shortfall; of what holds and is not called so, one in a hundred is allowed.
    faults = [fault for one in found for fault in one.faults]
    hard = [fault for fault in faults if not fault.startswith("underclaimed")]
    soft = [fault for fault in faults if fault.startswith("underclaimed")]
    if count["underclaimed"] * 100 > clauses:
        hard += soft
    else:
        for fault in soft:
            print(f"  ({fault})")
    if len(table) < LEAST_KINDS and len(wanted) >= LEAST_KINDS:
        hard.append(f"only {len(table)} kinds of host could be examined")
    names = (
        "leaks",
        "underclaimed",
        "blocked",
        "acts",
        "untried",
        "closed_holes",
        "broken",
        "not_applied",
        "not_refused",
    )
    figures = {
        "kinds": len(table), "clauses": count["clauses"], **{name: count[name] for name in names},
        "not_booted": sorted(missing), "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    exam.end("verdicts", figures, hard)


if __name__ == "__main__":
    main()
