# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The acts that the exam of denials forces, the clause that is behind each, and in which round its change is tried.

This table is the exam's own: it is written from what the policy below says and from the systems' manuals, and takes
nothing from the code under test. Numbers are those of asm/unistd_64.h for x86_64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

POLICY, UNIT, ACCOUNT, FOLDER = (
    "exam-denials",
    "exam-denials.service",
    "exam-denials",
    "/var/lib/exam-denials",
)
PROGRAMS, CONFIG = "/usr/lib/exam-denials", "/etc/exam-denials"
OPEN_PORT, GRANTED_PORT, LIMITED_PORT = 7400, 7401, 7402

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "policy": POLICY,
    "version": "1.0.0",
    "owner": "exam",
    "summary": "The exam's application, which tries what it must not.",
    "mode": "enforce",
    "workload": {"linux": {"unit": UNIT}},
    "identity": {"user": ACCOUNT, "privileges": []},
    "filesystem": {
        "read": [f"{CONFIG}/granted.conf"],
        "write": [FOLDER],
        "execute": ["/usr/bin/python3"],
    },
    "network": {
        "listen": [f"tcp/{OPEN_PORT}"],
        "connect": [
            {"to": "127.0.0.1", "ports": [f"tcp/{GRANTED_PORT}", f"udp/{GRANTED_PORT}"]},
            {"to": "127.0.0.1", "ports": [f"tcp/{LIMITED_PORT}"], "max_open": 1, "id": "one-at-a-time"},
        ],
        "families": ["ipv4", "ipv6", "unix"],
        "max_connections": 4,
    },
    "processes": {"syscalls": [], "max": 24},
    "memory": {"limit": "96MiB", "writable_and_executable": "deny", "core_dumps": "deny"},
    "examples": {
        "must_allow": [{"connect": f"127.0.0.1:{GRANTED_PORT}"}],
        "must_deny": [
            {"connect": "127.0.0.1:7990"},
            {"connect": "[::1]:7991"},
            {"listen": "tcp/7992"},
            {"read": "/root"},
            {"read": "/var/log"},
            {"write": "/etc/hostname"},
            {"write": f"{CONFIG}/granted.conf"},
            {"execute": "/usr/bin/id"},
        ],
    },
}  # fmt: skip


@dataclass(frozen=True)
class Act:
    """``request`` goes to the service, ``words`` and ``clause`` must come back. ``round``: 0 where no change is
    expected.

    ``refused``: the answers of a refused act. ``source``: a host without it cannot record the act.
    """

    id: str
    request: dict[str, Any]
    clause: str
    words: str
    round: int = 0
    refused: tuple[str, ...] = ("EPERM",)
    outside: bool = False
    source: str = ""


SYSCALLS, PRIVILEGES, FAMILIES = "processes.syscalls", "identity.privileges", "network.families"
WX = "memory.writable_and_executable"
BAD, TEXT, ROOM = -1, "/var/lib/exam-denials/none", {"zeros": 4096}
# name: (number, arguments), by clause and round. Each is refused by the filter, and let in ends in anything but EPERM.
_CALLS: tuple[tuple[str, int, dict[str, tuple[int, list[Any]]]], ...] = (
    (SYSCALLS, 1, {
        "setuid": (105, ["uid"]), "setgid": (106, ["gid"]), "setreuid": (113, [BAD, BAD]),
        "setregid": (114, [BAD, BAD]),
        "setresuid": (117, [BAD, BAD, BAD]), "setresgid": (119, [BAD, BAD, BAD]), "setfsuid": (122, ["uid"]),
        "setfsgid": (123, ["gid"]), "capset": (126, [0, 0]), "chown": (92, [TEXT, BAD, BAD]),
        "fchown": (93, [BAD, BAD, BAD]),
        "lchown": (94, [TEXT, BAD, BAD]), "fchownat": (260, [BAD, "x", BAD, BAD, 0]),
    }),
    (SYSCALLS, 1, {
        "ioprio_set": (251, [9, 0, 0]), "sched_setaffinity": (203, [0, 0, 0]), "sched_setattr": (314, [0, 0, 0]),
        "sched_setparam": (142, [0, 0]), "sched_setscheduler": (144, [0, 3, {"zeros": 64}]),
        "setpriority": (141, [0, 0, 5]),
        "setrlimit": (160, [99, ROOM]), "set_mempolicy": (238, [99, 0, 0]), "mbind": (237, [1, 1, 99, 0, 0, 0]),
    }),
    (SYSCALLS, 2, {
        "mlock": (149, [0, 0]), "munlock": (150, [0, 0]), "mlockall": (151, [99]), "munlockall": (152, []),
        "mlock2": (325, [0, 0, 99]),
    }),
    (SYSCALLS, 1, {"add_key": (248, [0, 0, 0, 0, 0]), "request_key": (249, [0, 0, 0, 0]), "keyctl": (250, [9999])}),
    (SYSCALLS, 2, {
        "io_uring_setup": (425, [0, 0]), "io_uring_enter": (426, [BAD, 0, 0, 0, 0]),
        "io_uring_register": (427, [BAD, 0, 0, 0]),
    }),
    (SYSCALLS, 2, {"unshare": (272, [0]), "setns": (308, [BAD, 0]), "open_tree": (428, [BAD, "x", 0])}),
    (SYSCALLS, 1, {
        "ptrace": (101, [9999, 0, 0, 0]), "perf_event_open": (298, [0, 0, 0, 0, 0]),
        "pidfd_getfd": (438, [BAD, 0, 0]),
    }),
    (SYSCALLS, 2, {
        "clock_settime": (227, [0, 0]), "clock_adjtime": (305, [0, 0]), "adjtimex": (159, [0]),
        "settimeofday": (164, [0, 0]),
    }),
    # What no word of the language opens, or no privilege makes work.
    (SYSCALLS, 0, {
        "init_module": (175, [0, 0, 0]), "finit_module": (313, [BAD, 0, 0]), "delete_module": (176, [0, 0]),
        "kexec_load": (246, [0, 0, 0, 0]), "kexec_file_load": (320, [BAD, BAD, 0, 0, 0]), "iopl": (172, [0]),
        "ioperm": (173, [0, 0, 0]), "acct": (163, [TEXT]), "swapon": (167, [TEXT, 0]), "swapoff": (168, [TEXT]),
        "vhangup": (153, []), "quotactl": (179, [0, 0, 0, 0]), "sethostname": (170, ["x", 1]),
        "setdomainname": (171, ["x", 1]),
        "bpf": (321, [99, 0, 0]), "fanotify_init": (300, [0, 0]), "pkey_mprotect": (329, [0, 0, 4, BAD]),
    }),
    (WX, 1, {
        "mmap": (9, [0, 4096, 7, 34, BAD, 0]), "mprotect": (10, [0, 0, 4]),
    }),
    (PRIVILEGES, 1, {
        "chmod": (90, [TEXT, 0o4755]), "fchmod": (91, [BAD, 0o4755]), "fchmodat": (268, [BAD, "x", 0o4755]),
        "mkdir": (83, ["/var/lib/exam-denials/no/where", 0o2755]),
        "mknod": (133, ["/var/lib/exam-denials/no/where", 0o104755, 0]),
        "creat": (85, ["/var/lib/exam-denials/no/where", 0o4755]),
    }),
    (PRIVILEGES, 0, {"personality": (135, [8])}),
    (PRIVILEGES, 2, {"clone": (56, [0x10000011, 0, 0, 0, 0])}),
)  # fmt: skip
_FAMILIES = {
    "netlink": (16, 3),
    "packet": (17, 3),
    "vsock": (40, 1),
    "alg": (38, 5),
    "key": (15, 3),
    "bluetooth": (31, 3),
}


def _calls() -> list[Act]:
    found = []
    for clause, number_of_round, table in _CALLS:
        for name, (number, arguments) in table.items():
            request = {"do": "call", "number": number, "with": arguments, "pause": 0.7}
            found.append(
                Act(f"call {name}", request, clause, f"call {name}()", number_of_round, source="seccomp")
            )
    for name, (family, kind) in _FAMILIES.items():
        request = {"do": "family", "family": family, "type": kind, "pause": 0.7}
        found.append(
            Act(f"family {name}", request, FAMILIES, "call socket()", 0, ("EAFNOSUPPORT",), source="seccomp")
        )
    found.append(
        Act("setgroups", {"do": "switch", "pause": 0.7}, SYSCALLS, "call setgroups()", 1, source="seccomp")
    )
    return found


def _connections() -> list[Act]:
    found = []
    places = [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "::1"),
        ("::ffff:127.0.0.3", "127.0.0.3"),
    ]
    for number in range(9):
        for at, (address, seen) in enumerate(places):
            port = 7500 + number
            protocol = "udp" if (number + at) % 3 == 0 else "tcp"
            shown = f"[{seen}]" if ":" in seen else seen
            request = {"do": "connect", "address": address, "port": port, "protocol": protocol, "pause": 0.25}
            words = f"connect {shown}:{port} ({protocol})"
            refused = ("EPERM", "ECONNREFUSED", "timeout", "EACCES")
            found.append(Act(words, request, "network.connect", words, 1 + (number + at) % 2, refused))
    for number in range(2):
        request = {"do": "hold", "address": "127.0.0.1", "port": LIMITED_PORT, "pause": 0.25}
        words = f"connect 127.0.0.1:{LIMITED_PORT} (tcp)"
        # The first is within the limit; it is there so that the second is not.
        if number == 0:
            found.append(Act("within the limit", request, "", "", 0, ()))
        else:
            found.append(
                Act("past the limit", request, "one-at-a-time", words, 0, ("ECONNREFUSED", "timeout"))
            )
    return found


def _listeners() -> list[Act]:
    found = []
    for number in range(16):
        port, protocol = 7600 + number, "udp" if number % 4 == 0 else "tcp"
        request = {"do": "listen", "port": port, "protocol": protocol}
        words = f"listen {protocol}/{port}"
        refused = ("ECONNREFUSED", "timeout", "EPERM")
        found.append(Act(words, request, "network.listen", words, 1 + number % 2, refused, outside=True))
    return found


def _limits() -> list[Act]:
    return [
        Act("memory", {"do": "memory", "bytes": 120 * 2**20}, "memory.limit", "use more memory than the limit", 1,
            ("signal 9",)),
        Act("tasks", {"do": "fork", "count": 30}, "processes.max", "start more processes than the limit", 2,
            ("EAGAIN",)),
    ]  # fmt: skip


def _files() -> list[Act]:
    """What only AppArmor denies: mounts leave these open."""
    found = []
    for number in range(12):
        path = f"{CONFIG}/closed{number}.conf"
        found.append(
            Act(f"read {path}", {"do": "read", "path": path, "pause": 0.7}, "filesystem.read", f"read {path}",
                1 + number % 2, ("EACCES",), source="apparmor")
        )  # fmt: skip
    for number in range(8):
        path = f"{PROGRAMS}/tool{number}"
        found.append(
            Act(f"execute {path}", {"do": "execute", "path": path, "pause": 0.7}, "filesystem.execute",
                f"execute {path}", 1 + number % 2, ("EACCES",), source="apparmor")
        )  # fmt: skip
    found.append(
        Act("raw socket", {"do": "family", "family": 2, "type": 3, "pause": 0.7}, PRIVILEGES, "socket inet", 2,
            ("EACCES", "EPERM"), source="apparmor")
    )  # fmt: skip
    return found


def costs() -> list[Act]:
    """A call that the filter refuses beside one that it lets through, for the price of a record."""
    keyctl = {"do": "cost", "number": 250, "with": [9999], "count": 25}
    return [
        Act("refused call", {**keyctl, "id": "refused call"}, "", ""),
        Act("allowed call", {**keyctl, "id": "allowed call", "number": 110, "with": []}, "", ""),
    ]


def acts(uid: int, gid: int, apparmor: bool, release: str) -> list[Act]:
    """All acts that can leave a record on a host, with the account's numbers put in.

    From kernel 6.3 on writable code is refused by prctl(PR_SET_MDWE) and no filter, which leaves no record.
    """
    found = [*_calls(), *_connections(), *_listeners(), *_limits(), *(_files() if apparmor else [])]
    if tuple(int(part) for part in release.split(".")[:2]) >= (6, 3):
        found = [act for act in found if act.clause != WX]
    numbers = {"uid": uid, "gid": gid}
    for act in found:
        if "with" in act.request:
            act.request["with"] = [
                numbers.get(value, value) if isinstance(value, str) else value
                for value in act.request["with"]
            ]
        act.request["id"] = act.id
    return found
