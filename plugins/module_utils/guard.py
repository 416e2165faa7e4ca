# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the guard on the host, arm it for one change, let it go. Its program is in ``guard_script.py``."""

from __future__ import annotations

import os

from . import files, footprint, store, units
from .command import must, run
from .errors import HostError
from .guard_script import SCRIPT

UNIT_DIRECTORY = "/etc/systemd/system"
GUARD_UNIT = UNIT_DIRECTORY + "/bulkhead-guard@.service"
RECOVER_UNIT = UNIT_DIRECTORY + "/bulkhead-recover.service"
RECOVER_LINK = UNIT_DIRECTORY + "/basic.target.wants/bulkhead-recover.service"

# A service of its own, not a timer: a timer is gone after a reboot, and its accuracy is a minute. RestartForce:
# a guard that somebody ends with a signal must come back, which on-failure alone does not do for SIGTERM.
GUARD_TEXT = """# Written by bulkhead.fleet.
[Unit]
Description=Bulkhead guard of %i: reverts a change that nobody confirms
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/bin/sh {script} wait %i
Restart=on-failure
RestartForceExitStatus=SIGTERM SIGINT SIGHUP SIGPIPE
RestartSec=1
Slice=system.slice
OOMScoreAdjust=-1000
"""

RECOVER_TEXT = """# Written by bulkhead.fleet.
[Unit]
Description=Bulkhead: revert changes that a reboot or a power cut left unconfirmed
DefaultDependencies=no
RequiresMountsFor={base}
After=local-fs.target systemd-remount-fs.service
Before=basic.target shutdown.target
Conflicts=shutdown.target
ConditionPathExistsGlob=|{base}/*/pending.json
ConditionPathExistsGlob=|{base}/*/reverting.json

[Service]
Type=oneshot
ExecStart=/bin/sh {script} recover

[Install]
WantedBy=basic.target
"""


def script_path():
    return os.path.join(store.BASE, "guard")


def _wanted():
    words = {"script": script_path(), "base": store.BASE}
    return {
        GUARD_UNIT: GUARD_TEXT.format(**words).encode(),
        RECOVER_UNIT: RECOVER_TEXT.format(**words).encode(),
    }


def paths():
    """What the guard has outside of the state directory."""
    return [GUARD_UNIT, RECOVER_UNIT, RECOVER_LINK]


def installed():
    texts = _wanted()
    texts[script_path()] = SCRIPT.encode()
    whole = all(files.read(path) == content for path, content in texts.items())
    return whole and os.path.islink(RECOVER_LINK)


def install():
    """Write the guard and its two units where they are not yet as they should be."""
    if installed():
        return
    # systemd finds a new unit file by itself; only one that it has read already needs the costly reload.
    changed = os.path.exists(GUARD_UNIT) and files.read(GUARD_UNIT) != _wanted()[GUARD_UNIT]
    with footprint.touching(paths()):  # other policies' runs install the same files
        files.write(script_path(), SCRIPT.encode(), 0o700)
        for path, content in _wanted().items():
            files.write(path, content, 0o644)
        if not os.path.islink(RECOVER_LINK):
            os.symlink("../bulkhead-recover.service", RECOVER_LINK)
            files.sync_directory(os.path.dirname(RECOVER_LINK))
    if changed:
        units.reload_manager()


def uninstall():
    """Remove the two units; True where there were any, and then the caller reloads the manager."""
    with footprint.touching([], paths()):
        removed = [files.remove(path) for path in reversed(paths())]
        return any(removed)


def unit_name(policy):
    return "bulkhead-guard@%s.service" % policy


def arm(policy):
    """Rehearse, start the guard, and read back that it runs; HostError when it does not: then nothing is applied."""
    rehearsed = run(["/bin/sh", script_path(), "rehearse", policy])
    if rehearsed.returncode != 0:
        why = " ".join(rehearsed.stderr.split())[:200]
        raise HostError(
            "the guard could not put the generation before back, so nothing is applied%s."
            % (": " + why if why else "")
        )
    must(["systemctl", "restart", "--", unit_name(policy)], "starting the guard")
    if units.show([unit_name(policy)])[unit_name(policy)].get("ActiveState") != "active":
        raise HostError(
            "the guard does not run, so nothing is applied: %s" % units.explain(unit_name(policy))
        )


def watch(policy):
    """Start the guard of a pending change that is adopted, if it is not awake."""
    must(["systemctl", "start", "--", unit_name(policy)], "starting the guard")


def revert(place, nonce):
    """Let the guard's own program put the generation before back, now. True when it did. The lock is held.

    The program has the lock as well: if we are killed it goes on, and nobody else begins before it has ended.
    """
    argv = ["/bin/sh", script_path(), "revert", place.policy, nonce]
    return run(argv, timeout=300, keep=place.lock_descriptors()).returncode == 0


def dismiss(policy):
    """Clean-up only: a change is confirmed by the rename of its record, never by stopping the guard."""
    run(["systemctl", "stop", "--no-block", "--", unit_name(policy)])
