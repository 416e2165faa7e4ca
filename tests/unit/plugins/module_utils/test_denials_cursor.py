# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import zlib

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_cursor
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

MACHINE, BOOT = "m" * 32, "b" * 32


def full(policy: str = "web", boot: str = BOOT) -> denials_cursor.Position:
    position = denials_cursor.Position(policy, MACHINE, boot)
    position.journal, position.micros, position.audit = "s=1;i=2", 77, [1764100000123, 9]
    position.packets, position.events, position.invocation = {"network.connect": 4}, {"memory.killed": 1}, "x"
    return position


def test_a_position_comes_back_as_it_was() -> None:
    position, notes = denials_cursor.read(full().text(), "web", MACHINE, BOOT)
    assert vars(position) == vars(full()) and notes == []


def test_no_cursor_is_the_beginning() -> None:
    position, notes = denials_cursor.read("", "web", MACHINE, BOOT)
    assert position.journal == "" and position.audit == [0, 0] and notes == []


def test_after_a_reboot_counters_begin_anew_and_the_reader_is_told() -> None:
    position, notes = denials_cursor.read(full(boot="a" * 32).text(), "web", MACHINE, BOOT)
    assert position.journal == "s=1;i=2" and position.packets == {} and position.micros == 0
    assert "the host was started again since the cursor" in notes[0]
    assert position.audit == [1764100000123, 0]  # serials begin anew as well


def test_a_cursor_of_an_earlier_version_is_told_as_one() -> None:
    data = dict(vars(full()), format=1)
    text = base64.urlsafe_b64encode(zlib.compress(json.dumps(data).encode())).decode()
    with pytest.raises(HostError) as problem:
        denials_cursor.read(text, "web", MACHINE, BOOT)
    assert "the cursor is of an earlier version of bulkhead.fleet. Leave 'cursor' out" in str(problem.value)


@pytest.mark.parametrize(
    ("text", "policy", "machine", "message"),
    [
        (full().text(), "mail", MACHINE, "the cursor is of policy web, not of mail."),
        (full().text(), "web", "other", "the cursor is of another host."),
        ("nonsense", "web", MACHINE, "the cursor is none that bulkhead.fleet.denials_info gave."),
        (full().text()[:-8], "web", MACHINE, "the cursor is none"),
        ("A" * 20000, "web", MACHINE, "the cursor is none"),
    ],
)
def test_what_is_no_cursor_of_this_place_is_an_error(
    text: str, policy: str, machine: str, message: str
) -> None:
    with pytest.raises(HostError) as problem:
        denials_cursor.read(text, policy, machine, BOOT)
    assert message in str(problem.value) and "Leave 'cursor' out" in str(problem.value)


@pytest.mark.parametrize(
    "change", [{"format": 3}, {"micros": "1"}, {"audit": [1]}, {"packets": {"a": "b"}}, {"boot": None}]
)
def test_a_cursor_with_other_contents_is_none(change: dict[str, object]) -> None:
    data = dict(vars(full()), format=denials_cursor.FORMAT) | change
    text = base64.urlsafe_b64encode(zlib.compress(json.dumps(data).encode())).decode()
    with pytest.raises(HostError):
        denials_cursor.read(text, "web", MACHINE, BOOT)


def test_a_cursor_that_unpacks_without_end_is_none() -> None:
    text = base64.urlsafe_b64encode(zlib.compress(b" " * 8 * 1024 * 1024, 9)).decode()
    with pytest.raises(HostError):
        denials_cursor.read(text, "web", MACHINE, BOOT)


def test_counters_grow_or_begin_anew() -> None:
    now = {"a": 5, "b": 2, "c": 3, "d": 4}
    assert denials_cursor.grown(now, {"a": 3, "b": 9, "d": 4}) == {"a": 2, "b": 2, "c": 3}
