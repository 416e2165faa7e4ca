# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which acts witness which clause. What one closes must be denied from inside of the unit; ``hole`` is what a verdict
must say where it gets through all the same. ``works``: what a grant opens, which must succeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PLACES = {"exam-user": "/srv/exam/data", "exam-root": "/srv/exam/root", "exam-alone": "/srv/exam/alone"}
SOCKET = "/run/exam-peer/granted.sock"
LIFE = "life"  # tried from outside, by witness/life.py


@dataclass(frozen=True)
class Row:
    """One act of one policy. ``clauses``: ids of those that it speaks for."""

    policy: str
    clauses: tuple[str, ...]
    act: str
    arguments: tuple[Any, ...] = ()
    hole: str = ""
    works: bool = False

    @property
    def needs_control(self) -> bool:
        """What only a policy gives is not there without one."""
        return not (self.works and self.act in ("has_user", "variable_is", "credential")) and (
            self.act != "start_forever"  # a unit that is never started again has no such limit either
        )

    @property
    def key(self) -> str:
        return " ".join([self.act, *map(str, self.arguments)])


_USER, _ROOT, _ALONE = PLACES
_ALL, _OWN = (_USER, _ROOT, _ALONE), (_USER, _ALONE)
_EXECUTE = "filesystem.execute processes.spawn"
# (policies, clauses, act, arguments, hole); "*" stands for the folder that the policy lets it write to.
_CLOSED: tuple[tuple[tuple[str, ...], str, str, tuple[Any, ...], str], ...] = (
    (_OWN, "identity.user", "is_root", (), ""),
    *(
        (_ALL, "filesystem.read", "read", (path,), "")
        for path in (
            "/srv/exam/hidden/file", "/srv/exam/hidden", "/home/exam/file", "/root/exam/file", "/opt/exam/hidden/file",
            "/var/lib/exam-open/file", "/mnt/exam/file", "/boot/exam/file", "/etc/ssl/private/exam.key",
            "/tmp/exam-outside", "/etc/shadow", "/etc/ssh/ssh_host_ed25519_key",
        )
    ),
    (_ALL, "filesystem.read", "read", ("/etc/exam/file",), "world-readable files under /etc"),
    (_ALL, "filesystem.read[/opt/exam/witness]", "write", ("/opt/exam/witness",), ""),
    ((_USER,), "filesystem.read[/srv/exam/data/narrow]", "write", ("/srv/exam/data/narrow",), ""),
    ((_USER,), "filesystem.read[/srv/exam/data/narrow]", "write_swapped", ("/srv/exam/data/narrow", ""),
     "put in its place"),
    *(
        (_ALL, "filesystem.write", "write", (path,), "")
        for path in (
            "/etc/exam/open", "/etc/exam/file", "/usr/local/exam-open", "/var/lib/exam-open", "/home/exam",
            "/root/exam", "/opt/exam/open", "/boot/exam", "/srv/exam/hidden", "/tmp", "/var/tmp", "/dev/shm",
        )
    ),
    (_ALL, "filesystem.write", "write_outside", ("/var/lib/exam-open/file",), "has the same account"),
    (_OWN, "filesystem.write", "write", ("/run/exam-open",), ""),
    ((_ROOT,), "filesystem.write filesystem.write[/run/exam-root.pid]", "write", ("/run/exam-open",),
     "/run is writable as a whole"),
    (_ALL, "filesystem.write identity.privileges", "write_setting", ("/proc/sys/kernel/domainname",), ""),
    (_ALL, "filesystem.write identity.privileges", "write_setting", ("/sys/kernel/mm/ksm/sleep_millisecs",), ""),
    ((_ROOT,), "filesystem.write identity.privileges", "write_setting",
     ("/sys/fs/cgroup/system.slice/cgroup.max.depth",), ""),
    *(
        (_ALL, _EXECUTE, act, arguments, hole)
        for act, arguments, hole in (
            ("execute", ("/usr/bin/id",), ""),
            ("execute", ("/opt/exam/bin/other",), ""),
            ("execute_written", ("*",), ""),
            ("execute_written", ("/tmp",), ""),
            ("execute_written", ("/dev/shm",), ""),
            ("execute_by_loader", ("/usr/bin/id",), ""),
            ("execute_memory", (), "memory only"),
            ("execute", ("/usr/lib/exam-tool",), "inside of the library directories"),
        )
    ),
    ((_ROOT, _ALONE), _EXECUTE, "execute", ("/usr/bin/python3", "-S", "-c", "pass"),
     "the unit's own programs can be run"),
    ((_USER,), "filesystem.execute[/usr/bin/python3]", "write", ("/usr/bin/exam-open",), ""),
    ((_USER,), _EXECUTE, "execute_swapped", ("/usr/local/bin/exam-swapped", "/usr/local/bin/exam-swapped.other"),
     "by rename"),
    ((_USER,), "filesystem.execute[/opt/exam/bin/granted]", "write", ("/opt/exam/bin/granted",), ""),
    ((_USER,), "filesystem.execute[/opt/exam/bin/setuid]", "write", ("/opt/exam/bin/setuid",), ""),
    ((_USER,), "filesystem.execute[/usr/local/bin/exam-swapped]", "write", ("/usr/local/bin/exam-swapped",), ""),
    ((_USER,), "processes.spawn[/opt/exam/bin/spawned]", "write", ("/opt/exam/bin/spawned",), ""),
    ((_USER,), "filesystem.deny[/srv/exam/data/denied]", "read", ("/srv/exam/data/denied/file",), ""),
    ((_USER,), "filesystem.deny[/srv/exam/data/denied]", "write", ("/srv/exam/data/denied/file",), ""),
    ((_USER,), "filesystem.deny[/srv/exam/data/denied]", "read_swapped", ("/srv/exam/data/denied", "file"),
     "put in its place by rename"),
    *(
        ((_USER,), clauses, "connect", end, "")
        for clauses, end in (
            ("network.connect network.connect[loopback tcp/7101]", ("tcp", "127.0.0.1", 7102)),
            ("network.connect network.connect[loopback tcp/7101]", ("tcp", "::1", 7102)),
            ("network.connect network.connect[loopback tcp/7101]", ("udp", "127.0.0.1", 7101)),
            ("network.connect", ("tcp", "10.97.0.1", 7101)),
            ("network.connect network.connect[10.99.0.0/16 tcp/7103]", ("tcp", "10.99.0.1", 7101)),
            ("network.connect network.connect[any udp/7105]", ("udp", "10.97.0.1", 7106)),
            ("network.connect network.connect[dns]", ("udp", "10.97.0.1", 53)),
        )
    ),
    ((_USER,), "network.connect", "connect_mapped", ("127.0.0.1", 7102), ""),
    ((_USER,), "network.connect[10.99.0.0/16 tcp/7103]", "connect_many", ("10.99.0.1", 7103, 6), ""),
    ((_USER,), "network.connect[10.98.0.0/16 tcp/7104]", "connect_fast", ("10.98.0.1", 7104, 20), ""),
    ((_ROOT,), "network.connect network.connect[loopback tcp/7101]", "connect", ("tcp", "127.0.0.1", 7102),
     "not by port|every port"),
    ((_ROOT,), "network.connect", "connect", ("tcp", "10.97.0.1", 7101), ""),
    ((_ROOT,), "network.connect", "connect", ("udp", "127.0.0.1", 7101), "not by port"),
    (_ALL, "network.connect", "join_group", ("239.255.77.77",), "multicast group"),
    ((_ALONE,), "network.connect", "connect", ("tcp", "127.0.0.1", 7101), ""),
    ((_ALONE,), "network.connect", "connect", ("udp", "10.97.0.1", 7105), ""),
    *(
        (_ALL, "network.listen", act, arguments, hole)
        for act, arguments, hole in (
            ("listen", ("tcp", "127.0.0.1", 7203), ""),
            ("listen", ("tcp", "10.97.0.1", 7203), ""),
            ("listen", ("udp", "127.0.0.1", 7203), ""),
            ("listen", ("tcp", "::1", 7203), ""),
            ("listen_unbound", (), ""),
            ("bind", ("udp", "127.0.0.1", 7204), r"bind\(\) and listen\(\) of another port succeed"),
            ("bind", ("tcp", "127.0.0.1", 7204), r"bind\(\) and listen\(\) of another port succeed"),
        )
    ),
    ((_USER,), "network.listen[tcp/7201]", "listen", ("udp", "127.0.0.1", 7201), ""),
    ((_USER,), "network.listen[udp/7202]", "listen", ("tcp", "127.0.0.1", 7202), ""),
    ((_USER,), "network.listen[tcp/90]", "listen", ("tcp", "127.0.0.1", 91), ""),
    ((_USER,), "network.max_connections", "serve_many", ("127.0.0.1", 7201, 9), ""),
    *((_ALL, "network.families", "family", (name,), "") for name in ("netlink", "packet", "alg", "vsock", "bluetooth")),
    ((_ROOT, _ALONE), "network.families", "family", ("ipv6",), ""),
    ((_ALONE,), "network.families", "family", ("ipv4",), ""),
    *(
        (_ALL, "processes.syscalls", "call", (name,), "")
        for name in (
            "mount", "pivot_root", "swapon", "reboot", "kexec_load", "init_module", "delete_module", "ptrace", "bpf",
            "perf_event_open", "io_uring_setup", "unshare", "setns", "clock_settime", "iopl", "acct", "mlock", "chroot",
        )
    ),
    (_OWN, "processes.syscalls", "call", ("add_key",), ""),
    (_OWN, "processes.syscalls", "call", ("keyctl",), ""),
    (_ALL, "processes.syscalls", "call_32_bit", (), ""),
    ((_ALONE,), "processes.syscalls", "unix", (SOCKET,), r"connect\(\) stays callable"),
    *(
        (_ALL, "identity.privileges", act, arguments, "")
        for act, arguments in (
            ("set_user", (1,)), ("make_node", ("*",)), ("host_name", ()), ("kernel_log", ()),
            ("new_user_namespace", ()), ("personality", ()), ("real_time", ()), ("raise_priority", ()),
            ("change_root", ()), ("setuid_file", ("*",)), ("raw_socket", ()), ("memory_of_init", ()),
        )
    ),
    (_OWN, "identity.privileges", "other_processes", (), ""),
    ((_ROOT,), "filesystem.read", "other_processes", (), "and /proc stay readable"),
    (_OWN, "identity.privileges", "signal_other", (), ""),
    (_OWN, "identity.privileges", "change_owner", ("*",), ""),
    ((_USER,), "identity.privileges", "setuid_run", ("/opt/exam/bin/setuid",), ""),
    ((_ROOT,), "identity.privileges[change_owner]", "set_user", (1,), ""),
    ((_ROOT,), "identity.privileges[override_permissions]", "make_node", ("*",), ""),
    ((_USER,), "identity.privileges[bind_low_port]", "raw_socket", (), ""),
    (_OWN, "memory.limit", "use_memory", (160,), ""),
    (_ALL, "memory.writable_and_executable", "map_writable_executable", (), ""),
    (_ALL, "memory.writable_and_executable", "make_executable", (), ""),
    (_ALL, "memory.writable_and_executable", "map_twice", (), "mapped twice"),
    (_ALL, "memory.core_dumps", "dump_core", ("*", False), ""),
    (_ALL, "memory.core_dumps", "dump_core", ("*", True), "hands cores to a program"),
    ((_ALONE,), "cpu.limit", "use_processor", (2, 70), ""),
    (_OWN, "cpu.weight", "compete_for_processor", (3, 30), "slice"),
    (_OWN, "io.weight", "compete_for_disk", ("*", 2, 30), "bfq or io.cost"),
    (_OWN, "processes.max", "make_processes", (90,), ""),
    ((_USER,), "files.max_open", "open_files", (200,), ""),
    ((_USER,), "files.max_open", "open_more_files", (200,), ""),
    ((_USER,), "files.max_size", "write_large", ("*", 2 << 20), ""),
    (_ALL, "ipc.unix", "unix", ("/run/docker.sock",), ""),
    (_ALL, "ipc.unix", "unix", ("/run/memcached/exam.sock",), ""),
    (_ALL, "ipc.unix", "unix", ("/run/systemd/private",), ""),
    (_ALL, "ipc.unix", "unix", ("/run/exam-peer/other.sock",), "other path sockets"),
    (_ALL, "ipc.unix", "unix", ("@exam-peer",), "abstract sockets"),
    (_ALL, "ipc.dbus", "bus", (), "the whole system bus is open"),
    ((_ROOT,), "ipc.dbus[org.freedesktop.systemd1]", "bus", (), ""),
    (_ALL, "ipc.shared_memory", "shared_memory", (0x45584D,), "System V memory stays shared"),
    (_ALL, "ipc.shared_memory", "message_queue", ("exam-queue",), "stays shared"),
    (_ALL, "ipc.shared_memory", "shared_file", ("exam-outside",), ""),
    *((_ALL, "devices", "open_device", (path,), "") for path in ("/dev/vda", "/dev/kmsg", "/dev/mem")),
    (_OWN, "devices", "open_device", ("/dev/ttyS0",), ""),
    ((_ROOT,), "devices[/dev/ttyS0]", "open_device", ("/dev/vda",), ""),
    (_ALL, "devices", "open_device", ("*/node",), "cannot filter devices"),
    (_ALL, "environment.allow", "has_variable", ("EXAM_MANAGER",), "for all services"),
    (_ALL, "environment.allow", "has_variable", ("EXAM_VENDOR",), "what the unit itself sets"),
    ((_USER,), "secrets[token]", "read", ("/etc/exam/token",), ""),
    ((_USER,), "resilience.watchdog", "silent", (LIFE,), ""),
    ((_USER,), "resilience.restart", "stay_dead", (LIFE,), ""),
    ((_USER,), "resilience.restart_limit", "start_forever", (LIFE,), ""),
    ((_ROOT,), "resilience.start_timeout", "never_ready", (LIFE,), ""),
    ((_ALONE,), "resilience.stop_timeout", "never_stops", (LIFE,), ""),
)  # fmt: skip
_OPEN: tuple[tuple[tuple[str, ...], str, str, tuple[Any, ...]], ...] = (
    (_OWN, "identity.user", "has_user", ("examuser",)),
    (_ALL, "filesystem.read[/opt/exam/witness]", "read", ("/opt/exam/witness/main.py",)),
    ((_USER,), "filesystem.read[/srv/exam/data/narrow]", "read", ("/srv/exam/data/narrow/file",)),
    ((_USER,), "filesystem.write[/srv/exam/data]", "write", ("*",)),
    ((_ROOT,), "filesystem.write[/srv/exam/root]", "write", ("*",)),
    ((_ALONE,), "filesystem.write[/srv/exam/alone]", "write", ("*",)),
    ((_USER,), "filesystem.execute[/opt/exam/bin/granted]", "execute", ("/opt/exam/bin/granted",)),
    (
        (_USER,),
        "filesystem.execute[/opt/exam/bin/setuid]",
        "execute",
        ("/opt/exam/bin/setuid", "-r", "/etc/exam/file"),
    ),
    ((_USER,), "processes.spawn[/opt/exam/bin/spawned]", "execute", ("/opt/exam/bin/spawned",)),
    ((_USER, _ROOT), "network.connect[loopback tcp/7101]", "connect", ("tcp", "127.0.0.1", 7101)),
    ((_USER,), "network.connect[10.99.0.0/16 tcp/7103]", "connect", ("tcp", "10.99.0.1", 7103)),
    ((_USER,), "network.connect[10.98.0.0/16 tcp/7104]", "connect", ("tcp", "10.98.0.1", 7104)),
    ((_USER,), "network.connect[any udp/7105]", "connect", ("udp", "10.97.0.1", 7105)),
    ((_USER,), "network.listen[tcp/7201]", "listen", ("tcp", "127.0.0.1", 7201)),
    ((_USER,), "network.listen[udp/7202]", "listen", ("udp", "127.0.0.1", 7202)),
    (
        (_USER,),
        "network.listen[tcp/90] identity.privileges[bind_low_port]",
        "listen",
        ("tcp", "127.0.0.1", 90),
    ),
    ((_ROOT,), "identity.privileges[change_owner]", "change_owner", ("*",)),
    ((_ROOT,), "identity.privileges[override_permissions]", "read", ("/srv/exam/root/of-another",)),
    (_ALL, "ipc.unix[/run/exam-peer/granted.sock]", "unix", (SOCKET,)),
    ((_ROOT,), "devices[/dev/ttyS0]", "open_device", ("/dev/ttyS0",)),
    ((_USER,), "environment.set[GREETING]", "variable_is", ("GREETING", 'hello "$PATH"; %n')),
    ((_USER,), "secrets[token]", "credential", ("token", "the token")),
)


def rows() -> list[Row]:
    """Every act of every policy, grants first: what uses a limit up comes after what must still be allowed."""
    opened = [(*row, "", True) for row in _OPEN]
    closed = [(*row, False) for row in _CLOSED]
    return [
        Row(policy, tuple(clauses.split(" ")) if "[" not in clauses else _ids(clauses), act,
            tuple(word.replace("*", PLACES[policy], 1) if isinstance(word, str) and word[:1] == "*" else word
                  for word in arguments), hole, works)
        for policies, clauses, act, arguments, hole, works in (*opened, *closed)
        for policy in policies
    ]  # fmt: skip


def _ids(text: str) -> tuple[str, ...]:
    """Ids apart; one may hold a space within its brackets."""
    found, word = [], ""
    for part in text.split(" "):
        word = f"{word} {part}".strip()
        if word.count("[") == word.count("]"):
            found.append(word)
            word = ""
    return tuple(found)
