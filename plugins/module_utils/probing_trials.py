# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try one probe: ask both sides, watch what has to be watched meanwhile, and let ``probing_decide`` judge."""

from __future__ import annotations

import os
import socket
import stat

from . import probing_decide as decide
from .probing_acts_network import split

SETUID_PROGRAMS = ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/chsh", "/usr/bin/newgrp", "/usr/bin/mount")
NOBODY = 65534


class Trials:
    """``inside`` and ``outside``: sessions. ``facts``: the host (``readback_facts.Facts``). ``tables``: the
    nftables tables of the policy. ``openings``: paths that are open for the probe program only.
    """

    def __init__(self, inside, outside, facts, tables=(), unit="", openings=(), no_new_privileges=False):
        self.inside = inside
        self.outside = outside
        self.facts = facts
        self.tables = tables
        self.unit = unit
        self.openings = frozenset(openings)
        self.no_new_privileges = no_new_privileges

    def attempt(self, probe):
        """A ``Decision`` for one probe of a bundle."""
        trial = getattr(self, "_" + probe["action"], None)
        if trial is None:
            return decide.Decision("unknown", "", "this version knows no probe %r" % probe["action"])
        return trial(probe["target"], probe["expect"])

    def _read(self, target, expect):
        inside = self.inside.ask("read", target)
        outside = self.outside.ask("read", target)
        if inside.get("sort") == outside.get("sort") == "file":
            outside["empty"] = outside["length"] == 0
            if 0 < inside["length"] < outside["length"]:  # it grew in between
                outside = self.outside.ask("read", target, limit=inside["length"])
        elif inside.get("sort") == outside.get("sort") == "directory":
            outside["empty"] = outside["length"] == 0
        return decide.read(inside, outside)

    def _write(self, target, expect):
        outside = self.outside.ask("write", target)
        decision = decide.write(self.inside.ask("write", target, place=outside.get("place")), outside, expect)
        how, path = outside.get("place") or ("", target)
        if path != target and not decision.note.endswith("reached"):
            note = "it is not there, so making it in %s was tried" % path
            decision = decision._replace(note="; ".join(filter(None, (decision.note, note))))
        return decision

    def _execute(self, target, expect):
        program = _program(target)
        if program is None:
            return decide.Decision("unknown", "", "there is no program to start below %s" % target)
        decision = decide.plain(self.inside.ask("execute", program), self.outside.ask("execute", program))
        # Only mounts are opened for the probe program: what is denied all the same, a profile denies.
        if os.path.realpath(program) in self.openings and decision.got != "deny":
            return self._execute_by_mounts(program)
        return decision._replace(
            note=decision.note or ("tried with %s" % program if program != target else "")
        )

    def _execute_by_mounts(self, program):
        """The probe program itself needs this file open: the main process's own mounts have to tell."""
        options = self.facts.mount_options(self.facts.main_pid(self.unit), os.path.realpath(program))
        note = "the probe program needs it open; read from the main process's mounts instead"
        return decide.Decision(
            "deny" if "noexec" in options else "allow", "mount options: " + " ".join(options), note
        )

    def _setuid_exec(self, target, expect):
        names = [target] if target.startswith("/") else SETUID_PROGRAMS
        program = next((name for name in names if _is_setuid(name)), None)
        if program is None:
            return decide.Decision("unknown", "", "there is no setuid program to try with")

        def who(said):
            return {"uid": self.facts.effective_uid(said["pid"])}

        outside = self.outside.ask("setuid_exec", program, meanwhile=who, as_uid=NOBODY)
        return decide.setuid_exec(
            self.inside.ask("setuid_exec", program, meanwhile=who), outside, self.no_new_privileges
        )

    def _plain(self, action, target):
        return decide.plain(self.inside.ask(action, target), self.outside.ask(action, target))

    def _socket_family(self, target, expect):
        return self._plain("socket_family", target)

    def _syscall(self, target, expect):
        return self._plain("syscall", target)

    def _mmap_wx(self, target, expect):
        return self._plain("mmap_wx", target)

    def _connect(self, target, expect):
        outside = self.outside.ask("connect", target)
        inside, counted, after = self._connect_inside(target, "", self.facts.refusals(self.tables))
        if inside.get("errno") == "ENETUNREACH" and after is not None and self.facts.device():
            # No route, so no packet and no rule that could count: hand it to an interface by name.
            inside, counted, after = self._connect_inside(target, self.facts.device(), after)
        if counted and not inside["done"] and not outside["done"]:
            # The counter is the only witness, and the application's traffic counts too: it must grow again.
            device = self.facts.device() if "device" in inside else ""
            again = self._connect_inside(target, device, after)[1]
            counted = {name: packets for name, packets in counted.items() if name in again}
        return decide.connect(inside, outside, counted, after is not None)

    def _connect_inside(self, target, device, before):
        """(answer, {rule: packets that it refused since ``before``}, the counters now: None without rules to watch)."""
        inside = self.inside.ask("connect", target, device=device)
        after = self.facts.refusals(self.tables)
        if device:
            inside["device"] = device
        if before is None or after is None:
            return inside, {}, None
        grown = {name: after[name] - before.get(name, 0) for name in after}
        return inside, {name: packets for name, packets in grown.items() if packets > 0}, after

    def _listen(self, target, expect):
        protocol, address, port = split(target)
        peer = address if address not in ("", "0.0.0.0", "::") else "127.0.0.1"

        def knock(_said=None):
            return _reaches(protocol, peer, port)

        outside = self.outside.ask("listen", target, meanwhile=knock)
        inside = self.inside.ask("listen", target, meanwhile=knock)
        owned = None
        if inside.get("errno") == "EADDRINUSE" and self.facts.holds_port(self.unit, protocol, port):
            owned = protocol == "udp" or knock()
        return decide.listen(inside, outside, owned)


def _reaches(protocol, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as client:
            client.settimeout(1.5)
            client.connect((address, port))
            if protocol == "udp":
                client.send(b"x")
        return True
    except OSError:
        return False


def _is_setuid(path):
    try:
        info = os.stat(path)
    except OSError:
        return False
    return bool(info.st_mode & stat.S_ISUID) and info.st_uid == 0


def _program(target, limit=2000):
    """``target`` itself, or for a directory the first program below it, by name."""
    if not os.path.isdir(target):
        return target
    for folder, folders, names in os.walk(target):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            limit -= 1
            if os.path.isfile(path) and os.stat(path).st_mode & 0o111:
                return path
        if limit < 0:
            break
    return None
