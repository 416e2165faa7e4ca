# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of one policy's change, decided from what its records say: (state, event) -> (state, effects).

    IDLE ─▶ STAGED ─▶ ARMED ─▶ PENDING ─▶ (SOAKING ─▶) CONFIRMED, and IDLE again
                        └────────┴──────────┴─▶ REVERTING ─▶ REVERTED, and IDLE again

Nothing is read or written here. The module carries the effects out (``change.py``), the guard (``guard_script.py``)
decides the events of ``GUARD`` by the same rules in shell. One table of cases (tests/unit/plugins/module_utils/
cases_of_a_change.json) holds both to them.
"""

from __future__ import annotations

from collections import namedtuple

# STAGED is known to its module alone: after a crash it is IDLE. TORN: the record is there and is not what was written.
IDLE, STAGED, ARMED, PENDING, SOAKING = "idle", "staged", "armed", "pending", "soaking"
REVERTING, TORN = "reverting", "torn"
OPEN = (ARMED, PENDING, SOAKING, REVERTING, TORN)
WAITING = (PENDING, SOAKING)
ANY = (IDLE, STAGED) + OPEN
SAME = None

# What the one who asks sees. ours: the record has the nonce that he means. in_time: of this boot, its deadline ahead.
# switched: the active digest is no longer `from`. whole: the way back is, and the generation `from` if any. held:
# another process holds the lock. fenced: his epoch is lower than one seen here. same: he wants what is there already.
# lease: he asks for one. hold: a lease that lapses holds. last: what became of his nonce by the other records.
State = namedtuple("State", "phase ours in_time switched whole held fenced same lease hold last")
NOTHING = State(IDLE, False, False, False, True, False, False, False, False, False, "")

Step = namedtuple("Step", "phase effects answer")

STAGE = ("stage", "validate", "install")
SWITCH = ("prepare", "arm", "record armed", "receipt APPLYING", "activate", "switch", "test")
REMOVE = ("install", "prepare", "arm", "record armed", "receipt REMOVING", "deactivate", "withdraw", "forget")
PEND = ("record pending", "receipt PENDING")
CONFIRM = ("record confirmed", "receipt CONFIRMED")
SOAK = ("record soaking", "receipt SOAKING")
RETURN = ("record epoch", "revert")
ABANDON = ("record abandoned", "receipt ABANDONED")
GIVE_UP = ("record revert_failed", "receipt REVERT_FAILED")
BACK = ("record reverting", "files back", "active back", "record reverted", "receipt REVERTED")
IN_TIME = {"ours": True, "in_time": True}
BACKWARDS = ("act", "revert")

# Event, phases, what has to be true, next phase, effects, answer. The first row that fits counts.
RULES = (
    # --- the module, under the lock ---
    ("apply", ANY, {"fenced": True}, SAME, (), "refused"),
    ("apply", WAITING, {"in_time": True, "same": True}, PENDING, PEND + ("watch",), "adopted"),
    ("apply", (IDLE,), {}, STAGED, STAGE, "go on"),
    ("apply", OPEN, {}, REVERTING, RETURN, "look again"),
    ("staged", (STAGED,), {}, ARMED, SWITCH, "go on"),
    ("healthy", (ARMED,), {}, PENDING, PEND, "pending"),
    ("failed", (ARMED,), {}, REVERTING, ("revert", "dismiss"), "reverted"),
    ("remove", ANY, {"fenced": True}, SAME, (), "refused"),
    ("remove", (IDLE,), {}, IDLE, REMOVE, "absent"),
    ("remove", OPEN, {}, REVERTING, RETURN, "look again"),
    ("take back", ANY, {"fenced": True}, SAME, (), "refused"),
    ("take back", OPEN, {}, REVERTING, RETURN + ("dismiss",), "reverted"),
    ("take back", (IDLE,), {}, SAME, (), "unchanged"),
    # --- the controller over its new connection: confirm, renew a lease, promote ---
    ("confirm", WAITING, {**IN_TIME, "lease": False}, IDLE, CONFIRM + ("dismiss",), "CONFIRMED"),
    ("confirm", (PENDING,), IN_TIME, SOAKING, SOAK, "SOAKING"),
    ("confirm", (SOAKING,), IN_TIME, SOAKING, SOAK[:1], "SOAKING"),
    ("confirm", OPEN, {"ours": True}, SAME, (), "TOO_LATE"),
    ("confirm", ANY, {"last": "confirmed"}, SAME, (), "CONFIRMED"),
    ("confirm", ANY, {"last": "reverted"}, SAME, (), "TOO_LATE"),
    ("confirm", ANY, {}, SAME, (), "UNKNOWN"),
    # --- the guard looks, without the lock ---
    ("look", (IDLE,), {"held": True}, SAME, (), "wait"),
    ("look", (IDLE,), {}, SAME, (), "leave"),
    ("look", OPEN, {"ours": False}, SAME, (), "begin again"),
    ("look", WAITING, {"in_time": True}, SAME, (), "wait"),
    ("look", (ARMED,), {"in_time": True, "held": True}, SAME, (), "wait"),
    ("look", (REVERTING,), {"held": True}, SAME, (), "wait"),
    ("look", OPEN, {}, SAME, (), "act"),
    # --- the guard acts, under the lock, on what it reads there ---
    ("act", (IDLE,), {}, SAME, (), "leave"),
    ("act", OPEN, {"ours": False}, SAME, (), "begin again"),
    ("act", WAITING, {"in_time": True}, SAME, (), "begin again"),
    ("act", (SOAKING,), {"hold": True}, IDLE, CONFIRM, "held"),
    # --- the way back: the guard's own, or told by the module that holds the lock ---
    ("revert", (IDLE,), {}, SAME, (), "leave"),
    ("revert", OPEN, {"ours": False}, SAME, (), "leave"),
    (BACKWARDS, (ARMED,), {"switched": False}, IDLE, ABANDON, "back"),
    (BACKWARDS, OPEN, {"whole": False}, IDLE, GIVE_UP, "failed"),
    (BACKWARDS, OPEN, {}, IDLE, BACK, "back"),
    # A file that cannot be put back (full disk, read-only) leaves the change as it is, and the guard tries again.
    ("stuck", (REVERTING,), {}, SAME, ("receipt REVERTING",), "try again"),
)
GUARD = ("look", "act", "revert", "stuck")


def step(state, event):
    """The ``Step`` that ``event`` takes from ``state``. LookupError where no rule is: that is a fault of ours."""
    for events, phases, when, phase, effects, answer in RULES:
        asked = event in events if isinstance(events, tuple) else event == events
        if asked and state.phase in phases and all(getattr(state, key) == when[key] for key in when):
            return Step(state.phase if phase is SAME else phase, effects, answer)
    raise LookupError("no rule for %s while %s" % (event, state.phase))
