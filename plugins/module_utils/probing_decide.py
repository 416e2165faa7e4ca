# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of a probe mean: one pure function per sort of act.

Each takes the answer from inside the confinement and the one from outside (the control) and returns a
``Decision``. ``got`` is ``allow``, ``deny`` or ``unknown``. A denial counts only next to a control that
succeeded; without one it is unknown, and ``note`` says why.
"""

from __future__ import annotations

from collections import namedtuple

Decision = namedtuple("Decision", "got control note")

NO_ANSWER = ("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH")


def _control(outside):
    return "the same act outside: " + ("done" if outside.get("done") else outside.get("errno") or "failed")


def _fault(inside, outside):
    """A decision when the probe program itself has failed or does not know the target, else None."""
    for side in (inside, outside):
        if side.get("fault"):
            return Decision("unknown", _control(outside), "the probe program failed: %s" % side["fault"])
        if side.get("unknown"):
            return Decision("unknown", "", "there is no harmless way to try this here")
    return None


def _denied(inside, outside, what):
    """The common end: refused inside, and the control decides whether that counts."""
    if outside.get("done"):
        return Decision("deny", _control(outside), "inside: %s" % (inside.get("errno") or "failed"))
    return Decision("unknown", _control(outside), "%s outside of the sandbox either" % what)


def plain(inside, outside):
    """execute, socket_family, syscall, mmap_wx: it is done or it is not."""
    fault = _fault(inside, outside)
    if fault:
        return fault
    if inside["done"]:
        return Decision("allow", _control(outside), "")
    return _denied(inside, outside, "this does not work")


def read(inside, outside):
    """Root inside may open a hidden file without error and read nothing, so the content is compared.

    ``outside`` must have been read with the length that was got inside.
    """
    fault = _fault(inside, outside)
    if fault:
        return fault
    if not inside["done"]:
        return _denied(inside, outside, "this cannot be read")
    if not outside["done"]:
        return Decision("allow", _control(outside), "it can be read inside and not outside")
    if inside["sort"] == outside["sort"] == "special":
        same = inside["file"] == outside["file"]
        return Decision(
            "allow" if same else "deny", _control(outside), "" if same else "another file stands there"
        )
    control = "outside: %d %s" % (outside["length"], "names" if outside["sort"] == "directory" else "bytes")
    if inside["sort"] == outside["sort"] and inside["sum"] == outside["sum"]:
        if inside["length"] == 0 and not outside.get("empty", False):
            return Decision("deny", control, "it opens inside and is empty there")
        return Decision("allow", control, "")
    note = (
        "it opens inside and is empty there"
        if inside.get("length") == 0
        else "other content stands there inside"
    )
    return Decision("deny", control, note)


def write(inside, outside, expect):
    """A file of the same name on another file system (a private /tmp) is the application's own.

    Writing there is what a policy that allows it means, and no breach of one that denies it.
    """
    fault = _fault(inside, outside)
    if fault:
        return fault
    if not inside["done"]:
        return _denied(inside, outside, "this cannot be written")
    if not outside["done"] or inside["file"] == outside["file"]:
        return Decision("allow", _control(outside), "")
    return Decision(
        expect, _control(outside), "a private copy stands there inside; the host's is not reached"
    )


def setuid_exec(inside, outside, no_new_privileges):
    """``meanwhile`` of both sides: the effective user of the program that was started."""
    fault = _fault(inside, outside)
    if fault:
        return fault
    gained = outside.get("meanwhile") or {}
    control = "started outside by an ordinary user: became uid %s" % gained.get("uid", "?")
    if not (outside["done"] and gained.get("uid") == 0):
        return Decision("unknown", control, "the program gains nothing outside of the sandbox either")
    if not inside["done"]:
        return Decision("deny", control, "inside: %s" % inside.get("errno"))
    if no_new_privileges:
        return Decision("deny", control, "inside it started with NoNewPrivs set")
    return Decision(
        "allow", control, "inside it ran as uid %s" % (inside.get("meanwhile") or {}).get("uid", "?")
    )


def connect(inside, outside, counted, watched):
    """``counted``: rules that deny and counted a packet meanwhile, as {name: packets}. ``watched``: whether a
    table of the policy with such rules was there to be read at all.
    """
    fault = _fault(inside, outside)
    if fault:
        return fault
    control = _control(outside)
    if counted:
        rules = ", ".join("%s +%d" % pair for pair in sorted(counted.items()))
        if inside["done"]:
            return Decision(
                "allow", control, "it connected; other traffic was refused meanwhile (%s)" % rules
            )
        witness = "%s; counter of the rule that refuses: %s" % (control, rules)
        return Decision("deny", witness, "inside: %s" % inside.get("errno"))
    if inside["done"]:
        return Decision("allow", control, "")
    name = inside.get("errno") or "failed"
    if outside["done"]:
        return Decision("deny", control, "inside: %s" % name)
    answered = outside.get("errno") == "ECONNREFUSED"
    if name in ("EPERM", "EACCES", "EAFNOSUPPORT", "SIGSYS") and outside.get("errno") != name:
        return Decision("deny", control, "inside: %s" % name)
    if answered and name != "ECONNREFUSED":
        return Decision("deny", control, "outside the peer answers, inside: %s" % name)
    if watched and name == outside.get("errno") and (answered or name in NO_ANSWER[:1]):
        return Decision("allow", control, "nobody serves there, and no rule refused it")
    return Decision(
        "unknown", control, "nothing tells a refusal from a peer that is not there (inside: %s)" % name
    )


def listen(inside, outside, owned):
    """``meanwhile`` of both sides: whether a connection from outside came through. ``owned``: the
    application itself holds the port, and whether it answers; None when somebody else holds it.
    """
    fault = _fault(inside, outside)
    if fault:
        return fault
    if inside.get("errno") == "EADDRINUSE":
        if owned is None:
            return Decision("unknown", "", "another program holds the port")
        control = "the application itself holds the port"
        if owned:
            return Decision("allow", control, "it answered a connection from outside")
        return Decision("deny", control, "it does not answer a connection from outside")
    if outside.get("errno") == "EADDRINUSE":
        return Decision("unknown", _control(outside), "another program holds the port")
    if inside["done"]:
        return Decision("allow", _control(outside), "")
    if inside.get("bound"):
        if not outside["done"]:
            return Decision(
                "unknown", _control(outside), "no connection reaches the port outside of the sandbox either"
            )
        return Decision("deny", _control(outside), "bind succeeds, connections do not come through")
    return _denied(inside, outside, "nobody can listen there")
