# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host that is killed again and again, and looked at each time by plain ssh."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections import Counter
from pathlib import Path

from lab_host import LabHost

HERE = Path(__file__).parent / "kill_host"
PLACE = "/opt/bulkhead-exam"
STATE = "/var/lib/bulkhead/nginx"
# Roughly how many steps each way has; only a short form goes by it.
WAYS = {
    "module, changing": 75,
    "module, changing first": 85,
    "module, removing": 75,
    "module, confirming": 8,
    "guard, going back": 25,
    "guard, going back to none": 52,
    "controller": 4,
}
OTHER = ("max_open: 4096", "max_open: 4000")
# Bytes, modes and owners of all that a policy has outside of its state, temporary files as well. The guard's own units
# come with the first policy of a host.
FILES = (
    "find /etc/systemd/system /etc/bulkhead /etc/apparmor.d \\( -name '*bulkhead*' -o -path '/etc/bulkhead/*' \\)"
    " -type f ! -name '*bulkhead-guard@*' ! -name '*bulkhead-recover*' 2>/dev/null | sort |"
    " while read -r f; do stat -c '%n %a %U:%G' $f; sha256sum <$f; done"
)
QUIET = f"! ls {STATE}/pending.json {STATE}/reverting.json 2>/dev/null && echo quiet || true"
GUARD = "/run/systemd/system/bulkhead-guard@.service.d"


class Trials:
    def __init__(self, host: LabHost) -> None:
        self.host, self.faults = host, list[str]()
        self.kills = self.old = self.new = self.neither = self.repairs = 0
        self.by_way: Counter[str] = Counter()
        self.has: dict[str, str] = {}  # digest -> files
        self.folders: dict[str, str] = {}
        self.number = 0

    def begin(self) -> None:
        host = self.host
        assert host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
        self.was = host.unit()["ActiveState"]
        host.ssh(f"systemctl start nginx.service; mkdir -p {PLACE} {GUARD}")
        for path in HERE.iterdir():
            host.ssh(f"cat >{PLACE}/{path.name} <<'END-OF-FILE'\n{path.read_text()}END-OF-FILE")
        python = f'#!/bin/sh\nPYTHONPATH={PLACE} exec /usr/bin/python3 "$@"\n'
        start = f"/bin/sh -c '. {PLACE}/steps.sh; . \"$$0\"' /var/lib/bulkhead/guard wait %i"
        guard = f"[Service]\nExecStart=\nExecStart={start}\n"
        host.ssh(f"printf %s {shlex.quote(python)} >{PLACE}/python && chmod 755 {PLACE}/python")
        host.ssh(f"printf %s {shlex.quote(guard)} >{GUARD}/exam.conf && systemctl daemon-reload")
        self.hooked = host.work / "hooked.yml"
        self.hooked.write_text(
            f"lab: {{hosts: {{{host.name}: {{ansible_python_interpreter: {PLACE}/python}}}}}}\n"
        )
        self.before = host.snapshot()
        self.has[""] = host.ssh(FILES)
        self.folders = {"one": str(host.policy("one")), "two": str(host.policy("two", OTHER))}
        for name in self.folders:
            digest = self.apply(name)["digest"]
            self.has[digest] = host.ssh(FILES)
        assert len(set(self.has.values())) == 3, "the generations cannot be told apart"

    def end(self) -> None:
        """What is there goes, and nothing is left: the host needed no hand."""
        host = self.host
        host.ssh(f"rm -f {PLACE}/plan {PLACE}/guard")
        answer, text = host.run(state="absent", epoch=2**31)
        after = host.snapshot()
        if answer.get("failed") or after != self.before:
            self.repairs += 1
            marks = sorted(set(after) ^ set(self.before))[:6]
            self.faults.append(
                f"{host.name}: the removal left marks: {marks} {answer.get('msg', '')} {text[-200:]}"
            )
        host.ssh(f"rm -rf {PLACE} {GUARD}; systemctl daemon-reload")
        if self.was != "active":
            host.ssh("systemctl stop nginx.service")

    # --- one kill ---

    def one(self, way: str, step: int) -> bool:
        """Die ``way`` at ``step``; False where there is no such step any more."""
        host = self.host
        if way in ("module, changing first", "guard, going back to none"):
            self.settled("")
        elif host.ssh(f"cat {STATE}/active 2>/dev/null || true") == "":
            self.settled("one")
        old = host.ssh(f"cat {STATE}/active 2>/dev/null || true")
        host.ssh(f"rm -f {PLACE}/died {PLACE}/calls {PLACE}/plan {PLACE}/guard")
        ran = self.die(way, step, old)
        died = ran or host.ssh(f"test -e {PLACE}/died && echo died || true") == "died"
        self.judge(way, step, old, died)
        print(f"{host.name}: {way}, step {step}: {'killed' if died else 'no such step'}", flush=True)
        return died

    def die(self, way: str, step: int, old: str) -> bool:
        """Let it happen. True where the controller was killed, which leaves no mark on the host."""
        host, other = self.host, self.other(old)
        if way == "controller":
            return self.die_as_controller(step, other)
        if way.startswith("guard"):
            host.ssh(f"echo {step} >{PLACE}/guard")
            self.run(other, "-e", f"ansible_ssh_executable={host.ssh_program('exit 255')}")
            host.until(lambda: host.ssh(QUIET) == "quiet", 90)  # it begins when the time to confirm is over
            return False
        process = 2 if way == "module, confirming" else 1
        host.ssh(f"echo {process} {step} >{PLACE}/plan")
        if way == "module, removing":
            host.run("-i", str(self.hooked), state="absent")
        else:
            self.run(other)
        host.ssh(f"rm -f {PLACE}/plan")
        return False

    def die_as_controller(self, step: int, other: str) -> bool:
        """Before and after the apply and the confirmation: at each call of ssh."""
        host = self.host
        if step > 4:
            return False
        call, after = (step + 1) // 2, step % 2 == 0
        kill = f"kill -KILL -$(cat {host.work}/group) $PPID"
        count = f"n=$(cat {host.work}/n); n=$((n + 1)); echo $n >{host.work}/n"
        act = f'ssh "$@"; {kill}; exit 255' if after else f"{kill}; exit 255"
        program = host.work / "ssh-of-the-controller"
        control = 'case "$*" in *"-O "*) exec ssh "$@" ;; esac'
        program.write_text(
            f'#!/bin/sh\n{control}\n{count}\n[ $n -ne {call} ] || {{ {act}; }}\nexec ssh "$@"\n'
        )
        program.chmod(0o700)
        (host.work / "n").write_text("0")
        process, _answer = host.start(
            "-e", f"ansible_ssh_executable={program}", "-e", f"ansible_control_path={host.work}/cp{self.number}",
            policies_dirs=[self.folders[other]], confirm_within=5,
        )  # fmt: skip
        self.number += 1
        (host.work / "group").write_text(str(process.pid))
        process.communicate(timeout=600)
        return process.returncode == -9

    def judge(self, way: str, step: int, old: str, died: bool) -> None:
        host = self.host
        if not host.until(lambda: host.ssh(QUIET) == "quiet", 90):
            self.faults.append(f"{host.name}: {way}, step {step}: still under way after 90 s")
        active, files = host.ssh(f"cat {STATE}/active 2>/dev/null || true"), host.ssh(FILES)
        self.kills += died
        self.by_way[way] += died
        if self.has.get(active) != files:
            self.neither += 1
            self.faults.append(
                f"{host.name}: {way}, step {step}: active '{active[:12]}', and its files are others: {files[:800]}"
            )
        elif died:
            self.old, self.new = self.old + (active == old), self.new + (active != old)
        if host.unit()["ActiveState"] != "active" and not host.until(
            lambda: host.unit()["ActiveState"] == "active", 10
        ):
            self.faults.append(f"{host.name}: {way}, step {step}: nginx is down")
        fault = chain_fault(host.ssh(f"cat {STATE}/receipts.jsonl 2>/dev/null || true"))
        if fault:
            self.faults.append(f"{host.name}: {way}, step {step}: receipts: {fault}")

    # --- acts ---

    def other(self, old: str) -> str:
        return "two" if old and self.has[old] == self.has[self.digest("one")] else "one"

    def digest(self, name: str) -> str:
        return list(self.has)[1 + list(self.folders).index(name)]

    def run(self, name: str, *arguments: str) -> dict[str, object]:
        return self.host.run(
            "-i", str(self.hooked), *arguments, policies_dirs=[self.folders[name]], confirm_within=5
        )[0]

    def apply(self, name: str) -> dict[str, str]:
        answer, text = self.host.run(policies_dirs=[self.folders[name]])
        assert not answer.get("failed"), f"an apply after a kill failed: {answer.get('msg')} {text[-300:]}"
        return answer

    def settled(self, name: str) -> None:
        """The host has the generation of ``name``, or none, by an ordinary run."""
        if name:
            self.apply(name)
        else:
            answer, _text = self.host.run(state="absent")
            assert not answer.get("failed"), f"a removal after a kill failed: {answer.get('msg')}"


def chain_fault(text: str) -> str:
    """Our own look at the receipts: each line has the hash of the line before."""
    previous = "0" * 64
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"previous": previous}  # torn: the next one vouches for it
        if entry["previous"] != previous or not re.fullmatch("[0-9a-f]{64}", entry["previous"]):
            return f"line {number} does not follow"
        previous = hashlib.sha256(line.encode() + b"\n").hexdigest()
    return ""
