# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirm what is pending."""

from __future__ import annotations

from . import bundles, confirmation


def answer(request, _check):
    return confirmation.confirm(bundles.check_name(request["policy"]), request["nonce"])
