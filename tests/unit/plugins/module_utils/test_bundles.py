# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from host_fixtures import UNITS, data

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import compile as compiler
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve


def test_parse_gives_bytes_and_modes() -> None:
    found = bundles.parse(data())
    assert found.unit == "web.service"
    assert found.artifacts[0].content == b"[Service]\nNice=1\n"
    assert found.artifacts[0].mode == 0o644


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"{UNITS}/web.service.d/../../../passwd.d/zz-bulkhead.conf", "systemd_dropin"),
        (f"{UNITS}/web.service.d/override.conf", "systemd_dropin"),
        (f"{UNITS}/ssh.service", "systemd_unit"),
        ("/etc/bulkhead/../shadow.nft", "nftables"),
        ("/etc/shadow", "nftables"),
    ],
)
def test_no_bundle_can_write_elsewhere(path: str, kind: str) -> None:
    artifacts = data()["artifacts"]
    artifacts[0].update(path=path, kind=kind)
    with pytest.raises(HostError, match="is no place for") as caught:
        bundles.parse(data(artifacts=artifacts))
    assert caught.value.state == "refused"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "its format is not 1."),
        ({"os": "windows"}, "it is for 'windows' and this is a Linux host."),
        ({"policy": "../etc"}, "'../etc' is no policy name."),
        ({"workload": {"unit": "-H evil.service"}}, "'-H evil.service' is no unit name."),
        ({"units": ["ssh.service"]}, "'ssh.service' is no unit of ours."),
        ({"workload": {}}, "'unit' is missing or of a wrong type."),
    ],
)
def test_what_is_not_as_agreed_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HostError) as caught:
        bundles.parse(data(**changes))
    assert str(caught.value) == f"refusing the bundle: {message}"


def test_an_unknown_kind_of_file_is_refused_by_name() -> None:
    artifacts = data()["artifacts"]
    artifacts[0]["kind"] = "sudoers"
    with pytest.raises(HostError, match="cannot apply files of kind 'sudoers'"):
        bundles.parse(data(artifacts=artifacts))


def test_a_changed_byte_is_noticed() -> None:
    changed = data()
    changed["artifacts"][0]["content"] += "User=root\n"
    with pytest.raises(HostError, match="its digest is"):
        bundles.parse(changed)


def test_both_sides_name_a_generation_alike() -> None:
    manifest = load_and_resolve("nginx", today=date(2026, 11, 24))
    compiled = compiler.compile_bundle(
        manifest, features.reference("debian12", "nginx.service"), date(2026, 11, 24)
    )
    assert bundles.digest(compiled.to_data()) == compiled.digest
    assert bundles.parse(compiled.to_data()).digest == compiled.digest
