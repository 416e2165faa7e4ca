# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The denials of one policy's unit since a cursor."""

from __future__ import annotations

from . import bundles, denials


def answer(request, _check):
    return denials.read(bundles.check_name(request["policy"]), request["cursor"], request["limit"])
