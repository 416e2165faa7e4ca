# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import features
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features as controller

# Recorded on Debian 12, shortened.
VERSION = "systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT -BPF_FRAMEWORK +SECCOMP default-hierarchy=unified\n"


def test_systemd_version_and_flags() -> None:
    found = features.parse_systemd_version(VERSION)
    assert found["version"] == 252
    assert found["flags"] == {"PAM": True, "AUDIT": True, "BPF_FRAMEWORK": False, "SECCOMP": True}


def test_no_systemd_is_version_0() -> None:
    assert features.parse_systemd_version("") == {"version": 0, "flags": {}}


def test_resolvers_in_order() -> None:
    text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 10.0.0.2\nnameserver ::1\noptions edns0\n"
    assert features.parse_resolvers(text) == ["10.0.0.2", "::1"]


@pytest.mark.parametrize("name", controller.names())
def test_both_sides_compute_the_same_fingerprint(name: str) -> None:
    data = controller.reference(name).data
    assert features.fingerprint(data) == controller.fingerprint(data)
    # It must also survive the journey as JSON.
    assert features.fingerprint(json.loads(json.dumps(data))) == controller.fingerprint(data)


def test_a_host_without_systemd_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.os.path, "isdir", lambda path: False)
    with pytest.raises(
        HostError, match="this host does not run systemd, so nothing here can confine web.service."
    ):
        features.collect("web.service")


def test_the_profile_that_the_kernel_puts_on_a_program(tmp_path: Path) -> None:
    for name, pattern in (
        ("named", "/usr/sbin/named"),
        ("fpm", "/usr/{,s}bin/php-fpm*"),
        ("ours", "bulkhead.web"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(f"{name}\n")
        (tmp_path / name / "attach").write_text(f"{pattern}\n")
    for program, found in (
        ("/usr/sbin/named", "named"),
        ("/usr/sbin/php-fpm8.2", "fpm"),
        ("/usr/sbin/php-fpm/x", ""),
        ("/usr/sbin/nameds", ""),
        ("bulkhead.web", ""),
    ):
        assert features.attached_profile([program], str(tmp_path)) == found


def test_collected_facts_have_the_shape_that_the_compiler_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.os.path, "isdir", lambda path: True)
    facts = features.collect("ssh.service")
    assert set(facts) == set(controller.LinuxFeatures.__annotations__)
    for part, shape in (("systemd", "SystemdFacts"), ("cgroup", "CgroupFacts"), ("nft", "NftFacts"),
                        ("apparmor", "AppArmorFacts"), ("unit", "UnitFacts")):  # fmt: skip
        assert set(facts[part]) == set(getattr(controller, shape).__annotations__), part


SHOWN = """Names=www.service web.service
LoadState=%s
FragmentPath=%s
DropInPaths=%s
TriggeredBy=web.socket
"""


def unit_facts(
    monkeypatch: pytest.MonkeyPatch, state: str = "loaded", fragment: str = "", dropins: str = ""
) -> dict:
    done = namedtuple("Done", "returncode stdout stderr")
    shown = done(0, SHOWN % (state, fragment, dropins), "")
    monkeypatch.setattr(features, "run", lambda _argv, **_options: shown)
    return features.unit_facts("www.service")


def test_a_dropin_that_is_gone_since_systemd_read_it_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept, ours = tmp_path / "10-kept.conf", tmp_path / "zz-bulkhead.conf"
    for path in (kept, ours):
        path.write_text("[Service]\n")
    facts = unit_facts(monkeypatch, dropins=f"{tmp_path}/50-gone.conf {kept} {ours}")
    assert facts["dropins"] == [str(kept)]


def test_a_unit_brings_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unit_facts(monkeypatch)["names"] == ["web.service", "www.service"]


def test_programs_with_specifiers_are_looked_up_as_they_are_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "www").write_text("#!/bin/sh\n")
    fragment = tmp_path / "www.service"
    fragment.write_text(f"[Service]\nExecStart={tmp_path}/%p -x\n")
    assert unit_facts(monkeypatch, fragment=str(fragment))["interpreters"] == {f"{tmp_path}/www": "/bin/sh"}


def test_units_of_users_own_managers_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(features.refuse_user_unit, "__defaults__", ((str(tmp_path),),))
    assert unit_facts(monkeypatch, "not-found")["load_state"] == "not-found"
    (tmp_path / "www.service").touch()
    with pytest.raises(
        HostError, match="www.service is a unit of users' own managers on this host"
    ) as caught:
        unit_facts(monkeypatch, "not-found")
    assert caught.value.state == "refused"
    assert unit_facts(monkeypatch, "loaded")["load_state"] == "loaded"  # the system has one of that name too


def test_controllers_of_cgroup_v1_that_can_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cpu", "memory", "pids", "freezer", "systemd"):
        (tmp_path / name).mkdir()
    sealed = namedtuple("Status", "f_flag")(features.os.ST_RDONLY)
    statvfs = features.os.statvfs
    monkeypatch.setattr(
        features.os, "statvfs", lambda path: sealed if path.endswith("/memory") else statvfs(path)
    )
    found = features._cgroup(str(tmp_path))
    assert (found["mode"], found["controllers"], found["legacy"]) == ("v1", [], ["cpu", "pids"])
    (tmp_path / "unified").mkdir()
    assert features._cgroup(str(tmp_path))["mode"] == "hybrid"
    (tmp_path / "cgroup.controllers").write_text("pids cpu\n")
    found = features._cgroup(str(tmp_path))
    assert (found["mode"], found["controllers"], "legacy" in found) == ("v2", ["cpu", "pids"], False)
