# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every confined daemon on macOS needs before its policy says anything: the profile's first part."""

from __future__ import annotations

from ..policy.base import BASE_READ
from ..policy.model import OS
from .macos_names import macos_path
from .macos_sbpl import Profile, literal, quote, subpath

# Programs map code from here. The cryptexes hold the loader's shared cache from macOS 13 on.
LIBRARIES = (
    "/System/Cryptexes",
    "/System/Library",
    "/System/Volumes/Preboot/Cryptexes",
    "/usr/lib",
)
# The language's own base set, and the file that /etc/resolv.conf is a link to.
READABLE = tuple(
    sorted(
        {macos_path(path, "the base set") for path in BASE_READ[OS.MACOS]} | {"/private/var/run/resolv.conf"}
    )
)
# Names of accounts, messages to the log, and notifications; nothing that acts for the caller.
MACH_SERVICES = (
    "com.apple.logd",
    "com.apple.system.logger",
    "com.apple.system.notification_center",
    "com.apple.system.opendirectoryd.libinfo",
    "com.apple.system.opendirectoryd.membership",
)
# (deny default) does not reach these.
OUTSIDE_DEFAULT = ("process-info*", "nvram*", "iokit-get-properties", "file-map-executable")


def write(profile: Profile) -> None:
    """The head of the profile: the default, and the ground that no program can stand without."""
    profile.text("(version 1)")
    profile.text("(allow default)" if profile.audit else "(deny default)")
    for operation in OUTSIDE_DEFAULT:
        profile.default(operation)
    if profile.audit:
        # Reports need a rule with a filter, because a filtered allow below must be able to take them back.
        profile.deny("file-read* file-write* process-exec*", [subpath("/")])
        profile.deny("network-bind network-inbound", ['(local ip "*:*")'])
        profile.deny("network-outbound", ['(remote ip "*:*")'])
        profile.deny("network-outbound", [subpath("/")])
    # Without the first of these every program aborts before main().
    profile.allow("file-read-data file-read-metadata", [literal("/")])
    profile.allow("file-read* file-map-executable", [subpath(path) for path in LIBRARIES])
    profile.allow("file-read*", [subpath(path) for path in READABLE])
    profile.allow("file-write-data", [literal("/dev/null"), literal("/dev/zero")])
    profile.allow("process-fork", [])
    profile.allow("process-info* signal", ["(target same-sandbox)"])
    profile.allow("sysctl-read", [])
    profile.allow("mach-lookup", [f"(global-name {quote(name)})" for name in MACH_SERVICES])
