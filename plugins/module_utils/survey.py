# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""sandbox_info: what this host says about itself. Changes nothing; what cannot be read is None, never a guess."""

from __future__ import annotations

import os

from . import apparmor, bundles, features, files, health, plan, receipts, store, units
from .command import run
from .errors import HostError


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
    bundle = _bundle(place)
    pending = place.record("pending")
    entries, fault = receipts.load(place.at("receipts.jsonl"))
    current = _last(entries, place.active())
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
        "drift": drift(bundle) if bundle else [],
        "receipts": {
            "count": len(entries),
            "valid": not fault,
            "fault": fault,
            "last": entries[-1] if entries else None,
        },
        "service": units.service(bundle.unit) if bundle else None,
        "health": _health(bundle) if bundle and with_health else None,
        "uptime": store.uptime(),
    }
    if bundle and with_features:
        facts["features"] = features.collect(bundle.unit, bundles.paths(bundle))
    return facts


def _bundle(place):
    try:
        return place.load(place.active())
    except HostError:
        return None


def _state(place, pending):
    if pending:
        return "applying" if pending.get("phase") == "applying" else "pending"
    return "confirmed" if place.active() else "none"


def _last(entries, digest):
    """The receipt that made ``digest`` active."""
    for entry in reversed(entries):
        if entry.get("to") == digest and entry.get("event") in ("APPLYING", "PENDING", "CONFIRMED"):
            return entry
    return {}


def drift(bundle):
    """[{"what", "why"}]: every way in which the host no longer is what the generation says."""
    found = []
    for item in bundle.artifacts:
        why = files.difference(
            item.path, item.content, item.mode, files.user_id(item.owner), files.group_id(item.group)
        )
        if why:
            found.append({"what": item.path, "why": why})
    own = plan.own_units(bundle)
    facts = units.show([bundle.unit] + own)
    for name in [bundle.unit] + own:
        if facts[name].get("NeedDaemonReload") == "yes":
            found.append({"what": name, "why": "systemd has not read its files again"})
    for name in bundle.units:
        if not units.running(facts[name]):
            found.append({"what": name, "why": "not active"})
    application = facts[bundle.unit]
    slices = [name for name in own if name.endswith(".slice")]
    if units.running(application) and slices and application.get("Slice") not in slices:
        found.append(
            {"what": bundle.unit, "why": "runs in %s, not in %s" % (application.get("Slice"), slices[0])}
        )
    found += [{"what": what, "why": why} for what, why in apparmor.faults(bundle)]
    wrong = apparmor.wrong_label(bundle, application)
    if wrong:
        found.append({"what": bundle.unit, "why": wrong})
    for family, name in sorted({table for names in plan.tables(bundle).values() for table in names}):
        if run(["nft", "list", "table", family, name]).returncode != 0:
            found.append({"what": "%s %s" % (family, name), "why": "nftables table is gone"})
    return found


def _health(bundle):
    answers = []
    for check in bundle.health:
        try:
            health.check_all([check])
            answers.append({"id": check["id"], "ok": True, "detail": ""})
        except HostError as problem:
            answers.append({"id": check["id"], "ok": False, "detail": str(problem)})
    return answers
