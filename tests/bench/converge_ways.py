# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to do the job that are measured side by side, each a command of its own for one act on some hosts."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import converge_job
from converge_hosts import ROOT, Fleet
from converge_job import Job

WAYS = Path(__file__).parent / "ways"
PEERS = ROOT / "build/peers"
AT_ONCE = 10
ACTS = ("first", "no_change", "rollback")


@dataclass
class Way:
    """``name`` as in the goals; ``absent``: why it cannot take part, "" where it can."""

    name: str
    title: str
    work: Path
    fleet: Fleet
    job: Job
    absent: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    variables: Path = field(init=False)

    def prepare(self) -> None:
        self.variables = converge_job.lay_out(self.job, self.work)

    def fresh(self) -> None:
        """Forget what earlier runs have learned of the hosts."""

    def command(self, act: str, names: list[str]) -> list[str]:
        raise NotImplementedError


class Floor(Way):
    """Plain ssh, a new connection and one script for each host."""

    def command(self, act: str, names: list[str]) -> list[str]:
        script = self.work / f"{act}.sh"
        script.write_text(converge_job.script(self.job, act, (WAYS / "floor_host.sh").read_text()))
        lines = []
        for name in names:
            facts = self.fleet.variables[name]
            key = ["-i", facts["ansible_ssh_private_key_file"]]
            lines.append(
                shlex.join([*self.fleet.ssh_options(name), *key, f"root@{facts['ansible_host']}"]) + "\n"
            )
        (self.work / "hosts").write_text("".join(lines))
        words = [str(WAYS / "floor.sh"), str(script), str(AT_ONCE)]
        return ["sh", "-c", f"sh {shlex.join(words)} <{shlex.quote(str(self.work / 'hosts'))}"]


class Playbook(Way):
    """ansible-playbook with a playbook of ``ways/``."""

    playbook = "role.yml"

    def prepare(self) -> None:
        super().prepare()
        # Of Ansible's settings none but these: what the user's own configuration holds is no part of the job.
        settings = self.work / "ansible.cfg"
        settings.write_text("[defaults]\ninternal_poll_interval = 0.005\n")  # as our ansible.cfg has it
        self.environment = {
            "ANSIBLE_CONFIG": str(settings),
            "ANSIBLE_HOME": str(self.work / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
            "ANSIBLE_FORKS": str(AT_ONCE),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_TIMEOUT": "60",  # a busy machine is no fault of a host: Mitogen gave hosts up after 10 s
            "ANSIBLE_HOST_KEY_CHECKING": "true",
            "ANSIBLE_NOCOLOR": "1",
            **self.environment,
        }

    def inventory(self, names: list[str]) -> Path:
        hosts = {}
        for name in names:
            words = shlex.join(self.fleet.ssh_options(name))
            facts = dict(self.fleet.variables[name], ansible_ssh_common_args=words)
            hosts[name] = {key: value for key, value in facts.items() if key.startswith("ansible_")}
        path = self.work / "inventory.json"
        path.write_text(json.dumps({"bench": {"hosts": hosts}}))
        return path

    def command(self, act: str, names: list[str]) -> list[str]:
        return [
            str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory(names)),
            str(WAYS / self.playbook), "-e", f"act={act}", "-e", f"@{self.variables}",
            "-e", f"policies={self.work.parent / 'policies'}",
        ]  # fmt: skip


class Ours(Playbook):
    playbook = "ours.yml"

    def fresh(self) -> None:
        """What is remembered of hosts, and every compiled bundle: a first converge pays for both."""
        shutil.rmtree(self.work / "home", ignore_errors=True)


class Mitogen(Playbook):
    """The same role through Mitogen's strategy."""

    def prepare(self) -> None:
        place, self.absent = peer("mitogen", "import ansible_mitogen; print(ansible_mitogen.__path__[0])")
        self.environment = {
            "ANSIBLE_STRATEGY": "mitogen_linear",
            "ANSIBLE_STRATEGY_PLUGINS": f"{place}/plugins/strategy",
        }
        super().prepare()
        if not self.absent:
            self.absent = self._refusal()

    def _refusal(self) -> str:
        """Why Mitogen does not work with this ansible-core, in its own words; "" where it does."""
        play = self.work / "try.yml"
        play.write_text("- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.command: 'true'}]}\n")
        argv = [
            str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local",
            "-e", f"ansible_python_interpreter={sys.executable}", str(play),
        ]  # fmt: skip
        done = subprocess.run(
            argv, env=os.environ | self.environment, capture_output=True, text=True, check=False
        )
        said = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line] or ["no reason"]
        return (
            "" if done.returncode == 0 else f"does not run with this ansible-core: {said[-1].strip()[:200]}"
        )


class Pyinfra(Way):
    def prepare(self) -> None:
        super().prepare()
        place, self.absent = peer("pyinfra", "import sys; print(sys.prefix)")
        self.program = Path(place) / "bin/pyinfra"

    def command(self, act: str, names: list[str]) -> list[str]:
        hosts = []
        for name in names:
            facts = self.fleet.variables[name]
            known = next(
                word.partition("=")[2]
                for word in self.fleet.ssh_options(name)
                if word.startswith("UserKnownHostsFile=")
            )
            data = {
                "ssh_user": "root",
                "ssh_key": facts["ansible_ssh_private_key_file"],
                "ssh_known_hosts_file": known,
                "ssh_strict_host_key_checking": "yes",
                "ssh_config_file": os.devnull,
            }
            hosts.append((facts["ansible_host"], data))
        inventory = self.work / "inventory.py"
        inventory.write_text(f"bench = {hosts!r}\n")
        return [
            str(self.program), "-y", "--parallel", str(AT_ONCE), "--data", f"act={act}",
            "--data", f"job={self.variables}", str(inventory), str(WAYS / "pyinfra_job.py"),
        ]  # fmt: skip


def peer(package: str, question: str) -> tuple[str, str]:
    """(what ``question`` prints, "") from the package in an environment of its own, or ("", why it is absent)."""
    folder = PEERS / package
    python = folder / "bin/python"
    if not (folder / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason"]
            return "", f"cannot be installed: {said[-1][:200]}"
        (folder / ".installed").touch()
    done = subprocess.run([str(python), "-c", question], capture_output=True, text=True, check=False)
    return (done.stdout.strip(), "") if done.returncode == 0 else ("", done.stderr.strip()[-200:])


def version(package: str) -> str:
    python = PEERS / package / "bin/python"
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=False
    ).stdout.strip()


def every(work: Path, fleet: Fleet, job: Job) -> list[Way]:
    """All ways, made ready; those that cannot take part say why in ``absent``."""
    kinds: list[tuple[Any, str, str]] = [
        (Ours, "ours", "bulkhead.fleet.sandbox"),
        (Floor, "floor", "plain ssh script"),
        (Playbook, "role", "tuned role"),
        (Mitogen, "mitogen", "tuned role, Mitogen"),
        (Pyinfra, "pyinfra", "pyinfra"),
    ]
    made = []
    for kind, name, title in kinds:
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        way = kind(name, title, folder, fleet, job)
        way.prepare()
        made.append(way)
    return made
