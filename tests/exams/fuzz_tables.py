# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in an artifact: which clause may make which directive, and what each value looks like.

A backend that writes something new needs a row here, or ``make fuzz`` says that nobody accounts for it.
"""

from __future__ import annotations

import re

import exam  # noqa: F401  puts the collection on the path

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import linux_tables
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.base import BASE_READ
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS

_NAME = r"[A-Za-z0-9:_.@\\-]+"
_NAMES = rf"{_NAME}( {_NAME})*"
_SPAN = r"([0-9]+(\.[0-9]+)?(us|ms|s|min|h|d|w)? ?)+|infinity"
_FIXED = r"yes|no|default|pid|private|invisible|strict|closed|native|EPERM|tmpfs|read-only"
_CALLS = r"~?(@[a-z-]+|[a-z0-9_]+)( (@[a-z-]+|[a-z0-9_]+))*|"
ANY, PATH_OR_NONE = "any", "path_or_none"
FS = ("filesystem.read", "filesystem.write", "filesystem.execute", "filesystem.deny", "processes.spawn")
MOUNTS = (*FS, "ipc.unix", "ipc.dbus", "secrets", "devices")
# Directive -> the sections whose clauses may make it, and what its value looks like.
DIRECTIVES: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(("CPUWeight", "IOWeight"), (("cpu.weight", "io.weight"), r"[0-9]+")),
    **dict.fromkeys(("MemoryMax", "MemorySwapMax"), (("memory.limit",), r"[0-9]+")),
    **dict.fromkeys(
        ("TimeoutStartSec", "TimeoutStopSec", "WatchdogSec", "StartLimitIntervalSec"),
        (("resilience.",), _SPAN),
    ),
    **dict.fromkeys(
        (
            "BindPaths",
            "BindReadOnlyPaths",
            "InaccessiblePaths",
            "ReadOnlyPaths",
            "ReadWritePaths",
            "ExecPaths",
            "NoExecPaths",
        ),
        (MOUNTS, PATH_OR_NONE),
    ),
    **dict.fromkeys(
        (
            "LockPersonality",
            "NoNewPrivileges",
            "ProcSubset",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "ProtectProc",
            "RestrictNamespaces",
            "RestrictRealtime",
            "RestrictSUIDSGID",
        ),
        (("identity.privileges",), _FIXED),
    ),
    **dict.fromkeys(
        ("AmbientCapabilities", "CapabilityBoundingSet"), (("identity.privileges",), r"(CAP_[A-Z_]+)?")
    ),
    **dict.fromkeys(
        ("SystemCallFilter", "SystemCallLog", "SystemCallArchitectures", "SystemCallErrorNumber"),
        (("processes.syscalls",), rf"{_CALLS}|{_FIXED}"),
    ),
    **dict.fromkeys(
        ("SocketBindAllow", "SocketBindDeny"),
        (("network.listen", "network.connect"), r"|any|((ipv4|ipv6):)?(tcp|udp)(:[0-9]+(-[0-9]+)?)?"),
    ),
    **dict.fromkeys(
        ("IPAddressAllow", "IPAddressDeny"),
        (("network.connect", "network.listen"), r"|any|[0-9a-f:./]+|localhost"),
    ),
    **dict.fromkeys(("After", "Requires", "Wants", "Slice"), (("network.", "filesystem.read"), _NAMES)),
    "AppArmorProfile": (("filesystem.read",), r"-?bulkhead\.[a-z0-9_-]+"),
    "Description": (("network.",), r"[A-Za-z0-9 _-]+"),
    "PrivateNetwork": (("network.",), "yes"),
    "CPUQuota": (("cpu.limit",), r"[0-9]+%"),
    "DeviceAllow": (("devices",), PATH_OR_NONE),
    "DevicePolicy": (("devices",), _FIXED),
    "PrivateDevices": (("devices",), _FIXED),
    "Environment": (("environment.set",), ANY),
    "PassEnvironment": (("environment.allow",), r"([A-Za-z_][A-Za-z0-9_]*)?"),
    "ExecCondition": (
        ("filesystem.write",),
        r"|[+]/usr/bin/(touch|chown [A-Za-z0-9_.@\\-]+) -- (/.*|\"/.*\")",
    ),
    "LimitCORE": (("memory.core_dumps",), r"0|1|infinity"),
    "LimitFSIZE": (("files.max_size",), r"[0-9]+"),
    "LimitNOFILE": (("files.max_open",), r"[0-9]+"),
    "LoadCredential": (("secrets",), r"[A-Za-z0-9_.-]+:/\S*"),
    "MemoryDenyWriteExecute": (("memory.writable_and_executable",), _FIXED),
    "PIDFile": (("filesystem.write",), ""),
    "PrivateIPC": (("ipc.shared_memory",), _FIXED),
    "PrivateTmp": (("filesystem.",), _FIXED),
    "ProtectHome": (("filesystem.",), _FIXED),
    "ProtectSystem": (("filesystem.write",), _FIXED),
    "Restart": (("resilience.restart",), r"no|on-failure|always"),
    "RestrictAddressFamilies": (("network.families",), r"(AF_[A-Z0-9]+|none)?"),
    "StartLimitBurst": (("resilience.restart_limit",), r"[0-9]+"),
    "TasksMax": (("processes.max",), r"[0-9]+"),
    "TemporaryFileSystem": (MOUNTS, PATH_OR_NONE),
    "User": (("identity.user",), _NAME),
}
# Units of ours: file name -> directive -> what its value looks like. They hold nothing of a policy but its name.
_STARTS = r"/bin/sh -c '[^'\n]*' 'sh' "
_KEEPS = r"'include \"/etc/bulkhead/nft/POLICY\.nft\"' '/run/bulkhead-net-POLICY/commands' 'TABLE'"
_COMMON = {
    "After": _NAMES,
    "Before": _NAMES,
    "DefaultDependencies": "no",
}
OWN_UNITS: dict[str, dict[str, str]] = {
    "bulkhead-net-POLICY.service": {
        **_COMMON,
        "CapabilityBoundingSet": "CAP_NET_ADMIN",
        "Conflicts": r"shutdown\.target",
        "Description": "Network rules of Bulkhead policy POLICY",
        "Environment": "HOME=/run/bulkhead-net-POLICY",
        "ExecReload": _STARTS + _KEEPS,
        "ExecStart": _STARTS + "'/run/bulkhead-net-POLICY/commands'",
        "ExecStartPost": _STARTS + _KEEPS,
        "ExecStartPre": f"-{_STARTS}'TABLE'|/bin/mkfifo -m 0600 /run/bulkhead-net-POLICY/commands",
        "NoNewPrivileges": "yes",
        "OOMScoreAdjust": "-1000",
        "Requires": r"bulkhead-[a-z0-9._-]+\.slice",
        "Restart": "always",
        "RestartSec": "0",
        "RuntimeDirectory": "bulkhead-net-POLICY",
        "RuntimeDirectoryMode": "0700",
        "StandardError": "journal",
        "StandardOutput": "null",
        "StartLimitIntervalSec": "0",
        "TimeoutStartSec": "300",
        "Type": "simple",
        "Wants": r"network-pre\.target",
    },
    "bulkhead-apparmor-POLICY.service": {
        **_COMMON,
        "Description": "AppArmor profile of Bulkhead policy POLICY",
        "ExecReload": "/sbin/apparmor_parser -r -K /etc/apparmor.d/bulkhead.POLICY",
        "ExecStart": "/sbin/apparmor_parser -r -K /etc/apparmor.d/bulkhead.POLICY",
        "ExecStop": "-/sbin/apparmor_parser -R -K /etc/apparmor.d/bulkhead.POLICY",
        "RemainAfterExit": "yes",
        "Type": "oneshot",
    },
}
# Trees that a drop-in may hide, show or make whatever the policy says.
LINUX_PATHS = frozenset(
    [
        *linux_tables.DATA_TREES,
        *linux_tables.HOME_TREES,
        *linux_tables.SENSITIVE,
        *linux_tables.SENSITIVE_OF_ROOT,
        *linux_tables.PRIVILEGED_SOCKETS,
        *linux_tables.SERVICE_SOCKETS,
        *linux_tables.LIBRARIES,
        *linux_tables.LIBRARIES_UNMERGED,
        linux_tables.BUS,
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/run",
    ]
)
MERGED = re.compile(r"/(s?bin|lib(32|64|x32)?)(/|$)")
OPTIONS = re.compile(r":(ro,noexec|mode=1777,noexec|ro|noexec)$")

_STRING = r'"[^"\x00-\x1f\x7f]{0,127}"'
_NET = r"\{ [0-9a-f:./]+(, [0-9a-f:./]+)* \}"
_PORTS = r"\{ [0-9]+(-[0-9]+)?(, [0-9]+(-[0-9]+)?)* \}"
_MATCH = (
    rf"(ip daddr {_NET} |ip6 daddr {_NET} |meta nfproto ipv[46] )?((tcp|udp) dport {_PORTS} |meta l4proto (tcp|udp) )?"
    r"(ct state new ct count over [0-9]+ |ct state new limit rate over [0-9]+/(second|minute|hour|day) )?"
)
RULE = re.compile(
    rf"\t\t{_MATCH}(counter accept|counter goto refuse|goto limited_[0-9]+|counter) comment (?P<label>{_STRING})"
)
LOGGED = re.compile(
    rf"\t\t{_MATCH}limit rate 5/second burst 10 packets log prefix (?P<label>{_STRING}) flags skuid"
)
MATCHED = re.compile(r'\t\tsocket cgroupv2 level 2 "(?P<slice>[a-z0-9._/-]+)" goto allow_(connect|listen)')
# What comes back on a granted flow.
ANSWERED = re.compile(
    rf"\t\t(counter accept|ct direction reply (ip saddr {_NET} |ip6 saddr {_NET} |meta nfproto ipv[46] )?"
    rf"((tcp|udp) sport {_PORTS} |meta l4proto (tcp|udp) )?accept)"
)
PLAIN_LINES = re.compile(
    r"\tchain (refuse|limited_[0-9]+|allow_connect|allow_listen|output|input) \{|\t\}|\}|"
    r"\t\tmeta l4proto tcp reject with tcp reset|\t\treject with icmpx type port-unreachable|"
    r"\t\tct direction reply accept|\t\tct direction reply tcp flags & rst == rst accept|"
    r"\t\tmeta l4proto \{ icmp, ipv6-icmp \} ct state related accept|"
    r"\t\ttype filter hook (output|input) priority 0; policy accept;"
)

FILE_RULE = re.compile(r'  (  )?(audit deny |audit )?"(?P<literal>([^"\\*?\[\]{}^]|\\.)*)')
UNESCAPED = re.compile(r"\\(.)")
APPARMOR_SECTIONS = (*FS, "components", "devices", "identity.", "ipc.", "network.families", "secrets")
# Folders whose files every profile names: what resolv.conf may link to, systemd's and the journal's sockets.
APPARMOR_PATHS = frozenset(
    [
        *BASE_READ[OS.LINUX],
        *("/dev", "/etc", "/proc", "/sys", "/run/systemd", "/run/systemd/journal"),
        *("/run/NetworkManager", "/run/resolvconf", "/run/systemd/resolve"),
    ]
)

SBPL_SOCKET = re.compile(r"(\*|localhost):(\*|[0-9]+)")
SBPL_HEAD = re.compile(
    r"\((version 1|(allow|deny) default|"
    r"(allow|deny) (process-info\*|nvram\*|iokit-get-properties|file-map-executable))\)"
)
# Paths and services that every profile names.
SBPL_OWN = re.compile(
    r"/(System|usr|dev|private/(etc|var/(db|run)))(/[A-Za-z0-9._-]+)*|/|com\.apple\.[A-Za-z0-9._-]+|/private|/private/var"
)

PLIST_KEYS = frozenset(
    [
        "ExitTimeOut",
        "HardResourceLimits",
        "SoftResourceLimits",
        "Core",
        "FileSize",
        "NumberOfFiles",
        "NumberOfProcesses",
        "KeepAlive",
        "SuccessfulExit",
        "Label",
        "LowPriorityIO",
        "Nice",
        "ProgramArguments",
        "RunAtLoad",
        "ThrottleInterval",
        "UserName",
        "EnvironmentVariables",
        "ProcessType",
    ]
)
PLIST_OWN = re.compile(
    r"/usr/bin/env|-i|-f|/usr/bin/sandbox-exec|/Library/Application Support/Bulkhead/[a-z0-9_-]+\.sb|"
    r"bulkhead\.[a-z0-9_-]+|Background|Interactive"
)
# Texts of the JSON files that are no value of the policy, by the key that they stand under.
JSON_OWN = {
    "kind": r"service_settings|firewall_rules|job_limits",
    "type": r"Allow|Deny|restart|none|dword|restricted|unrestricted",
    "rights": r"FullControl|ReadAndExecute|Read|Modify|ExecuteFile|Write|Delete(SubdirectoriesAndFiles)?",
    "name": r"Se[A-Z][A-Za-z]+Privilege",
    "enable": r"(Audit|Block|Disallow)[A-Za-z]+",
    "key": r"HKLM\\SOFTWARE\\[A-Za-z \\]+",
    "service_sid": r"S-1-5-80(-[0-9]+){5}",
    "flags": r"JOB_OBJECT_[A-Z_]+",
    "limit": r"[A-Z][A-Za-z]+",
    "note": r"Nothing installs these limits: [a-zA-Z ,:]+\.",
    "Action": r"Allow|Block",
    "Direction": r"Inbound|Outbound",
    "Enabled": r"True|False",
    "Group": r"Bulkhead [a-z0-9_-]+",
    "Name": r"bulkhead-[a-z0-9_-]+-[0-9]{3}",
    "Profile": r"Any",
    "Protocol": r"TCP|UDP|ICMPv4|ICMPv6|Any",
    "LocalPort": r"[0-9]+(-[0-9]+)?",
    "RemotePort": r"[0-9]+(-[0-9]+)?",
    "RemoteAddress": r"[0-9a-f:.]+(-[0-9a-f:.]+)?",
}
XML = {
    "AppLockerPolicy": {"Version"},
    "RuleCollection": {"Type", "EnforcementMode"},
    "Conditions": set(),
    "Exceptions": set(),
    "FilePathRule": {"Id", "Name", "Description", "UserOrGroupSid", "Action"},
    "FilePathCondition": {"Path"},
    "RuleCollectionExtensions": set(),
    "ThresholdExtensions": set(),
    "RedstoneExtensions": set(),
    "Services": {"EnforcementMode"},
    "SystemApps": {"Allow"},
}
XML_VALUES = {
    "Version": r"1",
    "Type": r"Exe|Script",
    "EnforcementMode": r"Enabled|AuditOnly",
    "Allow": r"Enabled|NotEnabled",
    "Id": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "UserOrGroupSid": r"S-1-1-0|S-1-5-80(-[0-9]+){5}",
    "Action": r"Allow|Deny",
}
