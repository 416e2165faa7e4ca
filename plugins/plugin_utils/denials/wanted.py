# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest change that would let an act through, by kind of act, and how to see that it does.

Each function gives a ``Wish``, or raises ``NoChange`` with a sentence for people. Nothing here is believed: the change
is resolved and judged by ``proposal`` before anybody sees it.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable

from ..backends.linux_names import within
from ..backends.linux_tables import SENSITIVE, SENSITIVE_OF_ROOT
from ..policy import model as m
from ..policy.evaluate import Outcome, connect_act, listen_act
from ..policy.words import FAMILIES
from .acts import FILE_ACTS, Act
from .attribute import Attribution, decide, family_of, is_device
from .change import Change, Policy
from .wanted_calls import call_wish, capability_wish, privilege_wish
from .wishes import NoChange, Wish, names

_PROCESS = re.compile(r"/proc/[0-9]+(/.*)?")
_GLOB = re.compile(r"[*?\[\]]")
_GIVES = {"read": "", "write": "reading, changing and removing it", "execute": "reading it"}


def wish(policy: Policy, act: Act, found: Attribution) -> Wish:
    """The change for one act. Raises NoChange."""
    if not found.clause:
        raise NoChange(found.note or "no clause is behind it, so no change of the policy allows it")
    if found.deny:
        raise NoChange(
            found.note or f"{found.clause} denies it on purpose; remove that clause if it is wrong"
        )
    if act.kind in FILE_ACTS:
        return _file(act)
    maker = _MAKERS.get(act.kind)
    if maker is None:
        raise NoChange(found.note or "the language has no words for it")
    return maker(policy, act, found)


# --- files ---


def _file(act: Act) -> Wish:
    path = act.subject.rstrip("/")
    if not path.startswith("/"):
        raise NoChange("the record has no whole path: the file is in no directory that the service sees")
    if not path.isprintable() or "\\" in path:
        raise NoChange("its name holds characters that are no part of a path in a policy")
    if is_device(path):
        return Wish(
            Change(added=(("devices", path),)),
            ("reading, writing and controlling the device",),
            lambda manifest: any(clause.path.on(m.OS.LINUX) == path for clause in manifest.of(m.Device)),
        )
    opens = [_GIVES[act.kind]] if _GIVES[act.kind] else []
    if any(within(path, secret) for secret in (*SENSITIVE, *SENSITIVE_OF_ROOT)):
        opens.append("what is known to hold secrets of the system")
    entry: object = path
    process = _PROCESS.fullmatch(path)
    if process:
        entry = {"glob": f"/proc/*{process[1] or ''}"}
        opens.append("the same file of every process that the service can see")
    elif act.kind == "write" and act.creates and not act.enforced:
        # A file that is to come or to go needs its directory, as a mount covers only what is there.
        path = posixpath.dirname(path)
        if path.count("/") < 2:
            raise NoChange(
                f"it makes or removes files in {path or '/'}: name the file or a directory below by hand"
            )
        entry, opens = path, [f"reading, making, changing and removing everything below {path}"]
    elif act.subject.endswith("/"):
        opens.append(f"everything below {path}")
    if not process and _GLOB.search(path):
        entry = {"path": path}
    kind = act.kind
    return Wish(
        Change(added=((f"filesystem.{kind}", entry),)),
        tuple(opens),
        lambda manifest: decide(manifest.clauses, kind, act.subject.rstrip("/")).outcome is Outcome.ALLOW,
    )


# --- network ---


def _connect(policy: Policy, act: Act, found: Attribution) -> Wish:
    if found.note:
        raise NoChange(
            f"the limit {found.note} of {found.clause} was reached: raise it to what the service needs"
        )
    port = _port(act)
    try:
        address = str(ipaddress.ip_address(act.address))
    except ValueError:
        raise NoChange("the record has no address") from None
    entry = {"to": address, "ports": [str(port)]}
    return Wish(
        Change(added=(("network.connect", entry),)),
        (f"every process of the service may send anything to {port} at {address}",),
        lambda manifest: connect_act(manifest.clauses, address, port).outcome is Outcome.ALLOW,
    )


def _listen(policy: Policy, act: Act, found: Attribution) -> Wish:
    limit = next((one for one in policy.manifest.of(m.MaxConnections) if one.id == found.clause), None)
    if limit is not None:
        most, guess = _more(limit.count, act.count)
        return Wish(
            Change(put=((m.MaxConnections.section, most),)),
            (f"{most} connections at once, {limit.count} so far; {guess}",),
            lambda manifest: any(clause.count >= most for clause in manifest.of(m.MaxConnections)),
        )
    port = _port(act)
    return Wish(
        Change(added=(("network.listen", str(port)),)),
        (f"everybody who reaches the host on {port} talks to the service",),
        lambda manifest: listen_act(manifest.clauses, port).outcome is Outcome.ALLOW,
    )


def _port(act: Act) -> m.Port:
    protocol, _slash, number = act.subject.partition("/")
    if protocol not in ("tcp", "udp") or not number.isdecimal():
        raise NoChange(f"it is {protocol or 'a packet'} without a port, which the language has no words for")
    return m.Port(protocol, int(number), int(number))


def _packet(policy: Policy, act: Act, found: Attribution) -> Wish:
    raise NoChange("nobody knows where these packets went; the others of the same clause may tell")


def _socket(policy: Policy, act: Act, found: Attribution) -> Wish:
    if found.clause == m.PrivilegeClosure.section:
        return privilege_wish(policy, "raw_network")
    family = family_of(act.subject)
    if not family:
        raise NoChange(f"the language has no word for the address family {act.subject!r}")
    return Wish(
        names(policy, m.Families.section, family, _effective_families(policy)),
        (f"every kind of socket of this family: {FAMILIES[family]}",),
        lambda manifest: any(family in clause.names for clause in manifest.of(m.Families)),
    )


def _effective_families(policy: Policy) -> set[str]:
    return {name for clause in policy.manifest.of(m.Families) for name in clause.names}


# --- limits ---


def _memory(policy: Policy, act: Act, found: Attribution) -> Wish:
    limit = policy.manifest.of(m.MemoryLimit)[0]
    most = limit.bytes * 2
    return Wish(
        Change(put=((m.MemoryLimit.section, size(most)),)),
        (
            f"{size(most)} of memory, {size(limit.bytes)} so far; how much is needed no record says: twice is a "
            "first try",
        ),
        lambda manifest: any(clause.bytes >= most for clause in manifest.of(m.MemoryLimit)),
    )


def _processes(policy: Policy, act: Act, found: Attribution) -> Wish:
    limit = policy.manifest.of(m.MaxProcesses)[0]
    most, guess = _more(limit.count, act.count)
    return Wish(
        Change(put=((m.MaxProcesses.section, most),)),
        (f"{most} processes and threads at once, {limit.count} so far; {guess}",),
        lambda manifest: any(clause.count >= most for clause in manifest.of(m.MaxProcesses)),
    )


def _more(now: int, refused: int) -> tuple[int, str]:
    """(a higher limit, why it is a guess). Refusals are tries again and again, or an attacker's: twice is the most."""
    guess = "how many are needed no record says"
    most = max(now, 1) * 2
    if now + refused < most:
        return now + max(refused, 1), guess
    return most, f"{guess}: twice is a first try"


def size(count: int) -> str:
    """Bytes as a policy writes them."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


_MAKERS: dict[str, Callable[[Policy, Act, Attribution], Wish]] = {
    "connect": _connect,
    "listen": _listen,
    "packet": _packet,
    "socket": _socket,
    "call": call_wish,
    "privilege": capability_wish,
    "other": capability_wish,
    "memory": _memory,
    "processes": _processes,
}
