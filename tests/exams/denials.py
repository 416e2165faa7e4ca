# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts that a policy denies, forced on real hosts through a unit's own confinement: is each named by its clause, and
does the change that is proposed make it work and open nothing else?

For each host: apply the policy, force all acts, read the denials. Then twice: put the proposals of one half into the
policy, apply it, force all acts again. That half must work now, the other half must be refused still, and every
must_deny example must be denied by its probe. What is to come out stands in denials_acts.py.
"""

from __future__ import annotations

import copy
import json
import os
import shlex
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import denials_acts as table
import exam
import yaml
from lab_host import LabHost, at_once, inventory

MAPPED, WORKING, LEAST = 0.98, 0.95, 100
HOST_FILES = Path(__file__).with_name("denials_host")
SERVICE = f"""[Unit]
Description=The application of the exam of denials
[Service]
Type=exec
User={table.ACCOUNT}
ExecStart=/usr/bin/python3 {table.PROGRAMS}/service.py
OOMPolicy=continue
TimeoutStartSec=120
"""
LAST_RECORD = "dmesg | grep type=1326 | tail -n 1"
PEER = "exam-denials-peer"
PORTS = [table.OPEN_PORT + 1, table.LIMITED_PORT, *range(7500, 7509)]
PREPARE = f"""set -e
id -u {table.ACCOUNT} >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin {table.ACCOUNT}
install -d -m 755 {table.PROGRAMS} {table.CONFIG}
install -d -o {table.ACCOUNT} -m 755 {table.FOLDER}
for n in $(seq 0 11); do echo closed >{table.CONFIG}/closed$n.conf; done
echo granted >{table.CONFIG}/granted.conf
for n in $(seq 0 7); do cp /bin/true {table.PROGRAMS}/tool$n; done
cat >/etc/systemd/system/{table.UNIT}
systemctl daemon-reload
systemctl reset-failed {PEER} 2>/dev/null || true
systemctl is-active -q {PEER} ||
  systemd-run -q --unit {PEER} /usr/bin/python3 {table.PROGRAMS}/outside.py serve {",".join(map(str, PORTS))}
id -u {table.ACCOUNT}; id -g {table.ACCOUNT}; uname -r
"""
CLEAN = f"""systemctl stop {PEER} {table.UNIT} 2>/dev/null
rm -rf /etc/systemd/system/{table.UNIT} {table.PROGRAMS} {table.CONFIG} {table.FOLDER}
userdel {table.ACCOUNT} 2>/dev/null; systemctl daemon-reload; true"""
began = time.monotonic()


@dataclass
class Findings:
    count: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)  # what the thresholds judge
    broken: list[str] = field(default_factory=list)  # what must never be
    microseconds: dict[str, float] = field(default_factory=dict)  # of one call of the application

    def check(self, good: bool, what: str, fault: str) -> None:
        self.count[what] += 1
        if good:
            self.count[f"{what} right"] += 1
        else:
            self.faults.append(fault)


class OneLogin(LabHost):
    """Logs in once: under emulation each login costs seconds."""

    def ssh_words(self) -> list[str]:
        words = super().ssh_words()
        keep = ["ControlMaster=auto", f"ControlPath={self.work}/cp", "ControlPersist=60"]
        return [words[0], *(word for option in keep for word in ("-o", option)), *words[1:]]


class Bench:
    """One host with the exam's application."""

    def __init__(self, name: str, folder: Path) -> None:
        self.host = OneLogin(name, folder, show=lambda _text: None)
        self.folder, self.batch = folder, 0

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {self.host.name}: {text}", flush=True)

    def shell(self, command: str, stdin: str = "", seconds: int = 300) -> str:
        done = subprocess.run(
            [*self.host.ssh_words(), command], input=stdin, capture_output=True, text=True, timeout=seconds
        )
        assert done.returncode == 0, f"{command[:80]}: {done.stderr[-400:]}"
        return done.stdout.strip()

    def prepare(self) -> tuple[int, int, str]:
        """The account's numbers and the kernel's release."""
        self.shell(f"mkdir -p {table.PROGRAMS}")
        for name in ("service.py", "outside.py"):
            self.shell(f"cat >{table.PROGRAMS}/{name}", (HOST_FILES / name).read_text())
        uid, gid, release = self.shell(PREPARE, SERVICE).split()[-3:]
        return int(uid), int(gid), release

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        place = self.folder / "policies"
        place.mkdir(exist_ok=True)
        (place / f"{table.POLICY}.yml").write_text(yaml.safe_dump(document, sort_keys=False))
        result, _text = self.host.run(policy=table.POLICY, policies_dirs=[str(place)])
        assert result.get("state") in ("confirmed", "unchanged"), f"apply: {result.get('msg')}"
        return result

    def denials(self, cursor: str = "") -> dict[str, Any]:
        """All that there is behind ``cursor``; of a long journal a call reads what it can in a minute."""
        kinds: dict[tuple[Any, ...], dict[str, Any]] = {}
        lines: list[str] = []
        while True:
            result, text = self.host.run(
                module="denials_info", policy=table.POLICY, policies_dirs=[str(self.folder / "policies")],
                cursor=cursor, limit=50000,
            )  # fmt: skip
            assert "denials" in result, f"denials_info: {result.get('msg')} {text[-2000:]}"
            for row in result["denials"]:
                known = kinds.setdefault((row["act"], row["clause"], row["enforced"]), row)
                if known is not row:
                    known["count"] += row["count"]
            lines += result["lines"]
            if not result["truncated"]:
                return {**result, "denials": list(kinds.values()), "lines": lines}
            cursor = result["cursor"]

    def force(self, acts: list[table.Act]) -> dict[str, str]:
        """How every act ended, told by the application, or by the other end for its listeners."""
        self.batch += 1
        request = json.dumps({"batch": self.batch, "acts": [act.request for act in acts]})
        wait = (
            f"cat >{table.FOLDER}/new && mv {table.FOLDER}/new {table.FOLDER}/acts.json; for n in $(seq 300); do "
            f"grep -qs '.batch.: {self.batch},' {table.FOLDER}/answers.json && break; "
            f"systemctl is-active -q {table.UNIT} || break; sleep 2; done; "
            f"cat {table.FOLDER}/answers.json"
        )
        done = json.loads(self.shell(wait, request, 900))
        assert done["batch"] == self.batch, "the application did not answer"
        answers: dict[str, str] = done["answers"]
        outer = [{"id": act.id, **act.request} for act in acts if act.outside]
        words = shlex.quote(json.dumps(outer))
        answers.update(json.loads(self.shell(f"python3 {table.PROGRAMS}/outside.py try {words}")))
        return answers

    def clean(self) -> None:
        # Out of its sandbox it would do all of it once more, as far as it can.
        self.shell(f"systemctl stop {table.UNIT}; rm -f {table.FOLDER}/acts.json")
        self.host.run(policy=table.POLICY, policies_dirs=[], state="absent")
        self.host.run(module="denials_record", state="absent")
        self.shell(CLEAN)


@contextmanager
def at_work(name: str, folder: Path, found: Findings) -> Iterator[Bench]:
    """The bench of one host. What stops the work goes into ``found.broken``, and the host is left as it was."""
    bench = Bench(name, folder)
    try:
        yield bench
    except (AssertionError, OSError, KeyError, subprocess.SubprocessError) as problem:
        bench.say(f"stopped: {problem}")
        found.broken.append(f"{name}: {problem}")
    finally:
        try:
            bench.clean()
        except (AssertionError, OSError, subprocess.SubprocessError) as problem:
            found.broken.append(f"{name}: clean up: {problem}")


def merge(document: dict[str, Any], fragment: dict[str, Any]) -> None:
    for key, value in fragment.items():
        if isinstance(value, dict):
            merge(document.setdefault(key, {}), value)
        elif isinstance(value, list):
            held = document.setdefault(key, [])
            held += [one for one in value if one not in held]
        else:
            document[key] = value


def judge(acts: list[table.Act], rows: list[dict[str, Any]], name: str, found: Findings) -> dict[str, Any]:
    """{id: its row}; counts which acts are mapped to their clause."""
    by_words: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_words.setdefault(row["act"], row)
    wanted = Counter(act.words for act in acts if act.clause)
    mine = {}
    for act in acts:
        if not act.clause:
            continue
        row = by_words.get(act.words)
        if row is None:
            found.check(False, "forced", f"{name}: no record of {act.id}")
            continue
        enough = row["count"] >= wanted[act.words]
        found.check(
            row["clause"] == act.clause and enough and row["enforced"],
            "forced",
            f"{name}: {act.id}: {row['clause']} {row['count']}x, not {act.clause} {wanted[act.words]}x",
        )
        found.count[row["mechanism"]] += 1
        mine[act.id] = row
    strangers = [row["act"] for row in rows if row["act"] not in wanted]
    found.count["others"] += len(strangers)
    print(f"    {name}: also recorded: {', '.join(strangers) or 'nothing'}", flush=True)
    return mine


def examine(name: str, folder: Path) -> Findings:
    found = Findings()
    with at_work(name, folder, found) as bench:
        uid, gid, release = bench.prepare()
        bench.host.run(module="denials_record")
        result = bench.apply(table.DOCUMENT)
        apparmor = any(
            "apparmor" in mechanism for one in result["verdicts"].values() for mechanism in one["mechanisms"]
        )
        bench.shell(
            f"systemctl start {table.UNIT}"
        )  # an application that does not run is not started by a policy
        acts = table.acts(uid, gid, apparmor, release)
        bench.say(f"applied, {len(acts)} acts{' with AppArmor' if apparmor else ''}")
        before = bench.denials()
        answers = bench.force(acts)
        for act in acts:
            if act.clause and answers.get(act.id) not in act.refused:
                found.broken.append(f"{name}: {act.id} was not refused: {answers.get(act.id)}")
        denied = bench.denials(before["cursor"])
        (folder / "lines.txt").write_text("\n".join(denied["lines"]) + "\n")
        rows = judge(acts, denied["denials"], name, found)
        bench.say(f"{found.count['forced']} forced, {found.count['forced right']} mapped")
        price(bench, found)
        again = bench.denials(bench.denials(denied["cursor"])["cursor"])
        if again["denials"]:
            found.broken.append(f"{name}: the cursor gave {len(again['denials'])} denials twice")
        for number in (1, 2):
            second(bench, acts, rows, answers, number, found)
    return found


def price(bench: Bench, found: Findings) -> None:
    """What a refused call costs its process, with the record switched on and switched off."""
    on = bench.force(table.costs())
    bench.host.run(module="denials_record", state="absent")
    bench.shell(f"systemctl restart {table.UNIT}")
    last = bench.shell(LAST_RECORD)
    off = bench.force(table.costs())
    if bench.shell(LAST_RECORD) != last:
        found.broken.append(f"{bench.host.name}: records are switched off, and a refused call left one")
    bench.host.run(module="denials_record")  # the next apply restarts the application
    told = {"recorded": on["refused call"], "unrecorded": off["refused call"], "allowed": off["allowed call"]}
    found.microseconds = {name: float(text) for name, text in told.items()}


def second(
    bench: Bench,
    acts: list[table.Act],
    rows: dict[str, Any],
    first: dict[str, str],
    number: int,
    found: Findings,
) -> None:
    """One half of the proposals, all at once: what was proposed works, what was not is refused as before."""
    name, document = bench.host.name, copy.deepcopy(table.DOCUMENT)
    for act in acts:
        row = rows.get(act.id)
        if act.round != number or row is None:
            continue
        if row["proposal"]["change"] is None:
            found.check(
                False, "proposals", f"{name}: nothing proposed for {act.id}: {row['proposal']['why']}"
            )
            continue
        merge(document, row["proposal"]["change"])
    bench.apply(document)
    answers = bench.force(acts)
    for act in acts:
        if not act.clause or act.id not in rows:
            continue
        got = answers.get(act.id, "nothing")
        refused = got in act.refused
        if act.round == number:
            if rows[act.id]["proposal"]["change"] is not None:
                found.check(
                    not refused, "proposals", f"{name}: {act.id} is still refused after its change: {got}"
                )
        else:
            found.check(refused, "held back", f"{name}: {act.id} was opened by another's change: {got}")
    proof, _text = bench.host.run(module="probe", policy=table.POLICY, host=name)
    probes = [probe for clause in proof["evidence"]["clauses"] for probe in clause["probes"]]
    for probe in probes:
        if probe["expect"] == "deny" and probe["id"].startswith("examples.must_deny"):
            text = f"{name}: {probe['id']}: {probe['got']} ({probe['note']})"
            found.check(probe["ok"] is True, "must_deny", text)
    bench.say(f"half {number} of the proposals applied and tried")


def main() -> None:
    chosen: dict[str, str] = {}
    wanted = os.environ.get("BULKHEAD_LAB_HOSTS", "").split()
    for name, variables in inventory().items():
        if variables["bulkhead_lab_kind"] == "qemu" and (not wanted or name in wanted):
            chosen.setdefault(variables["bulkhead_lab_suite"], name)
    place = exam.ROOT / "build/exam-denials"
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        results = list(at_once(chosen, folder, examine).values())
        for lines in Path(folder).glob("*/lines.txt"):
            lines.replace(place / f"{lines.parent.name}.txt")
    count: Counter[str] = sum((one.count for one in results), Counter())
    shares = {
        what: round(count[f"{what} right"] / count[what], 4) if count[what] else 0.0
        for what in ("forced", "proposals", "held back", "must_deny")
    }
    shortfalls = [fault for one in results for fault in one.broken]
    faults = [fault for one in results for fault in one.faults]
    if count["forced"] < LEAST:
        shortfalls.append(f"only {count['forced']} denials were forced")
    if (
        shares["forced"] < MAPPED
        or shares["proposals"] < WORKING
        or min(shares["held back"], shares["must_deny"]) < 1
    ):
        shortfalls += faults
    else:
        print("".join(f"  (within the bounds) {fault}\n" for fault in faults), end="")
    shortfalls += [f"no host of {suite} in the lab" for suite in sorted({"bookworm", "trixie"} - set(chosen))]
    figures: dict[str, Any] = {
        **{what.replace(" ", "_"): [count[f"{what} right"], count[what]] for what in shares},
        "by_mechanism": {name: count[name] for name in ("apparmor", "seccomp", "nftables", "cgroup")},
        "other_records": count["others"],
        "microseconds_of_a_call": [one.microseconds for one in results],
        "seconds": round(time.monotonic() - began),
    }
    exam.end("denials", figures, shortfalls)


if __name__ == "__main__":
    main()
