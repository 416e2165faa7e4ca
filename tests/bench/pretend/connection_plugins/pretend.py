# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are files: a connection that answers as a host would, at once, so that only the controller costs.

What a host holds is ``<PRETEND_DIR>/hosts/<name>.json``. A file ``<name>.<fault>`` beside it makes the host fail:
``away`` (unreachable), ``sick`` (health checks fail), ``broken`` (an apply goes back by itself), ``mute`` (an apply is
done, and its answer is lost), ``noisy`` (each look finds new denials).
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import program

DOCUMENTATION = """
name: pretend
short_description: hosts that are files
version_added: 0.1.0
author: The Bulkhead authors (@bulkhead)
description:
  - For benchmarks and for exams of the controller.
options:
  host:
    description: Name of the host. A delegated task finds the other host's here, and its own in inventory_hostname.
    type: str
    required: true
    vars:
      - name: ansible_host
"""
_GIVEN = re.compile(rb'GIVEN = r"""(\{.*\})"""')


class Connection(ConnectionBase):
    transport = "pretend"
    has_pipelining = True
    always_pipeline_modules = True

    def _connect(self) -> Connection:
        return self

    def exec_command(self, cmd: str, in_data: Any = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        found = _GIVEN.search(in_data) if in_data else None
        if found is None:
            return 0, b"", b""
        given = json.loads(found[1].decode())
        sent = program.unpack(given["program"])
        host = Host(Path(os.environ["PRETEND_DIR"]), str(self.get_option("host")))
        if host.has("away"):
            raise AnsibleConnectionFailure(f"{host.name} is away")
        answer = getattr(host, sent["operation"])(sent["request"], bool(given.get("_ansible_check_mode")))
        host.save()
        text = json.dumps({"changed": False, **answer}).encode()
        return int(bool(answer.get("failed"))), text, b""

    def put_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("pretend hosts take no files")

    fetch_file = put_file

    def reset(self) -> None:
        return

    def close(self) -> None:
        return


class Host:
    """One host: {policy: {"active", "pending", "receipts", "epoch"}}."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.path = root / "hosts" / f"{name}.json"
        self.state: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.before = json.dumps(self.state)

    def has(self, fault: str) -> bool:
        return self.path.with_suffix(f".{fault}").exists()

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
        kind = "debian13" if self.name.endswith("3") else "debian12"
        found = features.reference(kind, request["unit"]).data
        return {"features": found, "fingerprint": features.fingerprint(found)}

    def apply(self, request: dict[str, Any], check: bool) -> dict[str, Any]:
        bundle = request["bundle"]
        own = self.of(bundle["policy"])
        changes = own["active"] != bundle["digest"]
        if request["epoch"] < own["epoch"] and not check:
            msg = f"epoch {request['epoch']} is refused: a run with epoch {own['epoch']} has been here."
            return {"failed": True, "state": "refused", "msg": msg}
        files = [
            {"before": "", "after": item["content"], "after_header": item["path"]}
            for item in bundle["artifacts"]
        ]
        answer = {
            "changed": changes,
            "state": "unchanged",
            "digest": bundle["digest"],
            "from": own["active"],
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
            "from": own["active"],
            "to": bundle["digest"],
            "nonce": f"n{time.time_ns()}",
            "rollout": request["rollout"],
            "epoch": request["epoch"],
            "deadline": time.time() + request["confirm_within"],
        }
        own["receipts"].append({**pending, "event": "APPLYING"})
        own["pending"], own["active"] = pending, bundle["digest"]
        if self.has("broken"):
            self._revert(own)
            return {"failed": True, "changed": True, "state": "reverted", "msg": "health[0] failed."}
        if self.has("mute"):
            self.save()
            raise AnsibleConnectionFailure(f"{self.name} was lost in the middle")
        return {**answer, "state": "pending", "nonce": pending["nonce"]}

    def confirm(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        own = self.of(request["policy"])
        pending = own["pending"]
        if not pending or pending["nonce"] != request["nonce"]:
            return {"state": "TOO_LATE", "active": own["active"]}
        own["receipts"].append({**pending, "event": "CONFIRMED"})
        own["pending"] = None
        return {"state": "CONFIRMED", "active": own["active"], "service": self._service(own)}

    def revert(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        own = self.of(request["policy"])
        if request["to"] and own["active"] != request["to"]:
            return {"changed": False, "state": "unchanged", "digest": own["active"], "from": own["active"]}
        if request["epoch"] < own["epoch"]:
            return {"failed": True, "state": "refused", "msg": f"epoch {request['epoch']} is refused."}
        answer = {
            "changed": True,
            "state": "reverted",
            "from": own["active"],
            "digest": request["from"] or "",
        }
        own.update(active=request["from"] or "", pending=None, epoch=request["epoch"])
        fields = {"from": answer["from"], "to": own["active"], "rollout": request["rollout"]}
        for event in ("APPLYING", "CONFIRMED"):
            own["receipts"].append({**fields, "epoch": request["epoch"], "event": event})
        return answer

    def info(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        own = self.of(request["policy"])
        current = next((r for r in reversed(own["receipts"]) if r["to"] == own["active"]), {})
        last = own["receipts"][-1] if own["receipts"] else None
        return {
            "active": own["active"],
            "state": "pending" if own["pending"] else "confirmed" if own["active"] else "none",
            "pending": own["pending"],
            "rollout": current.get("rollout"),
            "epoch": current.get("epoch"),
            "receipts": {"count": len(own["receipts"]), "valid": True, "fault": "", "last": last},
            "recent": [
                {k: r[k] for k in ("event", "from", "to", "rollout", "epoch")} for r in own["receipts"][-12:]
            ],
            "service": self._service(own),
            "debug": {"open": False},
            "health": [{"id": "health[0]", "ok": not self.has("sick"), "detail": "status 502"}],
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
        return {"survey": found, "evidence": {"troubles": [], "clauses": clauses}}

    def denials(self, request: dict[str, Any], _check: bool) -> dict[str, Any]:
        own = self.of(request["policy"])
        if not own["active"]:
            msg = f"policy {request['policy']} is not applied on this host."
            return {"failed": True, "state": "", "msg": msg}
        own["looks"] += 1
        # Of each generation another path: what an earlier one denied is known and counts no more.
        path = f"/srv/{own['active'][:12]}"
        row = {"mechanism": "apparmor", "act": "read", "path": path, "count": 1, "last": None}
        return {
            "denials": [row] if self.has("noisy") else [],
            "cursor": str(own["looks"]),
            "truncated": False,
            "unrecorded": [],
            "notes": [],
        }
