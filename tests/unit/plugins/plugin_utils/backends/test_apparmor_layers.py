# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nestings of grants and denials: the profile against what the policy's clauses say, for every path around them."""

from __future__ import annotations

import pytest
from apparmor_model import Profile
from apparmor_support import clause, differences, made, nesting

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Compilation, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.evaluate import Outcome, path_act


def read(*clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE) -> tuple[Compilation, Profile]:
    compilation, text = made(*clauses, mode=mode)
    return compilation, Profile(text)


@pytest.mark.parametrize("mode", [m.Mode.ENFORCE, m.Mode.AUDIT])
@pytest.mark.parametrize("seed", range(150))
def test_every_nesting_means_what_the_policy_says(seed, mode):
    clauses = nesting(seed)
    _compilation, profile = read(*clauses, mode=mode)
    assert [rule for rule in profile.files if rule.deny] == [] or mode is m.Mode.ENFORCE
    if mode is m.Mode.AUDIT:  # programs that are not granted are listed to be logged
        profile.files = [rule for rule in profile.files if not rule.audit]
    assert differences(profile, clauses) == []


def test_a_grant_inside_of_a_denied_tree_is_open_and_nothing_else_of_it():
    clauses = [
        clause(m.Write, "/srv/data"), clause(m.Deny, "/srv/data/private"), clause(m.Read, "/srv/data/private/public"),
    ]  # fmt: skip
    compilation, profile = read(*clauses)
    assert profile.allows("/srv/data/private/public/x", "r")
    assert not profile.allows("/srv/data/private/public/x", "w")
    assert not profile.allows("/srv/data/private/x", "r")
    assert profile.allows("/srv/data/privately", "w")
    assert {item.clause: item.status for item in compilation.verdicts}[clauses[1].id] is Status.ENFORCED


def test_what_nothing_opens_again_is_denied_by_a_rule_that_logs():
    _compilation, profile = read(clause(m.Write, "/srv/data"), clause(m.Deny, "/srv/data/private"))
    (rule,) = [rule for rule in profile.files if rule.deny]
    assert (rule.where, rule.may) == ("/srv/data/private{,/,/**}", frozenset("mrwklx"))
    assert len([rule for rule in profile.files if rule.where.startswith("/srv")]) == 2


@pytest.mark.parametrize("mode", [m.Mode.ENFORCE, m.Mode.AUDIT])
def test_a_denial_takes_libraries_too_and_a_grant_below_it_does_not_give_them_back(mode):
    clauses = [clause(m.Deny, "/usr/lib"), clause(m.Read, "/usr/lib/one")]
    _compilation, profile = read(*clauses, mode=mode)
    assert not profile.allows("/usr/lib/libc.so.6", "r") and not profile.allows("/usr/lib/libc.so.6", "m")
    assert profile.allows("/usr/lib/one/file", "r")
    assert profile.allows("/usr/lib32/libc.so.6", "m")


def test_a_grant_around_the_libraries_does_not_take_their_code_away():
    _compilation, profile = read(clause(m.Execute, "/usr"), clause(m.Read, "/usr/lib"))
    assert profile.allows("/usr/lib/libc.so.6", "m") and not profile.allows("/usr/lib/prog", "x")
    assert profile.allows("/usr/bin/prog", "x")


def test_a_pattern_denies_exactly_what_it_matches():
    clauses = [clause(m.Write, "/srv"), clause(m.Deny, "/srv/*/.k?y[!a-c]", glob=True)]
    compilation, profile = read(*clauses)
    for name in ("/srv/x/.keyd", "/srv/x/.kéyz", "/srv/x/.keyé", "/srv/x/.keyd/below"):
        assert path_act(clauses, "read", name, m.OS.LINUX).outcome is Outcome.DENY
        assert not profile.allows(name, "r")
    for name in ("/srv/x/.keya", "/srv/x/.kyd", "/srv/x/y/.keyd", "/srv/x/.keeyd"):
        assert profile.allows(name, "r")
    assert {item.clause: item.status for item in compilation.verdicts}[clauses[1].id] is Status.ENFORCED


def test_a_denial_wins_the_tie_with_a_pattern_of_as_many_names():
    clauses = [clause(m.Read, "/etc/app/*.conf", glob=True), clause(m.Deny, "/etc/app/x.conf")]
    profile = Profile(made(*clauses)[1])
    assert profile.allows("/etc/app/y.conf", "r") and not profile.allows("/etc/app/x.conf", "r")
    assert differences(profile, clauses) == []


def test_a_grant_that_a_pattern_takes_away_is_refused_and_not_opened():
    clauses = [
        clause(m.Write, "/srv"),
        clause(m.Deny, "/srv/*/key", glob=True),
        clause(m.Read, "/srv/a/key/public"),
    ]
    compilation, profile = read(*clauses)
    assert not profile.allows("/srv/a/key/public", "r")
    verdict = {item.clause: item for item in compilation.verdicts}[clauses[2].id]
    assert verdict.status is Status.REFUSED
    assert "a denial by pattern covers '/srv/a/key/public'" in verdict.detail


def test_audit_cannot_express_a_pattern_inside_of_a_grant_and_says_so():
    clauses = [clause(m.Write, "/srv"), clause(m.Deny, "/srv/*/key", glob=True)]
    compilation, profile = read(*clauses, mode=m.Mode.AUDIT)
    assert not any(rule.deny for rule in profile.files)
    verdict = {item.clause: item for item in compilation.verdicts}[clauses[1].id]
    assert verdict.status is Status.PARTIAL and "a pattern inside of a grant" in verdict.detail
