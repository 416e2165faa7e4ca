# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each directive that a vendor or an administrator can write into a unit.

Every directive of [Unit] and [Service] that systemd 252 to 257 knows stands here once (``systemd
--dump-configuration-items``; a test reads both lists, and the one of the machine that runs it). Nothing of a unit is
passed over unread:

* ``OURS``: the drop-in always writes it, so what was there is gone (lists are cleared first).
* ``CLAUSE``: the drop-in writes it where a clause speaks for it; without that clause no verdict rests on it.
* ``RESET``: put back by ``systemd_vendor`` where a unit sets it, because verdicts would be untrue otherwise.
* ``WEIGHED``: read, and what it opens is said in a verdict.
* ``REFUSED``: with it the unit cannot be confined.
* ``HARMLESS``: it opens nothing, and the row says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from .base import BackendError

KNOWN_UP_TO = 257  # the last systemd whose list of directives was read


class Care(str, Enum):
    """What is done about a directive."""

    OURS = "ours"
    CLAUSE = "clause"
    RESET = "reset"
    WEIGHED = "weighed"
    REFUSED = "refused"
    HARMLESS = "harmless"


# With one of these a verdict could be untrue in ways that nobody has reckoned with, so the unit is refused.
REFUSED: dict[str, str] = {
    "NetworkNamespacePath": "its packets pass another network namespace than the rules are in",
    "IPCNamespacePath": "it shares memory with processes that have no such policy",
    "JoinsNamespaceOf": "it shares mounts or network with a unit that has no such policy",
    "RootDirectory": "paths of the policy would mean others inside",
    "RootImage": "paths of the policy would mean others inside",
    "MountImages": "it brings files that no clause names",
    "ExtensionImages": "it brings files that no clause names",
    "ExtensionDirectories": "it brings files that no clause names",
    "OpenFile": "systemd opens files for it before the sandbox exists",
    "USBFunctionDescriptors": "systemd opens devices for it before the sandbox exists",
    "USBFunctionStrings": "systemd opens devices for it before the sandbox exists",
    "PAMName": "a PAM session may move it into a control group of its own, away from limits and rules",
    "DelegateNamespaces": "it may make the mounts of its sandbox anew",
}
# Refused only where they are true: a change could not be made, nor taken back.
REFUSED_WHERE_TRUE: dict[str, str] = {
    "RefuseManualStart": "nobody may start it by hand, so no change can be made or taken back",
    "RefuseManualStop": "nobody may restart it by hand, so no change can be made or taken back",
}

# (what is done, why, names), by section.
_SERVICE: tuple[tuple[Care, str, str], ...] = (
    (
        Care.OURS,
        "the drop-in always writes it",
        "NoNewPrivileges CapabilityBoundingSet AmbientCapabilities ProtectKernelTunables ProtectKernelModules "
        "ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname ProtectProc LockPersonality "
        "RestrictRealtime RestrictSUIDSGID RestrictNamespaces ProtectSystem ProtectHome PrivateTmp ReadWritePaths "
        "ReadOnlyPaths InaccessiblePaths BindPaths BindReadOnlyPaths TemporaryFileSystem ExecPaths NoExecPaths "
        "SystemCallFilter SystemCallArchitectures SystemCallErrorNumber RestrictAddressFamilies DevicePolicy "
        "PrivateDevices DeviceAllow",
    ),
    (
        Care.OURS,
        "an older name of a list that the drop-in clears",
        "ReadWriteDirectories ReadOnlyDirectories InaccessibleDirectories",
    ),
    (
        Care.CLAUSE,
        "written where the policy has the clause; without it no verdict rests on it",
        "TasksMax MemoryMax MemorySwapMax CPUQuota CPUWeight IOWeight LimitNOFILE LimitFSIZE LimitCORE "
        "MemoryDenyWriteExecute PrivateIPC PassEnvironment TimeoutStartSec TimeoutStopSec Restart StartLimitBurst "
        "WatchdogSec LoadCredential",
    ),
    (Care.CLAUSE, "an older name of what a clause writes", "TimeoutSec StartLimitInterval"),
    (
        Care.CLAUSE,
        "written where it carries a network clause; without one of those it can only narrow",
        "PrivateNetwork IPAddressAllow IPAddressDeny SocketBindAllow SocketBindDeny Slice",
    ),
    (Care.CLAUSE, "left away where the policy needs all of /proc; a vendor's can only narrow", "ProcSubset"),
    (
        Care.RESET,
        "processes from before the sandbox would live on after a restart",
        "KillMode SendSIGKILL FinalKillSignal",
    ),
    (Care.RESET, "descriptors from before the sandbox would be handed in again", "FileDescriptorStoreMax"),
    (Care.RESET, "limits without their controller do nothing", "DisableControllers"),
    (
        Care.RESET,
        "other limits would count while the system starts and stops",
        "StartupMemoryMax StartupMemorySwapMax StartupCPUWeight StartupIOWeight",
    ),
    (Care.RESET, "the limit is reckoned in periods of 100 ms", "CPUQuotaPeriodSec"),
    (Care.RESET, "single disks would have weights of their own", "IODeviceWeight"),
    (
        Care.RESET,
        "exit codes would decide where the policy does",
        "RestartForceExitStatus RestartPreventExitStatus",
    ),
    (Care.RESET, "a core dump would be waited for in place of the kill", "TimeoutStopFailureMode"),
    (Care.RESET, "it takes away what the policy sets", "UnsetEnvironment"),
    (
        Care.WEIGHED,
        "its programs may run, and those with '+' or '!' outside of the sandbox are said",
        "ExecCondition ExecStartPre ExecStart ExecStartPost ExecReload ExecStop ExecStopPost ExecSearchPath "
        "PermissionsStartOnly",
    ),
    (
        Care.WEIGHED,
        "account and groups decide what files and privileges are its",
        "User Group SupplementaryGroups DynamicUser",
    ),
    (
        Care.WEIGHED,
        "how it starts decides on watchdog, bus and PID file",
        "Type BusName PIDFile",
    ),
    (Care.WEIGHED, "what it sets stays, and is said", "Environment EnvironmentFile"),
    (
        Care.WEIGHED,
        "files that systemd opens before the sandbox are said",
        "StandardInput StandardOutput StandardError",
    ),
    (
        Care.WEIGHED,
        "directories that systemd makes are writable, and are said",
        "RuntimeDirectory StateDirectory CacheDirectory LogsDirectory ConfigurationDirectory "
        "RuntimeDirectoryPreserve",
    ),
    (Care.WEIGHED, "sockets that are handed in are said", "Sockets"),
    (Care.HARMLESS, "means nothing without a directive that is refused", "RootDirectoryStartOnly RootImageOptions "
     "RootImagePolicy RootHash RootHashSignature RootVerity RootEphemeral ExtensionImagePolicy MountImagePolicy "
     "MountAPIVFS"),
    (Care.HARMLESS, "it can only narrow", "PrivateUsers PrivatePIDs RestrictFileSystems RestrictNetworkInterfaces "
     "AppArmorProfile SELinuxContext SmackProcessLabel Personality SecureBits IPIngressFilterPath IPEgressFilterPath "
     "BPFProgram LimitCPU LimitDATA LimitSTACK LimitRSS LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS LimitSIGPENDING "
     "LimitMSGQUEUE LimitNICE LimitRTPRIO LimitRTTIME MemoryHigh StartupMemoryHigh MemoryZSwapMax "
     "StartupMemoryZSwapMax MemoryZSwapWriteback IOReadBandwidthMax IOWriteBandwidthMax IOReadIOPSMax IOWriteIOPSMax "
     "IODeviceLatencyTargetSec AllowedCPUs StartupAllowedCPUs AllowedMemoryNodes StartupAllowedMemoryNodes "
     "RuntimeMaxSec RuntimeRandomizedExtraSec"),
    (Care.HARMLESS, "the unit has mounts of its own whatever it says; from them nothing comes back to the host",
     "PrivateMounts MountFlags BindLogSockets"),
    (Care.HARMLESS, "counts for other units or for children only", "DefaultMemoryMin DefaultMemoryLow "
     "DefaultStartupMemoryLow NFTSet"),
    (Care.HARMLESS, "protects memory, takes none", "MemoryMin MemoryLow StartupMemoryLow"),
    (Care.HARMLESS, "counts for cgroup v1 only, or where no new name of it is set", "CPUShares StartupCPUShares "
     "MemoryLimit BlockIOAccounting BlockIOWeight StartupBlockIOWeight BlockIODeviceWeight BlockIOReadBandwidth "
     "BlockIOWriteBandwidth"),
    (Care.HARMLESS, "a limit switches its controller on whatever it says", "CPUAccounting MemoryAccounting "
     "IOAccounting TasksAccounting IPAccounting"),
    (Care.HARMLESS, "its control group is read-only for it (ProtectControlGroups=), or administer_system is granted "
     "and said", "Delegate DelegateSubgroup"),
    (Care.HARMLESS, "ends processes under pressure, or tells them of it", "OOMPolicy OOMScoreAdjust ManagedOOMSwap "
     "ManagedOOMMemoryPressure ManagedOOMMemoryPressureLimit ManagedOOMMemoryPressureDurationSec ManagedOOMPreference "
     "MemoryPressureThresholdSec MemoryPressureWatch"),
    (Care.HARMLESS, "the unit's own secrets, which the policy's do not touch", "SetCredential SetCredentialEncrypted "
     "LoadCredentialEncrypted ImportCredential"),
    (Care.HARMLESS, "variables of the account, as systemd's own", "SetLoginEnvironment"),
    (Care.HARMLESS, "time-outs, order and outcome of its life, which no clause speaks of", "RestartSec RestartSteps "
     "RestartMaxDelaySec RestartMode TimeoutAbortSec TimeoutStartFailureMode TimeoutCleanSec "
     "StartLimitAction FailureAction RebootArgument ExitType RemainAfterExit GuessMainPID SuccessExitStatus "
     "NotifyAccess FileDescriptorStorePreserve ReloadSignal KillSignal RestartKillSignal WatchdogSignal SendSIGHUP "
     "NonBlocking IgnoreSIGPIPE"),
    (Care.HARMLESS, "priority, scheduling and placement", "Nice IOSchedulingClass IOSchedulingPriority "
     "CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork CPUAffinity NUMAPolicy NUMAMask "
     "TimerSlackNSec MemoryKSM"),
    (Care.HARMLESS, "modes and owners of what is its own", "UMask RuntimeDirectoryMode StateDirectoryMode "
     "CacheDirectoryMode LogsDirectoryMode ConfigurationDirectoryMode RemoveIPC KeyringMode"),
    (Care.HARMLESS, "is looked up inside of the sandbox", "WorkingDirectory"),
    (Care.HARMLESS, "text that systemd hands in", "StandardInputText StandardInputData"),
    (Care.HARMLESS, "a terminal is a device, which DevicePolicy= closes", "TTYPath TTYReset TTYVHangup "
     "TTYVTDisallocate TTYRows TTYColumns"),
    (Care.HARMLESS, "where and how its messages are kept", "SyslogIdentifier SyslogFacility SyslogLevel "
     "SyslogLevelPrefix LogLevelMax LogRateLimitIntervalSec LogRateLimitBurst LogExtraFields LogFilterPatterns "
     "LogNamespace SystemCallLog UtmpIdentifier UtmpMode CoredumpFilter CoredumpReceive"),
)  # fmt: skip

_UNIT: tuple[tuple[Care, str, str], ...] = (
    (Care.CLAUSE, "written where the policy has the clause", "StartLimitIntervalSec StartLimitInterval "
     "StartLimitBurst"),
    (Care.HARMLESS, "words for people", "Description Documentation SourcePath"),
    (Care.HARMLESS, "order and need of other units, to which ours are added", "Requires Requisite Wants BindsTo BindTo "
     "Upholds Conflicts Before After OnSuccess OnFailure PropagatesReloadTo PropagateReloadTo ReloadPropagatedFrom "
     "PropagateReloadFrom PropagatesStopTo StopPropagatedFrom PartOf RequiresOverridable RequisiteOverridable "
     "RequiresMountsFor WantsMountsFor DefaultDependencies OnSuccessJobMode OnFailureJobMode OnFailureIsolate"),
    (Care.HARMLESS, "when it is started and stopped", "StopWhenUnneeded AllowIsolate IgnoreOnIsolate "
     "SurviveFinalKillSignal JobTimeoutSec JobRunningTimeoutSec JobTimeoutAction JobTimeoutRebootArgument "
     "StartLimitAction FailureAction SuccessAction FailureActionExitStatus SuccessActionExitStatus RebootArgument "
     "CollectMode"),
)  # fmt: skip
# Whether it starts at all; nothing of it reaches into the sandbox.
_WHETHER = ("Condition", "Assert")

_REFUSED_BY_SECTION = {
    "Unit": ("JoinsNamespaceOf", *REFUSED_WHERE_TRUE),
    "Service": tuple(key for key in REFUSED if key != "JoinsNamespaceOf"),
}


def _named(rows: tuple[tuple[Care, str, str], ...], section: str) -> dict[str, tuple[Care, str]]:
    table: dict[str, tuple[Care, str]] = {}
    for care, why, names in rows:
        for name in names.split():
            if name in table:
                raise AssertionError(f"{name} stands in the table twice")
            table[name] = (care, why)
    for name in _REFUSED_BY_SECTION[section]:
        table[name] = (Care.REFUSED, REFUSED.get(name) or REFUSED_WHERE_TRUE[name])
    return table


TABLE: dict[str, dict[str, tuple[Care, str]]] = {
    "Unit": _named(_UNIT, "Unit"),
    "Service": _named(_SERVICE, "Service"),
}


def care(section: str, key: str) -> tuple[Care, str] | None:
    """What is done about a directive, and why; None for one that stands in no table."""
    if section == "Unit" and key.startswith(_WHETHER):
        return Care.HARMLESS, "whether it starts at all"
    return TABLE[section].get(key)


def is_true(value: str) -> bool:
    """systemd's reading of a boolean (parse_boolean())."""
    return value.strip().lower() in ("1", "yes", "y", "true", "t", "on")


def check(unit: str, systemd: int, sections: Mapping[str, Mapping[str, list[str]]]) -> None:
    """Raises BackendError where the unit says what is refused, or what nobody has reckoned with."""
    found = [f"{key}= ({why})" for key, why in _refusals(systemd, sections)]
    if found:
        raise BackendError(
            f"Unit {unit} sets {', '.join(found)}, which this version cannot confine: reset it in a drop-in."
        )


def _refusals(systemd: int, sections: Mapping[str, Mapping[str, list[str]]]) -> Iterator[tuple[str, str]]:
    for section, written in sections.items():
        for key in sorted(written):
            values = [value for value in written[key] if value]
            if not values:
                continue
            done = care(section, key)
            if key in REFUSED or (key in REFUSED_WHERE_TRUE and is_true(values[-1])):
                # Wherever it stands: in the wrong section systemd ignores it, and the unit means something else.
                yield key, REFUSED.get(key) or REFUSED_WHERE_TRUE[key]
            elif done is None and systemd > KNOWN_UP_TO and not key.startswith("X-"):
                yield (
                    key,
                    f"systemd may know it, and this version has read no further than systemd {KNOWN_UP_TO}",
                )
