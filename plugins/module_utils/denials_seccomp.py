# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system call filter recorded, and whose it is (kernel/auditsc.c, audit_seccomp).

The record names a process and never its unit. Its label does where the policy has an AppArmor profile; else the
process's control group, while it lives; else its account, and for root its program as well.
"""

from __future__ import annotations

import re

from . import denials_apparmor, denials_audit
from . import denials_numbers as numbers

_CODE = re.compile(r"(?:0x)?[0-9a-f]{1,8}")
_CALL = re.compile(r"-?[0-9]{1,10}")  # a program may ask for the call -1, and that is refused, too
# uapi/linux/seccomp.h: what the filter answered. Only LOG lets the call through.
_ACTIONS = {
    0x80000000: "kill_process",
    0x00000000: "kill_thread",
    0x00030000: "trap",
    0x00050000: "errno",
    0x7FFC0000: "log",
}


class Owner:
    """Whom a process belongs to. ``pids``: {number: (since when it is a process of the unit, its user)} of those in
    the unit's control group now; ``uid`` and ``program``: what its main process runs as and from, ``uid`` None where
    nobody knows; ``labelled``: the unit has a profile of its own, so that label alone decides."""

    def __init__(self, policy, pids=None, uid=None, program="", labelled=False):
        self.policy, self.pids, self.uid = policy, pids or {}, uid
        self.program, self.labelled = program, labelled

    def _runs(self, pid, uid, stamp):
        """Whether the record is of the process that has its number now."""
        since, user = self.pids.get(pid, (None, None))
        if since is None or stamp is None or stamp < since:
            return False
        users = (user, self.uid)  # one that starts as root may be another user by now
        return uid is None or uid in users or users == (None, None)

    def attribution(self, found, stamp=None):
        """How the record is the policy's: profile, control_group, account, program; "" where it is another's.

        ``stamp``: seconds since the epoch; None where the record is of another boot.
        """
        profile = denials_audit.label(found.get("subj", ""))
        if denials_apparmor.owns(self.policy, profile):
            return "profile"
        if self.labelled or profile not in ("", "unconfined", "kernel"):
            return ""
        uid = numbers.number(found.get("uid"), numbers.ID)
        if self._runs(numbers.number(found.get("pid"), numbers.ID), uid, stamp):
            return "control_group"
        if self.uid is None or uid != self.uid:
            return ""
        same = bool(self.program) and found.get("exe") == self.program
        return "program" if same else "account" if self.uid != 0 else ""


def denial(record, owner, this_boot):
    """The facts of one record, or None where it is not the policy's. Unreadable where it is and names no call."""
    found = record.fields
    attribution = owner.attribution(found, record.milliseconds / 1e3 if this_boot else None)
    if not attribution:
        return None
    code, call = _CODE.fullmatch(found.get("code", "0")), _CALL.fullmatch(found.get("syscall", ""))
    if not code or not call:
        raise numbers.Unreadable
    action = _ACTIONS.get(int(code.group(), 16) & 0xFFFF0000, "errno")
    return {
        "mechanism": "seccomp",
        "act": "call",
        "enforced": action != "log",
        "action": action,
        "arch": found.get("arch", ""),
        "call": int(call.group()),
        "attribution": attribution,
    }
