# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host refuses without a word: mechanisms of a bundle that leave no record, the clauses behind them, and why."""

from __future__ import annotations

import glob
import re

from . import files

_MOUNTS = (
    "ProtectSystem ProtectHome PrivateTmp ReadWritePaths ReadOnlyPaths InaccessiblePaths TemporaryFileSystem BindPaths"
    " BindReadOnlyPaths NoExecPaths ExecPaths PrivateDevices PrivateIPC"
)
# name, directives, why there is no record. Tried on systemd 252 and 257; see docs/denials.md.
SILENT = (
    (
        "mounts",
        _MOUNTS,
        "the kernel answers EROFS, EACCES or ENOENT and tells nobody; only an audit rule for every failing call of "
        "every process of the host would show it",
    ),
    (
        "capabilities",
        "CapabilityBoundingSet NoNewPrivileges",
        "the kernel answers EPERM for a missing capability and tells nobody; AppArmor sees only those that the process "
        "holds",
    ),
    (
        "devices",
        "DevicePolicy DeviceAllow",
        "the control group's device program answers EPERM and tells nobody",
    ),
    ("limits", "LimitNOFILE LimitFSIZE LimitCORE", "the kernel counts no resource limit that was hit"),
    (
        "addresses",
        "IPAddressDeny IPAddressAllow SocketBindDeny SocketBindAllow",
        "the control group's programs refuse and tell nobody",
    ),
    ("shares", "CPUQuota CPUWeight IOWeight", "it slows down and refuses nothing"),
    (
        "environment",
        "UnsetEnvironment PassEnvironment Environment",
        "a variable is left out and nothing is refused",
    ),
)
# From kernel 6.3 and systemd 253 on this is prctl(PR_SET_MDWE) and no filter: the kernel answers EACCES itself.
WRITABLE_CODE = (
    "writable_code",
    "MemoryDenyWriteExecute",
    "the kernel refuses it by itself, without a filter, and tells nobody",
)
SECCOMP = (
    "seccomp",
    "SystemCallFilter RestrictAddressFamilies RestrictNamespaces RestrictSUIDSGID RestrictRealtime "
    "MemoryDenyWriteExecute LockPersonality ProtectKernel* ProtectClock ProtectHostname",
    "a filter that answers with an error is silent; bulkhead.fleet.denials_record turns its records on for what starts "
    "afterwards",
)
_CONFIGURATION = (
    "/etc/systemd/system.conf",
    "/usr/lib/systemd/system.conf.d/*.conf",
    "/usr/local/lib/systemd/system.conf.d/*.conf",
    "/run/systemd/system.conf.d/*.conf",
    "/etc/systemd/system.conf.d/*.conf",
)
_SWITCH = re.compile(r"(?m)^\s*ManagerEnvironment\s*=.*\bSYSTEMD_LOG_SECCOMP=(?:1|yes|true|on)\b")
_ACTIONS = "/proc/sys/kernel/seccomp/actions_logged"


def seccomp_recorded(patterns=_CONFIGURATION, actions=_ACTIONS):
    """Whether the manager asks for records of filters that answer with an error, and the kernel writes them."""
    asked = any(_SWITCH.search(files.read_text(path)) for pattern in patterns for path in glob.glob(pattern))
    return asked and "errno" in files.read_text(actions).split()


def refuses_writable_code(release):
    """Whether a kernel of this release (uname -r) has PR_SET_MDWE, which systemd takes where it is there."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return bool(found) and (int(found.group(1)), int(found.group(2))) >= (6, 3)


def unrecorded(verdicts, recorded, release):
    """[{"mechanism", "clauses", "reason"}] of a bundle's verdicts. ``recorded``: see ``seccomp_recorded``."""
    found = []
    silent = (
        SILENT
        + ((WRITABLE_CODE,) if refuses_writable_code(release) else ())
        + (() if recorded else (SECCOMP,))
    )
    for name, directives, reason in silent:
        known = set(directives.split())
        clauses = sorted(
            verdict["clause"]
            for verdict in verdicts
            if any(mechanism.partition(" ")[2] in known for mechanism in verdict["mechanisms"])
        )
        if clauses:
            found.append({"mechanism": name, "clauses": clauses, "reason": reason + "."})
    return found
