# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the guard's program (``guard_script.py``) and its two units on the host, and take them away again."""

from __future__ import annotations

import os

from . import files, footprint, overlay_state, store, units
from .guard import script_path
from .guard_script import SCRIPT

UNIT_DIRECTORY = "/etc/systemd/system"
GUARD_UNIT = UNIT_DIRECTORY + "/bulkhead-guard@.service"
RECOVER_UNIT = UNIT_DIRECTORY + "/bulkhead-recover.service"
RECOVER_LINK = UNIT_DIRECTORY + "/basic.target.wants/bulkhead-recover.service"

# A service of its own, not a timer: a timer is gone after a reboot, and its accuracy is a minute. RestartForce:
# a guard that somebody ends with a signal must come back, which on-failure alone does not do for SIGTERM.
# IgnoreOnIsolate: "systemctl isolate" is no reason to leave a change without its guard. Nice: neither an
# application that takes every processor nor a busy boot keeps it waiting.
GUARD_TEXT = """# Written by bulkhead.fleet.
[Unit]
Description=Bulkhead guard of %i: reverts a change that nobody confirms
StartLimitIntervalSec=0
IgnoreOnIsolate=yes

[Service]
Type=exec
ExecStart=/bin/sh {script} wait %i
Restart=on-failure
RestartForceExitStatus=SIGTERM SIGINT SIGHUP SIGPIPE
RestartSec=1
Slice=system.slice
OOMScoreAdjust=-1000
Nice=-10
"""

# A soft reboot (systemd 254) and a change of targets end timers and keep /run: open debug overlays close here.
RECOVER_TEXT = """# Written by bulkhead.fleet.
[Unit]
Description=Bulkhead: revert what a reboot left unconfirmed, close what it left open
DefaultDependencies=no
RequiresMountsFor={base}
After=local-fs.target systemd-remount-fs.service
Before=basic.target shutdown.target
Conflicts=shutdown.target
ConditionPathExistsGlob=|{base}/*/pending.json
ConditionPathExistsGlob=|{base}/*/reverting.json
ConditionPathExistsGlob=|{debug}/*/state.json

[Service]
Type=oneshot
Nice=-10
ExecStart=-/bin/sh -c "[ ! -e {debug}/close ] || exec sh {debug}/close --all"
ExecStart=/bin/sh {script} recover

[Install]
WantedBy=basic.target
"""


def _wanted():
    words = {"script": script_path(), "base": store.BASE, "debug": overlay_state.HOME}
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
    changed = any(os.path.exists(path) and files.read(path) != text for path, text in _wanted().items())
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
