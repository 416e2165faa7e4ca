# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that exams of rollouts run on: lab hosts where an inventory is given, else hosts that are files.

What a host holds is read from its own files: by plain ssh, or from the file that it is. A lab host runs nginx; the
others answer as quickly as a disk does, so that what is tried is the controller.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from exam import ROOT
from lab_host import ssh_words

PLUGINS = ROOT / "tests/bench/pretend/connection_plugins"
STATE = "/var/lib/bulkhead"
# The limits for which hosts in containers have no controllers.
LIMITS = ("cpu: {limit: 150%, weight: 100}\n", "io: {weight: 100}\n", "limit: 512MiB, ", ", max: 64")


class Fleet:
    """``work``: a folder of its own; ``names``: the hosts."""

    # What is said of a host with the fault "sick", and what a rollout is given where faults take time to come.
    sick_says: str = "status 502"
    soak: tuple[str, ...] = ()
    patience = 1.0  # how many times as long as hosts that are files these may take

    def __init__(self, work: Path, count: int, inventory: str = "") -> None:
        self.work, self.real = work, bool(inventory)
        self.rollouts = work / "rollouts"
        self.known, self.policy = 0, "nginx"
        self.environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.hosts: dict[str, dict[str, Any]] = {}
        for folder in ("policies", "hosts", "bundles"):
            (work / folder).mkdir(parents=True)
        if self.real:
            found = yaml.safe_load(Path(inventory).read_text())["lab"]["hosts"]
            self.hosts = dict(sorted(found.items())[:count])
            self.inventory = inventory
        else:
            # Names end in their number: those in 3 are of another kind of system.
            self.hosts = {f"h{number:04}": {} for number in range(count)}
            self.inventory = str(work / "inventory.yml")
            variables = {"ansible_connection": "pretend", "ansible_python_interpreter": "/usr/bin/python3"}
            hosts = {name: variables | {"ansible_host": name} for name in self.hosts}
            Path(self.inventory).write_text(json.dumps({"all": {"hosts": hosts}}))
            self.environment |= {"ANSIBLE_CONNECTION_PLUGINS": str(PLUGINS), "PRETEND_DIR": str(work)}
        self.version(1)

    @property
    def names(self) -> list[str]:
        return list(self.hosts)

    def version(self, number: int, **replaced: str) -> None:
        """Make the policy another one: each number gives other generations."""
        text = (ROOT / "policies/nginx.yml").read_text()
        assert "max_open: 4096" in text
        # Before the numbers: a text that is not there would change nothing, and nobody would know.
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        text = text.replace("max_open: 4096", f"max_open: {4096 + number}")
        text = text.replace("version: 1.0.0", f"version: 1.{number}.0")
        for limit in LIMITS if self.real else ():
            text = text.replace(limit, "")
        (self.work / "policies/nginx.yml").write_text(text)

    # --- playbooks ---

    def words(self, name: str, *arguments: str) -> list[str]:
        fixed = {"policy": self.policy, "rollout_dir": str(self.rollouts), "rollout_soak": 0}
        more = {"policies_dirs": [str(self.work / "policies")], "rollout_probe_method": "none"}
        chosen = {"fleet": ",".join(self.names), "rollout_confirm_within": 300 if self.real else 60}
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        extra = json.dumps(fixed | more | chosen)
        return [program, f"bulkhead.fleet.{name}", "-i", self.inventory, "-e", extra, *arguments]

    def play(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(self.words(name, *arguments), 3600)

    def _run(self, argv: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
        )

    def task(self, host: str, options: str) -> str:
        """What one task of the sandbox module says, told to a host by nobody's rollout."""
        program = str(Path(sys.executable).with_name("ansible"))
        given = f"{options} policies_dirs={self.work / 'policies'}"
        argv = [program, "-i", self.inventory, host, "-m", "bulkhead.fleet.sandbox", "-a", given]
        done = self._run(argv, 600)
        return done.stdout + done.stderr

    @contextmanager
    def playing(self, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """The same beside what the exam does; whatever is left of it is ended."""
        self.known = self.plans()
        # A shell in the background ignores it, and whoever begins there does too: then nothing could be interrupted.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            self.words(name, *arguments),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def journal(self) -> list[dict[str, Any]]:
        """Whole lines of the latest rollout that has a plan."""
        found = sorted(self.rollouts.glob(f"{self.policy}-e*/plan.json"))
        if not found:
            return []
        text = found[-1].with_name("journal.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def planned(self) -> dict[str, str]:
        """By host the generation that the latest plan has for it."""
        latest = sorted(self.rollouts.glob(f"{self.policy}-e*/plan.json"))[-1]
        return {host["name"]: host["to_digest"] for host in json.loads(latest.read_text())["plan"]["hosts"]}

    def plans(self) -> int:
        return len(list(self.rollouts.glob(f"{self.policy}-e*/plan.json")))

    def wait_for(self, process: subprocess.Popen[bytes], ready: Any, seconds: float = 600) -> bool:
        """True as soon as ``ready`` says so of the journal of what is ``playing``; False where that ended before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.plans() > self.known and ready(self.journal()):
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.02)
        return False

    def until(self, ready: Callable[[], bool], seconds: float) -> bool:
        limit = time.monotonic() + seconds * self.patience
        while time.monotonic() < limit:
            if ready():
                return True
            time.sleep(0.5)
        return ready()

    # --- hosts ---

    def on(self, host: str, command: str) -> str:
        argv = [*ssh_words(self.hosts[host]), command]
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        return done.stdout.strip()

    def each(self, command: str) -> dict[str, str]:
        return self.at_once(lambda _host: command)

    def at_once(self, command_of: Callable[[str], str]) -> dict[str, str]:
        """What hosts said to a command of their own, by host."""
        with ThreadPoolExecutor(16) as pool:
            return dict(pool.map(lambda host: (host, self.on(host, command_of(host))), self.names))

    def holds(self) -> dict[str, tuple[str, bool]]:
        """(active generation, whether a change is pending) by host, from the hosts' own files."""
        if self.real:
            own = f"{STATE}/{self.policy}"
            found = self.each(
                f"cat {own}/active 2>/dev/null; echo; test -e {own}/pending.json && echo pending"
            )
            lines = {host: text.split("\n") for host, text in found.items()}
            return {host: (text[0].strip(), "pending" in text[1:]) for host, text in lines.items()}
        held = {}
        for name in self.names:
            own = self.file(name).get(self.policy, {})
            pending = own.get("pending")
            late = bool(pending) and pending["deadline"] < time.time()
            held[name] = (pending["from"] if late else own.get("active", ""), bool(pending) and not late)
        return held

    def file(self, name: str) -> dict[str, Any]:
        path = self.work / f"hosts/{name}.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def traces(self) -> dict[str, str]:
        """Everything on a host that a change would leave a mark in."""
        if self.real:
            return self.each(
                f"cd /; find {STATE}/{self.policy} etc/systemd/system -printf '%p %T@ %s\\n' | sort | sha256sum;"
                " systemctl show -p MainPID,NRestarts,InvocationID nginx.service"
            )
        return {name: json.dumps(self.file(name)) for name in self.names}

    def fault(self, host: str, name: str, on: bool = True) -> None:
        """Of a host that is a file; see the connection."""
        path = self.work / f"hosts/{host}.{name}"
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def kept(self, host: str) -> str:
        """All that a host is, for ``take_back``."""
        return json.dumps(self.file(host))

    def take_back(self, host: str, kept: str) -> None:
        """As somebody on the host would, and no rollout."""
        (self.work / f"hosts/{host}.json").write_text(kept)

    def reinstall(self, host: str) -> None:
        (self.work / f"hosts/{host}.json").unlink()

    def release(self) -> None:
        """Leave lab hosts as they were found."""
        if self.real:
            program = str(Path(sys.executable).with_name("ansible"))
            argv = [program, "-i", self.inventory, ",".join(self.names), "-m", "bulkhead.fleet.sandbox"]
            arguments = ["-a", "policy=nginx state=absent epoch=100000"]
            subprocess.run([*argv, *arguments], cwd=ROOT, capture_output=True, timeout=1800, check=False)


def inventory() -> str:
    """Of the lab, where one is given: BULKHEAD_LAB_INVENTORY=build/lab/inventory.yml."""
    return os.environ.get("BULKHEAD_LAB_INVENTORY", "")
