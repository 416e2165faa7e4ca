# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel knows of AppArmor profiles: read from its own files, without a spawn (securityfs, proc(5))."""

from __future__ import annotations

import glob
import hashlib
import os
import time

from . import overlay_state

KERNEL = "/sys/kernel/security/apparmor"
PROC = "/proc"
# apparmor.service compiles every profile of /etc/apparmor.d into a folder of this one.
CACHE = "/var/cache/apparmor"
PARSERS = ("/usr/sbin/apparmor_parser", "/sbin/apparmor_parser")
# Seconds between two looks, and until a busy host has run a program that it has started.
PAUSE, PATIENCE = 0.2, 15.0
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


def hashes(name):
    """{profile: hash} of what the kernel holds of a profile and of those inside of it.

    {} where it shows none (CONFIG_SECURITY_APPARMOR_INTROSPECT_POLICY and _HASH, apparmor.hash_policy).
    """
    found = {}
    folders = glob.glob("%s/policy/profiles/%s.*" % (KERNEL, glob.escape(name)))
    while folders:
        folder = folders.pop()
        # A folder is named after the profile and a number; "web.1.2" may be the second "web.1".
        full = _read(folder + "/name")
        if full == name or full.startswith(name + "//"):
            text = _read(folder + "/sha256") or _read(folder + "/sha1")
            if text:
                found[full] = text
            folders += glob.glob(folder + "/profiles/*")
    return found


def key(item):
    """Names a compilation: this profile, by this parser, for this kernel. With another one the hash is another."""
    stamp = next((os.stat(path) for path in PARSERS if os.path.exists(path)), None)
    words = "%d %d " % (stamp.st_mtime_ns, stamp.st_size) if stamp else ""
    system = os.uname()
    return hashlib.sha256(item.content + (words + system.release + system.version).encode()).hexdigest()


def remember(bundle):
    """{profile: [key, hashes]} for ``seen.json``, right after the bundle's profiles were loaded."""
    found = {}
    for item in bundle.artifacts:
        if item.kind == "apparmor":
            held = hashes(os.path.basename(item.path))
            if held:
                found[os.path.basename(item.path)] = [key(item), held]
    return found


def faults(bundle, unit="", seen=None):
    """[(profile, why)] of the bundle's profiles that the kernel does not hold as it should.

    ``seen``: what the generation remembers; without it only names and modes are compared.
    """
    found = []
    names = profiles(bundle.artifacts, unit)
    held = loaded() if names else {}
    for name in names:
        if name not in held:
            found.append((name, "the AppArmor profile is not loaded"))
        elif held[name] != MODES[bundle.mode]:
            found.append((name, "the AppArmor profile is in %s mode" % held[name]))
        elif _replaced(bundle, name, (seen or {}).get("profiles", {})):
            found.append((name, "the AppArmor profile in the kernel is not the one that was loaded"))
    return found


def _replaced(bundle, name, kept):
    """Whether the kernel shows another hash than after our own loading; not while a debug overlay has it open."""
    known, wanted = kept.get(name) or ("", {})
    item = next(one for one in bundle.artifacts if os.path.basename(one.path) == name)
    if not wanted or known != key(item) or overlay_state.profile_opened(bundle.policy):
        return False
    now = hashes(name)
    return bool(now) and now != wanted


def wrong_label(bundle, facts, patience=0.0):
    """What is wrong with the profile of the application's main process (``facts`` of systemd), or "".

    ``patience``: seconds for one that was started just now. It gets its profile with its program (exec), which a busy
    host may run seconds after systemd has called a unit of Type=simple active.
    """
    wanted = [item["value"] for item in bundle.readbacks if item["kind"] == "process_label"]
    end = time.monotonic() + patience
    while wanted:
        got = label(int(facts.get("MainPID") or 0))
        if not got or got in wanted:
            break
        if time.monotonic() >= end:
            return "runs as '%s' and not under the AppArmor profile '%s'" % (got, wanted[0])
        time.sleep(PAUSE)
    return ""


def confines(artifacts, facts):
    """Whether the application's main process runs under one of these profiles."""
    return label(int(facts.get("MainPID") or 0)).partition(" (")[0] in profiles(artifacts)


def forget(artifacts):
    """Take the profiles out of the kernel, where no unit of ours did so, and out of the distribution's cache.

    What could not be done, as sentences.
    """
    faults = []
    for name in profiles(artifacts):
        try:
            if name in loaded():
                with open(KERNEL + "/.remove", "w", encoding="ascii") as stream:
                    stream.write(name)
            for path in glob.glob("%s/%s" % (CACHE, name)) + glob.glob("%s/*/%s" % (CACHE, name)):
                os.unlink(path)
        except OSError as problem:
            faults.append("the AppArmor profile %s stays (%s)." % (name, problem.strerror))
    return faults
