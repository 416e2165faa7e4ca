# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts for grants and hidden trees, held against what each path must end up as."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_layout import (
    EXECUTE,
    READ,
    WRITE,
    Grant,
    Hidden,
    lay_out,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_names import within


def paths(entries):
    return [path for path, _ in entries]


def test_a_tree_without_grants_is_closed():
    layout = lay_out([], [Hidden("/srv", "c")])
    assert paths(layout.inaccessible) == ["/srv"]


def test_a_tree_with_grants_is_emptied_and_they_are_bound():
    layout = lay_out(
        [Grant("/var/lib/app", WRITE, "w"), Grant("/var/lib/other", READ, "r")], [Hidden("/var/lib", "c")]
    )
    assert (paths(layout.temporary), paths(layout.inaccessible)) == (["/var/lib"], [])
    assert (paths(layout.bound), paths(layout.bound_read_only)) == (["/var/lib/app"], ["/var/lib/other"])
    assert layout.writable == []


def test_a_grant_of_the_tree_or_above_opens_it():
    assert lay_out([Grant("/srv", READ, "r")], [Hidden("/srv", "c")]).inaccessible == []
    assert lay_out([Grant("/", READ, "r")], [Hidden("/srv", "c")]).inaccessible == []


def test_deny_wins_a_tie_and_below_a_grant():
    layout = lay_out([Grant("/srv", READ, "r")], [Hidden("/srv", "d", weak=False)])
    assert (paths(layout.inaccessible), layout.bound_read_only) == (["/srv"], [])
    layout = lay_out([Grant("/srv", WRITE, "w")], [Hidden("/srv/private", "d", weak=False)])
    assert (paths(layout.inaccessible), paths(layout.writable)) == (["/srv/private"], ["/srv"])


def test_a_grant_below_a_deny_is_open_again():
    layout = lay_out([Grant("/srv/private/public", READ, "r")], [Hidden("/srv/private", "d", weak=False)])
    assert (paths(layout.temporary), paths(layout.bound_read_only)) == (
        ["/srv/private"],
        ["/srv/private/public"],
    )


def test_reading_below_a_writable_path_is_read_only():
    layout = lay_out([Grant("/srv/app", WRITE, "w"), Grant("/srv/app/static", READ, "r")], [])
    assert (paths(layout.writable), paths(layout.read_only)) == (["/srv/app"], ["/srv/app/static"])


def test_opening_a_directory_for_a_file_reveals_nothing_below():
    layout = lay_out([Grant("/run", WRITE, "pid", reveals=False)], [Hidden("/run/docker.sock", "u")])
    assert paths(layout.inaccessible) == ["/run/docker.sock"]


trees = st.sampled_from(["/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f"])
grants = st.lists(st.builds(Grant, trees, st.sampled_from([READ, WRITE, EXECUTE]), st.just("g")), max_size=5)
hiddens = st.lists(st.builds(Hidden, trees, st.just("h"), st.booleans()), max_size=5)


@given(grants, hiddens, st.integers())
@settings(deadline=None)
def test_most_specific_wins_deny_wins_ties_and_order_never_matters(given_grants, hidden, seed):
    layout = lay_out(given_grants, hidden)
    shuffled = random.Random(seed)
    other = lay_out(shuffled.sample(given_grants, len(given_grants)), shuffled.sample(hidden, len(hidden)))
    assert layout == other
    for path in ["/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f"]:
        denies = [h.path for h in hidden if not h.weak and within(path, h.path)]
        opens = [g.path for g in given_grants if within(path, g.path)]
        deepest_deny, deepest_grant = max(denies, key=len, default=""), max(opens, key=len, default="")
        closed = _closed(path, layout)
        if deepest_deny and len(deepest_deny) >= len(deepest_grant):
            assert closed, (path, layout)
        elif deepest_grant:
            assert not closed, (path, layout)


def _closed(path, layout):
    """What the mounts make of a path: the deepest one decides, but nothing opens below an inaccessible one."""
    if any(within(path, closed) for closed in paths(layout.inaccessible)):
        return True
    mounts = dict.fromkeys(paths(layout.temporary), True)
    mounts |= dict.fromkeys((*paths(layout.bound), *paths(layout.bound_read_only)), False)
    around = [tree for tree in mounts if within(path, tree)]
    return mounts[max(around, key=len)] if around else False
