# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of what runs on hosts. ``dispatch`` catches it, in one place."""

from __future__ import annotations


class HostError(Exception):
    """Something that a person has to know, in one sentence that ends with a full stop.

    ``state``: what became of the host: ``unchanged`` (nothing was touched), ``reverted``, ``revert_failed`` or
    ``refused``. ``extra``: plain data for the result.
    """

    def __init__(self, message, state="unchanged", **extra):
        super().__init__(message)
        self.state = state
        self.extra = extra
