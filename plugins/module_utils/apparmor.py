# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel knows of AppArmor profiles: read from its own files, without a spawn (securityfs, proc(5))."""

from __future__ import annotations

import glob
import os

from .errors import HostError

KERNEL = "/sys/kernel/security/apparmor"
PROC = "/proc"
# apparmor.service compiles every profile of /etc/apparmor.d into a folder of this one.
CACHE = "/var/cache/apparmor"
MODES = {"enforce": "enforce", "audit": "complain"}


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().rstrip("\0\n")
    except OSError:
        return ""


def loaded():
    """{profile: mode} of all that the kernel holds; {} where it has no AppArmor."""
    lines = (line.rpartition(" (") for line in _read(KERNEL + "/profiles").splitlines())
    return {name: mode.rstrip(")") for name, _bracket, mode in lines}


def label(pid):
    """The label of a process, as in ``bulkhead.web (enforce)``; "" where it has none or is gone."""
    if not pid:
        return ""
    return _read("%s/%d/attr/apparmor/current" % (PROC, pid)) or _read("%s/%d/attr/current" % (PROC, pid))


def profiles(artifacts, unit=""):
    """Names of the profiles among these artifacts; only those that ``unit`` loads where it is given."""
    wanted = (item for item in artifacts if item.kind == "apparmor" and unit in ("", item.unit))
    return [os.path.basename(item.path) for item in wanted]


def faults(bundle, unit=""):
    """[(profile, why)] of the bundle's profiles that the kernel does not hold as it should."""
    found = []
    names = profiles(bundle.artifacts, unit)
    held = loaded() if names else {}
    for name in names:
        if name not in held:
            found.append((name, "the AppArmor profile is not loaded"))
        elif held[name] != MODES[bundle.mode]:
            found.append((name, "the AppArmor profile is in %s mode" % held[name]))
    return found


def wrong_label(bundle, facts):
    """What is wrong with the profile of the application's main process (``facts`` of systemd), or ""."""
    wanted = [item["value"] for item in bundle.readbacks if item["kind"] == "process_label"]
    got = label(int(facts.get("MainPID") or 0)) if wanted else ""
    if not got or got in wanted:
        return ""
    return "runs as '%s' and not under the AppArmor profile '%s'" % (got, wanted[0])


def confines(artifacts, facts):
    """Whether the application's main process runs under one of these profiles."""
    return label(int(facts.get("MainPID") or 0)).partition(" (")[0] in profiles(artifacts)


def forget(artifacts):
    """Take the profiles out of the kernel, where no unit of ours did so, and out of the distribution's cache."""
    for name in profiles(artifacts):
        if name in loaded():
            try:
                with open(KERNEL + "/.remove", "w", encoding="ascii") as stream:
                    stream.write(name)
            except OSError as problem:
                raise HostError(
                    "the AppArmor profile %s stays loaded (%s)." % (name, problem.strerror)
                ) from None
        for path in glob.glob("%s/%s" % (CACHE, name)) + glob.glob("%s/*/%s" % (CACHE, name)):
            os.unlink(path)
