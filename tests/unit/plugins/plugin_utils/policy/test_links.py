# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.links import followed, merged
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS


@pytest.mark.parametrize(
    ("os", "path", "real"),
    [
        (OS.LINUX, "/var/run", "/run"),
        (OS.LINUX, "/var/run/x", "/run/x"),
        (OS.LINUX, "/var/running", "/var/running"),
        (OS.LINUX, "/Var/Run/x", "/Var/Run/x"),
        (OS.MACOS, "/Etc/Passwd", "/private/etc/Passwd"),
        (OS.MACOS, "/private/etc/passwd", "/private/etc/passwd"),
        (OS.WINDOWS, "C:\\etc", "C:\\etc"),
    ],
)
def test_a_place_has_one_name(os: OS, path: str, real: str) -> None:
    assert followed(path, os) == real


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/bin/sh", "/usr/bin/sh"),
        ("/lib", "/usr/lib"),
        ("/binary", "/binary"),
        ("/usr/bin", "/usr/bin"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_merged_trees(path: str, real: str) -> None:
    assert merged(path) == real
