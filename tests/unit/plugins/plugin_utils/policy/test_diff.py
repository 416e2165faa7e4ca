# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from policy_support import HEAD, Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.diff import diff, version_fault

AT_11 = HEAD.replace("1.0.0", "1.1.0")


@pytest.mark.parametrize(
    ("old", "new", "clause", "what", "direction"),
    [
        ("", "filesystem: {read: [/a]}", "filesystem.read[/a]", "added", "widens"),
        ("filesystem: {read: [/a]}", "", "filesystem.read[/a]", "removed", "narrows"),
        ("", "filesystem: {deny: [/a]}", "filesystem.deny[/a]", "added", "narrows"),
        ("filesystem: {deny: [/a]}", "", "filesystem.deny[/a]", "removed", "widens"),
        # A narrower grant hides the wider one around it.
        (
            "filesystem: {write: [/a]}",
            "filesystem: {write: [/a], read: [/a/b]}",
            *("filesystem.read[/a/b]", "added", "narrows"),
        ),
        (
            "filesystem: {write: [/a], read: [/a/b]}",
            "filesystem: {write: [/a]}",
            *("filesystem.read[/a/b]", "removed", "widens"),
        ),
        (
            "filesystem: {write: [/a], read: [{glob: /a/*.d}]}",
            "filesystem: {write: [/a]}",
            *("filesystem.read[glob /a/*.d]", "removed", "widens"),
        ),
        (
            "filesystem: {read: [/a], execute: [/a/b]}",
            "filesystem: {read: [/a]}",
            *("filesystem.execute[/a/b]", "removed", "narrows"),
        ),
        (
            "filesystem: {read: [/a], write: [/a/b]}",
            "filesystem: {read: [/a]}",
            *("filesystem.write[/a/b]", "removed", "narrows"),
        ),
        ("", "memory: {limit: 1GiB}", "memory.limit", "added", "narrows"),
        ("memory: {limit: 1GiB}", "", "memory.limit", "removed", "widens"),
        ("memory: {limit: 1GiB}", "memory: {limit: 2GiB}", "memory.limit", "changed", "widens"),
        ("memory: {limit: 2GiB}", "memory: {limit: 1GiB}", "memory.limit", "changed", "narrows"),
        ("", "memory: {core_dumps: allow}", "memory.core_dumps", "changed", "widens"),
        ("processes: {syscalls: [debug]}", "", "processes.syscalls", "changed", "narrows"),
        ("", "environment: {allow: [LANG]}", "environment.allow", "changed", "widens"),
        ("", "cpu: {weight: 50}", "cpu.weight", "added", "neutral"),
        ("", "identity: {user: app}", "identity.user", "added", "neutral"),
        ("", "mode: audit", "mode", "changed", "widens"),
        ("", "overrides: {linux: {systemd: {Nice: 5}}}", "overrides.linux.systemd.Nice", "added", "widens"),
        ("", "summary: text", "summary", "changed", "neutral"),
        (
            "network: {connect: [{to: loopback, ports: [tcp/1], id: a}]}",
            "network: {connect: [{to: loopback, ports: [tcp/1], rate: 5/s, id: a}]}",
            *("a", "changed", "narrows"),
        ),
        (
            "network: {connect: [{to: loopback, ports: [tcp/1], id: a}]}",
            "network: {connect: [{to: loopback, id: a}]}",
            *("a", "changed", "widens"),
        ),
        (
            "network: {connect: [{to: 10.0.0.1, id: a}]}",
            "network: {connect: [{to: any, id: a}]}",
            *("a", "changed", "widens"),
        ),
        (
            "filesystem: {read: [{path: /a, id: a}]}",
            "filesystem: {read: [{path: /b, id: a}]}",
            *("a", "changed", "widens"),
        ),
        (
            "filesystem: {read: [{path: /a, id: a}]}",
            "filesystem: {read: [{path: /a, on: linux, id: a}]}",
            *("a", "changed", "narrows"),
        ),
        (
            "filesystem: {deny: [{path: /a, id: a}]}",
            "filesystem: {deny: [{path: /a, on: linux, id: a}]}",
            *("a", "changed", "widens"),
        ),
    ],
)
def test_direction(make: Make, old: str, new: str, clause: str, what: str, direction: str) -> None:
    changes = diff(make(f"{old}\n"), make(f"{new}\n"))
    assert [(c.clause, c.what, c.direction.value) for c in changes] == [(clause, what, direction)]


def test_waivers(make: Make) -> None:
    waiver = "waivers: [{clause: network.listen, on: linux, reason: later, owner: team, until: 2027-01-01}]\n"
    (added,) = diff(make(), make(waiver))
    (removed,) = diff(make(waiver), make())
    assert (added.clause, added.direction.value) == ("waivers[network.listen/linux]", "widens")
    assert (removed.what, removed.direction.value) == ("removed", "narrows")


def test_no_change(make: Make) -> None:
    assert (
        diff(make("filesystem: {read: [{path: /a, why: one}]}\n"), make("filesystem: {read: [/a]}\n")) == ()
    )


def test_widening_needs_a_minor_version(make: Make) -> None:
    old, body = make(), "filesystem: {read: [/a]}\n"
    patched = make(body, head=HEAD.replace("1.0.0", "1.0.1"))
    assert (
        version_fault(old, patched)
        == "app 1.0.1 widens filesystem.read[/a]: it needs at least version 1.1.0."
    )
    assert version_fault(old, make(body, head=AT_11)) == ""


def test_any_change_needs_a_version(make: Make) -> None:
    old, new = make("filesystem: {read: [/a]}\n"), make()
    assert (
        version_fault(old, new) == "app 1.0.0 changes filesystem.read[/a]: it needs at least version 1.0.1."
    )
    assert version_fault(old, old) == ""
