# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``bulkhead.fleet.denials_info`` and ``denials_record`` do on a host."""

from __future__ import annotations

from . import bundles, denials, denials_recording


def denials_info(params, _check):
    return denials.read(bundles.check_name(params["policy"]), params["cursor"], params["limit"])


def denials_record(params, check):
    return denials_recording.settle(params["state"], params["persistent"], check)
