# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations that no policy may hold: writable and executable files, ways to a privileged service, and
clauses of one policy that undo each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from . import model as m
from .faults import FaultList, quote
from .paths import covers, meet
from .source import Node

# Whoever reaches one of these sockets runs code as root: by the service's own documentation (docker, podman,
# containerd, libvirt, snapd, LXD), or because it takes orders for the service manager.
PRIVILEGED_SOCKETS: dict[m.OS, tuple[str, ...]] = {
    m.OS.LINUX: (
        "/run/buildkit/buildkitd.sock",
        "/run/containerd/containerd.sock",
        "/run/crio/crio.sock",
        "/run/dbus/system_bus_socket",
        "/run/docker.sock",
        "/run/incus/unix.socket",
        "/run/k3s/containerd/containerd.sock",
        "/run/libvirt/libvirt-sock",
        "/run/libvirt/virtqemud-sock",
        "/run/lxd.socket",
        "/run/podman/podman.sock",
        "/run/snapd-snap.socket",
        "/run/snapd.socket",
        "/run/systemd/io.systemd.Manager",
        "/run/systemd/private",
        "/run/udev/control",
        "/var/lib/incus/unix.socket",
        "/var/lib/lxd/unix.socket",
        "/var/snap/lxd/common/lxd/unix.socket",
    ),
    m.OS.MACOS: ("/var/run/docker.sock",),
    m.OS.WINDOWS: (
        r"\\.\pipe\containerd-containerd",
        r"\\.\pipe\docker_engine",
        r"\\.\pipe\podman-machine-default",
    ),
}
SYSTEM_BUS = "/run/dbus/system_bus_socket"


@dataclass(frozen=True)
class Resolved:
    """All clauses of a policy with what the checks need to judge them and to name their place.

    ``systems``: the operating systems that the policy has a workload on. ``waived``: (clause or section, os).
    """

    clauses: Sequence[m.Clause]
    systems: Sequence[m.OS]
    waived: frozenset[tuple[str, m.OS]]
    nodes: Mapping[str, Node]
    root: Node
    faults: FaultList

    def fault(self, clause: m.Clause, message: str, help_text: str) -> None:
        self.faults.add(self.nodes.get(clause.id, self.root), message, help_text)

    def is_waived(self, clause: m.Clause, os: m.OS) -> bool:
        return (clause.id, os) in self.waived or (clause.section, os) in self.waived


def check(policy: Resolved) -> None:
    """Record every forbidden combination as a fault at the clause that makes it."""
    _writable_code(policy)
    _privileged_sockets(policy)
    _devices(policy)
    _denied_grants(policy)
    _overlapping_ports(policy)
    _families(policy)


def _writable_code(policy: Resolved) -> None:
    writes = [clause for clause in policy.clauses if isinstance(clause, m.Write)]
    for run in policy.clauses:
        if not isinstance(run, (m.Execute, m.Spawn)):
            continue
        for write in writes:
            both = [os for os in policy.systems if meet(write.path, run.path, os)]
            open_on = [
                o.value for o in both if not policy.is_waived(write, o) and not policy.is_waived(run, o)
            ]
            if open_on:
                what = f"{quote(write.path.text)} is writable and {run.id} runs programs from it"
                fix = f"write somewhere else, or waive '{write.id}' on {open_on[0]}"
                policy.fault(write, f"{what} on {', '.join(open_on)}.", fix)


def _privileged_sockets(policy: Resolved) -> None:
    for clause in policy.clauses:
        if not isinstance(clause, (m.UnixSocket, m.Write)):
            continue
        for os in policy.systems:
            reached = _reached(clause.path, os)
            if reached and not policy.is_waived(clause, os):
                message = (
                    f"{quote(clause.path.text)} reaches the privileged socket {quote(reached)} on {os.value}."
                )
                fix = f"remove it, or waive '{clause.id}' on {os.value}"
                bus = reached == SYSTEM_BUS and isinstance(clause, m.UnixSocket)
                policy.fault(clause, message, "list the names that it needs under ipc.dbus" if bus else fix)
                break


def _reached(path: m.PathRef, os: m.OS) -> str:
    return next((name for name in PRIVILEGED_SOCKETS[os] if covers(path, name, os)), "")


def _devices(policy: Resolved) -> None:
    for clause in policy.clauses:
        if not isinstance(clause, m.Device):
            continue
        for os in (m.OS.LINUX, m.OS.MACOS):
            path = clause.path.on(os)
            if path and not path.startswith("/dev/"):
                what = f"{quote(clause.path.text)} is no device: devices lie below /dev."
                policy.fault(clause, what, "name the device, or grant a file under filesystem.read or write")
                break


def _denied_grants(policy: Resolved) -> None:
    """Deny wins a tie: a grant of the very path that is denied says nothing."""
    denied = {
        (os, clause.path.on(os), clause.path.glob): clause.id
        for clause in policy.clauses
        if isinstance(clause, m.Deny)
        for os in policy.systems
        if clause.path.on(os) is not None
    }
    for clause in policy.clauses:
        if not isinstance(clause, (m.Read, m.Write, m.Execute, m.Spawn)):
            continue
        for os in policy.systems:
            deny = denied.get((os, clause.path.on(os), clause.path.glob))
            if deny is not None:
                message = f"{quote(clause.path.text)} is denied by {deny} on {os.value}; deny wins a tie."
                policy.fault(clause, message, "remove one of the two")
                break


def _overlapping_ports(policy: Resolved) -> None:
    """Two clauses for one port would make it a matter of chance which of them counts it."""
    listens = sorted(
        (c for c in policy.clauses if isinstance(c, m.Listen)), key=lambda c: (c.origin.line, c.id)
    )
    for first, second in combinations(listens, 2):
        if overlap(first.port, second.port):
            message = f"{quote(second.port)} is in {quote(first.port)} of line {first.origin.line} already."
            policy.fault(second, message, "write ranges that do not overlap")
    for clause in policy.clauses:
        if isinstance(clause, m.Connect):
            for one, other in combinations(clause.ports, 2):
                if overlap(one, other):
                    message = f"the ports {quote(one)} and {quote(other)} overlap."
                    policy.fault(clause, message, "write ranges that do not overlap")


def overlap(first: m.Port, second: m.Port) -> bool:
    """Whether two port ranges of one protocol share a port."""
    return first.protocol == second.protocol and first.first <= second.last and second.first <= first.last


def _families(policy: Resolved) -> None:
    families = next((c for c in policy.clauses if isinstance(c, m.Families)), None)
    user = next((c for c in policy.clauses if isinstance(c, (m.Listen, m.Connect))), None)
    if families is None or user is None or {"ipv4", "ipv6"} & set(families.names):
        return
    written = families if families.id in policy.nodes else user
    message = f"{user.id} needs ipv4 or ipv6, and network.families has neither."
    policy.fault(written, message, "add ipv4 or ipv6 to network.families")
