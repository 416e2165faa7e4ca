# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operating system's own parsers, run on staged files before anything is switched."""

from __future__ import annotations

import os
import pwd
import shutil
from contextlib import suppress

from . import units
from .command import run
from .errors import HostError

UNIT_KINDS = ("systemd_unit", "systemd_dropin")

# Where systemd-analyze reads the new files before they are anywhere else: root's, and gone with a reboot.
STAGES = "/run/bulkhead-verify"

# Seconds for one parser: a host that is starved is slow, and not one whose parsers refuse something.
PATIENCE = 100


def validate(bundle, fragment, check=False):
    """HostError with the parser's own words where a file of ``bundle`` does not read back as meant.

    ``fragment``: path of the application's own unit file, on which the drop-in hangs. ``check``: start nothing; what
    cannot be asked then is not asked.
    """
    _account(bundle)
    faults = _systemd(bundle, fragment) + _apparmor(bundle) + _nftables(bundle, check)
    if faults:
        raise HostError(
            "the host's own parsers refuse the new files: %s" % " | ".join(faults)[:1500], state="refused"
        )


def _account(bundle):
    """No parser looks whether the account is there: the application would fail at its restart (217/USER)."""
    lines = [
        line
        for item in bundle.artifacts
        if item.kind == "systemd_dropin"
        for line in item.content.splitlines()
    ]
    names = [line[5:].decode() for line in lines if line.startswith(b"User=")]
    if names and names[-1] and not names[-1].isdecimal():
        try:
            pwd.getpwnam(names[-1])
        except KeyError:
            raise HostError(
                "%s could not start: the account '%s' (identity.user) is not on this host. Install the package that "
                "brings it, or make it (systemd-sysusers)." % (bundle.unit, names[-1]),
                state="refused",
            ) from None


def _systemd(bundle, fragment):
    """Any line that ``systemd-analyze verify`` says about a file of ours is a fault.

    Its exit status says nothing: it is 0 for an unknown key and for a bad value (systemd 252 to 257).
    """
    ours = [item for item in bundle.artifacts if item.kind in UNIT_KINDS]
    if not ours:
        return []
    stage = _stage()
    try:
        names = [os.path.join(stage, bundle.unit)]
        shutil.copyfile(fragment, names[0])
        for item in ours:
            staged = os.path.join(stage, os.path.relpath(item.path, "/etc/systemd/system"))
            os.makedirs(os.path.dirname(staged), mode=0o700, exist_ok=True)
            with open(staged, "wb") as stream:
                stream.write(item.content)
            if item.kind == "systemd_unit":
                names.append(staged)
        # Directories of named files come first in the search path, so that what is staged hides what is installed.
        argv = ["systemd-analyze", "verify", "--man=no"]
        done = run(argv + ["--recursive-errors=no"] + names, timeout=PATIENCE)
        if "unrecognized option" in done.stderr:  # --recursive-errors begins with systemd 250
            done = run(argv + names, timeout=PATIENCE)
        if done.returncode in (124, 127):
            return [done.stderr]
        lines = [line for line in (done.stdout + done.stderr).splitlines() if stage in line]
        return [line.replace(stage + "/", "") for line in lines if not line.startswith(names[0] + ":")]
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):  # another run's is in it
            os.rmdir(STAGES)


def _stage():
    """A folder of this run alone. Those of runs that were killed go."""
    for name in os.listdir(STAGES) if os.path.isdir(STAGES) else ():
        if not os.path.exists("/proc/" + name):
            shutil.rmtree(os.path.join(STAGES, name), ignore_errors=True)
    path = os.path.join(STAGES, str(os.getpid()))
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path, mode=0o700)
    return path


def _apparmor(bundle):
    """Compiled as it would be loaded, but neither loaded (-Q) nor put into the cache (-K)."""
    faults = []
    for item in bundle.artifacts:
        if item.kind == "apparmor":
            done = run(["apparmor_parser", "-Q", "-K"], stdin=item.content.decode(), timeout=PATIENCE)
            if done.returncode != 0:
                text = " ".join((done.stderr or done.stdout).split())
                faults.append("%s: %s" % (os.path.basename(item.path), text))
    return faults


def _nftables(bundle, check):
    """``nft -c`` also checks that the slice of a socket match exists, so the slice is started for it.

    It asks in an empty network namespace: where the table is loaded, only its owner may name it, not even to check.
    """
    rules = [item for item in bundle.artifacts if item.kind == "nftables"]
    if not rules:
        return []
    slices = [os.path.basename(item.path) for item in bundle.artifacts if item.path.endswith(".slice")]
    fresh = [name for name, facts in units.show(slices).items() if not units.running(facts)]
    if check and fresh:
        return []
    units.start(fresh)
    faults = []
    try:
        for item in rules:
            done = run(
                ["unshare", "--net", "--", "nft", "-c", "-f", "-"],
                stdin=item.content.decode(),
                timeout=PATIENCE,
            )
            if done.returncode != 0:
                text = " ".join(done.stderr.split()).replace("/dev/stdin", os.path.basename(item.path))
                faults.append(text)
    finally:
        if faults:
            units.stop(fresh)
    return faults
