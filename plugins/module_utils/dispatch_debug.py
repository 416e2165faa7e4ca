# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``bulkhead.fleet.debug`` does on a host."""

from __future__ import annotations

from . import bundles, overlay


def debug(params, check):
    """Open or close the debug overlay of one policy."""
    policy = bundles.check_name(params["policy"])
    if params["state"] == "closed":
        return overlay.close(policy, check)
    seconds = overlay.seconds_of(params["duration"])
    words = sorted(set(params["openings"]))
    return overlay.open_(
        policy,
        overlay.Wish(words, seconds, params["by"], params["reason"], params["restart"] == "auto", check),
    )
