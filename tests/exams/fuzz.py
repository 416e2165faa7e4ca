# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: whatever a policy holds, it gives clear faults or a bundle in which a clause accounts for every line.

FUZZ policies (100,000 if not said otherwise) are made from SEED, a third of them with texts that mean something to some
parser. Each is loaded. Faults must name file, line and fix and show the line with a caret. Any other policy is compiled
for two of the recorded hosts, in turns, and every artifact is read back (fuzz_accounts.py); the rules of all of them go
through nft, in lots, and the drop-ins of some through systemd-analyze. No policy may take long, and none may crash.

``fuzz.py --one NUMBER`` shows one policy again, and what came of it.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import exam
import fuzz_policies
import parsers
from fuzz_accounts import Account

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS, Manifest
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

COUNT = int(os.environ.get("FUZZ", "100000"))
SEED = int(os.environ.get("SEED", "1"))
TODAY = date(2026, 11, 24)
GROUPS = {"app_servers": ["10.1.0.10", "10.1.0.11", "2001:db8::10"]}
HELPER = (
    "schema: 1\npolicy: helper\nversion: 1.0.0\nowner: tests\n"
    "workload: {linux: {unit: helper.service, executable: /usr/bin/helper}}\n"
    "filesystem: {read: [/srv/data], write: [/var/lib/helper], execute: [$program], deny: [/srv/data/a]}\n"
)
HOSTS_EACH = 2
LIMIT = 20  # seconds for one policy, on a machine that does other things as well
LOT = 250  # policies that a worker takes at once
SILENCE = 900  # seconds without any lot done: a worker hangs where no signal reaches it
DROPINS_EVERY = 20  # drop-ins: systemd-analyze takes 10 ms for each
KINDS = {
    "systemd_dropin",
    "systemd_unit",
    "nftables",
    "powershell_data",
    "applocker_xml",
    "sbpl",
    "launchd_plist",
    "pf",
}


@dataclass
class Tally:
    """What came of one lot."""

    counts: Counter[str] = field(default_factory=Counter)
    shortfalls: list[str] = field(default_factory=list)
    slowest: float = 0.0
    busy: float = 0.0  # seconds of a processor
    rules: list[str] = field(default_factory=list)
    dropins: list[Bundle] = field(default_factory=list)

    def miss(self, what: str, number: int, detail: str) -> None:
        self.counts[what] += 1
        if len(self.shortfalls) < 20:
            self.shortfalls.append(f"{what}: policy {number}: {detail}")


class _TooLong(BaseException):
    """No Exception: nothing on the way may take it for a fault of the policy."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    def ring(_signal: int, _frame: Any) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@cache
def reference(name: str, unit: str) -> Features:
    return features.reference(name, unit)


def hosts(manifest: Manifest, number: int) -> list[Features]:
    """Two of the recorded hosts that the policy has a workload for, others for each policy."""
    linux = manifest.workload(OS.LINUX)
    found = [reference(name, linux.name if linux else "") for name in features.names()]
    found = [host for host in found if manifest.workload(host.os)]
    start = number % len(found)
    return (found[start:] + found[:start])[:: max(1, len(found) // HOSTS_EACH)][:HOSTS_EACH]


def unclear(refusal: PolicyFaults) -> str:
    """What a reader misses in a refusal."""
    if not refusal.faults:
        return "no fault is told"
    if "Traceback" in str(refusal):
        return "a traceback"
    for fault in refusal.faults:
        # A line of the environment is never shown: a secret may stand there against all advice.
        shown = "^" in fault.excerpt or fault.place.startswith("environment.set")
        if not (
            fault.message.endswith(".")
            and fault.help_text
            and fault.origin.file
            and fault.origin.line
            and shown
        ):
            return f"unclear: {fault!r}"
    return ""


def examine(number: int, file: Path, tally: Tally) -> None:
    kind, data = fuzz_policies.make(SEED, number)
    file.write_bytes(data)
    tally.counts["policies"] += 1
    start = time.process_time()
    try:
        with bounded(LIMIT):
            _examine(number, file, kind, tally)
    except _TooLong:
        tally.miss("hangs", number, f"longer than {LIMIT} s")
    except Exception as problem:
        where = traceback.extract_tb(problem.__traceback__)[-1]
        tally.miss(
            "crashes",
            number,
            f"{type(problem).__name__}: {str(problem)[:200]} ({where.filename}:{where.lineno})",
        )
    spent = time.process_time() - start
    tally.slowest, tally.busy = max(tally.slowest, spent), tally.busy + spent


def _examine(number: int, file: Path, kind: str, tally: Tally) -> None:
    try:
        manifest = load_and_resolve(file, [], GROUPS, TODAY)
    except PolicyFaults as refusal:
        tally.counts["refused"] += 1
        missed = unclear(refusal)
        if missed:
            tally.miss("unclear", number, missed)
        return
    tally.counts["accepted"] += 1
    tally.counts[f"accepted {kind}"] += 1
    for host in hosts(manifest, number):
        try:
            bundle = compile_bundle(manifest, host, TODAY)
        except BackendError as refusal:
            if not str(refusal).endswith("."):
                tally.miss("unclear", number, str(refusal))
            tally.counts["no_host"] += 1
            continue
        tally.counts["bundles"] += 1
        tally.counts[f"host {host.name}"] += 1
        for fault in Account(manifest, host, bundle).check():
            tally.miss("unaccounted", number, f"on {host.name}: {fault}")
        for one in bundle.artifacts:
            tally.counts[f"kind {one.kind}"] += 1
            tally.counts["lines"] += one.content.count(b"\n")
            if one.kind == "nftables":
                tally.rules.append(one.content.decode())
        # systemd-analyze is of this machine: it knows no directives that came later.
        plain = host.os is OS.LINUX and not manifest.overrides and host.data["systemd"]["version"] <= 252
        if plain and tally.counts["bundles"] % DROPINS_EVERY == 0:
            tally.dropins.append(bundle)


def lot(numbers: range) -> Tally:
    tally = Tally()
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        file = Path(folder) / "fuzz.yml"
        (file.parent / "helper.yml").write_text(HELPER)
        for number in numbers:
            examine(number, file, tally)
        if tally.rules and not parsers.nft.args[0]:
            by_nft(tally, numbers.start)
        if tally.dropins and not parsers.systemd_analyze.args[0]:
            by_systemd(tally, Path(folder), numbers.start)
    tally.rules, tally.dropins = [], []
    return tally


def by_nft(tally: Tally, number: int) -> None:
    """All rules of the lot, each table by itself only where not all are taken together."""
    if parsers.check("\n".join(tally.rules)).returncode:
        for text in tally.rules:
            done = parsers.check(text)
            if done.returncode:
                tally.miss("refused_by_nft", number, f"or one after it: {done.stderr[:300]}")
    tally.counts["read_by_nft"] += len(tally.rules)


def by_systemd(tally: Tally, folder: Path, number: int) -> None:
    """Drop-ins of the lot, each for a unit of its own; what systemd says of any line of ours is a complaint."""
    units = []
    for index, bundle in enumerate(tally.dropins):
        home = folder / f"unit{index}.service"
        (folder / f"{home.name}.d").mkdir()
        dropin = next(one for one in bundle.artifacts if one.kind == "systemd_dropin")
        text = re.sub(r"(?m)^(After|Requires|Slice)=bulkhead.*\n", "", dropin.content.decode())
        (folder / f"{home.name}.d/zz-bulkhead.conf").write_text(text)
        home.write_text("[Unit]\nDescription=demo\n[Service]\nType=simple\nExecStart=/bin/true\n")
        units.append(str(home))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        check=False,
    )
    for line in (done.stdout + done.stderr).splitlines():
        if "zz-bulkhead" in line:
            tally.miss("refused_by_systemd", number, f"or one after it: {line}")
    tally.counts["read_by_systemd"] += len(units)


def main() -> None:
    start = time.monotonic()
    lots = [range(first, min(first + LOT, COUNT)) for first in range(0, COUNT, LOT)]
    whole = Tally()
    workers = min(len(lots), os.cpu_count() or 1)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        done = pool.imap_unordered(lot, lots)
        for number in range(1, len(lots) + 1):
            try:
                one = done.next(SILENCE)
            except multiprocessing.TimeoutError:
                whole.miss("hangs", -1, f"no lot was done in {SILENCE} s")
                pool.terminate()
                break
            whole.counts += one.counts
            whole.shortfalls += one.shortfalls
            for line in one.shortfalls[:3]:  # at once: a whole run takes long
                print(f"  {line}", flush=True)
            whole.slowest = max(whole.slowest, one.slowest)
            whole.busy += one.busy
            if number % max(1, 2000 // LOT) == 0:
                counts = whole.counts
                print(
                    f"  {counts['policies']} policies, {counts['accepted']} accepted, "
                    f"{len(whole.shortfalls)} shortfalls, {time.monotonic() - start:.0f} s",
                    flush=True,
                )
    _end(whole, time.monotonic() - start)


def _end(whole: Tally, seconds: float) -> None:
    counts = whole.counts
    if counts["policies"] != COUNT:
        whole.shortfalls.append(f"{counts['policies']} policies of {COUNT}")
    missing = KINDS - {name.removeprefix("kind ") for name in counts if name.startswith("kind ")}
    if missing:
        whole.shortfalls.append(f"no artifact of kind {sorted(missing)}: nothing was proven of it")
    if counts["accepted"] < COUNT / 10:
        whole.shortfalls.append("hardly a policy was accepted: little was proven of backends")
    names = (
        "policies",
        "refused",
        "accepted",
        "bundles",
        "no_host",
        "lines",
        "read_by_nft",
        "read_by_systemd",
        "crashes",
        "hangs",
        "unclear",
        "unaccounted",
        "refused_by_nft",
        "refused_by_systemd",
    )
    figures = {"seed": SEED, **{name: counts[name] for name in names}}
    figures |= {"hosts": sum(name.startswith("host ") for name in counts), "cpu_seconds": round(whole.busy)}
    exam.end(
        "fuzz",
        {**figures, "slowest_ms": round(whole.slowest * 1000), "seconds": round(seconds)},
        whole.shortfalls,
    )


def show(number: int) -> None:
    kind, data = fuzz_policies.make(SEED, number)
    print(f"{kind}:\n{data.decode('utf-8', 'backslashreplace')}")
    tally = Tally()
    with TemporaryDirectory() as folder:
        (Path(folder) / "helper.yml").write_text(HELPER)
        file = Path(folder) / "fuzz.yml"
        examine(number, file, tally)
        try:
            load_and_resolve(file, [], GROUPS, TODAY)
        except PolicyFaults as refusal:
            print("\n".join(islice(str(refusal).splitlines(), 40)))
    print(*tally.shortfalls, sep="\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        show(int(sys.argv[2]))
    else:
        main()
