# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab host as a test sees it: plain ssh to look, ansible-playbook to act."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import yaml

Found = TypeVar("Found")
ROOT = Path(__file__).resolve().parents[2]
INVENTORY = Path(os.environ.get("BULKHEAD_LAB_INVENTORY", ROOT / "build/lab/inventory.yml"))
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
LAB = ROOT / "roles/lab/files/bulkhead_lab"
# The lab refuses a second command while one is at work.
ONE_AT_A_TIME = threading.Lock()

# Names, modes, owners, times; logs and state of others apart.
LOOK = (
    "cd /; find {places} -xdev \\( -path var/lib/systemd -o -path var/lib/postgresql -o -path var/lib/redis"
    " -o -path var/lib/nginx -o -path var/lib/bulkhead-workload -o -name __pycache__ \\) -prune"
    " -o -printf '%p %y %m %u %g %s %T@ %l\\n' | sort"
)
# Where a sandbox is likely to leave a mark, and all of it with what the kernel and systemd hold.
SNAPSHOT = LOOK.format(places="etc usr/lib/systemd var/lib")
EVERYTHING = LOOK.format(places="etc usr var/lib") + (
    "; nft list ruleset; cat /sys/kernel/security/apparmor/profiles 2>/dev/null | sort; systemctl list-unit-files"
    " --no-legend; systemctl list-units --all --no-legend --plain 'nginx*' '*bulkhead*' | tr -s ' '"
)
TASK = """
- hosts: {host}
  gather_facts: false
  tasks:
    - {module}: {options}
      register: outcome
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{{{ outcome | to_json }}}}"
        dest: {answer}
        mode: "0600"
      delegate_to: localhost
      connection: local
      vars: {{ansible_python_interpreter: "{python}"}}
      check_mode: false
      diff: false
"""


def inventory() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(INVENTORY.read_text())["lab"]["hosts"] if INVENTORY.exists() else {}


def of_each_suite(kind: str = "") -> dict[str, str]:
    """{suite: its first host}, of one kind of host where it is named."""
    first: dict[str, str] = {}
    for name, variables in inventory().items():
        if kind in ("", variables["bulkhead_lab_kind"]):
            first.setdefault(variables["bulkhead_lab_suite"], name)
    return first


def chosen(kind: str = "") -> list[str]:
    """Hosts to run a test on: BULKHEAD_LAB_HOSTS, else one of each suite; ["none"] where no lab is up."""
    named = os.environ.get("BULKHEAD_LAB_HOSTS", "").split()
    return named or list(of_each_suite(kind).values()) or ["none"]


def every(kind: str = "") -> list[str]:
    """All hosts of a kind, or those of BULKHEAD_LAB_HOSTS."""
    named = os.environ.get("BULKHEAD_LAB_HOSTS", "").split()
    return named or [name for name, facts in inventory().items() if kind in ("", facts["bulkhead_lab_kind"])]


def at_once(chosen: Mapping[str, str], folder: str, work: Callable[[str, Path], Found]) -> dict[str, Found]:
    """{suite: what ``work`` found on its host}, all hosts at once, each with a new folder below ``folder``."""

    def one(name: str) -> Found:
        place = Path(folder, name)
        place.mkdir()
        return work(name, place)

    with ThreadPoolExecutor() as pool:
        return dict(zip(chosen, pool.map(one, chosen.values()), strict=True))


def at_once_on(hosts: Sequence[str], work: Callable[[str, Path], Found]) -> list[Found]:
    """What ``work`` found on each host, all of them at once, each with a folder of its own that goes with the end."""
    with TemporaryDirectory() as folder:
        return list(at_once({name: name for name in hosts}, folder, work).values())


def ssh_words(variables: dict[str, Any]) -> list[str]:
    """The command that logs in on the host with these variables of the inventory."""
    return [
        "ssh", *shlex.split(variables["ansible_ssh_common_args"]), "-o", "BatchMode=yes",
        "-i", variables["ansible_ssh_private_key_file"], "-p", str(variables["ansible_port"]),
        f"root@{variables['ansible_host']}",
    ]  # fmt: skip


class LabHost:
    """``name`` of the inventory. ``work``: a folder of the test's own. ``show``: what gets the terminal's text."""

    def __init__(self, name: str, work: Path, show: Callable[[str], None] = print) -> None:
        self.name, self.work, self.show = name, work, show
        self.variables = inventory()[name]
        self.kind = self.variables["bulkhead_lab_kind"]

    def ssh_words(self) -> list[str]:
        return ssh_words(self.variables)

    def ssh(self, command: str, check: bool = True) -> str:
        argv = [*self.ssh_words(), command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 or not check, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def snapshot(self) -> list[str]:
        return self.ssh(SNAPSHOT).splitlines()

    def everything(self) -> list[str]:
        return self.ssh(EVERYTHING).splitlines()

    def unit(self, name: str = "nginx.service") -> dict[str, str]:
        keys = "ActiveState,MainPID,NRestarts,InvocationID,Slice,ControlGroup"
        return dict(line.split("=", 1) for line in self.ssh(f"systemctl show -p {keys} {name}").splitlines())

    def ask(self, folder: str, *words: str) -> str:
        """What a service of the test's own answers: it reads the file ``ask`` in ``folder`` and writes ``answer``."""
        question, answer = f"{folder}/ask", f"{folder}/answer"
        tell = f"rm -f {answer}; echo {' '.join(words)} >{question}.new; mv {question}.new {question}"
        wait = f"for i in $(seq 100); do test -e {answer} && break; sleep 0.3; done; cat {answer}"
        return self.ssh(f"{tell}; {wait}")

    def receipts(self, policy: str = "nginx") -> list[dict[str, Any]]:
        text = self.ssh(f"cat /var/lib/bulkhead/{policy}/receipts.jsonl 2>/dev/null || true")
        return [json.loads(line) for line in text.splitlines()]

    def until(self, condition: Any, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if condition():
                return True
            time.sleep(2)
        return bool(condition())

    def policy(self, name: str, *replacements: tuple[str, str]) -> Path:
        """A folder with the shipped nginx policy after replacing text that must be there.

        Containers of the lab have no resource controllers: there the limits are waived, by name.
        """
        text = (ROOT / "policies/nginx.yml").read_text()
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new, 1)
        if self.kind == "nspawn":
            limits = ("cpu.limit", "cpu.weight", "io.weight", "memory.limit", "processes.max")
            what = "on: linux, reason: no controllers in the lab's containers, owner: lab, until: 2099-01-01"
            lines = "".join(f"  - {{clause: {limit}, {what}}}\n" for limit in limits)
            text = text.replace("\nwaivers:\n", "\nwaivers:\n" + lines) if "\nwaivers:\n" in text else (
                f"{text}\nwaivers:\n{lines}"
            )  # fmt: skip
        folder = self.work / name
        folder.mkdir(exist_ok=True)
        (folder / "nginx.yml").write_text(text)
        return folder

    def run(self, *arguments: str, module: str = "sandbox", **options: Any) -> tuple[dict[str, Any], str]:
        """One task through ansible-playbook: (its result, the terminal's text)."""
        process, answer = self.start(*arguments, module=module, **options)
        text, _nothing = process.communicate(timeout=600)
        self.show(text)
        return json.loads(answer.read_text()), text

    def start(self, *arguments: str, module: str = "sandbox", **options: Any) -> tuple[Any, Path]:
        answer = self.work / "answer.json"
        answer.unlink(missing_ok=True)
        if module == "sandbox":
            options.setdefault("policy", "nginx")
            options.setdefault("confirm_within", 300)  # emulated hosts are slow
            options.setdefault("policies_dirs", [str(self.policy("policies"))])
        play = self.work / "play.yml"
        words = {"host": self.name, "answer": answer, "python": sys.executable}
        play.write_text(TASK.format(module=f"bulkhead.fleet.{module}", options=json.dumps(options), **words))
        argv = [str(PLAYBOOK), "-i", str(INVENTORY), str(play), *arguments]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        return process, answer

    def ssh_program(self, body: str) -> str:
        """Path of an ssh that runs the shell text ``body`` first when the connection is to be a new one."""
        path = self.work / "ssh"
        path.write_text(f'#!/bin/sh\ncase "$*" in *ControlPath=none*)\n{body}\n;; esac\nexec ssh "$@"\n')
        path.chmod(0o700)
        return str(path)

    def lab(self, command: str) -> None:
        """``reboot`` or ``power-cut``, by the lab itself."""
        cache = Path(self.variables["ansible_ssh_private_key_file"]).parent
        argv = [
            sys.executable,
            str(LAB),
            "--dir",
            str(INVENTORY.parent),
            "--cache",
            str(cache),
            command,
            self.name,
        ]
        with ONE_AT_A_TIME:
            done = subprocess.run(argv, check=False, timeout=400, capture_output=True, text=True)
        assert done.returncode == 0, f"{command} of {self.name}: {done.stdout[-500:]} {done.stderr[-500:]}"
