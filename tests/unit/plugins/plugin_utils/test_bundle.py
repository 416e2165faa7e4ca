# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle's JSON: what is in it, what its digest covers, and that a changed one is refused."""

from __future__ import annotations

import dataclasses
import json
from datetime import date

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils import bundle as b
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import base
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.features import reference
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

EXAMPLE = m.Example(
    "examples.must_deny[0]",
    False,
    "execute",
    m.PathRef("/bin/sh", ((m.OS.LINUX, "/bin/sh"),)),
    why="no shell",
)


def bundle(**changes):
    manifest = m.Manifest(
        "nginx",
        "1.0.0",
        "tests",
        m.Risk.LOW,
        "",
        m.Mode.ENFORCE,
        (m.Workload(m.OS.LINUX, "nginx.service"),),
        (m.PrivilegeClosure("identity.privileges"), m.ConnectClosure("network.connect")),
        health=(m.HealthCheck("health[0]", http="http://127.0.0.1/", within=2.0),),
        examples=(EXAMPLE,),
        digest="0" * 64,
    )
    made = compile_bundle(manifest, reference("debian12", "nginx.service"), date(2026, 11, 24))
    return dataclasses.replace(made, **changes)


def test_it_comes_back_as_it_went():
    made = bundle()
    assert b.from_json(made.to_json()) == made


def test_the_json_has_the_keys_of_the_contract():
    data = bundle().to_data()
    assert set(data) == {
        "format",
        "os",
        "policy",
        "version",
        "mode",
        "policy_digest",
        "fingerprint",
        "digest",
        "workload",
        "artifacts",
        "units",
        "health",
        "readbacks",
        "probes",
        "verdicts",
        "lines",
        "paths",
    }
    assert data["workload"] == {"unit": "nginx.service"}
    assert data["artifacts"][0] == {
        "path": "/etc/systemd/system/nginx.service.d/zz-bulkhead.conf",
        "kind": "systemd_dropin",
        "mode": "0644",
        "owner": "root",
        "group": "root",
        "unit": "nginx.service",
        "content": bundle().artifacts[0].content.decode(),
    }
    assert data["units"] == ["bulkhead-apparmor-nginx.service", "bulkhead-net-nginx.service"]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2.0.0"},
        {"verdicts": ()},
        {"fingerprint": "1" * 64},
        {"policy_digest": "1" * 64},
        {"probes": tuple(dataclasses.replace(probe, why="other words") for probe in bundle().probes)},
    ],
)
def test_prose_and_versions_make_no_new_generation(changes):
    assert bundle(**changes).digest == bundle().digest


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": m.Mode.AUDIT},
        {"policy": "other"},
        {"units": ()},
        {"health": ()},
        {"readbacks": ()},
        {"probes": ()},
        {"artifacts": bundle().artifacts[:1]},
        {"workload": m.Workload(m.OS.LINUX, "other.service")},
    ],
)
def test_whatever_a_host_gets_makes_a_new_generation(changes):
    assert bundle(**changes).digest != bundle().digest


def test_a_changed_bundle_is_refused():
    data = json.loads(bundle().to_json())
    data["artifacts"][0]["content"] += "User=root\n"
    with pytest.raises(base.BackendError, match="The bundle of policy 'nginx' was changed"):
        b.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "null"])
def test_what_is_no_bundle_is_said_without_a_traceback(text):
    with pytest.raises(base.BackendError, match="This is no bundle"):
        b.from_json(text)


def test_another_format_is_refused():
    data = {**bundle().to_data(), "format": 2}
    with pytest.raises(base.BackendError, match="has format 2, this release reads format 1"):
        b.from_json(json.dumps(data))


def test_verdicts_by_status():
    assert [item.clause for item in bundle().of(base.Status.ENFORCED)] == [
        "identity.privileges",
        "network.connect",
    ]
