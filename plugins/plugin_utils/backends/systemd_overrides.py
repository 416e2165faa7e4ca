# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""overrides.linux.systemd: directives that no clause speaks for, and only those."""

from __future__ import annotations

import re
from dataclasses import replace

from ..policy.model import OS, Clause, Manifest, Restart
from .base import BackendError, Status, Verdict
from .linux_host import DIRECTORY_KEYS, EXEC_KEYS
from .linux_vendor import is_true
from .systemd_plan import Plan
from .systemd_text import check
from .systemd_values import FORMS

# Directives that a policy may set by hand. What is not here systemd could take for a misspelling, with a warning
# in a log that nobody reads, so it is refused.
SERVICE = frozenset(
    [
        "CPUAffinity",
        "CPUSchedulingPolicy",
        "CPUSchedulingPriority",
        "ConfigurationDirectory",
        "ConfigurationDirectoryMode",
        "Delegate",
        "ExitType",
        "FileDescriptorStoreMax",
        "FinalKillSignal",
        "Group",
        "GuessMainPID",
        "IOSchedulingClass",
        "IOSchedulingPriority",
        "IOReadBandwidthMax",
        "IOWriteBandwidthMax",
        "IOReadIOPSMax",
        "IOWriteIOPSMax",
        "KeyringMode",
        "KillMode",
        "KillSignal",
        "LimitAS",
        "LimitMEMLOCK",
        "LimitMSGQUEUE",
        "LimitNICE",
        "LimitNPROC",
        "LimitRTPRIO",
        "LimitSIGPENDING",
        "LimitSTACK",
        "LogLevelMax",
        "LogNamespace",
        "LogRateLimitBurst",
        "LogRateLimitIntervalSec",
        "MemoryHigh",
        "MemoryLow",
        "MemoryMin",
        "MountFlags",
        "NUMAMask",
        "NUMAPolicy",
        "Nice",
        "NonBlocking",
        "NotifyAccess",
        "OOMPolicy",
        "OOMScoreAdjust",
        "PIDFile",
        "PrivateUsers",
        "RemainAfterExit",
        "RemoveIPC",
        "RestartSec",
        "RestartKillSignal",
        "RestartForceExitStatus",
        "RestartPreventExitStatus",
        "SecureBits",
        "SendSIGHUP",
        "SendSIGKILL",
        "StandardError",
        "StandardInput",
        "StandardOutput",
        "SuccessExitStatus",
        "SupplementaryGroups",
        "SyslogFacility",
        "SyslogIdentifier",
        "SyslogLevel",
        "TimeoutAbortSec",
        "TimerSlackNSec",
        "TTYPath",
        "Type",
        "UMask",
        "WorkingDirectory",
        "RuntimeDirectory",
        "StateDirectory",
        "CacheDirectory",
        "LogsDirectory",
        "RuntimeDirectoryMode",
        "StateDirectoryMode",
        "CacheDirectoryMode",
        "LogsDirectoryMode",
        "RuntimeDirectoryPreserve",
        "ExecSearchPath",
        "ExecCondition",
        "ExecStartPre",
        "ExecStart",
        "ExecStartPost",
        "ExecReload",
        "ExecStop",
        "ExecStopPost",
    ]
)
UNIT = frozenset(
    [
        "After",
        "Before",
        "BindsTo",
        "ConditionPathExists",
        "FailureAction",
        "OnFailure",
        "OnSuccess",
        "PartOf",
        "RequiresMountsFor",
        "StartLimitAction",
        "SuccessAction",
        "Upholds",
        "Wants",
    ]
)

# Directive -> the clause that speaks for it.
OWNED: dict[str, str] = {
    **dict.fromkeys(
        ("ProtectSystem", "ReadWritePaths", "ReadOnlyPaths", "PrivateTmp", "BindPaths", "BindReadOnlyPaths"),
        "filesystem.write",
    ),
    **dict.fromkeys(
        ("ProtectHome", "TemporaryFileSystem", "InaccessiblePaths", "RootDirectory"), "filesystem.read"
    ),
    **dict.fromkeys(("ExecPaths", "NoExecPaths"), "filesystem.execute"),
    "User": "identity.user",
    "DynamicUser": "identity.user",
    **dict.fromkeys(
        [
            "CapabilityBoundingSet",
            "AmbientCapabilities",
            "NoNewPrivileges",
            "ProtectKernelTunables",
            "ProtectKernelModules",
            "ProtectKernelLogs",
            "ProtectControlGroups",
            "ProtectClock",
            "ProtectHostname",
            "ProtectProc",
            "ProcSubset",
            "LockPersonality",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "RestrictNamespaces",
        ],
        "identity.privileges",
    ),
    **dict.fromkeys(("IPAddressAllow", "IPAddressDeny", "PrivateNetwork", "Slice"), "network.connect"),
    **dict.fromkeys(("SocketBindAllow", "SocketBindDeny"), "network.listen"),
    "RestrictAddressFamilies": "network.families",
    **dict.fromkeys(
        ("SystemCallFilter", "SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallLog"),
        "processes.syscalls",
    ),
    "TasksMax": "processes.max",
    **dict.fromkeys(("MemoryMax", "MemorySwapMax"), "memory.limit"),
    "MemoryDenyWriteExecute": "memory.writable_and_executable",
    "LimitCORE": "memory.core_dumps",
    "CPUQuota": "cpu.limit",
    "CPUWeight": "cpu.weight",
    "IOWeight": "io.weight",
    "LimitNOFILE": "files.max_open",
    "LimitFSIZE": "files.max_size",
    "PrivateIPC": "ipc.shared_memory",
    **dict.fromkeys(("PrivateDevices", "DevicePolicy", "DeviceAllow"), "devices"),
    **dict.fromkeys(("PassEnvironment", "UnsetEnvironment"), "environment.allow"),
    **dict.fromkeys(("Environment", "EnvironmentFile"), "environment.set"),
    **dict.fromkeys(("LoadCredential", "SetCredential", "LoadCredentialEncrypted"), "secrets"),
    "TimeoutStartSec": "resilience.start_timeout",
    "TimeoutStopSec": "resilience.stop_timeout",
    "Restart": "resilience.restart",
    "StartLimitBurst": "resilience.restart_limit",
    "StartLimitIntervalSec": "resilience.restart_limit",
    "WatchdogSec": "resilience.watchdog",
}

# What is made below these becomes writable, so a name must not lead out of them, nor stand for all of them.
_DIRECTORIES = dict(DIRECTORY_KEYS)
_NAME = re.compile(r"(?!\.{1,2}(/|$))[^/:\"'\\]+(/(?!\.{1,2}(/|$))[^/:\"'\\]+)*")

# Directives that are harmless but where the policy has this clause.
_UNDOING: dict[str, type[Clause]] = {
    "RestartForceExitStatus": Restart,
    "RestartPreventExitStatus": Restart,
}

# Dependencies add up: a line of ours beside an override's takes nothing from either.
_ADDING = ("After", "Before", "Requires", "Wants")

# Specifiers that name the unit or the system's folders (systemd.unit(5), SPECIFIERS).
_SPECIFIER = re.compile(r"%(?:[%iInNpPjJSLCtT])")


def emit(plan: Plan) -> None:
    """One line for each override, and a verdict for each, so that none is uncounted."""
    for override in plan.manifest.overrides:
        if override.os is not OS.LINUX or override.backend != "systemd":
            continue
        try:
            section = _section(override.key, override.id)
            value = _value(plan, override.key, override.value, override.id)
            if override.key not in (*EXEC_KEYS, *_ADDING) and override.key in plan.text:
                raise BackendError(
                    f"{override.key}= is set by a clause already ({override.id}): leave it out."
                )
            if override.key in _ADDING and "bulkhead-" in value:
                raise BackendError(
                    f"Bulkhead orders its own units itself ({override.id}): leave '{value}' out."
                )
        except BackendError as error:
            plan.verdicts[override.id] = Verdict(override.id, Status.REFUSED, (), str(error))
            continue
        if override.key in (*EXEC_KEYS, *_ADDING):
            plan.text.add(override.key, value, override.id, section)
        else:
            plan.text.set(override.key, value, override.id, section)
            form = FORMS[override.key]
            if form.key and "%" not in value:
                plan.property(override.id, form.key, form.shown(value))
        plan.verdicts[override.id] = Verdict(
            override.id, Status.ENFORCED, (f"systemd {override.key}",), "set by hand: no clause speaks for it"
        )


def usable(plan: Plan) -> Manifest:
    """The manifest without those overrides whose values are refused."""
    kept = []
    for override in plan.manifest.overrides:
        if override.os is OS.LINUX and override.backend == "systemd":
            try:
                _section(override.key, override.id)
                _value(plan, override.key, override.value, override.id)
            except BackendError:
                continue
        kept.append(override)
    return replace(plan.manifest, overrides=tuple(kept))


def _section(key: str, clause: str) -> str:
    if key in OWNED:
        raise BackendError(
            f"{key}= belongs to the clause {OWNED[key]}: write it there instead of in {clause}."
        )
    if key in SERVICE:
        return "Service"
    if key in UNIT:
        return "Unit"
    raise BackendError(
        f"'{key}' is no directive that a policy may set by hand ({clause}): systemd ignores what it does "
        "not know, without a word."
    )


def _told(value: str) -> str:
    """The value with its specifiers replaced by what has their form: a folder in front, a word elsewhere."""
    return _SPECIFIER.sub("x", re.sub(r"(?<![^ :-])%[SLCtT]", "/x", value))


def _value(plan: Plan, key: str, value: str, clause: str) -> str:
    check(value, clause)
    if value != value.strip() or value.endswith("\\"):
        raise BackendError(
            f"'{value}' would run into the next line of the unit file ({clause}): take its end away."
        )
    if any(char.isspace() and char != " " for char in value):
        raise BackendError(
            f"{value!r} holds a space of a kind that systemd takes for a letter ({clause}): write a plain one."
        )
    if "%" in _SPECIFIER.sub("", value) and not FORMS[key].literal:
        raise BackendError(
            f"'{value}' holds a specifier that is not allowed here ({clause}): write '%%' for a plain percent."
        )
    if key in _DIRECTORIES and not all(_NAME.fullmatch(word) for word in value.split(" ") if word):
        raise BackendError(
            f"'{value}' names no directories below {_DIRECTORIES[key]} ({clause}): write names without '..' and ':'."
        )
    if key in EXEC_KEYS and len([1 for other in plan.manifest.overrides if other.key == key]) > 1:
        raise BackendError(
            f"{key}= runs its commands one after the other, and the items of a list have no order ({clause}): write "
            "one command, a script if need be."
        )
    if key == "ExecSearchPath" and plan.host.systemd < 250:
        raise BackendError(
            f"ExecSearchPath= begins with systemd 250, this host has {plan.host.systemd} ({clause})."
        )
    if key.startswith("Standard") and value.partition(":")[0] in ("file", "append", "truncate"):
        raise BackendError(f"systemd opens '{value}' outside of the sandbox ({clause}): write 'journal'.")
    if key == "KillMode" and value not in ("control-group", "mixed"):
        raise BackendError(
            f"KillMode={value} would let processes from before the sandbox live on ({clause}): leave it out."
        )
    if key == "SendSIGKILL" and not is_true(value):
        raise BackendError(
            f"{key}={value} would let processes from before the sandbox live on ({clause}): leave it out."
        )
    form = FORMS[key]
    if not form.takes(value if form.literal else _told(value)):
        raise BackendError(
            f"'{value}' is nothing that {key}= takes ({clause}), systemd would ignore it: write {form.what}."
        )
    undone = _UNDOING.get(key)
    if undone and plan.manifest.of(undone):
        raise BackendError(
            f"{key}= would undo the clause {undone.section} ({clause}): leave one of them out."
        )
    if key in EXEC_KEYS:
        prefix = value[: len(value) - len(value.lstrip("@-:+!|"))]
        if set(prefix) & set("+!|"):
            raise BackendError(
                f"'{value}' would run outside of the sandbox ({clause}): leave out the prefix '{prefix}'."
            )
        program = value[len(prefix) :].split()[0] if value[len(prefix) :] else ""
        if any(char in program for char in "\"'\\") or ";" in value.split():
            raise BackendError(
                f"'{value}' could start a second command, or hide a prefix in quotes ({clause}): write one command, "
                "its program without quotes."
            )
        searched = "/" not in program and bool(plan.host.search_folders)
        if not program.startswith("/") and not searched:
            raise BackendError(f"'{value}' names no program by its full path ({clause}): begin with '/'.")
    return value
