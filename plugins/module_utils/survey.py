# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""sandbox_info: what this host says about itself. Changes nothing; what cannot be read is None, never a guess."""

from __future__ import annotations

import os

from . import bundles, drift, drift_lines, features, health, mending, overlay_state, receipts, store, units
from .errors import HostError

# So many of the last receipts are told, for a controller that has lost its journal.
RECENT = 12
_RECEIPT = ("event", "from", "to", "rollout", "epoch")


def survey(policy="", with_health=False, with_features=False):
    """{"policies": {name: facts}}; with ``policy`` that policy's facts are there at the top as well."""
    names = [policy] if policy else store.policies()
    found = {name: _policy(store.Store(name), with_health, with_features) for name in names}
    answer = {
        "changed": False,
        "policies": {name: facts for name, facts in found.items() if facts["active"] is not None},
    }
    if policy:
        answer.update(found[policy])
    return answer


def _policy(place, with_health, with_features):
    if not place.exists():
        return {"active": "" if not os.path.exists(store.BASE) or os.access(store.BASE, os.R_OK) else None}
    bundle = place.active_bundle()
    pending = place.open_change()
    entries, fault = receipts.load(place.at("receipts.jsonl"))
    current = _last(entries, place.active())
    debug = overlay_state.facts(place.policy, bundle.unit if bundle else "")
    host = features.collect(bundle.unit, bundles.paths(bundle)) if bundle else None
    facts = {
        "active": place.active(),
        "version": bundle.version if bundle else None,
        "mode": bundle.mode if bundle else None,
        "unit": bundle.unit if bundle else None,
        "state": _state(place, pending),
        "pending": {key: pending.get(key) for key in ("from", "to", "rollout", "epoch", "deadline")}
        if pending
        else None,
        "rollout": current.get("rollout"),
        "epoch": current.get("epoch"),
        "debug": debug,
        "drift": look(bundle, place, host, debug) if bundle else [],
        "damage": mending.damage(place),
        "receipts": {
            "count": len(entries),
            "valid": not fault,
            "fault": fault,
            "last": entries[-1] if entries else None,
        },
        "recent": [{key: entry.get(key) for key in _RECEIPT} for entry in entries[-RECENT:]],
        "service": units.service(bundle.unit) if bundle else None,
        "health": _health(bundle) if bundle and with_health else None,
        "uptime": store.uptime(),
    }
    if bundle and with_features:
        facts["features"] = host
    return facts


def look(bundle, place, host, debug):
    """Drift by clause; what a debug overlay opens on purpose is none, an overlay that nobody recorded is."""
    found = drift.find(bundle, place, host, debug.get("clauses") or ())
    if debug["open"] and not debug["words"]:
        clauses = drift_lines.of_unit(bundle, bundle.unit)
        found.append(
            drift.finding(overlay_state.dropin_path(bundle.unit), debug["trouble"], clauses, "write")
        )
    return found


def _state(place, pending):
    if pending:
        return {"armed": "applying", "reverting": "reverting"}.get(place.state().phase, "pending")
    if place.active():
        return "confirmed" if place.record("confirmed").get("to") == place.active() else "unconfirmed"
    return "none"


def _last(entries, digest):
    """The receipt that made ``digest`` active."""
    for entry in reversed(entries):
        if entry.get("to") == digest and entry.get("event") in ("APPLYING", "PENDING", "CONFIRMED"):
            return entry
    return {}


def _health(bundle):
    answers = []
    for check in bundle.health:
        try:
            health.check_all([check])
            answers.append({"id": check["id"], "ok": True, "detail": ""})
        except HostError as problem:
            answers.append({"id": check["id"], "ok": False, "detail": str(problem)})
    return answers
