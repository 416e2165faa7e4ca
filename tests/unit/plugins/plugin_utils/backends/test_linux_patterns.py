# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which grants by pattern are carried, and what is said of others; tests/oracles/linux/test_patterns.py asks files."""

from __future__ import annotations

from datetime import date

import pytest
from linux_support import host, manifest, path

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import (
    asked_paths,
    compile_bundle,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_patterns import fixed
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

DB = m.Write("db", path=path("/var/lib/app/*.db", glob=True))
CLOSURE = m.WriteClosure("filesystem.write")


def made(*clauses: m.Clause, **facts: object) -> Bundle:
    return compile_bundle(manifest(CLOSURE, *clauses), host(**facts), date(2026, 11, 24))  # type: ignore[arg-type]


def said(bundle: Bundle, clause: str) -> tuple[Status, str]:
    (found,) = [item for item in bundle.verdicts if item.clause == clause]
    return found.status, found.detail


def text(bundle: Bundle, kind: str) -> str:
    return next(item.content.decode() for item in bundle.artifacts if item.kind == kind)


def test_the_mounts_open_the_folder_and_the_profile_what_matches():
    bundle = made(DB)
    assert said(bundle, "db") == (Status.ENFORCED, "")
    assert "\nBindPaths=-/var/lib/app\n" in text(bundle, "systemd_dropin")
    assert '  "/var/lib/app/*.db{,/,/**}" rwkl,\n' in text(bundle, "apparmor")
    assert said(bundle, "filesystem.write")[0] is Status.ENFORCED  # by the profile


def test_what_is_shown_anyway_takes_no_mount():
    bundle = made(m.Read("r", path=path("/etc/app/*.conf", glob=True)))
    assert said(bundle, "r") == (Status.ENFORCED, "the mounts leave its folder as it is")
    assert "/etc/app" not in text(bundle, "systemd_dropin")


@pytest.mark.parametrize(
    ("clause", "beside", "facts", "why"),
    [
        (DB, (), {"lsm": []}, "and AppArmor, which does, is not on this host"),
        (DB, (), {"links": {"/var/lib/app": "/data/app"}}, "'/var/lib/app' is '/data/app' on this host"),
        (m.Execute("x", path=path("/opt/app/*", glob=True)), (), {}, "programs are shown by mounts"),
        (
            m.Write("w", path=path("/var/lib/*/x", glob=True)),
            (),
            {},
            "'/var/lib' is not to be opened as a whole",
        ),
        (m.Write("w", path=path("/*/x", glob=True)), (), {}, "'/' is not to be opened as a whole"),
        (m.Write("w", path=path("/run/*.sock", glob=True)), (), {}, "'/run' is not to be opened as a whole"),
        (m.Write("w", path=path("/tmp/*.x", glob=True)), (), {}, "'/tmp' is not to be opened as a whole"),
        (DB, (m.Execute("e", path=path("/var/lib/app/bin")),), {}, "cannot be opened beside e"),
        (DB, (m.Spawn("e", path=path("/var/lib")),), {}, "cannot be opened beside e"),
        (DB, (m.Deny("d", path=path("/var/lib/app")),), {}, "cannot be opened beside d"),
        (DB, (m.Read("r", path=path("/var/lib/app/fixed")),), {}, "cannot be opened beside r"),
    ],
)
def test_what_cannot_be_carried_is_refused_with_the_reason(clause, beside, facts, why):
    bundle = made(clause, *beside, **facts)
    status, detail = said(bundle, clause.id)
    assert status is Status.REFUSED and why in detail
    assert clause.path.text not in "".join(one.content.decode() for one in bundle.artifacts)


def test_a_denial_below_and_a_reading_of_all_of_it_disturb_nothing():
    beside = (m.Deny("d", path=path("/var/lib/app/private")), m.Read("r", path=path("/var/lib/app")))
    bundle = made(DB, *beside)
    assert said(bundle, "db")[0] is said(bundle, "r")[0] is Status.ENFORCED


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [("/a/b/*.c", "/a/b"), ("/a/b*/c", "/a"), ("/a/[bc]/d", "/a"), ("/?", "/"), ("/a/b/c?d*", "/a/b")],
)
def test_the_folder_of_a_pattern(pattern, folder):
    assert fixed(pattern) == folder


def test_the_host_is_asked_whether_the_folder_is_a_link():
    assert asked_paths(manifest(DB), m.OS.LINUX) == ("/var/lib/app",)
