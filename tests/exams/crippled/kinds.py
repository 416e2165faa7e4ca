# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of host: what the lab boots, and what is then taken from it, or added by a vendor that opens everything."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

# What a package and an administrator may write into a unit, all of it against the policy.
OPENED = """[Service]
ReadWritePaths=/
ReadOnlyPaths=
InaccessiblePaths=
ExecPaths=/
NoExecPaths=
BindPaths=/srv/exam/hidden:/mnt/exam
TemporaryFileSystem=/var/lib/exam-open:rw
ProtectSystem=no
ProtectHome=no
PrivateTmp=no
PrivateDevices=no
DevicePolicy=auto
DeviceAllow=char-* rwm
DeviceAllow=block-* rwm
SystemCallFilter=
SystemCallFilter=@system-service @mount @privileged @debug @keyring @raw-io @module @reboot @swap @clock
SystemCallArchitectures=native x86
CapabilityBoundingSet=~
AmbientCapabilities=CAP_SYS_ADMIN CAP_DAC_OVERRIDE CAP_NET_RAW
NoNewPrivileges=no
SecureBits=keep-caps
SupplementaryGroups=shadow disk adm
RestrictAddressFamilies=~AF_ALG
RestrictNamespaces=no
RestrictSUIDSGID=no
RestrictRealtime=no
LockPersonality=no
MemoryDenyWriteExecute=no
ProtectKernelTunables=no
ProtectKernelModules=no
ProtectKernelLogs=no
ProtectControlGroups=no
ProtectClock=no
ProtectHostname=no
ProtectProc=default
ProcSubset=all
PrivateIPC=no
PrivateNetwork=no
IPAddressAllow=any
LimitNOFILE=infinity
LimitFSIZE=infinity
LimitCORE=infinity
TasksMax=infinity
MemoryMax=infinity
CPUQuota=
CPUWeight=10000
Environment=EXAM_VENDOR=set
PassEnvironment=PATH HOME
UMask=0000
Restart=no
TimeoutSec=infinity
"""
ASIDE = "mv {0} {0}.aside"
BACK = "if [ -e {0}.aside ]; then mv {0}.aside {0}; fi"
# A host as the module meets it where systemd is not there: a Python that sees no /run/systemd.
BLIND = "/usr/local/sbin/exam-python"
BLIND_TEXT = """#!/bin/sh
exec unshare --mount sh -c 'mount -t tmpfs tmpfs /run/systemd && exec /usr/bin/python3 "$@"' python3 "$@"
"""


@dataclass(frozen=True)
class Kind:
    """``boots``: the lab's word for the host, "nspawn:SUITE" for a container. ``cripple`` and ``mend``: shell text.
    ``refuses``: what the message must hold where such a host can take no policy at all."""

    name: str
    boots: str = "bookworm"
    cripple: str = ""
    mend: str = ""
    opened: bool = False
    refuses: str = ""
    variables: dict[str, str] = field(default_factory=dict)


KINDS = (
    Kind("Debian 12"),
    Kind("12 without apparmor_parser", cripple=ASIDE.format("/usr/sbin/apparmor_parser"),
         mend=BACK.format("/usr/sbin/apparmor_parser")),
    Kind("12 without nft", cripple=ASIDE.format("/usr/sbin/nft"), mend=BACK.format("/usr/sbin/nft")),
    Kind("12, a vendor that opens everything", opened=True),
    Kind("12, processes hidden (hidepid=2)", cripple="mount -o remount,hidepid=2 /proc",
         mend="mount -o remount,hidepid=0 /proc"),
    Kind("12, no user namespaces for users", cripple="sysctl -q -w kernel.unprivileged_userns_clone=0",
         mend="sysctl -q -w kernel.unprivileged_userns_clone=1"),
    Kind("12, cores handed to a program",
         cripple="printf '#!/bin/sh\\ncat >/dev/null\\n' >/usr/local/sbin/exam-core; "
         "chmod 755 /usr/local/sbin/exam-core; sysctl -q -w kernel.core_pattern='|/usr/local/sbin/exam-core %p'",
         mend="sysctl -q -w kernel.core_pattern=core"),
    Kind("12, /etc read-only", cripple="mount --bind /etc /etc && mount -o remount,bind,ro /etc", mend="umount /etc",
         refuses="read-only"),
    Kind("12, no systemd to be seen", cripple=f"printf %s {shlex.quote(BLIND_TEXT)} >{BLIND}; chmod 755 {BLIND}",
         refuses="does not run systemd", variables={"ansible_python_interpreter": BLIND}),
    Kind("Debian 13", "trixie"),
    Kind("13, a vendor that opens everything", "trixie", opened=True),
    Kind("13 without nft", "trixie", cripple=ASIDE.format("/usr/sbin/nft"), mend=BACK.format("/usr/sbin/nft")),
    Kind("12 with apparmor=0", "bookworm+noapparmor"),
    Kind("12 with cgroup v1", "bookworm+cgroup1"),
    Kind("12 with hybrid cgroups", "bookworm+hybrid"),
    Kind("12 without memory controller", "bookworm+nomemory"),
    Kind("12 without IPv6", "bookworm+noipv6"),
    Kind("Debian 11", "bullseye"),
    Kind("Debian sid", "sid"),
    Kind("12 in a container (nspawn)", "nspawn:bookworm"),
    Kind("12 in a container, without nft", "nspawn:bookworm", cripple=ASIDE.format("/usr/sbin/nft"),
         mend=BACK.format("/usr/sbin/nft")),
    Kind("13 in a container (nspawn)", "nspawn:trixie"),
    Kind("13 in a container, a vendor that opens everything", "nspawn:trixie", opened=True),
    Kind("11 in a container (nspawn)", "nspawn:bullseye"),
    Kind("11 in a container, /etc read-only", "nspawn:bullseye",
         cripple="mount --bind /etc /etc && mount -o remount,bind,ro /etc", mend="umount /etc", refuses="read-only"),
    Kind("sid in a container (nspawn)", "nspawn:sid"),
    Kind("sid in a container, no systemd to be seen", "nspawn:sid",
         cripple=f"printf %s {shlex.quote(BLIND_TEXT)} >{BLIND}; chmod 755 {BLIND}",
         refuses="does not run systemd", variables={"ansible_python_interpreter": BLIND}),
)  # fmt: skip
# Hosts that are up at the same time, by turns: a machine with two processors emulates no more than three.
TURNS = (
    ("bookworm", "trixie", "bookworm+noapparmor"),
    ("bookworm+cgroup1", "bookworm+hybrid", "bullseye"),
    ("sid", "bookworm+nomemory", "bookworm+noipv6"),
    ("nspawn:bookworm", "nspawn:trixie", "nspawn:bullseye", "nspawn:sid"),
)
