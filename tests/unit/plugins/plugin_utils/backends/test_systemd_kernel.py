# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the kernel's doors is what the drop-in says."""

from __future__ import annotations

import pytest
from linux_support import by_systemd, manifest, path, values

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import systemd_kernel
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.words import PRIVILEGES

DOORS = tuple(systemd_kernel._WITHOUT)
CASES: tuple[tuple[m.Clause, ...], ...] = (
    (),
    *((m.Privilege(f"identity.privileges[{name}]", name=name),) for name in PRIVILEGES),
    (m.Syscalls("processes.syscalls", groups=("namespaces",)),),
    (m.Read("filesystem.read[a]", path=path("/proc/sys/vm/overcommit_memory")),),
    (m.Read("filesystem.read[a]", path=path("/etc/web")),),
    (m.Device("devices[a]", path=path("/dev/fuse")),),
    (m.Device("devices[a]", path=path("/dev/null")),),
)


@pytest.mark.parametrize("clauses", CASES, ids=lambda clauses: str([one.id for one in clauses]))
def test_a_door_that_is_closed_stands_in_the_drop_in(clauses: tuple[m.Clause, ...]) -> None:
    clauses = (m.PrivilegeClosure("identity.privileges"), m.DeviceClosure("devices"), *clauses)
    made, shut = by_systemd(*clauses), systemd_kernel.closed(manifest(*clauses), str)
    written = {key: values(made, key) for key in DOORS}
    for key in DOORS:
        assert (written[key] == [shut[key]]) if key in shut else (written[key] in ([], ["no"], ["default"]))


def test_every_door_has_words() -> None:
    shut = systemd_kernel.closed(manifest(), str)
    assert set(shut) == set(DOORS)
    everything = [m.Privilege(f"p[{name}]", name=name) for name in PRIVILEGES]
    told = systemd_kernel.lost(manifest(), manifest(*everything, m.Device("d", path=path("/dev/fuse"))), str)
    assert "ProtectClock=yes is no longer set: the clock's calls and devices are there" in told
    assert systemd_kernel.lost(manifest(*everything), manifest(), str) == []
