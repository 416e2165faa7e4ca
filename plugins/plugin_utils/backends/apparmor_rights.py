# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a profile says beyond files: capabilities, kinds of sockets, signals, tracing and mounts."""

from __future__ import annotations

from collections.abc import Sequence

from ..policy.model import Families, Manifest, Privilege, PrivilegeClosure, Syscalls
from .apparmor_table import DEFAULT_FAMILIES, FAMILIES, HUGE_PAGES
from .apparmor_text import ProfileText
from .base import BackendError, Status, Verdict
from .linux_host import Host
from .linux_names import profile_name
from .linux_tables import CAPABILITIES


class Rights:
    """Rules and verdicts of one policy that are not about files."""

    def __init__(self, manifest: Manifest, host: Host, others: Sequence[str] = ()) -> None:
        """``others``: profiles of the same service beside the policy's own."""
        self.manifest = manifest
        self.peers = [profile_name(manifest.policy), *others]
        self.granted = {privilege.name for privilege in manifest.of(Privilege)}
        self.escapes = sorted({program.path for program in host.programs if program.escapes})
        syscalls = manifest.of(Syscalls)
        # Mounting needs the privilege and the calls; who has both is meant to mount.
        self.mounts = "administer_system" in self.granted and any(
            "namespaces" in clause.groups for clause in syscalls
        )

    def write(self, text: ProfileText) -> None:
        closures = self.manifest.of(PrivilegeClosure)
        closure = closures[0].id if closures else PrivilegeClosure.section
        for privilege in sorted(self.manifest.of(Privilege), key=lambda clause: clause.id):
            for capability in CAPABILITIES.get(privilege.name, ()):
                text.rule(f"capability {capability.removeprefix('CAP_').lower()}", privilege.id)
            if privilege.name == "lock_memory":
                text.path(*HUGE_PAGES, privilege.id)
        families = self.manifest.of(Families)
        owner = families[0].id if families else Families.section
        for name in sorted(families[0].names if families else DEFAULT_FAMILIES):
            family, types = FAMILIES[name]
            raw = ("raw",) if name.startswith("ip") and "raw_network" in self.granted else ()
            for kind in (*types, *raw):
                text.rule(f"network {family} {kind}", owner)
        text.rule("signal (receive)", closure)
        # Under the other name while it is tried in the other mode, the name stays: the peer is the profile itself.
        # Who is under two profiles is reached by who may reach both.
        for word, free in (
            ("signal (send)", "signal_any_process"),
            ("ptrace (read, readby)", "trace_processes"),
        ):
            if free in self.granted:
                text.rule(word.removesuffix(" (read, readby)"), closure)
            else:
                for peer in self.peers:
                    text.rule(f"{word} peer={peer}", closure)
        if self.mounts:
            for word in ("mount", "umount", "remount", "pivot_root"):
                text.rule(word, closure)

    def privileges(self, clause: PrivilegeClosure) -> Verdict:
        missing = [f"{path} runs with all privileges (prefix '+')" for path in self.escapes]
        missing += undone(self)
        status = Status.PARTIAL if missing else Status.ENFORCED
        return Verdict(
            clause.id, status, ("apparmor capability, ptrace and mount rules",), "; ".join(missing)
        )

    def privilege(self, clause: Privilege) -> Verdict:
        if clause.name not in CAPABILITIES:
            raise BackendError(f"'{clause.name}' has no capability on Linux")
        return Verdict(clause.id, Status.ENFORCED, ("apparmor capability",))

    def families(self, clause: Families) -> Verdict:
        return Verdict(clause.id, Status.ENFORCED, ("apparmor network",))


def undone(rights: Rights) -> list[str]:
    """What the policy itself lets the service undo of a profile's rules."""
    return (
        ["administer_system with the calls of 'namespaces' can mount, and so give files other names"]
        if rights.mounts
        else []
    )
