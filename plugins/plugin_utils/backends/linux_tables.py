# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Linux's words for the policy's neutral names, and the places that nothing may see unasked."""

from __future__ import annotations

# words.PRIVILEGES -> capabilities(7)
CAPABILITIES: dict[str, tuple[str, ...]] = {
    "bind_low_port": ("CAP_NET_BIND_SERVICE",),
    "switch_user": ("CAP_SETUID", "CAP_SETGID"),
    "change_owner": ("CAP_CHOWN",),
    "override_permissions": ("CAP_DAC_OVERRIDE",),
    "read_any_file": ("CAP_DAC_READ_SEARCH",),
    "act_as_owner": ("CAP_FOWNER",),
    "signal_any_process": ("CAP_KILL",),
    "raw_network": ("CAP_NET_RAW",),
    "configure_network": ("CAP_NET_ADMIN",),
    "lock_memory": ("CAP_IPC_LOCK",),
    "raise_priority": ("CAP_SYS_NICE",),
    "raise_limits": ("CAP_SYS_RESOURCE",),
    "set_clock": ("CAP_SYS_TIME",),
    "trace_processes": ("CAP_SYS_PTRACE",),
    "change_root": ("CAP_SYS_CHROOT",),
    "make_device": ("CAP_MKNOD",),
    "write_audit": ("CAP_AUDIT_WRITE",),
    "administer_system": ("CAP_SYS_ADMIN",),
}

# Privileges that undo what other clauses say, and how.
UNDOING: dict[str, str] = {
    "administer_system": "can mount, and write to /proc/sys, /sys and the unit's own cgroup",
    "configure_network": "leaves /proc/sys writable",
    "raise_limits": "can raise limits of a process",
    "trace_processes": "can take over processes that run outside of the sandbox",
}

# linux/capability.h: the bit of each in /proc/PID/status
CAPABILITY_BITS: dict[str, int] = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_FOWNER": 3,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYS_TIME": 25,
    "CAP_MKNOD": 27,
    "CAP_AUDIT_WRITE": 29,
}

# words.FAMILIES -> address_families(7)
FAMILIES: dict[str, str] = {
    "ipv4": "AF_INET",
    "ipv6": "AF_INET6",
    "unix": "AF_UNIX",
    "netlink": "AF_NETLINK",
    "packet": "AF_PACKET",
    "bluetooth": "AF_BLUETOOTH",
    "vsock": "AF_VSOCK",
}

# words.SYSCALL_GROUPS beyond "basic" -> what joins systemd's @system-service (systemd-analyze syscall-filter).
SYSCALLS_ADDED: dict[str, tuple[str, ...]] = {
    "switch_user": ("@setuid", "@chown", "capset", "setfsuid", "setfsgid"),
    "resources": ("@resources",),
    "locked_memory": ("@memlock",),
    "async_io": ("io_uring_setup", "io_uring_enter", "io_uring_register"),
    "keyring": ("@keyring",),
    "namespaces": ("@mount", "chroot", "unshare", "setns"),
    "debug": ("@debug",),
    "raw_io": ("@raw-io",),
    "clock": ("@clock",),
    "modules": ("@module",),
    "reboot": ("@reboot",),
}
# Privileges whose calls come with them: words.PRIVILEGES -> words.SYSCALL_GROUPS
SYSCALLS_OF_PRIVILEGE: dict[str, str] = {
    "switch_user": "switch_user",
    "change_owner": "switch_user",
    "set_clock": "clock",
    "raise_priority": "resources",
    "raise_limits": "resources",
    "lock_memory": "locked_memory",
    "trace_processes": "debug",
}
# What @system-service lets through and the policy has to ask for: group -> calls. io_uring is closed by name, as
# its work is not filtered call by call.
SYSCALLS_CLOSED: dict[str, tuple[str, ...]] = {
    "resources": ("@resources",),
    "locked_memory": ("@memlock",),
    "async_io": ("io_uring_setup", "io_uring_enter", "io_uring_register"),
    "keyring": ("@keyring",),
    "namespaces": ("unshare", "setns"),
}

# Trees of data that a service has no business in unless granted. /var itself stays: /var/run and /var/lock are
# links in it that programs follow. Each entry that exists costs a mount at every start, so the list is short.
DATA_TREES: tuple[str, ...] = (
    "/boot",
    "/media",
    "/mnt",
    "/opt",
    "/srv",
    "/var/backups",
    "/var/cache",
    "/var/crash",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/snap",
    "/var/spool",
    "/var/www",
)
HOME_TREES: tuple[str, ...] = ("/home", "/root", "/run/user")

# Secrets of /etc that a group may read, and those that only root may: file permissions keep the latter from every
# process without root's reach.
SENSITIVE: tuple[str, ...] = ("/etc/ssl/private",)
SENSITIVE_OF_ROOT: tuple[str, ...] = (
    "/etc/NetworkManager/system-connections",
    "/etc/crypttab",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/krb5.keytab",
    "/etc/letsencrypt",
    "/etc/security/opasswd",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/wireguard",
)

# Sockets through which a program can act as root or as another service: (path, what it is).
PRIVILEGED_SOCKETS: tuple[str, ...] = (
    "/run/containerd",
    "/run/crio",
    "/run/docker.sock",
    "/run/incus",
    "/run/libvirt",
    "/run/lxd.socket",
    "/run/podman",
    "/run/snapd-snap.socket",
    "/run/snapd.socket",
    "/run/systemd/private",
    "/run/udev/control",
    "/var/lib/incus/unix.socket",
    "/var/lib/lxd/unix.socket",
)
SERVICE_SOCKETS: tuple[str, ...] = (
    "/run/avahi-daemon",
    "/run/cups",
    "/run/haproxy",
    "/run/memcached",
    "/run/mysqld",
    "/run/php",
    "/run/postgresql",
    "/run/rabbitmq",
    "/run/redis",
    "/run/rpcbind.sock",
    "/run/screen",
    "/run/sssd",
    "/run/tmux",
)
BUS = "/run/dbus"

# Directories that the dynamic linker maps code from.
LIBRARIES: tuple[str, ...] = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32")
LIBRARIES_UNMERGED: tuple[str, ...] = ("/lib", "/lib32", "/lib64", "/libx32")

# Devices that PrivateDevices= leaves in its own /dev (systemd.exec(5)).
PLAIN_DEVICES: frozenset[str] = frozenset(
    f"/dev/{name}"
    for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "log", "shm")
)
