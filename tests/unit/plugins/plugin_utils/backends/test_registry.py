# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry and the matrix that documentation is printed from."""

from __future__ import annotations

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import registry
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Grade
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS


def test_every_system_has_backends_of_its_own_platform():
    for os in OS:
        assert registry.backends(os)
        assert all(backend.PLATFORM is os for backend in registry.backends(os))


def test_overrides_are_taken_by_backends_that_are_there():
    for os in OS:
        assert set(registry.OVERRIDABLE[os]) <= {backend.NAME for backend in registry.backends(os)}
        assert registry.BACKENDS[os] == tuple(backend.NAME for backend in registry.backends(os))


def test_the_matrix_has_every_row_and_says_what_is_missing():
    rows = registry.support_matrix()
    assert len(rows) == sum(len(backend.SUPPORT) for os in OS for backend in registry.backends(os))
    assert rows == sorted(rows, key=lambda row: (row["clause"], row["kind"], row["os"], row["backend"]))
    for row in rows:
        assert row["grade"] == Grade.EXACT.value or row["missing"], row
