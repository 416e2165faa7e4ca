# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go back to an earlier generation."""

from __future__ import annotations

from . import bundles, reversal, transaction


def answer(request, check):
    policy = bundles.check_name(request["policy"])
    wish = transaction.from_request(request, check)
    return reversal.revert(policy, wish, request.get("from"), request.get("to") or "")
