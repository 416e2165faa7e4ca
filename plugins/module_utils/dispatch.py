# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's arguments to its answer. The one place where ``HostError`` is caught."""

from __future__ import annotations

import os

from . import bundles
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


def sandbox(params, check):
    """The operations of the action plugin: features, apply, confirm, revert, absent."""
    if not params["request"]:
        raise HostError(
            "bulkhead.fleet.sandbox compiles on the controller: call it by that name, so that its action plugin runs."
        )
    request = bundles.unpack(params["request"])
    operation = OPERATIONS.get(request.get("op"))
    if operation is None:
        raise HostError("unknown operation %r." % request.get("op"))
    return operation(request, check)


def sandbox_info(params, _check):
    from . import survey

    return survey.survey(params["policy"], params["health"], params["features"])


def denials_info(params, _check):
    from . import denials

    return denials.read(bundles.check_name(params["policy"]), params["cursor"], params["limit"])


def denials_record(params, check):
    from . import denials_recording

    return denials_recording.settle(params["state"], params["persistent"], check)


def _features(request, _check):
    from . import features

    facts = features.collect(request["unit"], request.get("paths", ()))
    return {"changed": False, "features": facts, "fingerprint": features.fingerprint(facts)}


def _apply(request, check):
    from . import transaction

    return transaction.apply(transaction.from_request(request, check))


def _confirm(request, _check):
    from . import transaction

    return transaction.confirm(bundles.check_name(request["policy"]), request["nonce"])


def _revert(request, check):
    from . import transaction

    wish = transaction.from_request(request, check)
    return transaction.revert(request["policy"], wish, request.get("from"), request.get("to") or "")


def _absent(request, check):
    from . import removal, transaction

    return removal.absent(request["policy"], transaction.from_request(request, check))


OPERATIONS = {
    "features": _features,
    "apply": _apply,
    "confirm": _confirm,
    "revert": _revert,
    "absent": _absent,
}
