# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that leads on: the guard is put on the host before it. To confirm or to go back needs none of this."""

from __future__ import annotations

from . import guard_files
from .change import Change


class Forward(Change):
    def install(self):
        guard_files.install()
