# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import notes


def test_reasons_waivers_and_overrides():
    waivers = [
        model.Waiver("ipc.dbus", model.OS.LINUX, "r", "o", until)
        for until in ("2026-11-23", "2026-12-24", "2027-06-01")
    ]
    manifest = model.Manifest(
        "nginx", "1.0.0", "web", model.Risk.HIGH, "s", model.Mode.ENFORCE, (),
        (model.MaxProcesses("processes.max", why="forks"), model.MemoryLimit("memory.limit")),
        waivers=tuple(waivers),
        overrides=(model.Override("overrides.linux.systemd.Nice", model.OS.LINUX, "systemd", "Nice", "5"),),
    )  # fmt: skip
    found = notes.notes(manifest, date(2026, 11, 24))
    assert found.whys == {"processes.max": "forks"}
    assert [(item.days, item.state) for item in found.waivers] == [
        (-1, "expired"),
        (30, "due"),
        (189, "open"),
    ]
    assert found.overrides == ("overrides.linux.systemd.Nice",)
