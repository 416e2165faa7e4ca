# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

from denials_support import TEXT, call, file, policy

from ansible_collections.bulkhead.fleet.plugins.filter.merged_denials import merged_denials
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.explain import explain


def answer(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    common = {
        "count": 1,
        "first": "2026-11-25T20:00:00.000Z",
        "last": "2026-11-25T20:00:05.000Z",
        "enforced": True,
    }
    return {
        "policy": "web",
        "unit": "web.service",
        "mode": "enforce",
        "policy_digest": "",
        "denials": [{**common, **row} for row in rows],
        "notes": [],
        "unrecorded": [],
        "calls": ["read"],
        "links": {},
        "cursor": "c",
        **more,
    }


def test_every_denial_has_a_clause_a_proposal_and_a_line(tmp_path: Path) -> None:
    made = policy(tmp_path)
    silent = {"mechanism": "mounts", "clauses": ["filesystem.write"], "reason": "the kernel tells nobody."}
    rows = (
        file("read", "/etc/fstab", mask="r", count=3, programs=["/usr/sbin/web"], attribution="profile"),
        {**call(163), "attribution": "account"},
    )
    result = explain(answer(*rows, policy_digest=made.manifest.digest, unrecorded=[silent]), made)
    first, second = result["denials"]
    assert (first["clause"], first["count"], first["samples"]) == (
        "filesystem.read",
        3,
        {"programs": ["/usr/sbin/web"]},
    )
    assert first["facts"] == {"act": "read", "path": "/etc/fstab", "mask": "r"}
    assert first["proposal"]["change"] == {"filesystem": {"read": ["/etc/fstab"]}}
    assert second["proposal"]["change"] is None
    assert result["cursor"] == "c" and "calls" not in result and result["notes"] == []
    assert result["lines"] == [
        "web (web.service, enforce): 4 denials",
        "filesystem.read: 3",
        "  3x read /etc/fstab [apparmor] 2026-11-25T20:00:00.000Z to 2026-11-25T20:00:05.000Z",
        "     change: filesystem: {read: [/etc/fstab]}",
        "     opens also: nothing else",
        "processes.syscalls: 1",
        "  1x call acct() [seccomp] 2026-11-25T20:00:00.000Z to 2026-11-25T20:00:05.000Z",
        "     no change proposed: no group of the language holds acct(): a service has no need of it.",
        "not recorded: mounts (filesystem.write): the kernel tells nobody.",
    ]


def test_a_host_with_another_version_of_the_policy_is_told(tmp_path: Path) -> None:
    result = explain(answer(policy_digest="0" * 64), policy(tmp_path))
    assert "the host runs another version of the policy" in result["notes"][0]
    assert result["lines"][0] == "web (web.service, enforce): no denials"


def test_audit_that_a_rollout_set_is_no_other_version(tmp_path: Path) -> None:
    made = policy(tmp_path)
    from dataclasses import replace

    from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import manifest as manifests
    from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Mode

    audit = replace(made.manifest, mode=Mode.AUDIT, digest="")
    row = file("read", "/etc/fstab", enforced=False)
    result = explain(answer(row, mode="audit", policy_digest=manifests.digest(audit)), made)
    assert result["notes"] == []
    assert "[apparmor, not refused (audit)]" in result["lines"][2]


def test_equal_denials_of_several_hosts_are_one_line(tmp_path: Path) -> None:
    made = policy(tmp_path)
    told = file("read", "/etc/fstab", count=1)
    one = explain(answer(told, {**told, "enforced": False}), made)  # told twice, as by two mechanisms
    two = explain(answer(file("read", "/etc/fstab", count=5), file("read", "/etc/shadow")), made)
    lines = merged_denials({"b": {"denied": two}, "a": {"denied": one}, "c": {}}, "denied")
    assert lines == [
        "filesystem.read: 7x read /etc/fstab on a, b: filesystem: {read: [/etc/fstab]}",
        "filesystem.read: 1x read /etc/shadow on b: no change proposed",
    ]


def test_what_a_components_own_profile_denied_is_of_the_component(tmp_path: Path) -> None:
    (tmp_path / "side.yml").write_text(
        TEXT.replace("policy: web", "policy: side").replace(
            "web.service", "side.service, executable: /usr/bin/side"
        )
    )
    made = policy(tmp_path, TEXT + "components: [{name: tool, policy: side}]\n")
    rows = [
        file("read", "/etc/fstab", child=child) for child in ("tool", "tool//null-/x", "null-/usr/bin/x", "")
    ]
    first, second, third, own = explain(answer(*rows), made)["denials"]
    for row in (first, second):
        assert (row["clause"], row["note"]) == ("components[tool]", "by the policy 'side' of this component")
        assert row["proposal"]["why"] == "What it may do stands in the policy 'side': change that one."
        assert row["proposal"]["change"] is None
    assert third["clause"] == own["clause"] == "filesystem.read"
