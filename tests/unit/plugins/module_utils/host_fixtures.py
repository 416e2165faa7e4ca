# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes bundles and state below a temporary folder, for the tests of what runs on hosts."""

from __future__ import annotations

import copy
import getpass
import grp
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles, store

USER = getpass.getuser()
GROUP = grp.getgrgid(os.getgid()).gr_name
UNITS = "/etc/systemd/system"


def data(**changes: Any) -> dict[str, Any]:
    """The plain data of a small bundle that a host accepts."""

    def artifact(path: str, kind: str, unit: str, content: str) -> dict[str, str]:
        fields = {"path": path, "kind": kind, "unit": unit, "content": content}
        return {"mode": "0644", "owner": "root", "group": "root", **fields}

    found: dict[str, Any] = {
        "format": 1,
        "os": "linux",
        "policy": "web",
        "version": "1.0.0",
        "mode": "enforce",
        "policy_digest": "0" * 64,
        "fingerprint": "f" * 64,
        "workload": {"unit": "web.service"},
        "artifacts": [
            artifact(
                f"{UNITS}/web.service.d/zz-bulkhead.conf",
                "systemd_dropin",
                "web.service",
                "[Service]\nNice=1\n",
            ),
            artifact(f"{UNITS}/bulkhead-web.slice", "systemd_unit", "bulkhead-web.slice", "[Slice]\n"),
            artifact(
                "/etc/bulkhead/nft/web.nft",
                "nftables",
                "bulkhead-net-web.service",
                "table inet bulkhead_web {\n}\n",
            ),
        ],
        "units": ["bulkhead-web.slice", "bulkhead-net-web.service"],
        "health": [],
        "readbacks": [],
        "probes": [],
        "verdicts": [],
        "lines": {},
    }
    found.update(changes)
    found["digest"] = bundles.digest(found)
    return copy.deepcopy(found)


def bundle(root: Path, files: dict[str, str], digest: str, units: tuple[str, ...] = ()) -> bundles.Bundle:
    """A bundle whose files lie below ``root`` and belong to whoever runs the tests. {name: text}."""
    artifacts = []
    for name, text in files.items():
        kind = "systemd_dropin" if name.endswith(".conf") else "systemd_unit"
        kind = "nftables" if name.endswith(".nft") else kind
        kind = "apparmor" if name.startswith("bulkhead.") and "/" not in name else kind
        artifacts.append(
            bundles.Artifact(str(root / name), kind, 0o644, USER, GROUP, "web.service", text.encode())
        )
    return bundles.Bundle(
        "web", "1.0.0", "enforce", digest * 64, "f" * 64, "web.service", tuple(artifacts), units, (), (), {}
    )


def state_below(monkeypatch: pytest.MonkeyPatch, folder: Path) -> store.Store:
    """The state of policy web, below ``folder``."""
    monkeypatch.setattr(store, "BASE", str(folder / "lib" / "bulkhead"))
    (folder / "lib").mkdir(exist_ok=True)
    place = store.Store("web")
    place.create()
    return place
