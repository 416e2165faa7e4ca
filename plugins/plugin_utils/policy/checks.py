# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations that no policy may hold: writable and executable files, ways to a privileged service, and
grants that another clause of the same policy makes useless."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import model as m
from .faults import FaultList, quote
from .paths import meet
from .source import Node

# Whoever reaches one of these sockets runs code as root: by the service's own documentation (docker, podman,
# containerd, libvirt, snapd, LXD), or because it takes orders for the service manager.
PRIVILEGED_SOCKETS: dict[m.OS, tuple[str, ...]] = {
    m.OS.LINUX: (
        "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/dbus/system_bus_socket", "/run/docker.sock",
        "/run/k3s/containerd/containerd.sock", "/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock",
        "/run/lxd.socket", "/run/podman/podman.sock", "/run/snapd.socket", "/run/snapd-snap.socket",
        "/run/systemd/private", "/run/systemd/io.systemd.Manager", "/run/udev/control", "/run/buildkit/buildkitd.sock",
        "/var/lib/lxd/unix.socket", "/var/lib/incus/unix.socket", "/run/incus/unix.socket",
        "/var/snap/lxd/common/lxd/unix.socket",
    ),
    m.OS.MACOS: ("/var/run/docker.sock", "/private/var/run/docker.sock"),
    m.OS.WINDOWS: (r"\\.\pipe\docker_engine", r"\\.\pipe\containerd-containerd", r"\\.\pipe\podman-machine-default"),
}  # fmt: skip
SYSTEM_BUS = "/run/dbus/system_bus_socket"


@dataclass(frozen=True)
class Waived:
    """Which clauses a waiver names, per operating system."""

    pairs: frozenset[tuple[str, m.OS]]

    def covers(self, clause: m.Clause, os: m.OS) -> bool:
        return (clause.id, os) in self.pairs or (clause.section, os) in self.pairs


def check(
    clauses: Sequence[m.Clause],
    systems: Iterable[m.OS],
    waived: Waived,
    nodes: Mapping[str, Node],
    root: Node,
    faults: FaultList,
) -> None:
    """Record every forbidden combination as a fault at the clause that makes it."""
    wanted = sorted(systems, key=lambda os: os.value)
    _writable_code(clauses, wanted, waived, nodes, root, faults)
    _privileged_sockets(clauses, wanted, waived, nodes, root, faults)
    _families(clauses, nodes, root, faults)


def _writable_code(
    clauses: Sequence[m.Clause],
    systems: list[m.OS],
    waived: Waived,
    nodes: Mapping[str, Node],
    root: Node,
    faults: FaultList,
) -> None:
    writes = [c for c in clauses if isinstance(c, m.Write)]
    for run in (c for c in clauses if isinstance(c, (m.Execute, m.Spawn))):
        for write in writes:
            both = [os for os in systems if meet(write.path, run.path, os)]
            open_on = [os.value for os in both if not waived.covers(write, os) and not waived.covers(run, os)]
            if open_on:
                message = f"{quote(write.path.text)} is writable, and {run.id} runs programs from it on {', '.join(open_on)}."
                fix = f"write somewhere else, or waive '{write.id}' on {open_on[0]}"
                faults.add(nodes.get(write.id, root), message, fix)


def _privileged_sockets(
    clauses: Sequence[m.Clause],
    systems: list[m.OS],
    waived: Waived,
    nodes: Mapping[str, Node],
    root: Node,
    faults: FaultList,
) -> None:
    for clause in (c for c in clauses if isinstance(c, m.UnixSocket)):
        for os in systems:
            if waived.covers(clause, os):
                continue
            reached = next(
                (
                    name
                    for name in PRIVILEGED_SOCKETS[os]
                    if meet(clause.path, _run(name, os), os)
                    or meet(clause.path, m.PathRef(name, ((os, name),)), os)
                ),
                "",
            )
            if reached:
                message = (
                    f"{quote(clause.path.text)} reaches the privileged socket {quote(reached)} on {os.value}."
                )
                fix = (
                    "list the names that it needs under ipc.dbus"
                    if reached == SYSTEM_BUS
                    else f"remove it, or waive '{clause.id}' on {os.value}"
                )
                faults.add(nodes.get(clause.id, root), message, fix)
                break


def _run(name: str, os: m.OS) -> m.PathRef:
    """The same socket by its old name: /var/run is a link to /run on Linux."""
    old = f"/var{name}" if os is m.OS.LINUX and name.startswith("/run/") else name
    return m.PathRef(old, ((os, old),))


def _families(clauses: Sequence[m.Clause], nodes: Mapping[str, Node], root: Node, faults: FaultList) -> None:
    families = next((c for c in clauses if isinstance(c, m.Families)), None)
    user = next((c for c in clauses if isinstance(c, (m.Listen, m.Connect))), None)
    if families is None or user is None or {"ipv4", "ipv6"} & set(families.names):
        return
    message = f"{user.id} needs ipv4 or ipv6, and network.families has neither."
    faults.add(
        nodes.get(families.id, nodes.get(user.id, root)), message, "add ipv4 or ipv6 to network.families"
    )
