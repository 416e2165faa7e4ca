# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change for an act is, before it was tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..policy import model as m
from .change import Change, Policy


class NoChange(Exception):
    """There is nothing to propose; the text says why."""


@dataclass(frozen=True)
class Wish:
    """``opens``: what else the change lets in, a sentence each. ``holds``: whether a manifest allows the act."""

    change: Change
    opens: tuple[str, ...]
    holds: Callable[[m.Manifest], bool]


def names(policy: Policy, section: str, name: str, effective: set[str]) -> Change:
    """``name`` in addition. A setting that the document leaves to its default is written with all that it has now."""
    if policy.written(section) is not None:
        return Change(added=((section, name),))
    return Change(put=((section, sorted({*effective, name})),))
