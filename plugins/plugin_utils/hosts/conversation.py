# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller and one host say to each other: one call to apply, one over a new connection to confirm.

Nothing here knows Ansible's classes: the action plugin gives two functions that run the module on the host.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ..backends.base import BackendError
from ..policy.model import Manifest
from . import compiled, verdicts
from .cache import Cache
from .errors import HostsError

Call = Callable[[dict[str, Any]], dict[str, Any]]

# Seconds between tries to confirm. The host waits for confirm_within anyway: giving up early helps nobody.
PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)


class Unreachable(Exception):
    """The host gave no answer. Whether it did what it was told is not known."""


@dataclass
class Conversation:
    """``call`` runs the module; ``fresh`` runs it over a connection that shares nothing with earlier ones.

    Both take the request and give the module's result. ``place``: what the host's facts are remembered by.
    """

    host: str
    place: str
    call: Call
    fresh: Call
    cache: Cache
    today: date
    check: bool = False
    accept: Sequence[str] = ("enforced", "partial", "waived")
    settings: Mapping[str, Any] = field(default_factory=dict)

    def present(self, manifest: Manifest, planned: str = "", fingerprint: str = "") -> dict[str, Any]:
        """Confine the application by ``manifest``; the task's result. Raises HostsError and BackendError.

        ``planned``: the generation that was planned for this host; any other one is refused before anything changes.
        ``fingerprint``: of the host's features then; where it is given and the host has another one now, another
        generation is right.
        """
        unit = compiled.unit_of(manifest)
        facts, made = self._compile(manifest, unit)
        if planned and made["bundle"]["digest"] != planned:
            # What this controller remembers of the host may be older than the plan.
            made = self._judged(manifest, self.features(unit, compiled.paths_of(manifest)))
        self._as_planned(made, planned, fingerprint)
        request = {"op": "apply", "bundle": made["bundle"], **self.settings}
        answer = self._ask(request)
        if answer.get("state") == "stale_features":
            # The host has changed since: it sent what it is now, and one more round settles it.
            facts = self._remember(unit, answer["features"])
            made = self._judged(manifest, facts)
            self._as_planned(made, planned, fingerprint)
            answer = self._ask({**request, "bundle": made["bundle"]})
        if answer.get("state") == "stale_features":
            raise HostsError(f"the features of {self.host} change from call to call; nothing was changed.")
        answer = self._settle(manifest.policy, answer)
        bundle = made["bundle"]
        return {
            **answer,
            "fingerprint": bundle["fingerprint"],
            "features_name": made["features_name"],
            "policy_digest": bundle["policy_digest"],
            "version": bundle["version"],
            "verdicts": verdicts.by_clause(bundle),
        }

    def absent(self, policy: str) -> dict[str, Any]:
        return self._ask({"op": "absent", "policy": policy, **self.settings})

    def reverted(self, policy: str, origin: str | None, to: str) -> dict[str, Any]:
        """Go back; what comes out of it is pending like any change, unless the host took back a pending one."""
        answer = self._ask({"op": "revert", "policy": policy, "from": origin, "to": to, **self.settings})
        return self._settle(policy, answer)

    def leased(self, policy: str, nonce: str, state: str) -> dict[str, Any]:
        """Renew the lease of a change that soaks, or end its soak for good (``state``: renewed, promoted)."""
        lease = self.settings.get("lease", 0) if state == "renewed" else 0
        if not nonce or (state == "renewed" and not lease):
            raise HostsError(
                f"'state: {state}' needs the nonce that the apply gave, and a lease to be renewed."
            )
        if self.check:
            return {"changed": True, "state": state}
        reply = self._confirmed({"op": "confirm", "policy": policy, "nonce": nonce, "lease": lease})
        if reply["state"] not in ("CONFIRMED", "SOAKING"):
            raise self._lost(reply)
        return {"changed": reply["changed"], "state": reply["state"].lower(), "digest": reply["active"]}

    def features(self, unit: str, paths: Sequence[str] = ()) -> dict[str, Any]:
        """Ask the host what it can do, how its unit is written and which paths are links; changes nothing there."""
        request = {"op": "features", "unit": unit, "paths": list(paths)}
        return self._remember(unit, self._ask(request)["features"])

    # --- compile ---

    def _as_planned(self, made: dict[str, Any], planned: str, fingerprint: str) -> None:
        digest = made["bundle"]["digest"]
        other_kind = bool(fingerprint) and made["bundle"]["fingerprint"] != fingerprint
        if planned and digest != planned and not other_kind:
            raise HostsError(
                f"{self.host} would get generation '{digest[:12]}', and '{planned[:12]}' was planned: the policy or "
                "the host has changed since. Plan a new rollout."
            )

    def _compile(self, manifest: Manifest, unit: str) -> tuple[dict[str, Any], dict[str, Any]]:
        facts = self.cache.get("features", self._key(unit))
        if facts is not None:
            try:
                return facts, self._judged(manifest, facts)
            except (HostsError, BackendError):
                pass  # by what we remember of it; the host itself may have changed for the better
        facts = self.features(unit, compiled.paths_of(manifest))
        return facts, self._judged(manifest, facts)

    def _judged(self, manifest: Manifest, facts: dict[str, Any]) -> dict[str, Any]:
        made = compiled.bundle(manifest, facts, self.today, self.cache)
        objection = verdicts.objection(made["bundle"], self.accept, self.host, self.today)
        if objection:
            raise HostsError(objection, verdicts=verdicts.by_clause(made["bundle"]))
        return made

    def _remember(self, unit: str, facts: dict[str, Any]) -> dict[str, Any]:
        self.cache.put("features", self._key(unit), facts)
        return facts

    def _key(self, unit: str) -> str:
        return hashlib.sha256(f"{self.place}\0{unit}".encode()).hexdigest()

    # --- apply and confirm ---

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = self.call(request)
        if answer.get("failed"):
            fields = {key: answer[key] for key in ("changed", "active", "restarted", "from") if key in answer}
            raise HostsError(
                str(answer.get("msg", "the module failed.")), str(answer.get("state", "")), **fields
            )
        return answer

    def _settle(self, policy: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Confirm what is pending. What the host has in the end is read back over the new connection."""
        nonce = answer.pop("nonce", "")
        if self.check or answer.get("state") != "pending":
            return answer
        lease = self.settings.get("lease", 0)
        request = {"op": "confirm", "policy": policy, "nonce": nonce, **({"lease": lease} if lease else {})}
        reply = self._confirmed(request)
        if reply["active"] == answer["digest"]:
            if reply["state"] == "CONFIRMED":
                return {**answer, "state": "confirmed", "service": reply.get("service")}
            if reply["state"] == "SOAKING":
                return {**answer, "state": "soaking", "service": reply.get("service"), "nonce": nonce}
        raise self._lost(reply)

    def _lost(self, reply: dict[str, Any]) -> HostsError:
        if reply["state"] == "TOO_LATE":
            return HostsError(
                f"{self.host} took the change back: the confirmation came too late. Raise confirm_within "
                "if the host is slow.",
                state="reverted",
                active=reply["active"],
                changed=True,
            )
        return HostsError(
            f"{self.host} does not know this change any more and has {reply['active'] or 'no generation'} active: "
            "somebody else is changing it.",
            state="",
            active=reply["active"],
            changed=True,
        )

    def _confirmed(self, request: dict[str, Any]) -> dict[str, Any]:
        limit = time.monotonic() + float(self.settings.get("confirm_within", 60))
        trouble = ""
        for pause in PAUSES:
            if pause and time.monotonic() + pause > limit:
                break
            time.sleep(pause)
            try:
                reply = self.fresh(request)
            except Unreachable as problem:
                trouble = str(problem)
                continue
            if not reply.get("failed"):
                return reply
            trouble = str(reply.get("msg", ""))
        raise HostsError(
            f"{self.host} has the new sandbox but could not be reached again to confirm it, so it goes back by itself "
            f"within {self.settings.get('confirm_within', 60)} seconds. {trouble}".rstrip(),
            state="",
            changed=True,
        )
