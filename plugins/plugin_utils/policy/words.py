# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The closed vocabularies of the policy language: neutral names and what each means to a person.

Backends map these names to their system's own words; a backend that has no word for one refuses it.
"""

from __future__ import annotations

PRIVILEGES: dict[str, str] = {
    "bind_low_port": "listen on ports below 1024",
    "switch_user": "become another user or group",
    "change_owner": "change the owner of any file",
    "override_permissions": "read and write files against their permissions",
    "read_any_file": "read files and search directories against their permissions",
    "act_as_owner": "change modes and times of files of others",
    "signal_any_process": "send signals to processes of other users",
    "raw_network": "send and receive raw packets",
    "configure_network": "change interfaces, routes and packet filters",
    "lock_memory": "keep memory from being swapped out, huge pages among it",
    "raise_priority": "raise scheduling priority",
    "raise_limits": "go past resource limits",
    "set_clock": "set the system clock",
    "trace_processes": "inspect and change other processes",
    "change_root": "change the root directory",
    "make_device": "create device files",
    "write_audit": "write records into the audit log",
    "administer_system": "mount, swap, set host name and the many acts gathered under administration",
}

FAMILIES: dict[str, str] = {
    "ipv4": "internet protocol 4",
    "ipv6": "internet protocol 6",
    "unix": "sockets within the host",
    "netlink": "messages between kernel and programs",
    "packet": "raw frames",
    "bluetooth": "bluetooth",
    "vsock": "sockets between a virtual machine and its host",
}

SYSCALL_GROUPS: dict[str, str] = {
    "basic": "what any service needs: files, memory, threads, signals, time",
    "network_server": "basic, and to listen and accept",
    "network_client": "basic, and to connect",
    "switch_user": "change user, group and owner",
    "resources": "change limits and priorities",
    "locked_memory": "lock memory",
    "async_io": "queued input and output outside of the call filter (io_uring)",
    "keyring": "the kernel's key store",
    "namespaces": "make namespaces, mount, change the root directory",
    "debug": "trace and inspect processes",
    "raw_io": "talk to hardware ports",
    "clock": "set the clock",
    "modules": "load kernel code",
    "reboot": "restart the machine",
}

EXAMPLE_ACTIONS = ("read", "write", "execute", "listen", "connect")
