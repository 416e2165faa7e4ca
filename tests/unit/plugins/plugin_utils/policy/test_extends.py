# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_support import Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.extends import narrower, narrowest
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.manifest import canonical

FAMILIES = st.sets(st.sampled_from(["ipv4", "ipv6", "unix", "netlink"])).map(
    lambda names: m.Families("network.families", names=tuple(sorted(names)))
)
LIMITS = st.integers(1, 9).map(lambda n: m.MemoryLimit("memory.limit", bytes=n))
DUMPS = st.booleans().map(lambda allow: m.CoreDumps("memory.core_dumps", allow=allow))
SHARED = st.booleans().map(lambda private: m.SharedMemory("ipc.shared_memory", private=private))
PAIRS = st.one_of(*(st.tuples(kind, kind) for kind in (FAMILIES, LIMITS, DUMPS, SHARED)))


@given(PAIRS)
def test_the_narrowest_is_narrower_than_both(pair: tuple[m.Clause, m.Clause]) -> None:
    first, second = pair
    found = narrowest(first, second)
    assert narrower(found, first) and narrower(found, second)
    assert narrower(first, first)
    if narrower(first, second):
        assert found == first


def test_a_silent_policy_inherits(make: Make) -> None:
    found = make("extends: [tight]\nnetwork: {listen: [tcp/80]}\n")
    assert found.of(m.Families)[0].names == ("ipv4", "unix")
    assert found.of(m.MaxProcesses)[0].count == 16
    assert [deny.id for deny in found.of(m.Deny)] == ["filesystem.deny[tight:/home]"]
    assert [e.id for e in found.examples] == ["examples.must_deny[tight:connect 169.254.169.254:80]"]
    assert found.of(m.MaxProcesses)[0].origin.file.endswith("tight.yml")


def test_a_narrower_policy_keeps_its_own(make: Make) -> None:
    found = make("extends: [tight]\nprocesses: {max: 4}\n")
    assert found.of(m.MaxProcesses)[0].count == 4


def test_a_baseline_that_allows_more_widens_nothing(make: Make) -> None:
    found = make("extends: [network-daemon]\n")
    assert found.of(m.Families)[0].names == ("unix",)
    assert found.of(m.Syscalls)[0].groups == ("basic",)
    assert not found.of(m.CoreDumps)[0].allow
    assert found.of(m.Privilege) == ()


def test_grants_that_need_calls_beyond_the_baseline(make: Make) -> None:
    with pytest.raises(PolicyFaults) as caught:
        make("extends: [tight]\nprocesses: {syscalls: [debug]}\n")
    (fault,) = caught.value.faults
    assert fault.message == "processes.syscalls is wider than the baseline 'tight' allows."
    assert "{clause: 'processes.syscalls', reason: ...}" in fault.help_text


def test_a_widened_deny_is_gone(make: Make) -> None:
    body = "extends: [tight]\nwidens:\n  - {clause: 'filesystem.deny[tight:/home]', reason: serves homes}\n"
    found = make(body + "filesystem: {read: [/home]}\n")
    assert found.of(m.Deny) == ()


def test_an_example_that_the_policy_repeats_is_there_once(make: Make) -> None:
    found = make("extends: [tight]\nexamples: {must_deny: [{connect: 169.254.169.254:80}]}\n")
    assert [e.id for e in found.examples] == ["examples.must_deny[connect 169.254.169.254:80]"]


def test_names_of_a_baseline_are_its_own(make: Make) -> None:
    body = "extends: [local-daemon]\npaths: {homes: {linux: /srv/homes}}\nfilesystem: {deny: [$homes]}\n"
    denies = {deny.id: deny.path.on(m.OS.LINUX) for deny in make(body).of(m.Deny)}
    assert denies["filesystem.deny[$homes]"] == "/srv/homes"
    assert denies["filesystem.deny[local-daemon:$homes]"] == "/home"


def test_the_order_of_extends_changes_nothing(make: Make, tmp_path: Path) -> None:
    """Of equally near baselines the one whose name comes first gives what has no narrower and wider, and the ids."""
    folder = tmp_path / "baselines"
    folder.mkdir()
    for name, timeout, more in (("a", "10s", ""), ("b", "20s", "extends: [c]\n"), ("c", "30s", "")):
        (folder / f"{name}.yml").write_text(
            f"schema: 1\nbaseline: {name}\n{more}resilience: {{stop_timeout: {timeout}}}\n"
            "paths: {homes: {linux: /home}}\nfilesystem: {deny: [$homes]}\n"
        )
    one, other = (make(f"extends: [{names}]\n") for names in ("a, b, c", "c, b, a"))
    assert canonical(one) == canonical(other)
    assert [clause.seconds for clause in one.of(m.StopTimeout)] == [10]
    assert [clause.id for clause in one.of(m.Deny)] == ["filesystem.deny[a:$homes]"]
    (near,) = make("extends: [b]\n").of(m.StopTimeout)
    assert near.seconds == 20
