# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's answer, and the one place where ``HostError`` is caught.

What each module does is a file of its own (``dispatch_sandbox`` and its like): Ansible sends along whatever a module's
files import, wherever the line stands, and slow hosts pay for each of them.
"""

from __future__ import annotations

import os

from .errors import HostError


def answer(module, function):
    """Exit the module with what ``function(params, check_mode)`` returns."""
    try:
        if os.uname().sysname != "Linux":
            name = {"Darwin": "macos"}.get(os.uname().sysname, os.uname().sysname.lower())
            raise HostError(
                "applying on %s is not in this version; render it with bulkhead.fleet.render." % name,
                state="refused",
            )
        if os.geteuid() != 0:
            raise HostError("this needs root on the host: set 'become: true'.", state="refused")
        result = function(module.params, module.check_mode)
    except HostError as problem:
        fields = dict(problem.extra, state=problem.state)
        fields["changed"] = problem.state in ("reverted", "revert_failed", "absent")
        module.fail_json(msg=str(problem), **fields)
    except OSError as problem:
        where = ": %s" % problem.filename if problem.filename else ""
        module.fail_json(msg="the host could not do it%s (%s)." % (where, problem.strerror or problem))
    else:
        module.exit_json(**result)
