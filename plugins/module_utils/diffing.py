# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would change, file by file, in the shape that Ansible prints with --diff."""

from __future__ import annotations

from . import files


def entry(path, before, after):
    """``before`` and ``after``: bytes, or None where there is no file."""
    return {
        "before_header": path if before is not None else "/dev/null",
        "after_header": path if after is not None else "/dev/null",
        "before": (before or b"").decode("utf-8", "replace"),
        "after": (after or b"").decode("utf-8", "replace"),
    }


def of_change(changed, removed):
    """``changed``: artifacts to write; ``removed``: paths that go."""
    written = [entry(item.path, files.read(item.path), item.content) for item in changed]
    return written + [entry(path, files.read(path), None) for path in removed if files.read(path) is not None]
