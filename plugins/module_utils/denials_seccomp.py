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

_MOST = 2**32 - 1
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
    """Whom a process belongs to. ``pids``: those in the unit's control group now; ``uid`` and ``program``: what its
    main process runs as and from; ``labelled``: the unit has a profile of its own, so that label alone decides."""

    def __init__(self, policy, pids=(), uid=None, program="", labelled=False):
        self.policy, self.pids, self.uid, self.program, self.labelled = (
            policy,
            frozenset(pids),
            uid,
            program,
            labelled,
        )

    def attribution(self, found):
        """How the record is the policy's: profile, control_group, account, program; "" where it is another's."""
        profile = denials_audit.label(found.get("subj", ""))
        if denials_apparmor.owns(self.policy, profile):
            return "profile"
        if self.labelled or profile not in ("", "unconfined", "kernel"):
            return ""
        if numbers.number(found.get("pid"), _MOST) in self.pids:
            return "control_group"
        if self.uid is None or numbers.number(found.get("uid"), _MOST) != self.uid:
            return ""
        same = bool(self.program) and found.get("exe") == self.program
        return "program" if same else "account" if self.uid != 0 else ""


def denial(record, owner):
    """The facts of one record, or None where it is not the policy's. Unreadable where it is and names no call."""
    found = record.fields
    attribution = owner.attribution(found)
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
