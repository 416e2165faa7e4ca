# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exam's lines to its hosts: programs that stay, answer one request at a time, and see what arrives."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from lab_host import LabHost

PLACE = "/opt/exam-network"
SENT = Path(__file__).parent / "network_host"
# The peer's addresses on the exam's nets: two beside the network of the policy, four in it.
DEVICES = {"qemu": "eth1", "nspawn": "host0"}
PEER = (15, 16, 17, 18, 19, 20)


class LineError(Exception):
    """The other side did not answer, or said that it failed."""


class Line:
    """witness.py on a host."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        argv = [*host.ssh_words(), f"exec python3 -B {PLACE}/witness.py"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, op: str, **request: Any) -> Any:
        if self.process.stdin is None or self.process.stdout is None:
            raise LineError("no pipes")
        self.process.stdin.write(json.dumps({"op": op, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the line is cut"}
        if "error" in answer:
            raise LineError(f"{self.host.name}, {op}: {answer['error']}")
        return answer["ok"]

    def ask(self, op: str, hand: bool = False, **request: Any) -> Any:
        """A request to the confined service of this host."""
        answer = self("ask", request={"op": op, **request}, hand=hand)
        if "error" in answer:
            raise LineError(f"{self.host.name}, the service, {op}: {answer['error']}")
        return answer["ok"]

    def shell(self, command: str) -> str:
        status, text = self("shell", command=command)
        if status != 0:
            raise LineError(f"{self.host.name}: {command}: {text}")
        return str(text)

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Nets:
    """Addresses of one confined host's exam nets, from the short words of ``network_rows``; ports and tokens."""

    def __init__(self, host: LabHost) -> None:
        self.number = int(host.variables["bulkhead_lab_address"].rpartition(".")[2])
        self.link = ""  # the peer's link-local address
        self._count = itertools.count(1)

    def four(self, last: int) -> str:
        return f"10.77.{self.number}.{last}"

    def six(self, last: int) -> str:
        return f"fd77:{self.number}::{last:x}"

    def address(self, word: str) -> str:
        if word == "link":
            return f"{self.link}%"
        if word == "self:4":
            return self.four(1)
        found = re.fullmatch(r"([46m]):(\d+)", word)
        if not found:
            return word
        kind, last = found[1], int(found[2])
        return {"4": self.four(last), "6": self.six(last), "m": f"::ffff:{self.four(last)}"}[kind]

    def spec(self, words: dict[str, Any]) -> dict[str, Any]:
        """An act with real addresses, a port and a token of its own."""
        number = next(self._count)
        spec = {"token": f"bk:{self.number}-{number};", **words}
        for key in ("dst", "before", "route", "source", "at", "to"):
            if key in spec:
                spec[key] = self.address(spec[key])
        base = {"granted": 41001, "other": 30000}.get(str(spec.get("port")))
        if base:
            spec["port"] = base + number % 900
        return spec

    def policy(self, folder: Path, *replacements: tuple[str, str]) -> Path:
        text = (SENT / "exam-network.yml").read_text()
        text = text.replace("10.77.N.", f"10.77.{self.number}.").replace("fd77:N:", f"fd77:{self.number}:")
        for old, new in replacements:
            if old not in text:
                raise LineError(f"the policy has no {old}")
            text = text.replace(old, new)
        yaml.safe_load(text)
        folder.mkdir(exist_ok=True)
        (folder / "exam-network.yml").write_text(text)
        return folder

    def addresses(self, peer: bool, command: str, device: str) -> str:
        """Shell text that gives a host its addresses on the exam's nets, or takes them away."""
        lasts = PEER if peer else (1,)
        lines = [f"ip addr {command} {self.four(last)}/24 dev {device}" for last in lasts]
        lines += [
            f"ip -6 addr {command} {self.six(last)}/64 dev {device}"
            + (" nodad" if command == "replace" else "")
            for last in lasts
        ]
        return "; ".join(lines)


def send_programs(host: LabHost) -> None:
    """The exam's own programs, and nothing else, into a folder of its own."""
    packed = subprocess.run(
        ["tar", "-C", str(SENT), "-c", "acts.py", "subject.py", "witness.py", "exam-network.service"],
        capture_output=True, check=True,
    )  # fmt: skip
    command = f"mkdir -p {PLACE} && tar -C {PLACE} --no-same-owner -x && chmod -R a+rX {PLACE}"
    command += f" && echo {DEVICES[host.kind]} >{PLACE}/device"
    subprocess.run([*host.ssh_words(), command], input=packed.stdout, check=True, timeout=180)
