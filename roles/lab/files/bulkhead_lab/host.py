# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of the lab, as it is remembered in its own folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bulkhead_lab.settings import KERNELS, KINDS, MAX_HOSTS, SUITES, Lab, LabError


@dataclass(frozen=True)
class Host:
    """What the rest of the lab needs to know about a host; address is the one on the net between hosts."""

    name: str
    kind: str
    suite: str
    index: int
    address: str
    connect: str
    port: int
    kernel: str = ""  # of KERNELS: what the suite's kernel is told besides

    def folder(self, lab: Lab) -> Path:
        return lab.hosts / self.name

    def save(self, lab: Lab) -> None:
        folder = self.folder(lab)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "host.json").write_text(json.dumps(asdict(self), indent=1) + "\n")


def parts(word: str) -> tuple[str, str]:
    """(suite, kernel) of "bookworm" or "bookworm+cgroup1"."""
    suite, _plus, kernel = word.partition("+")
    if suite not in SUITES:
        raise LabError(f"The lab has no suite '{suite}'.", f"Suites: {', '.join(SUITES)}.")
    if kernel not in ("", *KERNELS):
        raise LabError(f"The lab has no kernel '{kernel}' ('{word}').", f"Kernels: {', '.join(KERNELS)}.")
    return suite, kernel


def describe(lab: Lab, kind: str, index: int, word: str) -> Host:
    """The host with this number: names, addresses and ports are a function of kind and number."""
    suite, kernel = parts(word)
    if not 1 <= index <= MAX_HOSTS:
        raise LabError(f"A lab has at most {MAX_HOSTS} hosts of a kind, not '{index}'.")
    name = f"{KINDS[kind]}{index}"
    if kind == "qemu":
        return Host(name, kind, suite, index, f"10.7.0.{index}", "127.0.0.1", lab.first_port + index, kernel)
    if kernel:
        raise LabError(f"Host '{name}' cannot be '{word}': an nspawn host has the kernel of this machine.")
    address = f"10.8.0.{index + 1}"
    return Host(name, kind, suite, index, address, address, 22)


def known(lab: Lab, kind: str | None = None) -> list[Host]:
    """Every host that the lab remembers, in the order of kind and number."""
    found = [Host(**json.loads(path.read_text())) for path in lab.hosts.glob("*/host.json")]
    return sorted((h for h in found if kind in (None, h.kind)), key=lambda h: (h.kind != "qemu", h.index))


def named(lab: Lab, name: str) -> Host:
    for host in known(lab):
        if host.name == name:
            return host
    names = ", ".join(host.name for host in known(lab)) or "none"
    raise LabError(f"The lab has no host '{name}'.", f"Hosts of this lab: {names}.")
