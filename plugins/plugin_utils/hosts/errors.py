# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller's side of a sandbox task says when it cannot go on."""

from __future__ import annotations

from typing import Any


class HostsError(Exception):
    """``state`` tells what became of the host: ``refused`` (nothing was touched), ``reverted``, or "" for unknown."""

    def __init__(self, message: str, state: str = "refused", **fields: Any) -> None:
        super().__init__(message)
        self.state = state
        self.fields = fields
