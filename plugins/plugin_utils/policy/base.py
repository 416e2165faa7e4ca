# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base set: what every program may read without asking, because none starts without it.

Libraries, the loader's cache, time zones, names of users and hosts, public certificates, harmless devices.
Reading only: to run a program is always a grant.
"""

from __future__ import annotations

from .model import OS

BASE_READ: dict[OS, tuple[str, ...]] = {
    OS.LINUX: (
        "/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero",
        "/etc/gai.conf", "/etc/group", "/etc/host.conf", "/etc/hosts", "/etc/ld.so.cache", "/etc/localtime",
        "/etc/mime.types", "/etc/nsswitch.conf", "/etc/passwd", "/etc/protocols", "/etc/resolv.conf", "/etc/services",
        "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/lib", "/lib32", "/lib64", "/proc/self",
        "/sys/devices/system/cpu", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
        "/usr/share/ca-certificates", "/usr/share/locale", "/usr/share/zoneinfo",
    ),
    OS.WINDOWS: (
        r"C:\Windows\Globalization", r"C:\Windows\SysWOW64", r"C:\Windows\System32", r"C:\Windows\WinSxS",
    ),
    OS.MACOS: (
        "/System/Library", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero", "/etc/hosts",
        "/etc/protocols", "/etc/resolv.conf", "/etc/services", "/private/etc/hosts", "/private/etc/localtime",
        "/private/etc/protocols", "/private/etc/resolv.conf", "/private/etc/services",
        "/private/var/db/timezone", "/usr/lib", "/usr/share/icu", "/usr/share/locale", "/usr/share/zoneinfo",
    ),
}  # fmt: skip
