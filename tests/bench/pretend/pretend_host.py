# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is a file: ``<PRETEND_DIR>/hosts/<name>.json``. Those whose name ends in 3 are of another kind of system.

A file ``<name>.<fault>`` beside it makes the host fail: ``away`` (unreachable), ``sick`` (health checks fail),
``looping`` (each look finds one more restart), ``slow`` (looks take SLOW seconds), ``drifted`` (a file of the sandbox
is not as it was written), ``broken`` (an apply goes back by itself), ``mute`` (an apply is done, its answer is lost),
``stuck`` (a way back fails), ``forged`` (its receipts were changed, and name another rollout), ``noisy`` (each look
finds new denials), ``deaf`` (denials cannot be read).
``<PRETEND_DIR>/bad.json`` says what versions of a policy do to their application (see ``behaviour``).
"""

from __future__ import annotations

import fcntl
import json
import math
import time
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features

SLOW = 10.0
KINDS = ("debian12", "debian13")


class Host:
    """One host: {policy: {"active", "pending", "receipts", "epoch"}}."""

    def __init__(self, root: Path, name: str) -> None:
        """One process at a time has the host, as its lock has it there; it ends with this object."""
        self.lock = (root / "hosts" / f"{name}.lock").open("a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.root, self.name = root, name
        self.path = root / "hosts" / f"{name}.json"
        self.state: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.before = json.dumps(self.state)
        self.kind = KINDS[1] if name.endswith("3") else KINDS[0]

    def has(self, fault: str) -> bool:
        return self.path.with_suffix(f".{fault}").exists()

    def reached(self) -> None:
        """Raises ConnectionError where nobody can log in."""
        if self.has("away"):
            raise ConnectionError(f"{self.name} is away")
        for policy in self.state:
            own = self.of(policy)
            if own["pending"] and self.behaviour(own).get("cuts_ssh"):
                raise ConnectionError(f"{self.name} lets nobody in")

    def behaviour(self, own: dict[str, Any]) -> dict[str, Any]:
        """What the active generation does to the application: ``bad.json`` has it by version of the policy.

        ``on``: the kinds of system on which it does so. ``fails``: it does not start. ``cuts_ssh``: nobody can log in.
        ``denies_after``, ``sick_after``, ``crashes_after``: seconds after the change from when each look finds a
        denial, a failing health check (``detail``), one more restart.
        """
        path = self.root / "bad.json"
        if not own["active"] or not path.exists():
            return {}
        found: dict[str, Any] = json.loads(path.read_text()).get(self._bundle(own["active"])["version"], {})
        return found if self.kind in found.get("on", KINDS) else {}

    def _age(self, own: dict[str, Any]) -> float:
        """Seconds since the active generation was applied."""
        applied = [r for r in own["receipts"] if r["event"] == "APPLYING" and r["to"] == own["active"]]
        return float(time.time() - applied[-1].get("at", 0.0)) if applied else 0.0

    def save(self) -> None:
        text = json.dumps(self.state)
        if text != self.before:
            temporary = self.path.with_suffix(".new")
            temporary.write_text(text)
            temporary.replace(self.path)

    def of(self, policy: str) -> dict[str, Any]:
        empty = {"active": "", "pending": None, "receipts": [], "epoch": 0, "restarts": 0, "looks": 0}
        found: dict[str, Any] = self.state.setdefault(policy, empty)
        pending = found["pending"]
        if pending and pending["deadline"] < time.time():
            self._revert(found)
        return found

    def _revert(self, own: dict[str, Any]) -> None:
        own["active"] = own["pending"]["from"]
        own["receipts"].append({**own["pending"], "event": "REVERTED"})
        own["pending"] = None

    def _bundle(self, digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "bundles" / f"{digest}.json").read_text())
        return found

    def _service(self, own: dict[str, Any]) -> dict[str, Any]:
        return {
            "unit": "x.service",
            "state": "active",
            "restarts": own["restarts"],
            "invocation": own["active"],
        }

    # --- operations ---

    def features(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        found = features.reference(self.kind, request["unit"]).data
        return {"features": found, "fingerprint": features.fingerprint(found)}

    def apply(self, request: dict[str, Any], check: bool) -> dict[str, Any]:
        bundle = request["bundle"]
        own = self.of(bundle["policy"])
        if request["epoch"] < own["epoch"] and not check:
            msg = f"epoch {request['epoch']} is refused: a run with epoch {own['epoch']} has been here."
            return {"failed": True, "state": "refused", "msg": msg}
        # What another run left pending is adopted where it is the same, and taken back where it is not.
        adopted = bool(own["pending"]) and own["pending"]["to"] == bundle["digest"]
        if own["pending"] and not adopted and not check:
            self._revert(own)
        origin = own["pending"]["from"] if adopted else own["active"]
        changes = adopted or own["active"] != bundle["digest"]
        files = [
            {"before": "", "after": item["content"], "after_header": item["path"]}
            for item in bundle["artifacts"]
        ]
        answer = {
            "changed": changes,
            "state": "unchanged",
            "digest": bundle["digest"],
            "from": origin,
            "diff": files if changes else [],
            "application": "active",
            "epoch": own["epoch"],
            "service": self._service(own),
        }
        if check or not changes:
            return answer
        place = self.root / "bundles" / f"{bundle['digest']}.json"
        if not place.exists():
            place.write_text(json.dumps(bundle))
        own["epoch"] = request["epoch"]
        pending = {
            "from": origin,
            "to": bundle["digest"],
            "nonce": f"n{time.time_ns()}",
            "rollout": request["rollout"],
            "epoch": request["epoch"],
            "deadline": time.time() + request["confirm_within"],
            "at": time.time(),
        }
        own["receipts"].append({**pending, "event": "APPLYING"})
        own["pending"], own["active"] = pending, bundle["digest"]
        if self.has("broken") or self.behaviour(own).get("fails"):
            self._revert(own)
            return {"failed": True, "changed": True, "state": "reverted", "msg": "health[0] failed."}
        if self.has("mute"):
            raise ConnectionError(f"{self.name} was lost in the middle")
        return {**answer, "state": "pending", "nonce": pending["nonce"]}

    def confirm(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        own = self.of(request["policy"])
        pending = own["pending"]
        if not pending or pending["nonce"] != request["nonce"]:
            return {"state": "TOO_LATE", "active": own["active"]}
        if request.get("lease"):
            pending["deadline"] = time.time() + request["lease"]
            return {"state": "SOAKING", "active": own["active"], "service": self._service(own)}
        own["receipts"].append({**pending, "event": "CONFIRMED"})
        own["pending"] = None
        return {"state": "CONFIRMED", "active": own["active"], "service": self._service(own)}

    def revert(self, request: dict[str, Any], check: bool) -> dict[str, Any]:
        own = self.of(request["policy"])
        if request["to"] and own["active"] != request["to"]:
            return {"changed": False, "state": "unchanged", "digest": own["active"], "from": own["active"]}
        if request["epoch"] < own["epoch"]:
            return {"failed": True, "state": "refused", "msg": f"epoch {request['epoch']} is refused."}
        if self.has("stuck") and not check:
            return {"failed": True, "state": "revert_failed", "msg": "a file is read-only."}
        answer = {
            "changed": True,
            "state": "reverted",
            "from": own["active"],
            "digest": request["from"] or "",
        }
        if check:
            return answer
        own.update(active=request["from"] or "", pending=None, epoch=request["epoch"])
        fields = {"from": answer["from"], "to": own["active"], "rollout": request["rollout"]}
        for event in ("APPLYING", "CONFIRMED"):
            own["receipts"].append({**fields, "epoch": request["epoch"], "event": event})
        return answer

    def info(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        if self.has("slow"):
            time.sleep(SLOW)
        own = self.of(request["policy"])
        bad = self.behaviour(own)
        own["restarts"] += self.has("looping") or self._age(own) > bad.get("crashes_after", math.inf)
        sick = self.has("sick") or self._age(own) > bad.get("sick_after", math.inf)
        forged = "line 2 was changed after it was written" if self.has("forged") else ""
        current = next((r for r in reversed(own["receipts"]) if r["to"] == own["active"]), {})
        last = own["receipts"][-1] if own["receipts"] else None
        return {
            "active": own["active"],
            "state": "pending" if own["pending"] else "confirmed" if own["active"] else "none",
            "pending": own["pending"],
            "rollout": "nobodys" if forged else current.get("rollout"),
            "epoch": current.get("epoch"),
            "receipts": {"count": len(own["receipts"]), "valid": not forged, "fault": forged, "last": last},
            "recent": [
                {k: r[k] for k in ("event", "from", "to", "rollout", "epoch")} for r in own["receipts"][-12:]
            ],
            "service": self._service(own),
            "debug": {"open": False},
            "health": [{"id": "health[0]", "ok": not sick, "detail": bad.get("detail", "status 502")}],
        }

    def probe(self, request: dict[str, Any], check: bool) -> dict[str, Any]:
        found = self.info(request, check)
        bundle = self._bundle(found["active"]) if found["active"] else {"probes": [], "readbacks": []}
        clauses = [
            {
                "clause": probe["clause"],
                "outcome": "enforced",
                "failures": [],
                "unsure": [],
                "readbacks": [],
                "probes": [{**probe, "ok": True, "got": "deny", "control": "succeeded"}],
            }
            for probe in bundle["probes"]
        ]
        rest = {"clause": "rest", "outcome": "enforced", "failures": [], "unsure": [], "probes": []}
        clauses.append({**rest, "readbacks": [{**one, "ok": True} for one in bundle["readbacks"]]})
        if self.has("drifted"):
            clauses[-1] |= {"outcome": "failed", "failures": ["a file is not as it was written"]}
        return {"survey": found, "evidence": {"troubles": [], "clauses": clauses}}

    def denials(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        own = self.of(request["policy"])
        if not own["active"]:
            msg = f"policy {request['policy']} is not applied on this host."
            return {"failed": True, "state": "", "msg": msg}
        if self.has("deaf"):
            return {"failed": True, "state": "", "msg": "the journal cannot be read."}
        own["looks"] += 1
        # Of each generation another path: what an earlier one denied is known and counts no more.
        path = f"/srv/{own['active'][:12]}"
        late = self._age(own) > self.behaviour(own).get("denies_after", math.inf)
        row = {"mechanism": "apparmor", "act": "read", "path": path, "count": 1, "last": None}
        return {
            "denials": [row] if self.has("noisy") or late else [],
            "cursor": str(own["looks"]),
            "truncated": False,
            "unrecorded": [],
            "notes": [],
        }
