# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``bulkhead.fleet.sandbox`` does on a host. Each operation imports its own."""

from __future__ import annotations

from . import bundles
from .errors import HostError


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


def _features(request, _check):
    from . import features

    facts = features.collect(request["unit"], request.get("paths", ()))
    return {"changed": False, "features": facts, "fingerprint": features.fingerprint(facts)}


def _apply(request, check):
    from . import transaction

    return transaction.apply(transaction.from_request(request, check))


def _confirm(request, _check):
    from . import confirmation

    return confirmation.confirm(bundles.check_name(request["policy"]), request["nonce"])


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
