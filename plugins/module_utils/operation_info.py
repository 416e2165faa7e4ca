# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has of one policy or of all."""

from __future__ import annotations

from . import survey


def answer(request, _check):
    return survey.survey(request["policy"], request["health"], request["features"])
