# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of this layer; action plugins catch it once and print its message and its help."""

from __future__ import annotations


class RolloutError(Exception):
    """What is wrong, the value in quotes, full stop. ``help_text`` says what to do instead."""

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.help_text = help_text
