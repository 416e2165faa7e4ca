# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host can do, how its unit is written, and which paths are links."""

from __future__ import annotations

from . import features


def answer(request, _check):
    facts = features.collect(request["unit"], request.get("paths", ()))
    return {"features": facts, "fingerprint": features.fingerprint(facts)}
