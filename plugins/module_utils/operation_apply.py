# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the host to a bundle; what changed stays pending."""

from __future__ import annotations

from . import transaction


def answer(request, check):
    return transaction.apply(transaction.from_request(request, check))
