# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest change that would let a system call through, or an act that needs a capability."""

from __future__ import annotations

from ..backends.linux_tables import CAPABILITIES, SYSCALLS_OF_PRIVILEGE, UNDOING
from ..policy import model as m
from ..policy.words import PRIVILEGES, SYSCALL_GROUPS
from . import calls
from .acts import Act
from .attribute import OPERATIONS, Attribution, privilege_of
from .change import Change, Policy
from .wishes import NoChange, Wish, names

# Grants of the network bring these along: nobody writes them.
_IMPLIED = frozenset(("basic", "network_client", "network_server"))


def call_wish(policy: Policy, act: Act, found: Attribution) -> Wish:
    """A call that a filter refused: the group, the privilege or the setting that opens it."""
    call = act.subject
    other = calls.FILTERS.get(call)
    if other is not None and other.harmless and found.note == other.directive:
        raise NoChange(f"nothing is lost: programs take {other.harmless} when {call}() is refused")
    if call == "socket" and found.clause != m.Syscalls.section:
        raise NoChange(
            "the record does not say which address family was asked for: name it in network.families"
        )
    group = calls.group_of(call)
    opened = calls.open_by_filter(policy.manifest.clauses, call)
    only_other = found.note == (other.directive if other else "-")
    if other is not None and other.allow and only_other:
        return _writable_and_executable(policy)
    if not group and not (other and only_other and (other.privilege or other.group)):
        raise NoChange(f"no group of the language holds {call}(): a service has no need of it")
    if group in calls.UNREACHABLE:
        raise NoChange(
            f"{call}() needs {calls.UNREACHABLE[group]} as well, which no privilege of the language holds"
        )
    groups = {group} if group and not opened else set()
    privileges = {calls.PRIVILEGED[call]} if call in calls.PRIVILEGED else set()
    if other is not None and (only_other or other.section == m.PrivilegeClosure.section):
        groups |= {other.group} - {""}
        # Its filter refuses some of the uses of this call only, and which one the record does not say.
        always = other.directive in ("ProtectClock",)
        privileges |= {other.privilege} - {""} if only_other or always else set()
    groups -= {SYSCALLS_OF_PRIVILEGE.get(name, "") for name in privileges}
    return _words(policy, groups, privileges, call)


def _words(policy: Policy, groups: set[str], privileges: set[str], call: str = "") -> Wish:
    groups -= calls.granted_groups(policy.manifest.clauses)
    change = Change(added=tuple(("identity.privileges", name) for name in sorted(privileges)))
    opens: list[str] = []
    for name in sorted(privileges):
        opens += _opened_by(name)
    accounts = policy.manifest.of(m.User) if "switch_user" in privileges else ()
    opens += [
        f"where the unit itself starts as root, so does the application: it has to become '{account.name}' itself"
        for account in accounts
    ]
    for group in sorted(groups):
        more = names(
            policy, m.Syscalls.section, group, calls.granted_groups(policy.manifest.of(m.Syscalls)) - _IMPLIED
        )
        change = Change((*change.added, *more.added), (*change.put, *more.put))
        others = sorted(calls.GROUPS.get(group, frozenset()) - {call})
        opens.append(f"{SYSCALL_GROUPS[group]}: {', '.join(f'{one}()' for one in others)}")
        capability = next((name for name, brought in SYSCALLS_OF_PRIVILEGE.items() if brought == group), "")
        if capability and not any(clause.name == capability for clause in policy.manifest.of(m.Privilege)):
            opens.append(
                f"the calls alone; acts on what is another's need the privilege {capability} as well"
            )
    return Wish(
        change,
        tuple(opens),
        lambda manifest: (
            privileges <= {clause.name for clause in manifest.of(m.Privilege)}
            and groups <= calls.granted_groups(manifest.clauses)
            and (not calls.group_of(call) or calls.open_by_filter(manifest.clauses, call))
        ),
    )


def privilege_wish(policy: Policy, name: str) -> Wish:
    """One privilege, with its calls."""
    return _words(policy, set(), {name})


def capability_wish(policy: Policy, act: Act, found: Attribution) -> Wish:
    """The privilege that holds a capability, or that opens an operation on other processes."""
    name = OPERATIONS.get(act.detail, "") if act.kind == "other" else privilege_of(act.subject)
    if not name:
        raise NoChange(found.note or "the language has no words for it")
    if act.kind == "other" and name == "administer_system":
        return _words(policy, {"namespaces"}, {name})  # mounting needs its calls as well
    return privilege_wish(policy, name)


def _opened_by(name: str) -> list[str]:
    held = ", ".join(CAPABILITIES[name])
    opens = [f"the whole privilege {name} ({held}): {PRIVILEGES[name]}"]
    brought = SYSCALLS_OF_PRIVILEGE.get(name)
    if brought:
        opens.append(f"its calls: {', '.join(f'{one}()' for one in sorted(calls.GROUPS[brought]))}")
    if name in UNDOING:
        opens.append(f"it undoes other clauses: it {UNDOING[name]}")
    return opens


def _writable_and_executable(policy: Policy) -> Wish:
    return Wish(
        Change(put=((m.WritableAndExecutable.section, "allow"),)),
        ("memory that is written and then run: injected code runs as well",),
        lambda manifest: any(clause.allow for clause in manifest.of(m.WritableAndExecutable)),
    )
