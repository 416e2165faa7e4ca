# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a wave is looked at: until its soak is over by a clock that nobody can set, or so often."""

from __future__ import annotations

from .options import MOST_LOOKS, Options

# Includes that hold one another, see roles/rollout/tasks/looks.yml. With the most looks that there may be each of them
# holds itself 47 times, and all together are far from what Python's recursion limit allows (some 245).
LEVELS = 3


def looks(options: Options) -> int:
    """The most looks at one wave: as many as fit into its soak, and one at least."""
    return max(1, -(-options.soak // options.poll)) if options.poll else 0


def deep(options: Options, taken: int) -> int:
    """Which of the includes goes on after so many looks: 0 for the innermost one, until it has had its turns."""
    turns = next(number for number in range(1, MOST_LOOKS) if number**LEVELS >= looks(options))
    return next(level for level in range(LEVELS) if level == LEVELS - 1 or taken % turns ** (level + 1))


def over(options: Options, taken: int, seconds: float) -> bool:
    """Whether a wave that soaks for ``seconds`` has been looked at long enough.

    The number ends it even where the clock does not: one that was set back must not make a soak last for a day.
    """
    return taken >= looks(options) or seconds >= options.soak
