# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a policy with two generations, one confirmed and one pending, written by the module's own code."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/unit/plugins/module_utils"))


def make(base: Path) -> None:
    from host_fixtures import data

    from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles, drift, receipts, store

    store.BASE = str(base)
    place = store.Store("web")
    place.create()
    old, new = bundles.build(data()), bundles.build(data(mode="audit"))
    for bundle in (old, new):
        place.stage(bundle)
        drift.remember(
            place, bundle.digest, {"os": "linux", "kernel": "6.1"}, switched=1, boot_id="b", unread=[]
        )
    before = ""
    for bundle, nonce in ((old, "1" * 32), (new, "2" * 32)):
        fields = {
            "from": before, "to": bundle.digest, "nonce": nonce, "epoch": 1, "rollout": "r", "lapse": "revert",
            "phase": "pending", "boot_id": store.boot_id(), "deadline": store.uptime() + 600,
        }  # fmt: skip
        place.lay_back(fields, place.load(before), bundle, SimpleNamespace(restart=[bundle.unit]))
        place.write_pending(fields)
        place.set_active(bundle.digest)
        for event in ("APPLYING", "PENDING"):
            place.receipt(event, **receipts.named(fields))
        if bundle is old:
            place.confirm()
            place.receipt("CONFIRMED", **receipts.named(fields))
        before = bundle.digest
