# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups whose members can do what only root, or another service, should: hosts and controller read one list."""

from __future__ import annotations

# Group -> what its members can do, for people.
PRIVILEGED = {
    "root": "owns files of root",
    "wheel": "may become root by sudo",
    "sudo": "may become root by sudo",
    "admin": "may become root by sudo",
    "shadow": "reads password hashes",
    "disk": "reads and writes disks past their file systems",
    "kmem": "reads the kernel's memory",
    "docker": "acts as root through the container engine",
    "podman": "acts as root through the container engine",
    "lxd": "acts as root through the container engine",
    "incus": "runs containers",
    "incus-admin": "acts as root through the container engine",
    "libvirt": "acts as root through virtual machines",
    "kvm": "runs virtual machines",
    "adm": "reads the logs of the system",
    "systemd-journal": "reads the logs of all services",
    "staff": "writes programs that root runs, in /usr/local",
    "backup": "reads what backups hold",
    "operator": "reads what backups hold",
    "tty": "writes to terminals",
    "input": "reads keyboards",
    "video": "reads screens",
    "utmp": "writes the records of logins",
    "netdev": "configures the network",
    "plugdev": "mounts devices",
}


def members(text):
    """{privileged group: sorted members} out of /etc/group, groups without members left out (group(5))."""
    found = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[0] in PRIVILEGED and fields[3].strip():
            found[fields[0]] = sorted(name for name in fields[3].split(",") if name)
    return found
