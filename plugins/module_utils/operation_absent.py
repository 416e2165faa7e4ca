# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the application go."""

from __future__ import annotations

from . import bundles, kept, removal, transaction


def answer(request, check):
    done = removal.absent(bundles.check_name(request["policy"]), transaction.from_request(request, check))
    return {**done, "kept": kept.name()}
