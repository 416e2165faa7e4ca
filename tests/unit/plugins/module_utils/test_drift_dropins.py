# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drop-ins on units of ours: only those that undo what the units are for."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_fixtures import data

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles, drift_dropins

DROPIN = "/etc/systemd/system/web.service.d/zz-bulkhead.conf"
OWN = ["bulkhead-net-web.service", "bulkhead-web.slice"]


def bundle() -> bundles.Bundle:
    found = data(
        lines={DROPIN: [[2, "network.connect"]], "/etc/bulkhead/nft/web.nft": [[1, "network.listen"]]}
    )
    found["artifacts"][0]["content"] = "[Service]\nIPAddressDeny=any\n"
    return bundles.build({**found, "digest": bundles.digest(found)})


def told(root: Path, unit: str, folder: str, text: str) -> list[tuple[str, list[str]]]:
    path = root / folder / "50-x.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found = drift_dropins.find(bundle(), OWN, {unit: {"DropInPaths": str(path)}})
    assert all(what == str(path) for what, _why, _clauses in found)
    return [(why, clauses) for _what, why, clauses in found]


@pytest.mark.parametrize(
    ("unit", "folder", "text", "expected"),
    [
        ("bulkhead-web.slice", "bulkhead-web.slice.d", "[Slice]\nIPAddressAllow=any\n",
         [("IPAddressAllow=any", ["network.connect"])]),
        ("bulkhead-web.slice", "bulkhead-.slice.d", "[Slice]\nIPAddressAllow=any\n",
         [("IPAddressAllow=any", ["network.connect"])]),
        ("bulkhead.slice", "bulkhead.slice.d", "[Slice]\nIPAddressAllow=1.2.3.4\n",
         [("IPAddressAllow=1.2.3.4", ["network.connect"])]),
        ("bulkhead-web.slice", "bulkhead-web.slice.d", "[Slice]\nIPAddressAllow=any\nIPAddressAllow=\n", []),
        ("bulkhead-web.slice", "bulkhead-web.slice.d", "[Slice]\nCPUWeight=50\nMemoryHigh=1G\n", []),
        ("bulkhead-net-web.service", "bulkhead-net-web.service.d", "[Service]\nExecStart=\nExecStart=/bin/true\n",
         [("ExecStart of bulkhead-net-web.service", ["network.listen"])]),
        # Fedora has such a one for all services.
        ("bulkhead-net-web.service", "service.d", "[Service]\nExecStartPre=/bin/true\n", []),
        ("bulkhead-net-web.service", "bulkhead-net-web.service.d", "[Service]\nTimeoutStopFailureMode=abort\n", []),
    ],
)  # fmt: skip
def test_drop_ins_that_undo_ours_are_told(
    tmp_path: Path, unit: str, folder: str, text: str, expected: list[tuple[str, list[str]]]
) -> None:
    assert told(tmp_path, unit, folder, text) == expected


def test_without_drop_ins_and_where_systemd_does_not_say_there_is_nothing() -> None:
    assert drift_dropins.find(bundle(), OWN, {OWN[0]: {"DropInPaths": ""}, OWN[1]: {}}) == []
    assert drift_dropins.asked(OWN) == ["bulkhead.slice"] and drift_dropins.asked(OWN[:1]) == []
