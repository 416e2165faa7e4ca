# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own doors, which no service needs, and which grant of a policy leaves each open (systemd.exec(5))."""

from __future__ import annotations

from collections.abc import Callable

from ..policy.model import OS, Device, Manifest, Privilege, PrivilegeClosure, Read, Syscalls
from .linux_names import within
from .linux_tables import PLAIN_DEVICES
from .systemd_plan import Plan

# Directive, its value, the privileges that need it open (none: nothing in the policy language opens it), and what is
# open without it.
_DIRECTIVES: tuple[tuple[str, str, frozenset[str], str], ...] = (
    (
        "ProtectKernelTunables",
        "yes",
        frozenset({"administer_system", "configure_network"}),
        "settings of the kernel in /proc/sys and /sys are writable",
    ),
    ("ProtectKernelModules", "yes", frozenset({"administer_system"}), "kernel modules are readable"),
    ("ProtectKernelLogs", "yes", frozenset({"administer_system"}), "the kernel's log is readable"),
    ("ProtectControlGroups", "yes", frozenset({"administer_system"}), "control groups are writable"),
    ("ProtectClock", "yes", frozenset({"set_clock"}), "the clock's calls and devices are there"),
    ("ProtectHostname", "yes", frozenset({"administer_system"}), "the host's name can be changed"),
    (
        "ProtectProc",
        "invisible",
        frozenset({"trace_processes", "signal_any_process"}),
        "processes of other users are visible in /proc",
    ),
    ("LockPersonality", "yes", frozenset(), "another execution domain can be asked for"),
    (
        "RestrictRealtime",
        "yes",
        frozenset({"raise_priority"}),
        "realtime scheduling can be asked for, which takes the processor from all others",
    ),
    (
        "RestrictSUIDSGID",
        "yes",
        frozenset({"act_as_owner"}),
        "programs that run as their owner or group can be made",
    ),
)
_WITHOUT: dict[str, str] = {key: words for key, _value, _openers, words in _DIRECTIVES} | {
    "RestrictNamespaces": "namespaces can be made and entered",
    "ProcSubset": "all of /proc is visible, beside processes the settings and figures of the whole host",
    "PrivateDevices": "the host's own /dev is visible; DevicePolicy= keeps its other devices closed",
}
_OPEN = {"ProtectProc": "default"}
_SEES_PROC = frozenset({"trace_processes", "administer_system"})


def closed(manifest: Manifest, real: Callable[[str], str]) -> dict[str, str]:
    """{directive: value} of the doors that a policy leaves closed. ``real``: a path as it lies on the host."""
    granted = {privilege.name for privilege in manifest.of(Privilege)}
    found = {key: value for key, value, openers, _words in _DIRECTIVES if not openers & granted}
    if not any("namespaces" in syscalls.groups for syscalls in manifest.of(Syscalls)):
        found["RestrictNamespaces"] = "yes"
    reads = [path for read in manifest.of(Read) if (path := read.path.on(OS.LINUX))]
    sees_proc = any(within(real(path), "/proc") or real(path) == "/" for path in reads)
    if not (sees_proc or manifest.of(Device) or granted & _SEES_PROC):
        found["ProcSubset"] = "pid"
    if not sees_devices(manifest, real):
        found["PrivateDevices"] = "yes"
    return found


def lost(before: Manifest, after: Manifest, real: Callable[[str], str]) -> list[str]:
    """A sentence for each door that is closed by one policy and open by the other."""
    left = closed(after, real)
    return [
        f"{key}={value} is no longer set: {_WITHOUT[key]}"
        for key, value in closed(before, real).items()
        if key not in left
    ]


def sees_devices(manifest: Manifest, real: Callable[[str], str]) -> bool:
    """The policy grants a device that PrivateDevices= would hide, so the host's own /dev stays."""
    paths = [path for device in manifest.of(Device) if (path := device.path.on(OS.LINUX))]
    return any(real(path) not in PLAIN_DEVICES for path in paths)


def emit(plan: Plan) -> None:
    """The directives. PrivateDevices= is written where devices are granted."""
    closure = plan.one(PrivilegeClosure)
    name = closure.id if closure else PrivilegeClosure.section
    shut = closed(plan.manifest, plan.host.real)
    for key, _value, _openers, _words in _DIRECTIVES:
        plan.text.set(key, shut.get(key) or _OPEN.get(key, "no"), name)
        if key in shut:
            plan.property(name, key, shut[key])
    plan.text.set("RestrictNamespaces", shut.get("RestrictNamespaces", "no"), name)
    if "ProcSubset" in shut:
        plan.text.set("ProcSubset", shut["ProcSubset"], name)
        plan.property(name, "ProcSubset", shut["ProcSubset"])
