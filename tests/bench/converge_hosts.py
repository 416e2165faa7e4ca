# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the benchmark, and what its hosts say of themselves: their own files, never what a tool reports."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from converge_job import KEPT, Job

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "roles/lab/files/bulkhead_lab"
OURS = "/var/lib/bulkhead"
LOOK = """
sha256sum {paths} 2>/dev/null | sed 's/^/sum /'
stat -c 'time %n %.Y' {paths} 2>/dev/null
systemctl show nginx.service -p MainPID,InvocationID,ActiveState,Slice,NeedDaemonReload | sed 's/=/ /'
echo "http $(curl -s -o /dev/null -w '%{{http_code}}' --max-time 10 http://127.0.0.1/)"
nft list tables | sed 's/^/nft /'
for one in {ours}/nginx/active; do [ ! -e "$one" ] || echo "active $(cat "$one")"; done
for one in {ours} {kept} {ours}/nginx/pending.json; do [ ! -e "$one" ] || echo "left $one"; done
true
"""
CLEAN = """
systemctl stop bulkhead-net-nginx.service 2>/dev/null; rm -rf {made}; systemctl daemon-reload
systemctl reset-failed nginx.service 2>/dev/null; systemctl restart nginx.service
"""
State = dict[str, Any]


def parse(text: str) -> State:
    """What LOOK prints, as {sums, times, left, tables} and the unit's properties by name."""
    state: State = {"sums": {}, "times": {}, "left": [], "tables": [], "active": ""}
    for line in text.splitlines():
        name, _space, rest = line.partition(" ")
        if name == "sum":
            value, _spaces, path = rest.partition("  ")
            state["sums"][path] = value
        elif name == "time":
            path, _space, when = rest.rpartition(" ")
            state["times"][path] = when
        elif name in ("left", "nft"):
            state["left" if name == "left" else "tables"].append(rest)
        else:
            state[name] = rest
    return state


def wrong(act: str, way: str, before: State, after: State, job: Job) -> list[str]:
    """What is not as it has to be after ``act``; empty where the host ended in the right state."""
    found = []
    if after.get("ActiveState") != "active" or after.get("http") != "200":
        found.append(f"nginx is {after.get('ActiveState')}, its page {after.get('http')}")
    if after.get("NeedDaemonReload") != "no":
        found.append("systemd has not read its units again")
    restarted = before.get("InvocationID") != after.get("InvocationID")
    if restarted == (act == "no_change"):
        found.append("nginx was restarted" if restarted else "nginx was not restarted")
    if act == "no_change" and before["times"] != after["times"]:
        found.append("files were written again")
    tables = [one for one in after["tables"] if "bulkhead" in one]
    if act == "rollback":
        if after["sums"] or tables or after["left"] or after.get("Slice") != "system.slice":
            found.append(
                f"something stayed: {[*after['sums'], *tables, *after['left']]} {after.get('Slice')}"
            )
        return found
    if after["sums"] != {one.path: one.sum for one in files_of(way, job)}:
        found.append("its files are not those of the job")
    if not tables or after.get("Slice") != "bulkhead-nginx.slice":
        found.append("rules or slice are not there")
    if way == "ours" and (after["active"] != job.digest or f"{OURS}/nginx/pending.json" in after["left"]):
        found.append("the generation is not active and confirmed")
    return found


def files_of(way: str, job: Job) -> tuple[Any, ...]:
    return job.installed if way == "ours" else job.files


class Fleet:
    """Hosts of a lab that is brought up for the benchmark and taken down after it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.folder = Path(os.environ.get("LAB_DIR") or ROOT / "build/bench-lab").resolve()
        self.cache = Path(os.environ.get("LAB_CACHE") or ROOT / "build/lab/img").resolve()
        self.inventory = self.folder / "inventory.yml"
        self.variables: dict[str, dict[str, Any]] = {}

    def _lab(self, *words: str) -> dict[str, Any]:
        argv = [sys.executable, "-B", str(LAB), "--dir", str(self.folder), "--cache", str(self.cache), *words]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def __enter__(self) -> Fleet:
        try:
            self._lab(
                "up", "--kind", "nspawn", "--suites", "bookworm", "--hosts", str(self.number), "--install"
            )
        except BaseException:
            self._lab("down")
            raise
        self.variables = yaml.safe_load(self.inventory.read_text())["lab"]["hosts"]
        return self

    def __exit__(self, *_error: object) -> None:
        self._lab("down")

    @property
    def names(self) -> list[str]:
        return list(self.variables)[: self.number]

    @property
    def space(self) -> str:
        """The lab's network namespace; its way in stands in the options of every host."""
        words = self.variables[self.names[0]]["ansible_ssh_common_args"]
        return re.findall(r"--net=/run/netns/(\S+)", words)[0]

    def cables(self, names: list[str]) -> list[str]:
        """Our ends: cable vN leads to host N."""
        return [f"v{name[1:]}" for name in names]

    def ssh_options(self, name: str) -> list[str]:
        """The lab's options but for the way into its namespace: contenders run in there."""
        words = shlex.split(self.variables[name]["ansible_ssh_common_args"])
        here = next(at for at, word in enumerate(words) if word.startswith("ProxyCommand="))
        return words[: here - 1] + words[here + 1 :]

    def ask(self, name: str, command: str) -> str:
        """Plain ssh over a connection that stays, apart from all that is measured."""
        facts = self.variables[name]
        argv = [
            "nsenter", f"--net=/run/netns/{self.space}", "ssh", *self.ssh_options(name),
            "-o", "ControlMaster=auto", "-o", f"ControlPath={self.folder}/cp/look-{name}",
            "-o", "ControlPersist=3600", "-o", "BatchMode=yes", "-i", facts["ansible_ssh_private_key_file"],
            f"root@{facts['ansible_host']}", command,
        ]  # fmt: skip
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} answered '{command[:40]}' with status {done.returncode}")
        return done.stdout

    def all(self, names: list[str], command: str) -> dict[str, str]:
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(names, pool.map(lambda name: self.ask(name, command), names), strict=True))

    def look(self, names: list[str], way: str, job: Job) -> dict[str, State]:
        paths = " ".join(one.path for one in files_of(way, job))
        command = LOOK.format(paths=paths, ours=OURS, kept=KEPT)
        return {name: parse(text) for name, text in self.all(names, command).items()}

    def clean(self, names: list[str], job: Job) -> None:
        """After a way that did not come back: no trace of it, so that the next one has a fair start."""
        made = " ".join([OURS, *(one.path for one in job.files), *job.made()])
        self.all(names, CLEAN.format(made=made))
