# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``bulkhead.fleet.sandbox_info`` does on a host."""

from __future__ import annotations

from . import survey


def sandbox_info(params, _check):
    return survey.survey(params["policy"], params["health"], params["features"])
