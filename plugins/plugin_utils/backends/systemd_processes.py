# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""processes.*, memory.*, cpu.*, io.* and files.*: system calls and limits."""

from __future__ import annotations

from ..policy.model import (
    Clause,
    CoreDumps,
    CpuLimit,
    CpuWeight,
    IoWeight,
    MaxFileSize,
    MaxOpenFiles,
    MaxProcesses,
    MemoryLimit,
    Privilege,
    PrivilegeClosure,
    Syscalls,
    WritableAndExecutable,
)
from .base import ReadBack
from .linux_network import filtered
from .linux_tables import SYSCALLS_ADDED, SYSCALLS_CLOSED, SYSCALLS_OF_PRIVILEGE
from .systemd_plan import Plan

_NETWORK = frozenset({"network_server", "network_client"})
_LISTENING = "listen accept accept4"
# cgroup-v2.rst. memory.max is rounded down to whole pages.
_FILES = {"pids": "pids.max", "memory": "memory.max"}
# Documentation/admin-guide/cgroup-v1: systemd writes the same limits there (cgroup_context_apply() of its cgroup.c).
_LEGACY_FILES = {"pids": "legacy:pids/pids.max", "memory": "legacy:memory/memory.limit_in_bytes"}


# cgroup-v2.rst, memory_hugetlb_accounting. None are reserved by default; AppArmor keeps them from a service
# without the privilege lock_memory.
_HUGE = "huge pages that the host has reserved (vm.nr_hugepages) are not counted"


def emit(plan: Plan) -> None:
    """The system call filter and every limit of the policy."""
    _syscalls(plan)
    plan.each(MaxProcesses, lambda clause: _limit(plan, clause, "pids", "TasksMax", str(clause.count)))
    plan.each(MemoryLimit, lambda clause: _memory(plan, clause))
    plan.each(CpuLimit, lambda clause: _cpu(plan, clause))
    plan.each(CpuWeight, lambda clause: _weight(plan, clause))
    plan.each(IoWeight, lambda clause: _io(plan, clause))
    plan.each(MaxOpenFiles, lambda clause: _resource(plan, clause, "LimitNOFILE", clause.count))
    plan.each(MaxFileSize, lambda clause: _resource(plan, clause, "LimitFSIZE", clause.bytes))
    plan.each(CoreDumps, lambda clause: _core(plan, clause))
    plan.each(WritableAndExecutable, lambda clause: _wx(plan, clause))


def _syscalls(plan: Plan) -> None:
    clause = plan.one(Syscalls)
    name = clause.id if clause else PrivilegeClosure.section
    text = plan.text
    # Without it 32-bit calls run beside the filter.
    text.add("SystemCallArchitectures", "native", name)
    plan.property(name, "SystemCallArchitectures", "native")
    if not plan.host.flags.get("SECCOMP"):
        if clause:
            plan.refuse(clause, "this host's systemd is built without seccomp: it cannot filter system calls")
        return
    # A privilege is nothing without its calls.
    groups = {
        SYSCALLS_OF_PRIVILEGE[name] for name in plan.granted(Privilege) if name in SYSCALLS_OF_PRIVILEGE
    }
    added = sorted((groups | set(clause.groups if clause else ())) & SYSCALLS_ADDED.keys())
    groups |= set(clause.groups) if clause else {"network_server", "switch_user", *SYSCALLS_CLOSED}
    text.set("SystemCallErrorNumber", "EPERM", name)
    text.add("SystemCallFilter", "@system-service", name)
    # @privileged lacks the calls that change a group.
    denied = [] if "switch_user" in groups else ["@privileged", "@setuid", "setfsgid"]
    for group in sorted(SYSCALLS_CLOSED):
        if group not in groups:
            denied += SYSCALLS_CLOSED[group]
    if "network_server" not in groups:
        denied.append(_LISTENING)
    if denied:
        text.add("SystemCallFilter", "~" + " ".join(denied), name)
    for group in added:
        text.add("SystemCallFilter", " ".join(SYSCALLS_ADDED[group]), name)
    plan.process(name, "Seccomp", "2")
    for call in ("io_uring_setup", "add_key"):
        if call == "io_uring_setup" and "async_io" in groups or call == "add_key" and "keyring" in groups:
            continue
        plan.property(name, "SystemCallFilter", call, "excludes")
        if clause:
            plan.probe(clause, "syscall", call, "not among the groups of the policy")
    if clause:
        missing = []
        if not groups & _NETWORK:
            missing.append(
                "connect() stays callable, as systemd's notification and name look-ups use it; network.connect holds it"
            )
        if "async_io" in groups:
            missing.append("work queued through io_uring is not filtered call by call")
        plan.weigh(clause, "SystemCallFilter", "SystemCallArchitectures", missing=missing)


def _limit(plan: Plan, clause: Clause, controller: str, key: str, value: str) -> bool:
    """A limit of the unit's cgroup. Without its controller systemd accepts it and does nothing: refused."""
    if not _has(plan, clause, controller, key):
        return False
    plan.text.set(key, value, clause.id)
    plan.property(clause, key, value)
    files = _FILES if plan.host.controller(controller) else _LEGACY_FILES
    if controller in files:
        # What the kernel holds: a slice of the vendor's may have switched the controller off (DisableControllers=).
        plan.readbacks.append(
            ReadBack(clause.id, "cgroup_file", files[controller], value, "at_most", plan.host.unit)
        )
    plan.weigh(clause, key, missing=plan.undone_by("administer_system"))
    return True


def _has(plan: Plan, clause: Clause, controller: str, key: str) -> bool:
    """Whether the host's services have the controller, of either version; else the clause is refused."""
    if plan.host.controller(controller) or plan.host.legacy_controller(controller):
        return True
    plan.refuse(
        clause,
        f"this host gives its services no '{controller}' controller of cgroup v2 or v1: {key}= would do nothing",
    )
    return False


def _memory(plan: Plan, clause: MemoryLimit) -> None:
    if _limit(plan, clause, "memory", "MemoryMax", str(clause.bytes)):
        missing = plan.undone_by("administer_system")
        if plan.host.controller("memory"):
            # Without it the limit only moves the excess to swap.
            plan.text.set("MemorySwapMax", "0", clause.id)
            plan.property(clause, "MemorySwapMax", "0")
        else:
            missing.append("systemd limits no swap on cgroup v1: what is over the limit goes there")
        if "lock_memory" in plan.granted(Privilege):
            missing.append(_HUGE)
        held = ("MemoryMax", "MemorySwapMax") if plan.host.controller("memory") else ("MemoryMax",)
        if missing or plan.host.apparmor:
            plan.weigh(clause, *held, missing=missing)
        else:
            plan.enforce(clause, *held, detail=_HUGE)


def _cpu(plan: Plan, clause: CpuLimit) -> None:
    if _has(plan, clause, "cpu", "CPUQuota"):
        plan.text.set("CPUQuota", f"{clause.percent}%", clause.id)
        plan.readbacks.append(_quota(plan, clause))
        plan.weigh(clause, "CPUQuota", missing=plan.undone_by("administer_system"))


def _quota(plan: Plan, clause: CpuLimit) -> ReadBack:
    # cgroup-v2.rst, cpu.max: "$MAX $PERIOD", in microseconds; systemd's period is 100 ms. Two files on cgroup v1.
    quota = str(clause.percent * 1000)
    file, value = ("cpu.max", f"{quota} 100000")
    if not plan.host.controller("cpu"):
        file, value = ("legacy:cpu/cpu.cfs_quota_us", quota)
    return ReadBack(clause.id, "cgroup_file", file, value, "equals", plan.host.unit)


# A weight counts among the children of one cgroup (cgroup-v2.rst, "Weights"): the unit has no sibling there.
_NO_SIBLING = (
    "the unit is alone in the slice that its network rules need: it weighs against other units of this policy, while "
    "all confined services together weigh as much as all other services together"
)


def _alone(plan: Plan) -> list[str]:
    return [_NO_SIBLING] if filtered(plan.manifest, plan.host) else []


def _weight(plan: Plan, clause: CpuWeight) -> None:
    if _limit(plan, clause, "cpu", "CPUWeight", str(clause.weight)):
        # On cgroup v1 systemd writes it as shares of the same proportions: weight x 1024 / 100.
        plan.weigh(clause, "CPUWeight", missing=plan.undone_by("administer_system") + _alone(plan))


def _io(plan: Plan, clause: IoWeight) -> None:
    if _limit(plan, clause, "io", "IOWeight", str(clause.weight)):
        missing = [
            "has an effect only where the disk's scheduler is bfq or io.cost is configured",
            *_alone(plan),
        ]
        if plan.host.legacy_controller("io"):
            missing.append("written as a weight of cgroup v1, whose scale is another")
        plan.weigh(clause, "IOWeight", missing=missing)


def _resource(plan: Plan, clause: Clause, key: str, value: int) -> None:
    plan.text.set(key, str(value), clause.id)
    plan.property(clause, key, str(value))
    missing = plan.undone_by("raise_limits")
    if missing:
        plan.partial(clause, key, detail="; ".join(missing))
    else:
        plan.enforce(clause, key, detail="counted for each process")


def _core(plan: Plan, clause: CoreDumps) -> None:
    # A limit of 0 does not hold back a core that goes to a program, a limit of 1 byte does (core(5); coredump.c of the
    # kernel keeps it for such programs themselves). No file of either size is written.
    piped = bool(plan.host.facts.get("cores_to_program"))
    value = "infinity" if clause.allow else "1" if piped else "0"
    plan.text.set("LimitCORE", value, clause.id)
    plan.property(clause, "LimitCORE", value)
    missing = [] if clause.allow else plan.undone_by("raise_limits")
    if piped and not clause.allow:
        missing.append(
            "this host hands cores to a program (kernel.core_pattern): a process that lowers its limit to 0 gets one"
        )
    plan.weigh(clause, "LimitCORE", missing=missing)


def _wx(plan: Plan, clause: WritableAndExecutable) -> None:
    value = "no" if clause.allow else "yes"
    if not clause.allow and not plan.host.flags.get("SECCOMP"):
        plan.refuse(
            clause, "this host's systemd is built without seccomp, which MemoryDenyWriteExecute= needs"
        )
        return
    plan.text.set("MemoryDenyWriteExecute", value, clause.id)
    plan.property(clause, "MemoryDenyWriteExecute", value)
    if not clause.allow:
        plan.probe(clause, "mmap_wx", "", "memory is writable or executable, never both")
    # systemd.exec(5) says so of MemoryDenyWriteExecute=: memfd_create(2) gives memory that no mount option covers.
    missing = (
        [] if clause.allow else ["memory without a file (memfd) can be mapped twice, writable and executable"]
    )
    plan.weigh(clause, "MemoryDenyWriteExecute", missing=missing)
