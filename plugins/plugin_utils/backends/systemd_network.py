# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""network.*: what systemd carries of it, and the drop-in's ties to the slice and the table
(systemd.resource-control(5))."""

from __future__ import annotations

from ..policy.model import Connect, ConnectClosure, Families, Listen, ListenClosure, Mode
from .base import BackendError
from .linux_names import net_unit, slice_name
from .linux_network import ANNOUNCED, all_addresses, binds_filtered, filtered, offline
from .linux_tables import FAMILIES
from .systemd_plan import Plan

# Where a policy names no families: those that programs and name look-ups use, and none to talk to the kernel with.
_DEFAULT = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX")
_OFFLINE_DETAIL = "no internet family is granted: such a socket cannot be made"


def emit(plan: Plan) -> None:
    """Families, the network-less case, a second lock by addresses, and the slice that the packet filter matches."""
    _families(plan)
    if offline(plan.manifest):
        _offline(plan)
        return
    tie_to_slice(plan)
    _second_lock(plan)
    _bind(plan)


def tie_to_slice(plan: Plan) -> None:
    """The application starts in its own slice, after the table is loaded, and not without it.

    Not ``BindsTo=``: systemd would stop a running application as soon as it reads the drop-in, before the table is
    there and whether or not a restart is wanted, and would stop it with a keeper that is back in the same second. In
    audit mode it runs without the table as well: nothing that only watches may stop a service.
    """
    if not filtered(plan.manifest, plan.host):
        return
    closures = (*plan.manifest.of(ConnectClosure), *plan.manifest.of(ListenClosure))
    clause = closures[0].id
    unit = net_unit(plan.manifest.policy)
    plan.text.set("Slice", slice_name(plan.manifest.policy), clause)
    plan.text.add("Wants" if plan.manifest.mode is Mode.AUDIT else "Requires", unit, clause, "Unit")
    plan.text.add("After", unit, clause, "Unit")
    plan.property(clause, "Slice", slice_name(plan.manifest.policy))


def _families(plan: Plan) -> None:
    clause = plan.one(Families)
    if clause is None:
        closure = plan.one(ConnectClosure)
        for family in _DEFAULT:
            plan.text.add(
                "RestrictAddressFamilies", family, closure.id if closure else ConnectClosure.section
            )
        return
    with plan.refusing(clause):
        if plan.host.notifies and "unix" not in clause.names:
            raise BackendError(
                f"The unit has Type={plan.host.type} and reports over a UNIX socket: without 'unix' in {clause.id} "
                "it would never count as started. Add 'unix'."
            )
        if not plan.host.flags.get("SECCOMP"):
            raise BackendError(
                "this host's systemd is built without seccomp: RestrictAddressFamilies= does nothing"
            )
        if not clause.names and plan.host.systemd < 249:
            raise BackendError(
                f"RestrictAddressFamilies=none begins with systemd 249, this host has {plan.host.systemd}."
            )
        for name in clause.names:
            plan.text.add("RestrictAddressFamilies", FAMILIES[name], clause.id)
            plan.property(clause, "RestrictAddressFamilies", FAMILIES[name], "contains")
        if not clause.names:
            plan.text.add("RestrictAddressFamilies", "none", clause.id)
        for name in ("packet", "netlink"):
            if name not in clause.names:
                plan.property(clause, "RestrictAddressFamilies", FAMILIES[name], "excludes")
                plan.probe(clause, "socket_family", name, "not among the families of the policy")
        if "ipv6" in clause.names and "ipv4" not in clause.names and not filtered(plan.manifest, plan.host):
            plan.partial(
                clause,
                "RestrictAddressFamilies",
                detail="sockets of IPv6 carry IPv4 too, by mapped addresses",
            )
        else:
            plan.enforce(clause, "RestrictAddressFamilies")


def _offline(plan: Plan) -> None:
    for kind in (ConnectClosure, ListenClosure):
        for closure in plan.manifest.of(kind):
            plan.text.set("PrivateNetwork", "yes", closure.id)
            plan.property(closure, "PrivateNetwork", "yes")
            if plan.host.sockets:
                plan.partial(
                    closure,
                    "RestrictAddressFamilies",
                    "PrivateNetwork",
                    detail=f"sockets that {', '.join(plan.host.sockets)} opens are handed in and stay usable",
                )
            else:
                plan.enforce(closure, "RestrictAddressFamilies", "PrivateNetwork", detail=_OFFLINE_DETAIL)
    for grant in (*plan.manifest.of(Connect), *plan.manifest.of(Listen)):
        plan.refuse(
            grant, "network.families grants neither 'ipv4' nor 'ipv6': the clause could never be used"
        )


def _second_lock(plan: Plan) -> None:
    """Addresses by the unit's own cgroup program: no ports, but nothing that flushes nftables opens it."""
    closure = plan.one(ConnectClosure)
    known = all_addresses(plan.manifest, plan.host)
    if closure is None or known is None or plan.host.container:
        return
    if not plan.host.facts.get("cgroup", {}).get("controllers"):
        return
    plan.text.add("IPAddressDeny", "any", closure.id)
    for address in known:
        plan.text.add("IPAddressAllow", address, closure.id)
    if not known:
        plan.text.clear("IPAddressAllow", closure.id)
    plan.property(closure, "IPAddressDeny", "0.0.0.0/0", "contains")
    alone = not filtered(plan.manifest, plan.host)
    plan.partial(
        closure,
        "IPAddressDeny",
        detail=f"systemd filters by address only, not by port; {ANNOUNCED}" if alone else "",
    )
    if alone:
        for grant in plan.manifest.of(Connect):
            plan.partial(
                grant, "IPAddressAllow", detail="every port of these addresses is open, in both directions"
            )


def _bind(plan: Plan) -> None:
    """bind() itself; what takes a port without it is the packet filter's, whose verdict says what that misses."""
    closure = plan.one(ListenClosure)
    if closure is None or not binds_filtered(plan.manifest, plan.host):
        return
    ports = [clause.port for clause in plan.manifest.of(Listen)]
    plan.text.add("SocketBindDeny", "any", closure.id)
    for clause in plan.manifest.of(Listen):
        port = clause.port
        whole = (port.first, port.last) == (0, 65535)
        span = "" if whole else f":{port.first}" + ("" if port.first == port.last else f"-{port.last}")
        plan.text.add("SocketBindAllow", f"{port.protocol}{span}", clause.id)
    if not ports:
        plan.text.clear("SocketBindAllow", closure.id)
    plan.property(closure, "SocketBindDeny", "any")
    missing = ["systemd forgets SocketBindDeny with a daemon-reload, until the unit starts anew"]
    if plan.host.sockets:
        missing.append("does not touch sockets that are handed in")
    plan.partial(closure, "SocketBindDeny", detail="; ".join(missing))
