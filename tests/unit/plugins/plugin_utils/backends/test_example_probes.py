# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from other_systems import manifest, path

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.examples import example_probes
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

MAC = m.OS.MACOS
CLAUSES = (
    m.WriteClosure("filesystem.write"),
    m.Write("w", path=path(MAC, "/srv")),
    m.Read("r", path=path(MAC, "/srv/static")),
    m.Read("g", path=path(MAC, "/srv/*.d", glob=True)),
    m.Deny("d", path=path(MAC, "/srv/static/private")),
)


@pytest.mark.parametrize(
    ("action", "target", "clause"),
    [
        ("write", "/srv/x", "w"),
        ("write", "/srv/static/x", "r"),
        ("read", "/srv/static/x", "r"),
        ("write", "/srv/x.d/x", "g"),
        ("read", "/srv/static/private/x", "d"),
        ("write", "/opt/x", "filesystem.write"),
        ("read", "/usr/lib/x", "filesystem.read"),
    ],
)
def test_a_probe_stands_under_the_clause_that_decides_it(action, target, clause):
    example = m.Example("e", True, action, path=path(MAC, target))
    (probe,) = example_probes(dataclasses.replace(manifest(MAC, *CLAUSES), examples=(example,)), MAC)
    assert (probe.clause, probe.action, probe.target) == (clause, action, target)
