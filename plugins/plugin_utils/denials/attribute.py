# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an act that was denied to the clause behind it: an id of the policy, or nothing ("no clause")."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..backends.linux_tables import CAPABILITIES, FAMILIES
from ..backends.nftables_text import label
from ..policy import model as m
from ..policy.base import BASE_READ
from ..policy.evaluate import Decision, Outcome, path_act
from ..policy.links import merged
from . import calls
from .acts import FILE_ACTS, Act

_CLOSURES = {"read": m.ReadClosure, "write": m.WriteClosure, "execute": m.ExecuteClosure}
# Of AppArmor's words for families those that the kernel's own are not (security/apparmor/net.c)
# AppArmor's operations on other processes and on mounts -> the privilege that opens them
OPERATIONS = {
    "ptrace": "trace_processes",
    "signal": "signal_any_process",
    **dict.fromkeys(("mount", "umount", "pivotroot"), "administer_system"),
}
_FAMILY_WORDS = {"inet": "ipv4", "inet6": "ipv6"} | {
    word: word for word in FAMILIES if word not in ("ipv4", "ipv6")
}


@dataclass(frozen=True)
class Attribution:
    """``clause``: an id, or "" for no clause. ``deny``: a clause that denies by itself. ``note``: why not, or what
    else."""

    clause: str
    deny: bool = False
    note: str = ""


def attribute(manifest: m.Manifest, act: Act, allowed_calls: Collection[str] | None) -> Attribution:
    """``allowed_calls``: names that the unit's filter lets through, read from the host; None where it has no list."""
    component = component_of(manifest, act)
    if component is not None:
        return Attribution(component.id, note=f"by the policy '{component.policy}' of this component")
    if act.kind in FILE_ACTS:
        return _file(manifest, act)
    if act.mechanism == "nftables":
        return _network(manifest, act)
    if act.kind == "call":
        return _call(manifest, act, allowed_calls)
    if act.kind == "privilege":
        return _privilege(manifest, privilege_of(act.subject), f"the capability {act.subject}")
    if act.kind == "socket":
        if act.detail == "raw" and family_of(act.subject) in _families(manifest):
            return _privilege(manifest, "raw_network", "a raw socket")
        return _setting(manifest, m.Families, m.ConnectClosure)
    if act.kind == "other" and act.detail in OPERATIONS:
        return _privilege(manifest, OPERATIONS[act.detail], act.detail)
    if act.kind == "memory":
        return _setting(manifest, m.MemoryLimit)
    if act.kind == "processes":
        return _setting(manifest, m.MaxProcesses)
    return Attribution("", note="no clause of the language speaks of it")


def component_of(manifest: m.Manifest, act: Act) -> m.Component | None:
    """The component whose own profile denied it; the service's profile is asked as well, and records for itself."""
    return next((one for one in manifest.of(m.Component) if one.name == act.component), None)


def spellings(path: str) -> Iterator[str]:
    """The path, and the name that a policy may have given it where /usr is merged."""
    yield path
    other = path.removeprefix("/usr")
    if other != path and merged(other) == path:
        yield other


def decide(clauses: tuple[m.Clause, ...], action: str, path: str) -> Decision:
    """``path_act`` of the spelling that a clause speaks of most closely: a named decision before an unnamed one."""
    decisions = [path_act(clauses, action, one, m.OS.LINUX) for one in spellings(path)]
    return next((one for one in decisions if one.clause), decisions[0])


def family_of(word: str) -> str:
    """The policy's name of an address family in AppArmor's words, or nothing."""
    return _FAMILY_WORDS.get(word, "")


def privilege_of(capability: str) -> str:
    """The privilege that holds a capability (``net_admin``), or nothing."""
    wanted = f"CAP_{capability.upper()}"
    return next((name for name, held in CAPABILITIES.items() if wanted in held), "")


def _file(manifest: m.Manifest, act: Act) -> Attribution:
    path = act.subject.rstrip("/") or "/"
    for secret in manifest.of(m.Secret):
        if path in (source for source in (secret.source.on(m.OS.LINUX),) if source):
            note = "the file is handed over as a secret and not read in place"
            return Attribution(secret.id, deny=True, note=note)
    decision = decide(manifest.clauses, act.kind, path)
    if decision.outcome is Outcome.ALLOW:
        note = f"the policy allows it by {decision.clause}: the host may run another version of it"
        return Attribution("", note=note)
    if decision.clause:
        denied = any(clause.id == decision.clause for clause in manifest.of(m.Deny))
        return Attribution(decision.clause, deny=denied)
    if is_device(path):
        return _setting(manifest, m.DeviceClosure)
    return _setting(manifest, _CLOSURES[act.kind])


def is_device(path: str) -> bool:
    return path.startswith("/dev/") and not path.startswith("/dev/shm/") and path not in BASE_READ[m.OS.LINUX]


def _network(manifest: m.Manifest, act: Act) -> Attribution:
    for clause in manifest.clauses:
        for suffix in ("", " max_open", " rate"):
            if label(clause.id, suffix) == act.label:
                return Attribution(clause.id, note=suffix.strip())
    return Attribution(
        "", note=f"the host's rule names {act.label!r}, which this version of the policy has not"
    )


def _call(manifest: m.Manifest, act: Act, allowed: Collection[str] | None) -> Attribution:
    filtered = calls.FILTERS.get(act.subject)
    closed = act.subject not in allowed if allowed is not None else bool(calls.group_of(act.subject))
    if filtered is None or closed:
        return _setting(manifest, m.Syscalls, m.PrivilegeClosure)
    found = next((c for c in manifest.clauses if c.id == c.section == filtered.section), None)
    if found is not None:
        return Attribution(found.id, note=filtered.directive)
    return _setting(manifest, m.ConnectClosure if act.subject == "socket" else m.PrivilegeClosure)


def _families(manifest: m.Manifest) -> set[str]:
    return {name for clause in manifest.of(m.Families) for name in clause.names}


def _privilege(manifest: m.Manifest, name: str, what: str) -> Attribution:
    if name in {clause.name for clause in manifest.of(m.Privilege)}:
        note = f"the policy grants the privilege {name}: the host may run another version of it"
        return Attribution("", note=note)
    note = "" if name else f"no privilege of the language stands for {what}"
    found = _setting(manifest, m.PrivilegeClosure)
    return Attribution(found.clause, note=note or found.note)


def _setting(manifest: m.Manifest, *kinds: type[m.Clause]) -> Attribution:
    """The clause of the first of these kinds that the policy has."""
    for kind in kinds:
        for clause in manifest.of(kind):
            return Attribution(clause.id)
    return Attribution("", note=f"the policy has no {kinds[0].section}")
