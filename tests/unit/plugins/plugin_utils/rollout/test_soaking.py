# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import soaking
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.options import MOST_LOOKS, Options


@pytest.mark.parametrize(
    ("soak", "poll", "looks"), [(10, 0, 0), (0, 5, 1), (60, 60, 1), (90, 60, 2), (1500, 1, 1500)]
)
def test_as_many_looks_as_the_soak_has_room_for(soak: int, poll: int, looks: int) -> None:
    assert soaking.looks(Options(soak=soak, poll=poll)) == looks


@pytest.mark.parametrize("soak", [1, 2, 9, 1440, MOST_LOOKS])
def test_no_include_holds_itself_too_often(soak: int) -> None:
    """As the files of tasks do it: each include goes on with itself where it is the one that ``deep`` names."""
    options = Options(soak=soak, poll=1)
    depths, deepest = [1, 1, 1], 0
    for taken in range(1, soak):
        level = soaking.deep(options, taken)
        depths = [1] * level + [depths[level] + 1] + depths[level + 1 :]
        deepest = max(deepest, sum(depths))
    assert deepest <= 3 * 47


@pytest.mark.parametrize(
    ("taken", "seconds", "over"),
    [(1, 1.0, False), (1, 90.0, True), (2, -86400.0, True), (1, -86400.0, False), (3, 5.0, True)],
)
def test_a_soak_ends_by_time_or_by_number(taken: int, seconds: float, over: bool) -> None:
    assert soaking.over(Options(soak=90, poll=60), taken, seconds) is over
