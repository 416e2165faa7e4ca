# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the host to a bundle; what changed stays pending."""

from __future__ import annotations

from . import kept, transaction


def answer(request, check):
    done = transaction.apply(transaction.from_request(request, check))
    if done.get("state") == "pending" and not check:
        done["kept"] = kept.keep()
    return done
