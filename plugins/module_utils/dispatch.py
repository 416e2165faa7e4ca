# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operation's answer as a module's result, and the one place where ``HostError`` is caught."""

from __future__ import annotations

import importlib
import os

from .errors import HostError


def answer(operation, request, check):
    """What ``operation_<operation>.answer(request, check)`` returns, or a failed result that says what is wrong."""
    try:
        system = os.uname().sysname
        if system != "Linux":
            name = {"Darwin": "macos"}.get(system, system.lower())
            raise HostError(
                "applying on %s is not in this version; render it with bulkhead.fleet.render." % name,
                state="refused",
            )
        if os.geteuid() != 0:
            raise HostError("this needs root on the host: set 'become: true'.", state="refused")
        work = importlib.import_module("%s.operation_%s" % (__package__, operation))
        return {"changed": False, **work.answer(request, check)}
    except HostError as problem:
        changed = problem.state in ("reverted", "revert_failed", "absent")
        fields = dict(problem.extra, state=problem.state, changed=changed)
        return {"failed": True, "msg": str(problem), **fields}
    except OSError as problem:
        where = ": %s" % problem.filename if problem.filename else ""
        text = "the host could not do it%s (%s)." % (where, problem.strerror or problem)
        return {"failed": True, "changed": False, "msg": text}
