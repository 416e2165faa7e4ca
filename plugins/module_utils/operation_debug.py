# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open or close the debug overlay of one policy."""

from __future__ import annotations

from . import bundles, overlay, overlay_close


def answer(request, check):
    policy = bundles.check_name(request["policy"])
    if request["state"] == "closed":
        return overlay_close.close(policy, check)
    wish = overlay.Wish(
        sorted(set(request["openings"])),
        overlay.seconds_of(request["duration"]),
        request["by"],
        request["reason"],
        request["restart"] == "auto",
        check,
    )
    return overlay.open_(policy, wish)
