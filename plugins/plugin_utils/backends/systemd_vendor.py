# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit itself says that would undo a verdict: put back, or said in the verdict (see ``linux_vendor``)."""

from __future__ import annotations

from dataclasses import dataclass

from ...module_utils import unit_groups
from ..policy import model as m
from .linux_names import within
from .linux_vendor import is_true
from .systemd_identity import account_of
from .systemd_plan import Plan


@dataclass(frozen=True)
class Reset:
    """``to``: what the directive is put back to. ``like``: the directive of ours whose value it takes instead.

    ``clause``: only where the policy has one of this kind. ``kept``: values of the unit's own that do no harm.
    ``shown``: what ``systemctl show`` then prints, where it is read back.
    """

    to: str = ""
    like: str = ""
    clause: type[m.Clause] | None = None
    kept: tuple[str, ...] = ()
    shown: str = ""


RESETS: dict[str, Reset] = {
    "KillMode": Reset("control-group", kept=("control-group", "mixed"), shown="control-group"),
    "SendSIGKILL": Reset("yes", kept=("1", "yes", "y", "true", "t", "on"), shown="yes"),
    "FinalKillSignal": Reset("SIGKILL", kept=("SIGKILL", "KILL", "9")),
    "FileDescriptorStoreMax": Reset("0", kept=("0",), shown="0"),
    "DisableControllers": Reset(),
    "UnsetEnvironment": Reset(clause=m.EnvironmentSet),
    "RestartForceExitStatus": Reset(clause=m.Restart),
    "RestartPreventExitStatus": Reset(clause=m.Restart),
    "CPUQuotaPeriodSec": Reset(clause=m.CpuLimit),
    "IODeviceWeight": Reset(clause=m.IoWeight),
    "TimeoutStopFailureMode": Reset("terminate", clause=m.StopTimeout, kept=("terminate", "kill")),
    "StartupMemoryMax": Reset(like="MemoryMax", clause=m.MemoryLimit),
    "StartupMemorySwapMax": Reset(like="MemorySwapMax", clause=m.MemoryLimit),
    "StartupCPUWeight": Reset(like="CPUWeight", clause=m.CpuWeight),
    "StartupIOWeight": Reset(like="IOWeight", clause=m.IoWeight),
}

# Where systemd opens a file for the unit before the sandbox exists (exec_child() of systemd's exec-invoke.c).
_STREAMS = ("StandardInput", "StandardOutput", "StandardError")
_OPENED = ("file:", "append:", "truncate:")

# What a command with '+' is started without (exec_invoke() of systemd's exec-invoke.c, needs_sandboxing).
_SANDBOX: tuple[type[m.Clause], ...] = (
    m.WriteClosure,
    m.ReadClosure,
    m.ExecuteClosure,
    m.SpawnClosure,
    m.Deny,
    m.DeviceClosure,
    m.Families,
    m.Syscalls,
    m.UnixSocketClosure,
    m.BusClosure,
    m.SharedMemory,
    m.WritableAndExecutable,
    m.CoreDumps,
    m.MaxOpenFiles,
    m.MaxFileSize,
)
# It is started in the unit's control group, as root.
_CONTROL_GROUP: tuple[type[m.Clause], ...] = (
    m.ConnectClosure,
    m.ListenClosure,
    m.MaxConnections,
    m.MaxProcesses,
    m.MemoryLimit,
    m.CpuLimit,
    m.CpuWeight,
    m.IoWeight,
)


def emit(plan: Plan) -> None:
    """After all clauses and overrides, as both have the first word."""
    _put_back(plan)
    _streams(plan)
    _stored(plan)
    _handed_in(plan)
    _early(plan)
    _outside(plan)
    _groups(plan)


def _put_back(plan: Plan) -> None:
    closure = plan.one(m.WriteClosure)
    for key, reset in RESETS.items():
        written = plan.host.vendor(key)
        if not written or key in plan.text or (len(written) == 1 and written[0] in reset.kept):
            continue
        clause = plan.one(reset.clause) if reset.clause else closure
        if reset.clause and clause is None:
            continue
        name = clause.id if clause else ""
        value = next(iter(plan.text.values(reset.like)), "") if reset.like else reset.to
        if value:
            plan.text.set(key, value, name)
        elif not reset.like:
            plan.text.clear(key, name)
        if reset.shown and clause:
            plan.property(clause, key, reset.shown)


def _streams(plan: Plan) -> None:
    written = [grant.path for grant in plan.manifest.of(m.Write) if not grant.path.glob]
    places = [plan.host.real(path) for ref in written if (path := ref.on(m.OS.LINUX))]
    for key in _STREAMS:
        how, _colon, told = plan.host.value(key).partition(":")
        if f"{how}:" not in _OPENED:
            continue
        path = plan.host.real(plan.host.expanded(told))
        if key == "StandardInput":
            plan.hole(m.ReadClosure, f"{path} is opened by systemd before the sandbox ({key}=)")
        elif not any(within(path, place) for place in places):
            plan.hole(
                m.WriteClosure, f"{path} is opened by systemd before the sandbox, to be written ({key}=)"
            )


def _stored(plan: Plan) -> None:
    if plan.text.values("FileDescriptorStoreMax") not in ([], ["0"]):
        for kind in (m.WriteClosure, m.ReadClosure, m.ConnectClosure, m.ListenClosure, m.DeviceClosure):
            plan.hole(
                kind,
                "descriptors that systemd keeps for it (FileDescriptorStoreMax=) may be from before the sandbox",
            )


def _early(plan: Plan) -> None:
    """InaccessiblePaths= hides what is there when the unit starts, and the bus is there from sockets.target on."""
    late = {"sockets.target", "basic.target", "dbus.socket", "dbus.service"}
    after = {word for value in plan.host.unit_values("After") for word in value.split()}
    if all(map(is_true, plan.host.unit_values("DefaultDependencies")[-1:])) or late & after:
        return
    for kind in (m.BusClosure, m.UnixSocketClosure):
        plan.hole(
            kind, "it may start before the sockets of others are there (DefaultDependencies=), to be hidden"
        )


def _handed_in(plan: Plan) -> None:
    if plan.host.sockets:
        names = ", ".join(plan.host.sockets)
        plan.hole(m.MaxConnections, f"connections to sockets that {names} opens are not counted")
        plan.hole(m.Families, f"sockets that {names} opens are handed in, whatever their family")


def _outside(plan: Plan) -> None:
    """Programs outside of the sandbox are outside of every mechanism, not of systemd's alone."""
    for path in sorted({program.path for program in plan.host.programs if program.escapes}):
        for kind in _SANDBOX:
            plan.hole(kind, f"{path} runs outside of the sandbox (prefix '+')")
        plan.hole(m.PrivilegeClosure, f"{path} runs with all privileges (prefix '+')")
        for kind in _CONTROL_GROUP:
            plan.hole(kind, f"{path} runs with all privileges (prefix '+') and can leave the control group")


def _groups(plan: Plan) -> None:
    account = account_of(plan)
    if account in ("root", "0") and not is_true(plan.host.value("DynamicUser")):
        return
    for group in plan.host.groups_of(account):
        what = unit_groups.PRIVILEGED.get(group, "is named by its number only")
        plan.hole(m.PrivilegeClosure, f"it is in the group '{group}', which {what}")
