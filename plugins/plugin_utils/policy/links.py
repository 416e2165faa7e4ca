# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that are links on every host of a system: one place has one name, whoever compares."""

from __future__ import annotations

from .model import OS

# Linux: hier(7), file-hierarchy(7). macOS compares paths after all links are resolved.
LINKS: dict[OS, dict[str, str]] = {
    OS.LINUX: {"/var/run": "/run", "/var/lock": "/run/lock"},
    OS.MACOS: {
        "/etc": "/private/etc",
        "/tmp": "/private/tmp",
        "/var": "/private/var",
        "/home": "/System/Volumes/Data/home",
    },
    OS.WINDOWS: {},
}
# Where the trees are merged, as on nearly every Linux host, these are links into /usr (file-hierarchy(7)).
MERGED = frozenset(("bin", "sbin", "lib", "lib32", "lib64", "libx32"))


def followed(path: str, os: OS) -> str:
    """A normal path by its real name."""
    compared = path if os is OS.LINUX else path.casefold()
    for link, real in LINKS[os].items():
        if compared == link or compared.startswith(link + "/"):
            return real + path[len(link) :]
    return path


def merged(path: str) -> str:
    """A path of Linux where /bin, /sbin and /lib are links into /usr."""
    return "/usr" + path if path[1:].partition("/")[0] in MERGED else path
