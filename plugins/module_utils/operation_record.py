# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the host record denials, or no longer."""

from __future__ import annotations

from . import denials_recording


def answer(request, check):
    return denials_recording.settle(request["state"], request["persistent"], check)
