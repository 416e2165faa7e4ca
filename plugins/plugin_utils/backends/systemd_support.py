# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd carries of each kind of clause: the table that documentation and verdicts are held against."""

from __future__ import annotations

from ..policy import model as m
from .base import Grade, Support

EXACT, COARSER, NEVER = Grade.EXACT, Grade.COARSER, Grade.NEVER

_EXEC_MISSING = "programs inside library directories or held in memory can be run"
_RENAME = "a path put in place by rename while the unit runs is open until the next restart"

SUPPORT: dict[type[m.Clause], Support] = {
    m.User: Support(EXACT, "User", "247", ""),
    m.PrivilegeClosure: Support(
        EXACT, "CapabilityBoundingSet, NoNewPrivileges, ProtectKernel*, Restrict*", "247"
    ),
    m.Privilege: Support(EXACT, "CapabilityBoundingSet, AmbientCapabilities", "247"),
    m.ReadClosure: Support(
        COARSER,
        "InaccessiblePaths, TemporaryFileSystem, ProtectHome",
        "247",
        "world-readable files under /etc, /usr, /run and /proc stay readable",
    ),
    m.Read: Support(EXACT, "BindReadOnlyPaths", "247"),
    m.WriteClosure: Support(
        COARSER,
        "ProtectSystem=strict, ProtectHome, PrivateTmp, ReadWritePaths",
        "247",
        "all is open through a process outside that has the same account",
    ),
    m.Write: Support(EXACT, "ReadWritePaths, BindPaths", "247", ""),
    m.ExecuteClosure: Support(COARSER, "NoExecPaths, BindReadOnlyPaths", "248", _EXEC_MISSING),
    m.Execute: Support(EXACT, "BindReadOnlyPaths", "247"),
    m.Deny: Support(COARSER, "InaccessiblePaths", "247", _RENAME),
    m.ConnectClosure: Support(
        COARSER,
        "IPAddressDeny; RestrictAddressFamilies, PrivateNetwork",
        "247",
        "by address only, not by port; none in containers",
    ),
    m.Connect: Support(COARSER, "IPAddressAllow", "247", "every port of the addresses, in both directions"),
    m.ListenClosure: Support(
        COARSER,
        "SocketBindDeny; RestrictAddressFamilies, PrivateNetwork",
        "249",
        "only on builds with BPF_FRAMEWORK, not in containers",
    ),
    m.Families: Support(EXACT, "RestrictAddressFamilies", "247"),
    m.SpawnClosure: Support(COARSER, "NoExecPaths, BindReadOnlyPaths", "248", _EXEC_MISSING),
    m.Spawn: Support(EXACT, "BindReadOnlyPaths", "247"),
    m.Syscalls: Support(EXACT, "SystemCallFilter, SystemCallArchitectures", "247"),
    m.MaxProcesses: Support(EXACT, "TasksMax", "247", "needs the pids controller, of cgroup v2 or v1"),
    m.MemoryLimit: Support(
        EXACT, "MemoryMax, MemorySwapMax", "247", "needs the memory controller; no limit of swap on cgroup v1"
    ),
    m.WritableAndExecutable: Support(
        COARSER, "MemoryDenyWriteExecute", "247", "memory without a file (memfd) can be mapped twice"
    ),
    m.CoreDumps: Support(EXACT, "LimitCORE", "247", "not where kernel.core_pattern hands cores to a program"),
    m.CpuLimit: Support(EXACT, "CPUQuota", "247", "needs the cpu controller, of cgroup v2 or v1"),
    m.CpuWeight: Support(
        COARSER,
        "CPUWeight",
        "247",
        "needs the cpu controller; next to no rival in a slice of the policy's own",
    ),
    m.IoWeight: Support(
        COARSER,
        "IOWeight",
        "247",
        "only with the bfq scheduler or io.cost; as CPUWeight in a slice of its own",
    ),
    m.MaxOpenFiles: Support(EXACT, "LimitNOFILE", "247"),
    m.MaxFileSize: Support(EXACT, "LimitFSIZE", "247"),
    m.UnixSocketClosure: Support(
        COARSER,
        "InaccessiblePaths, RestrictAddressFamilies",
        "247",
        "abstract sockets and sockets of unknown services can be reached",
    ),
    m.UnixSocket: Support(EXACT, "InaccessiblePaths", "247"),
    m.BusClosure: Support(COARSER, "InaccessiblePaths", "247", "the whole bus or none of it"),
    m.BusName: Support(NEVER, "", "", "systemd cannot filter the bus by name"),
    m.SharedMemory: Support(EXACT, "PrivateIPC, TemporaryFileSystem", "248"),
    m.DeviceClosure: Support(
        EXACT,
        "PrivateDevices, DevicePolicy",
        "247",
        "DevicePolicy does nothing in containers that may not call bpf(2)",
    ),
    m.Device: Support(EXACT, "DeviceAllow", "247"),
    m.EnvironmentClosure: Support(COARSER, "PassEnvironment", "247", "what the unit itself sets stays"),
    m.EnvironmentSet: Support(EXACT, "Environment", "247"),
    m.Secret: Support(
        COARSER, "LoadCredential", "247", "rotate_after and rotate_with are for people to read"
    ),
    m.StartTimeout: Support(EXACT, "TimeoutStartSec", "247"),
    m.StopTimeout: Support(EXACT, "TimeoutStopSec", "247"),
    m.Restart: Support(EXACT, "Restart", "247"),
    m.RestartLimit: Support(EXACT, "StartLimitBurst, StartLimitIntervalSec", "247"),
    m.Watchdog: Support(EXACT, "WatchdogSec", "247", "only for units with Type=notify"),
}
