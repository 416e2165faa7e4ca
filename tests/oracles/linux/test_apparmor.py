# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles through the real apparmor_parser, asked of what it compiled: no kernel is needed for that."""

from __future__ import annotations

from pathlib import Path

import apparmor_dfa
import pytest
from apparmor_model import Profile
from apparmor_support import around, differences, made, nesting
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.apparmor_text import (
    TREE,
    ProfileText,
    literal,
    outside,
)

pytestmark = pytest.mark.skipif(not apparmor_dfa.there(), reason="no apparmor_parser (BULKHEAD_APPARMOR)")
ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
GOLDEN = ROOT / "tests/unit/plugins/plugin_utils/backends/golden"
name = st.binary(min_size=1, max_size=8).filter(lambda text: not {0, ord("/")} & set(text))


def automaton(*rules: str) -> apparmor_dfa.Automaton:
    text = ProfileText("bulkhead.test", "test", ("mediate_deleted",))
    for rule in rules:
        text.path(rule, "r", "")
    return apparmor_dfa.Automaton(apparmor_dfa.compiled(text.render()[0].decode()))


@pytest.mark.parametrize("profile", sorted(GOLDEN.glob("*/*/etc/apparmor.d/*")), ids=str)
def test_the_parser_takes_every_golden_profile(profile):
    assert apparmor_dfa.compiled(profile.read_text())


@pytest.mark.parametrize("line", ['"/srv/x" rq,', "/srv/{a r,", "network inet strem,"])
def test_the_oracle_sees_a_fault(line):
    with pytest.raises(ValueError, match="error"):
        apparmor_dfa.compiled(f"abi <abi/3.0>,\nprofile bulkhead.x {{\n  {line}\n}}\n")


@pytest.mark.parametrize("seed", range(60))
def test_what_is_compiled_means_what_the_policy_says(seed):
    clauses = nesting(seed)
    text = made(*clauses)[1]
    compiled = apparmor_dfa.Automaton(apparmor_dfa.compiled(text))
    assert differences(compiled, clauses) == []
    model = Profile(text)
    for place in ["/usr/lib/x.so", "/tmp/x", "/etc/shadow", "/proc/1/maps", *around(clauses)]:
        for letter in apparmor_dfa.BITS:
            assert compiled.allows(place, letter) is model.allows(place, letter), (place, letter)


@given(st.lists(name, min_size=1, max_size=6), st.lists(name, max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_literal_path_stands_for_itself_alone(names, others):
    compiled = automaton(*("/x/" + literal(one) + TREE for one in names))
    for one in (*names, *others, *(one[:-1] + b"?" for one in names), *(one + b"?" for one in names)):
        assert compiled.allows(b"/x/" + one, "r") is (one in names)
        assert compiled.allows(b"/x/" + one + b"/y", "r") is (one in names)


@given(st.lists(name, min_size=1, max_size=4, unique=True), st.lists(name, max_size=8))
@example([b"+", b"-"], [b","])
@settings(deadline=None, max_examples=60)
def test_what_is_outside_of_a_tree_is_everything_else(names, others):
    compiled = automaton(*outside((b"x",), [(b"x", one) for one in names]))
    for one in (
        *names,
        *others,
        *(one[:-1] + b"?" for one in names),
        *(one + b"?" for one in names),
        names[0][:1],
    ):
        assert compiled.allows(b"/x/" + one, "r") is (one not in names), one
        assert compiled.allows(b"/x/" + one + b"/y", "r") is (one not in names), one
    assert compiled.allows("/x/", "r") and not compiled.allows("/y", "r")


def test_one_name_is_started_otherwise_than_the_tree_that_it_lies_in():
    """The parser puts a rule for one name before those for patterns: else both ways to start it would be an error."""
    other = '  "/opt{,/,/**}" mrkix,\n  "/opt/side" mrkpx -> bulkhead.x//&bulkhead.x//side,\n'
    child = '  profile side {\n    "/opt/side" mr,\n  }\n'
    policy = apparmor_dfa.compiled(f"abi <abi/3.0>,\nprofile bulkhead.x {{\n{other}{child}}}\n")
    assert b"bulkhead.x//&bulkhead.x//side\0" in policy
    outer = apparmor_dfa.Automaton(policy[: policy.index(b"bulkhead.x//side\0")])
    ways = {place: outer.way(place) for place in ("/opt/side", "/opt/other", "/opt/side/below")}
    assert ways["/opt/side"] != ways["/opt/other"] == ways["/opt/side/below"]
    assert all(outer.allows("/opt/side", letter) for letter in "mrkx")
