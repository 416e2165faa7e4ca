# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a rollout: take the lock and the next epoch, write the plan, begin the journal."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Manifest
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    approval,
    journal,
    knowledge,
    observe,
    plan,
    preflight,
    present,
    review,
    slices,
    store,
    takes,
    uniform,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

DEFAULTS = plan.Options()
OPTIONS: dict[str, dict[str, Any]] = {
    "pilot": {"type": "int", "default": DEFAULTS.pilot},
    "waves": {"type": "list", "elements": "raw", "default": list(DEFAULTS.waves)},
    "max_failed": {"type": "int", "default": DEFAULTS.max_failed},
    "soak": {"type": "int", "default": DEFAULTS.soak},
    "pause_after": {"type": "list", "elements": "str", "default": []},
    "windows": {"type": "list", "elements": "str", "default": []},
    "timezone": {"type": "str", "default": DEFAULTS.timezone},
    "poll": {"type": "int", "default": DEFAULTS.poll},
    "health_timeout": {"type": "int", "default": DEFAULTS.health_timeout},
    "health_retries": {"type": "int", "default": DEFAULTS.health_retries},
    "breaker": {"type": "int", "default": DEFAULTS.breaker},
    "lease": {"type": "int", "default": DEFAULTS.lease},
    "lapse": {"type": "str", "default": DEFAULTS.lapse},
    "denials": {"type": "bool", "default": DEFAULTS.denials},
    "alpha": {"type": "float", "default": DEFAULTS.alpha},
    "expected": {"type": "float", "default": DEFAULTS.expected},
    "gates": {"type": "list", "elements": "raw", "default": []},
    "approvals": {"type": "int", "default": DEFAULTS.approvals},
    "approvers": {"type": "path", "default": ""},
}
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "mode": {"type": "str", "choices": ["audit", "enforce"]},
    "rollout_dir": {"type": "path", "required": True},
    "fleet": {"type": "list", "elements": "str", "required": True},
    "look": {"type": "str", "required": True},
    "author": {"type": "str", "default": ""},
    **preflight.WAVES,
    **preflight.TOLD,
    **OPTIONS,
}
Look = Mapping[str, Any] | None


class ActionModule(ControllerAction):
    arguments = ARGUMENTS
    nothing = "Nothing was changed. "

    def begins(self, written: Options) -> bool:
        return True

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        check = bool(self._task.check_mode)
        slices.refuse(variables)
        policy = self.attempt(lambda: store.policy_names(given["policies"])) or ""
        place = store.Store(given["rollout_dir"])
        present.refuse_patterns(given["fleet"])
        risks, looks = self._looks(given, policy.split(plan.JOINED), variables["hostvars"])
        several = plan.JOINED in policy
        named = {pair: f"{pair[0]} {pair[1]}" if several else pair[0] for pair in looks}
        hosts = [observe.planned(name, risks[name], look, own) for (name, own), look in looks.items()]
        groups = {name: frozenset(members) for name, members in variables.get("groups", {}).items()}
        options, rules, faults = _options(given)
        faults += uniform.faults(given["fleet"], variables["hostvars"])
        faults += preflight.webhooks(given["webhooks"])
        faults += preflight.files(options.gates)
        # A look that was given what is wrong says no more than that.
        if not self.wrong.keys() & {"policies_dirs", "mode", "accept"}:
            faults += observe.refusals((named[pair], look) for pair, look in looks.items())
        listed = _listed(given["fleet"], variables["hostvars"])
        faults += preflight.hosts(listed)
        left_out = [*review.left_out(policy.split(plan.JOINED), listed)]
        faults += left_out if not hosts else ()
        faults += preflight.settings(given, options)
        faults += plan.faults(hosts, options, groups) if policy else plan.options.faults(options, groups)
        self.refuse(faults)
        manifests = self._manifests(given, variables)
        versions = self._versions(given, variables, manifests, rules)
        widens = review.widens(hosts, manifests, place.generations)
        gaps = {pair: look.get("gaps") or {} for pair, look in looks.items() if look}
        unenforced = review.unenforced(manifests, gaps)
        seen = max((int(look.get("epoch") or 0) for look in looks.values() if look), default=0)
        next_one = store.rollout_id(policy, place.next_epoch(policy, peek=True, seen=seen))
        what = f"a rollout to {len(risks)} hosts"
        with nullcontext() if check else place.locked(policy, os.getppid(), what, next_one):
            epoch = place.next_epoch(policy, peek=check, seen=seen)
            made = plan.make(
                rollout=store.rollout_id(policy, epoch),
                epoch=epoch,
                policy=policy,
                created=journal.now(),
                hosts=hosts,
                options=options,
                groups=groups,
                versions=versions,
                author=given["author"] or getpass.getuser(),
                widens=widens,
                unenforced=unenforced if options.approvals else (),
            )
            if not check:
                # Again with its name: somebody may have taken the one that was next before there was a lock.
                place.lock(policy, os.getppid(), what, made.rollout)
                self._write(place, made, manifests)
        notes = {named[pair]: look.get("notes") or () for pair, look in looks.items() if look}
        told = review.lines(made, notes, unenforced if check else ())
        return review.for_playbook(made, place.journal(made.rollout), [*told, *left_out])

    def _looks(
        self, given: dict[str, Any], policies: list[str], hostvars: Any
    ) -> tuple[dict[str, str], dict[tuple[str, str], Look]]:
        """({host: risk}, {(host, policy): answer}). A host without a look was kept out by --limit; it is in no wave."""
        risks: dict[str, str] = {}
        looks: dict[tuple[str, str], Look] = {}
        for name in given["fleet"]:
            variables = hostvars[name]
            look = variables.get(given["look"])
            if not look:
                continue
            for policy in policies:
                if takes.wants(variables, policy):
                    risks[name] = str(variables.get("bulkhead_risk") or "")
                    looks[name, policy] = answers.of(look, policy)
        return risks, looks

    def _manifests(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Manifest]:
        groups = GroupAddresses.of(variables)
        dirs, today = given["policies_dirs"], date.today()
        found = [compiled.load(name, dirs, groups, given["mode"], today) for name in given["policies"]]
        return {manifest.policy: manifest for manifest in found}

    def _versions(
        self,
        given: dict[str, Any],
        variables: dict[str, Any],
        manifests: dict[str, Manifest],
        rules: approval.Rules | None,
    ) -> list[plan.Version]:
        if rules is None or not rules.sign_policies:
            return [plan.Version(name, found.version, found.digest) for name, found in manifests.items()]
        # The signature is of the policy as it is written: another mode is part of what is approved.
        written = self._manifests({**given, "mode": None}, variables) if given["mode"] else manifests
        faults, versions = [], []
        for (name, found), asked in zip(manifests.items(), given["policies"], strict=True):
            said = approval.policy_statement(name, written[name].version, written[name].digest)
            beside = library.find(asked, [Path(folder) for folder in given["policies_dirs"]])
            beside = beside.with_name(f"{beside.name}.sig")
            kept = rules.signers.parent / "signatures" / f"{name}.sig"
            try:
                by = approval.policy_signer(said, beside if beside.exists() else kept, rules)
                versions.append(plan.Version(name, found.version, found.digest, by))
            except RolloutError as problem:
                faults.append(f"Policy '{name}' is not signed by an author: {problem}.")
        if faults:
            raise RolloutError(
                "Nothing was changed. " + " ".join(faults), "Sign it with bulkhead.fleet.sign."
            )
        return versions

    def _write(self, place: store.Store, made: plan.Plan, manifests: dict[str, Manifest]) -> None:
        place.write_plan(made)
        journal.append(
            place.journal(made.rollout),
            journal.Record("plan", "made", made.rollout, made.epoch, detail=f"plan {made.digest}"),
        )
        for host in made.hosts:
            if host.to_digest and host.policy in manifests:
                knowledge.remember(place.generations, host.to_digest, manifests[host.policy])


def _options(given: dict[str, Any]) -> tuple[plan.Options, approval.Rules | None, list[str]]:
    """The plan's options, who may approve it, and what is wrong with the file that says so."""
    values, rules, faults = {name: given[name] for name in OPTIONS}, None, []
    # Whole, because resume and approve may be run elsewhere: there another file may have its name.
    path = Path(given["approvers"]).absolute()
    try:
        if given["approvers"]:
            rules = approval.rules(path)
            values |= {"approvers": str(path), "approvers_digest": approval.digest(path, rules)}
    except RolloutError as problem:
        faults.append(str(problem))
    if rules:
        if given["approvals"] > (there := len(set(rules.approvers))):
            faults.append(f"rollout_approvals is '{given['approvals']}'; '{path}' names {there} approvers.")
        values["approvals"] = max(given["approvals"], rules.approvals) if given["approvals"] >= 0 else -1
    made = plan.Options(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    return made, rules, faults


def _listed(fleet: list[str], hostvars: Any) -> dict[str, object]:
    """By host what the variable bulkhead_policies is, where there is one."""
    found = {name: uniform.value(hostvars[name], "bulkhead_policies") for name in fleet}
    return {name: value for name, value in found.items() if value is not None}
