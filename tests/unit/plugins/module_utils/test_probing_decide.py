# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A denial counts only next to its control: every way of being wrong about that, by sort of act."""

from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import probing_decide as decide

DONE = {"done": True}
REFUSED = {"done": False, "errno": "EACCES"}
FILE = {"done": True, "sort": "file", "length": 10, "sum": 1}


@pytest.mark.parametrize(
    ("inside", "outside", "got"),
    [
        (DONE, DONE, "allow"),
        (REFUSED, DONE, "deny"),
        (REFUSED, {"done": False, "errno": "ENOENT"}, "unknown"),
        (REFUSED, {"done": False, "errno": "", "unknown": True}, "unknown"),
        ({"done": False, "errno": "", "fault": "ValueError: x"}, DONE, "unknown"),
    ],
)
def test_plain(inside, outside, got):
    assert decide.plain(inside, outside).got == got


def test_without_a_control_the_reason_is_given():
    decision = decide.plain(REFUSED, {"done": False, "errno": "ENOENT"})
    assert decision.note == "this does not work outside of the sandbox either"
    assert decision.control == "the same act outside: ENOENT"


@pytest.mark.parametrize(
    ("inside", "outside", "got"),
    [
        (FILE, FILE, "allow"),
        ({**FILE, "length": 0, "sum": 0}, FILE, "deny"),  # root opens a hidden file and reads nothing
        ({**FILE, "sum": 2}, FILE, "deny"),
        ({**FILE, "sort": "directory"}, FILE, "deny"),
        (REFUSED, FILE, "deny"),
        (REFUSED, REFUSED, "unknown"),
        ({**FILE, "length": 0, "sum": 0}, {**FILE, "length": 0, "sum": 0, "empty": True}, "allow"),
        (
            {"done": True, "sort": "special", "file": "1:2"},
            {"done": True, "sort": "special", "file": "1:2"},
            "allow",
        ),
        (
            {"done": True, "sort": "special", "file": "9:2"},
            {"done": True, "sort": "special", "file": "1:2"},
            "deny",
        ),
    ],
)
def test_read_compares_content(inside, outside, got):
    assert decide.read(inside, outside).got == got


@pytest.mark.parametrize("expect", ["allow", "deny"])
def test_write_to_a_private_copy_fits_both(expect):
    decision = decide.write({"done": True, "file": "1:1"}, {"done": True, "file": "2:2"}, expect)
    assert (decision.got, decision.note) == (
        expect,
        "a private copy stands there inside; the host's is not reached",
    )


def test_write_to_the_host_is_allowed_whatever_was_expected():
    assert decide.write({"done": True, "file": "1:1"}, {"done": True, "file": "1:1"}, "deny").got == "allow"
    assert (
        decide.write({"done": False, "errno": "EROFS"}, {"done": True, "file": "1:1"}, "allow").got == "deny"
    )


ROOT = {"done": True, "meanwhile": {"uid": 0}}


@pytest.mark.parametrize(
    ("inside", "outside", "no_new", "got"),
    [
        ({"done": True, "meanwhile": {"uid": 0}}, ROOT, False, "allow"),
        ({"done": True, "meanwhile": {"uid": 0}}, ROOT, True, "deny"),
        ({"done": False, "errno": "EACCES"}, ROOT, False, "deny"),
        (
            {"done": True, "meanwhile": {"uid": 33}},
            {"done": True, "meanwhile": {"uid": 65534}},
            True,
            "unknown",
        ),
        ({"done": True}, {"done": False, "errno": "ENOENT"}, True, "unknown"),
    ],
)
def test_setuid_exec(inside, outside, no_new, got):
    assert decide.setuid_exec(inside, outside, no_new).got == got


def lost(name):
    return {"done": False, "errno": name}


@pytest.mark.parametrize(
    ("inside", "outside", "counted", "watched", "got"),
    [
        (DONE, DONE, {}, True, "allow"),
        (DONE, DONE, {"other": 3}, True, "allow"),
        (lost("ECONNREFUSED"), DONE, {}, True, "deny"),
        (lost("ECONNREFUSED"), lost("ECONNREFUSED"), {"network.connect": 1}, True, "deny"),
        (lost("ECONNREFUSED"), lost("ENETUNREACH"), {"network.connect": 1}, True, "deny"),
        (lost("ECONNREFUSED"), lost("ECONNREFUSED"), {}, True, "allow"),  # nobody serves there
        (lost("ECONNREFUSED"), lost("ECONNREFUSED"), {}, False, "unknown"),
        (lost("ETIMEDOUT"), lost("ECONNREFUSED"), {}, False, "deny"),
        (lost("EPERM"), lost("ENETUNREACH"), {}, False, "deny"),
        (lost("ENETUNREACH"), lost("ENETUNREACH"), {}, True, "unknown"),
        (lost("ETIMEDOUT"), lost("ETIMEDOUT"), {}, True, "allow"),
    ],
)
def test_connect(inside, outside, counted, watched, got):
    assert decide.connect(inside, outside, counted, watched).got == got


def test_connect_names_the_rule_that_is_its_witness():
    decision = decide.connect(lost("ECONNREFUSED"), lost("ENETUNREACH"), {"network.connect": 2}, True)
    assert decision.control.endswith("counter of the rule that refuses: network.connect +2")


BOUND = {"done": False, "errno": "ETIMEDOUT", "bound": True}


@pytest.mark.parametrize(
    ("inside", "outside", "owned", "got"),
    [
        (DONE, DONE, None, "allow"),
        (BOUND, DONE, None, "deny"),
        (BOUND, BOUND, None, "unknown"),
        (lost("EACCES"), DONE, None, "deny"),
        (lost("EADDRINUSE"), lost("EADDRINUSE"), True, "allow"),
        (lost("EADDRINUSE"), lost("EADDRINUSE"), False, "deny"),
        (lost("EADDRINUSE"), lost("EADDRINUSE"), None, "unknown"),
        (lost("EACCES"), lost("EADDRINUSE"), None, "unknown"),
    ],
)
def test_listen(inside, outside, owned, got):
    assert decide.listen(inside, outside, owned).got == got
