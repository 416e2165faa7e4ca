# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the probe program inside the confinement of a unit, and leave no trace of that.

``Reload``: the program is ExecReload= of the running unit for the time of one ``systemctl reload``. Same
control group, user, mounts, filters and label as the main process; nothing restarts.
``Clone``: a unit of its own out of the fragment and all drop-ins, for units that cannot be reloaded this way.
It runs in the same slice, so the packet filter matches, but in another control group.

Files live in /run only: a power cut takes them away.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time

from . import command
from .errors import HostError
from .unit_files import PROBE_DROPIN

UNITS = "/run/systemd/system"
CLONE_SUFFIX = "-bulkhead-probe"

# Of no use or of harm in a clone: what it starts instead, names that would take over the original's, and
# RuntimeDirectory's removal, which would delete the live service's directory.
_DROPPED = re.compile(
    r"\s*(?:Exec(?:Condition|Start|StartPre|StartPost|Reload|Stop|StopPost)|Type|PIDFile|Restart\w*|BusName"
    r"|NotifyAccess|WatchdogSec|Sockets|RemainAfterExit|Alias|Also"
    r"|WantedBy|RequiredBy|DefaultInstance|OnFailure|OnSuccess|GuessMainPID|FileDescriptorStore\w*|Timeout\w*"
    r"|StartLimit\w*|Conflicts|BindsTo|PartOf|StopWhenUnneeded|SuccessAction|FailureAction)\s*="
)


def quote(path):
    """A path for a unit file: specifiers doubled, quoted where it has spaces (systemd.syntax(7))."""
    if any(ord(letter) < 32 for letter in path):
        raise HostError("the path %r has control characters, which a unit file cannot carry." % path)
    text = path.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    return '"%s"' % text if set(text) & set(" \"'\\") else text


def service_lines(session, python, openings):
    """The [Service] lines for the probe program; stdin and stdout are opened before the sandbox is built."""
    lines = ["ExecPaths=-%s" % quote(path) for path in openings]
    lines += [
        "StandardInput=file:%s" % session.program.replace("%", "%%"),
        "StandardOutput=file:%s" % session.answers.replace("%", "%%"),
        "StandardError=file:%s" % session.errors.replace("%", "%%"),
    ]
    return lines, "%s -I -S -" % quote(python)


def strip_for_clone(text):
    """``systemctl cat`` without the lines that a clone must not have. Continued lines go with their first."""
    kept, dropping = [], False
    for line in text.splitlines():
        if not dropping:
            dropping = bool(_DROPPED.match(line))
            if not dropping:
                kept.append(line)
                continue
        dropping = line.endswith("\\")
    return "\n".join(line for line in kept if not line.startswith("# /")) + "\n"


def clone_name(unit):
    """``x.service`` -> ``x-bulkhead-probe.service``, ``x@1.service`` -> ``x-bulkhead-probe@1.service``."""
    name, at, instance = unit.partition("@")
    if at:
        return name + CLONE_SUFFIX + "@" + instance
    stem, _dot, kind = unit.rpartition(".")
    return "%s%s.%s" % (stem, CLONE_SUFFIX, kind)


def pick_method(properties):
    """``reload`` where ExecReload= is what ``systemctl reload`` runs, else ``clone``."""
    return "reload" if properties.get("Type") not in ("oneshot", "notify-reload") else "clone"


def _write(path, text):
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as stream:
        stream.write(text)


def _reload_manager():
    command.must(["systemctl", "daemon-reload"], "systemctl daemon-reload", timeout=120)


class _Started:
    """A ``systemctl`` that works in the background while the session talks to the program."""

    def __init__(self, argv):
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def finish(self, timeout=30):
        try:
            return self.process.communicate(timeout=timeout)[1].decode("utf-8", "replace").strip()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return "systemctl did not end"


class Reload:
    """Use as a context manager around the talk. ``unit`` must be active."""

    method = "reload"

    def __init__(self, unit, session, python, openings):
        self.unit = unit
        self.folder = os.path.join(UNITS, unit + ".d")
        self.path = os.path.join(self.folder, PROBE_DROPIN)
        self.session = session
        lines, self.argv = service_lines(session, python, openings)
        lines += ["ExecReload=", "ExecReload=" + self.argv]
        self.text = "[Service]\n" + "\n".join(lines) + "\n"
        self.started = None

    def __enter__(self):
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        try:
            _write(self.path, self.text)
            _reload_manager()
            self.started = _Started(["systemctl", "reload", "--", self.unit])
            self.session.wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_error):
        if self.started:
            self.session.end()
            self.started.finish()
        if os.path.exists(self.path):
            os.unlink(self.path)
        with contextlib.suppress(OSError):  # the administrator's, or an overlay's that has closed meanwhile
            os.rmdir(self.folder)
        _reload_manager()


class Clone:
    """A copy of the unit under another name, started once. Its limits count for itself alone."""

    method = "clone"

    def __init__(self, unit, session, python, openings):
        self.session = session
        self.name = clone_name(unit)
        self.path = os.path.join(UNITS, self.name)
        original = command.must(["systemctl", "cat", "--", unit], "reading %s" % unit).stdout
        lines, argv = service_lines(session, python, openings)
        lines += [
            "Type=oneshot",
            "ExecStart=" + argv,
            "RuntimeDirectoryPreserve=yes",
            "Restart=no",
            "TimeoutStartSec=120",
        ]
        self.text = strip_for_clone(original) + "\n[Service]\n" + "\n".join(lines) + "\n"
        self.started = None

    def __enter__(self):
        try:
            _write(self.path, self.text)
            _reload_manager()
            self.started = _Started(["systemctl", "start", "--", self.name])
            self.session.wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_error):
        if self.started:
            self.session.end()
            self.started.finish()
            command.run(["systemctl", "stop", "--", self.name])
            command.run(["systemctl", "reset-failed", "--", self.name])
        if os.path.exists(self.path):
            os.unlink(self.path)
        _reload_manager()


METHODS = {"reload": Reload, "clone": Clone}


def settle(unit, facts, patience=20.0):
    """Wait until a unit is no longer ``reloading``; returns its properties, freshly read."""
    end = time.monotonic() + patience
    while True:
        shown = facts(unit)
        if shown.get("ActiveState") != "reloading" or time.monotonic() > end:
            return shown
        time.sleep(0.05)
