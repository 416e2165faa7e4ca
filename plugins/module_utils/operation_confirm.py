# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirm what is pending; with ``lease`` for so many seconds, which is also how a lease is renewed."""

from __future__ import annotations

from . import bundles, confirmation


def answer(request, _check):
    policy = bundles.check_name(request["policy"])
    return confirmation.confirm(policy, request["nonce"], int(request.get("lease", 0)))
