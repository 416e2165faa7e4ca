# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instance of a template is on a host, by links of units in real folders and systemd's list as recorded."""

from __future__ import annotations

from collections import namedtuple

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import unit_instances
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

Done = namedtuple("Done", "returncode stdout stderr")


@pytest.fixture
def listed(monkeypatch):
    """What ``systemctl list-units`` says: the lines that the test puts in."""
    lines = []
    monkeypatch.setattr(unit_instances, "run", lambda argv, **_options: Done(0, "\n".join(lines), ""))
    return lines


@pytest.fixture
def folder(tmp_path):
    def link(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.symlink_to("/usr/lib/systemd/system/postgresql@.service")
        return [str(tmp_path)]

    return link


def test_a_plain_unit_stays_what_it_is(listed):
    assert unit_instances.resolve("nginx.service") == "nginx.service"
    assert unit_instances.resolve("postgresql@15-main.service") == "postgresql@15-main.service"


def test_an_instance_that_nothing_has_loaded_yet_is_found_by_its_link(listed, folder):
    folders = folder("postgresql.service.wants/postgresql@15-main.service")
    assert unit_instances.resolve("postgresql@.service", folders) == "postgresql@15-main.service"


def test_an_instance_that_is_linked_and_loaded_counts_once(listed, folder):
    listed.append("postgresql@17-main.service loaded inactive dead PostgreSQL Cluster 17-main")
    folders = folder("multi-user.target.requires/postgresql@17-main.service")
    assert unit_instances.resolve("postgresql@.service", folders) == "postgresql@17-main.service"


def test_what_a_mistyped_start_left_behind_is_no_instance(listed, folder):
    listed.append("postgresql@16-mian.service not-found inactive dead postgresql@16-mian.service")
    with pytest.raises(HostError) as caught:
        unit_instances.resolve("postgresql@.service", folder())
    assert str(caught.value) == (
        "postgresql@.service has no instance on this host: create one, or name it in the policy."
    )
    assert caught.value.state == "refused"


def test_several_instances_are_refused_by_name(listed, folder):
    folders = folder(
        "a.target.wants/postgresql@15-main.service", "a.target.wants/postgresql@17-other.service"
    )
    with pytest.raises(HostError) as caught:
        unit_instances.resolve("postgresql@.service", folders)
    assert "(postgresql@15-main.service, postgresql@17-other.service)" in str(caught.value)
    assert "a policy confines one; name it in the policy." in str(caught.value)


def test_other_units_and_other_links_are_left_alone(listed, folder):
    folders = folder(
        "a.target.wants/postgresql@.service",
        "a.target.wants/postgresql.service",
        "a.target.wants/xpostgresql@1.service",
        "postgresql@15-main.service.d/postgresql@99-no.service",
    )
    assert unit_instances.instances("postgresql", folders) == []
