# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AppArmor carries of each kind of clause, and what a program needs that no policy has to name."""

from __future__ import annotations

from ..policy import model as m
from .base import Grade, Support

EXACT, COARSER = Grade.EXACT, Grade.COARSER
SINCE = "3.0"

SUPPORT: dict[type[m.Clause], Support] = {
    m.PrivilegeClosure: Support(EXACT, "capability, ptrace, mount and signal rules", SINCE),
    m.Privilege: Support(EXACT, "capability rule", SINCE),
    m.ReadClosure: Support(EXACT, "file rules by name", SINCE),
    m.Read: Support(EXACT, "file rule r", SINCE),
    m.WriteClosure: Support(EXACT, "file rules by name", SINCE),
    m.Write: Support(EXACT, "file rule w", SINCE),
    m.ExecuteClosure: Support(EXACT, "file rules ix and m by name", SINCE),
    m.Execute: Support(EXACT, "file rule ix", SINCE),
    m.Deny: Support(EXACT, "audit deny by name", SINCE),
    m.SpawnClosure: Support(EXACT, "file rules ix and m by name", SINCE),
    m.Spawn: Support(EXACT, "file rule ix", SINCE),
    m.Families: Support(EXACT, "network rules", SINCE),
    m.DeviceClosure: Support(EXACT, "file rules by name", SINCE),
    m.Device: Support(EXACT, "file rule rw", SINCE),
    m.Component: Support(
        COARSER,
        "child profile",
        SINCE,
        "addresses, ports, calls and limits, which are the service's own",
    ),
}

# words.FAMILIES -> (family, socket types); raw sockets of the internet families come with a privilege.
FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ipv4": ("inet", ("stream", "dgram")),
    "ipv6": ("inet6", ("stream", "dgram")),
    "unix": ("unix", ("stream", "dgram", "seqpacket")),
    "netlink": ("netlink", ("raw", "dgram")),
    "packet": ("packet", ("raw", "dgram")),
    "bluetooth": ("bluetooth", ("stream", "seqpacket", "raw", "dgram")),
    "vsock": ("vsock", ("stream", "dgram", "seqpacket")),
}
DEFAULT_FAMILIES = ("ipv4", "ipv6", "netlink", "unix")  # as the systemd backend has them

# (path, letters). What the base set reads is read-only but for devices that swallow or give bytes.
DEVICES: tuple[tuple[str, str], ...] = (
    ("/dev/null", "rw"),
    ("/dev/zero", "rw"),
    ("/dev/full", "rw"),
    ("/dev/random", "r"),
    ("/dev/urandom", "r"),
)
# The unit's own by its mounts: PrivateTmp= and a /dev/shm of its own. Nothing there can be run or mapped as code.
PRIVATE = ("/tmp", "/var/tmp", "/dev/shm")
# Where systemd and the journal listen. Kernels before 6.17 do not ask for these; those after do.
MANAGER_SOCKETS = (
    "/dev/log",
    "/run/systemd/journal/dev-log",
    "/run/systemd/journal/socket",
    "/run/systemd/journal/stdout",
    "/run/systemd/notify",
)
# What /etc/resolv.conf is a link to, by who writes it.
RESOLV_CONF = (
    "/run/NetworkManager/resolv.conf",
    "/run/resolvconf/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
)
# Shared memory of huge pages (MAP_HUGETLB) is a file of the kernel's own hugetlbfs, which is mounted nowhere. Its name
# is that of a root: "/" (d_namespace_path() of security/apparmor/path.c, hugetlb_file_setup() of fs/hugetlbfs/inode.c).
# The root directory has the same name: it can be listed as well, and `w` on a directory opens nothing.
HUGE_PAGES = ("/", "rw")
