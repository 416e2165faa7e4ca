# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout's steps ask of a host whose change soaks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader

from ansible_collections.bulkhead.fleet.plugins.action import rollout_host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError

SOAKS = {"policies": {"nginx": {"state": "soaking", "nonce": "n"}}}
UNCHANGED = {"policies": {"nginx": {"state": "unchanged"}}}


class Talk:
    """Keeps what it is asked; ``late``: the host took the change back."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.late = False

    def present(self, _manifest: Any, planned: str = "", fingerprint: str = "") -> dict[str, Any]:
        self.asked.append(("present", planned, fingerprint))
        return {"changed": True, "digest": "another" if fingerprint == "then" else planned}

    def reverted(self, policy: str, origin: str, to: str) -> dict[str, Any]:
        self.asked.append((policy, origin, to))
        return {"changed": True, "state": "reverted"}

    def leased(self, policy: str, nonce: str, state: str) -> dict[str, Any]:
        self.asked.append((policy, nonce, state))
        if self.late:
            raise HostsError("web1 took the change back.", state="reverted", changed=True)
        return {"changed": True, "state": "soaking" if state == "renewed" else "confirmed"}


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Talk:
    made = Talk()
    monkeypatch.setattr(rollout_host.host, "conversation", lambda *_given: made)
    monkeypatch.setattr(rollout_host.host, "ask", lambda *_given: {"active": "new", "health": []})
    return made


def step(
    operation: str,
    applied: dict[str, Any],
    variables: dict[str, Any] | None = None,
    planned: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    task = Task()
    task.args = {"operation": operation, "policies": ["nginx"], "applied": applied, "state": "so_far", **more}
    known = {"inventory_hostname": "web1", "so_far": {"planned": {"web1": planned or {}}}}
    connection = connection_loader.get("local", PlayContext())
    action = rollout_host.ActionModule(task, connection, None, None, None, None)
    found: dict[str, Any] = action.run(task_vars=known | (variables or {}))
    return found


def test_a_look_renews_the_lease(talk: Talk) -> None:
    seen = step("watch", SOAKS, lease=60)
    assert talk.asked == [("nginx", "n", "renewed")]
    assert seen["policies"]["nginx"] == {"active": "new", "health": [], "lease": "soaking"}


def test_a_look_renews_nothing_where_nothing_soaks(talk: Talk) -> None:
    step("watch", UNCHANGED, lease=60)
    step("watch", SOAKS)
    assert talk.asked == []


def test_a_host_that_took_it_back_is_looked_at_all_the_same(talk: Talk) -> None:
    talk.late = True
    seen = step("watch", SOAKS, lease=60)
    assert not seen.get("failed")
    assert seen["policies"]["nginx"] == {"active": "new", "health": [], "lease": "reverted"}


def test_the_end_of_a_soak(talk: Talk) -> None:
    assert step("promote", SOAKS)["policies"]["nginx"]["state"] == "confirmed"
    assert step("promote", UNCHANGED)["policies"]["nginx"] == {"skipped": True, "changed": False}
    assert talk.asked == [("nginx", "n", "promoted")]
    talk.late = True
    late = step("promote", SOAKS)
    assert (late["failed"], late["policies"]["nginx"]["state"]) == (True, "reverted")


NGINX = {"digest": "new", "manifest": "as planned", "fingerprint": ""}


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(policy="nginx", version="1.0.0", digest="as planned")
    monkeypatch.setattr(rollout_host.compiled, "load", lambda *_given: made)
    return made


def test_what_was_planned_is_applied(talk: Talk, policy: SimpleNamespace) -> None:
    step("apply", {}, planned={"nginx": NGINX})
    assert talk.asked == [("present", "new", "")]


def test_a_policy_that_was_edited_since_is_applied_nowhere(talk: Talk, policy: SimpleNamespace) -> None:
    """Not even on a host that could not be read when the rollout was planned."""
    policy.digest = "edited"
    for digest in ("new", ""):
        done = step("apply", {}, planned={"nginx": NGINX | {"digest": digest}})["policies"]["nginx"]
        assert (done["failed"], done["state"]) == (True, "refused")
        assert "nginx 1.0.0 is not the one that was planned (digest as planned)" in done["msg"]
    assert talk.asked == []


def test_a_host_of_another_kind_says_that_it_got_another_generation(
    talk: Talk, policy: SimpleNamespace
) -> None:
    done = step("apply", {}, planned={"nginx": NGINX | {"fingerprint": "then"}})
    assert "generation 'another', not 'new'" in done["policies"]["nginx"]["note"]
    assert done["warnings"] == [f"nginx: {done['policies']['nginx']['note']}"]


def test_what_is_not_in_the_plan_is_not_applied(talk: Talk, policy: SimpleNamespace) -> None:
    assert step("apply", {}, planned={})["policies"] == {}
    assert step("apply", {}, {"inventory_hostname": "web2"}, {"nginx": NGINX})["policies"] == {}
    assert step("apply", {}, {"so_far": {"skipped": True}})["policies"] == {}
    assert talk.asked == []


@pytest.mark.parametrize(("digest", "state"), [("new", "unchanged"), ("other", "refused"), ("", "refused")])
def test_where_nobody_knows_the_policy_nothing_is_applied(talk: Talk, digest: str, state: str) -> None:
    """As of a rollout that was rebuilt: the host has it (it says that it holds 'new'), or it is refused."""
    done = step("apply", {}, planned={"nginx": {"digest": digest, "manifest": "", "fingerprint": ""}})
    assert done["policies"]["nginx"]["state"] == state
    assert talk.asked == []


OTHERS = {"bulkhead_policies": ["redis"]}


def test_a_host_goes_back_whatever_policies_it_takes_by_now(talk: Talk) -> None:
    """The inventory may have been edited since; what has to go back is told by the journal."""
    done = step("back", {}, OTHERS, back={"nginx": {"from": "old", "to": "new"}})
    assert done["policies"]["nginx"] == {"changed": True, "state": "reverted"}
    assert talk.asked == [("nginx", "old", "new")]
    assert step("back", {}, back={})["policies"] == {}


def test_a_host_tells_its_receipts_whatever_policies_it_takes_by_now(talk: Talk) -> None:
    """What it holds has to go back all the same."""
    for others in (OTHERS, {"bulkhead_policies": []}):
        assert step("receipts", {}, others)["policies"] == {"nginx": {"active": "new"}}


def test_a_host_that_does_not_take_the_policy_any_more_says_so(talk: Talk, policy: SimpleNamespace) -> None:
    done = step("apply", {}, OTHERS, planned={"nginx": NGINX})["policies"]["nginx"]
    assert (done["failed"], done["state"]) == (True, "refused")
    assert "its bulkhead_policies does not list nginx any more" in done["msg"]
    assert talk.asked == []


def test_policies_are_applied_in_the_order_of_the_plan() -> None:
    planned = {"redis": {}, "nginx": {}}
    assert rollout_host._ordered(["x/nginx.yml", "redis"], planned) == ["redis", "x/nginx.yml"]
    assert rollout_host._ordered(["nginx", "redis"], {}) == ["nginx", "redis"]
