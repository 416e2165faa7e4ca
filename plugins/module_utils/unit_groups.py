# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups whose members can do what only root, or another service, should: hosts and controller read one list."""

from __future__ import annotations

import grp
import os
import pwd

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


# Numbers that systemd gives to the accounts of DynamicUser= (systemd.exec(5)).
DYNAMIC = range(61184, 65520)


def members(groups, accounts=""):
    """{privileged group: sorted accounts} out of /etc/group and /etc/passwd; groups without any are left out.

    An account stands there by its name and by its number, and counts for its own group too (passwd(5)); root does not.
    """
    rows = [line.split(":") for line in accounts.splitlines()]
    known = {row[0]: (row[2], row[3]) for row in rows if len(row) == 7 and row[2] != "0"}
    found = {}
    for line in groups.splitlines():
        fields = line.split(":")
        if len(fields) != 4 or fields[0] not in PRIVILEGED:
            continue
        names = {name.strip() for name in fields[3].split(",") if name.strip()}
        names |= {name for name, (_number, group) in known.items() if group == fields[2]}
        names |= {known[name][0] for name in names if name in known}
        if names:
            found[fields[0]] = sorted(names)
    return found


def account(name):
    """The entry of an account, by name or number, wherever the system keeps it; None where there is none."""
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError, ValueError):
        return None


def of_account(name):
    """Sorted privileged groups of one account: those of directories (LDAP and the like) stand in no file."""
    entry, found = account(name), set()
    for number in os.getgrouplist(entry.pw_name, entry.pw_gid) if entry else ():
        try:
            found.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return sorted(found & set(PRIVILEGED))


def is_static(name):
    """Whether ``name`` is an account that was there before any unit: DynamicUser= uses it then, and makes none."""
    entry = account(name)
    return entry is not None and entry.pw_uid not in DYNAMIC
