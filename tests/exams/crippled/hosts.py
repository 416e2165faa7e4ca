# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the exam's lab: how the witness gets there and is asked, how policies are applied by the user's road."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml

from . import booting  # noqa: F401  before lab_host, which reads its inventory
from .table import LIFE, PLACES, Row

import lab_host  # isort: skip

HERE = Path(__file__).parent
UNTIL = "2099-01-01"
PLAY = """
- hosts: {host}
  gather_facts: false
  vars: {variables}
  tasks:
    - bulkhead.fleet.sandbox:
        policy: "{{{{ item }}}}"
        policies_dirs: {dirs}
        state: {state}
        confirm_within: 600
      loop: {policies}
      register: outcome
      ignore_errors: true
    - ansible.builtin.copy: {{content: "{{{{ outcome.results | to_json }}}}", dest: {answer}, mode: "0600"}}
      delegate_to: localhost
      connection: local
      vars: {{ansible_python_interpreter: "{python}"}}
      check_mode: false
      diff: false
"""


class ExamHost(lab_host.LabHost):
    """One host while it is one kind after another."""

    def put_witness(self, rows: list[Row]) -> None:
        """Programs and lists of acts, then all that they are tried on."""
        acts: dict[str, dict[str, list[Any]]] = {policy: {} for policy in PLACES}
        for row in rows:
            if LIFE not in row.arguments:
                acts[row.policy].setdefault(row.key, [row.key, row.act, list(row.arguments)])
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in sorted((HERE / "witness").iterdir()):
                if path.is_file():
                    archive.add(path, path.name)
            text = json.dumps({policy: list(one.values()) for policy, one in acts.items()}).encode()
            entry = tarfile.TarInfo("acts.json")
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text))
        words = " ".join(f"{unit} {place}" for unit, place in PLACES.items())
        self.command(
            "mkdir -p /opt/exam/witness && tar -x --no-same-owner -C /opt/exam/witness -f - && chmod -R a+rX /opt/exam"
            f" && sh /opt/exam/witness/prepare.sh {words}",
            buffer.getvalue(),
        )

    def command(self, text: str, data: bytes = b"", seconds: float = 300) -> str:
        done = subprocess.run([*self.ssh_words(), text], input=data, capture_output=True, timeout=seconds)
        if done.returncode != 0:
            raise AssertionError(f"{self.name}: {text[:80]}: {done.stderr.decode(errors='replace')[-600:]}")
        return done.stdout.decode()

    def try_all(self, run: str, life_seconds: float = 0) -> dict[str, dict[str, list[Any]]]:
        """{policy: {act: [through, said]}} of all acts, one unit after the other; with ``life_seconds`` also what the
        service manager does with units that die or hang."""
        steps = []
        for policy, place in PLACES.items():
            wish = json.dumps({"policy": policy, "run": run})
            steps.append(
                f"rm -f {place}/said.json; echo '{wish}' >{place}/go.part; chmod 666 {place}/go.part;"
                f" mv {place}/go.part {place}/go; n=0; until [ -e {place}/said.json ] || [ $n -ge 500 ];"
                " do sleep 0.5; n=$((n+1)); done"
            )
        steps.append("cat " + " ".join(f"{place}/said.json" for place in PLACES.values()) + " | sed 's/$//'")
        text = self.command("; ".join(steps), seconds=900)
        decoder, at, said = json.JSONDecoder(), 0, {}
        for policy in PLACES:
            answer, at = decoder.raw_decode(text, at)
            assert answer["run"] == run, f"{self.name} {policy}: an answer of another run"
            said[policy] = answer["said"]
            at += len(text[at:]) - len(text[at:].lstrip())
        if not life_seconds:
            return said
        life = self.command(f"python3 -B /opt/exam/witness/life.py {life_seconds}", seconds=600)
        for act, answer in json.loads(life.splitlines()[-1]).items():
            for policy in PLACES:
                said[policy][f"{act} {LIFE}"] = answer
        return said

    def policies(self, waived: dict[str, list[str]]) -> Path:
        """The exam's policies, with waivers by name for what this host was seen to refuse."""
        folder = self.work / "policies"
        folder.mkdir(exist_ok=True)
        for path in (HERE / "policies").glob("*.yml"):
            policy = yaml.safe_load(path.read_text())
            policy["waivers"] = [
                {
                    "clause": clause,
                    "on": "linux",
                    "reason": "this host cannot",
                    "owner": "tests",
                    "until": UNTIL,
                }
                for clause in waived.get(path.stem, [])
            ]
            (folder / path.name).write_text(yaml.safe_dump(policy, sort_keys=False))
        return folder

    def sandbox(
        self,
        folder: Path,
        state: str = "present",
        check: bool = False,
        variables: dict[str, str] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """{policy: the task's result} of one play over all policies."""
        play, answer = self.work / "exam.yml", self.work / "exam.json"
        answer.unlink(missing_ok=True)
        play.write_text(
            PLAY.format(
                host=self.name, dirs=json.dumps([str(folder)]), state=state, policies=json.dumps(list(PLACES)),
                answer=answer, python=sys.executable, variables=json.dumps(variables or {}),
            )
        )  # fmt: skip
        argv = [
            str(lab_host.PLAYBOOK),
            "-i",
            str(lab_host.INVENTORY),
            str(play),
            *(["--check"] if check else []),
        ]
        done = subprocess.run(
            argv, cwd=lab_host.ROOT, env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
            capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr, done.stdout[-2000:]
        assert answer.exists(), f"{self.name}: no answer: {done.stdout[-1500:]}{done.stderr[-500:]}"
        return {one["item"]: one for one in json.loads(answer.read_text())}

    def marks(self) -> list[str]:
        """Everything in which a sandbox could leave a mark, without what the exam itself put there."""
        lines = self.ssh(lab_host.SNAPSHOT, check=False).splitlines()
        return [line for line in lines if not re.match(r"etc/(exam|mtab|ssl/private)\b", line)]
