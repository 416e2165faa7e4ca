# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    Plan,
    PlannedHost,
    make,
    to_data,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.store import (
    Store,
    policy_name,
    policy_names,
    rollout_id,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "rollouts")


def planned(store: Store, policy: str = "nginx") -> Plan:
    epoch = store.next_epoch(policy)
    plan = make(
        rollout=rollout_id(policy, epoch),
        epoch=epoch,
        policy=policy,
        created="2026-11-24T10:00:00Z",
        hosts=[PlannedHost("h1")],
        options=Options(),
    )
    store.write_plan(plan)
    return plan


def test_a_plan_comes_back(store: Store) -> None:
    plan = planned(store)
    assert store.read_plan("nginx-e0001") == plan
    assert (store.root / "nginx-e0001" / "plan.json").stat().st_mode & 0o777 == 0o600


def test_a_controller_that_died_before_the_first_record_leaves_an_empty_journal(store: Store) -> None:
    """So that such a rollout can be rolled back; a plan whose journal is gone is an error."""
    plan = planned(store)
    assert journal.read(store.journal(plan.rollout)) == journal.Journal()
    store.journal(plan.rollout).unlink()
    with pytest.raises(RolloutError, match="cannot be read"):
        journal.read(store.journal(plan.rollout))


def test_a_plan_is_written_once(store: Store) -> None:
    plan = planned(store)
    with pytest.raises(RolloutError, match="nginx-e0001' cannot be used: File exists"):
        store.write_plan(replace(plan, created="later"))
    assert store.read_plan("nginx-e0001") == plan


def test_a_changed_plan_is_refused(store: Store) -> None:
    planned(store)
    path = store.root / "nginx-e0001" / "plan.json"
    path.write_text(path.read_text().replace('"max_failed": 0', '"max_failed": 9'))
    with pytest.raises(RolloutError, match=r"plan\.json' was changed after it was written\."):
        store.read_plan("nginx-e0001")


@pytest.mark.parametrize(
    ("content", "fault"), [("{", "is damaged"), ("[]", "is damaged"), ("{}", "is no plan")]
)
def test_a_damaged_plan_is_named(store: Store, content: str, fault: str) -> None:
    planned(store)
    (store.root / "nginx-e0001" / "plan.json").write_text(content)
    with pytest.raises(RolloutError, match=fault):
        store.read_plan("nginx-e0001")


def test_a_plan_that_is_not_the_one_of_its_journal_is_refused(store: Store) -> None:
    """A host that was taken out of it would never go back, and nobody would hear of it."""
    plan = planned(store)
    path, ledger = store.folder(plan.rollout) / "plan.json", store.journal(plan.rollout)
    journal.append(
        ledger, journal.Record("plan", "made", detail=f"plan {plan.digest}, rebuilt from receipts")
    )
    assert store.read_plan(plan.rollout) == plan
    other = replace(plan, hosts=(), waves=())
    path.write_text(json.dumps({"digest": other.digest, "plan": to_data(other)}))
    with pytest.raises(RolloutError, match=r"plan\.json' was changed after it was written\."):
        store.read_plan(plan.rollout)
    ledger.write_bytes(ledger.read_bytes()[:-1])  # a torn line was never a record
    assert store.read_plan(plan.rollout) == other


@pytest.mark.parametrize(
    "change", [{"hosts": [{"name": "h1", "x": 1}]}, {"hosts": 5}, {"waves": [1]}, {"options": []}, None]
)
def test_a_plan_of_another_form_is_damaged(store: Store, change: dict[str, object] | None) -> None:
    path = store.folder(planned(store).rollout) / "plan.json"
    data = json.loads(path.read_text())
    data["plan"] = data["plan"] | change if change else []
    path.write_text(json.dumps(data))
    with pytest.raises(RolloutError, match=r"plan\.json' cannot be read: it is damaged\."):
        store.read_plan("nginx-e0001")


def test_epochs_only_grow(store: Store) -> None:
    assert [store.next_epoch("nginx") for _ in range(3)] == [1, 2, 3]
    assert [store.next_epoch("nginx", peek=True, seen=seen) for seen in (0, 3, 8)] == [4, 4, 9]
    assert store.next_epoch("redis") == 1


def test_a_lost_epoch_file_gives_no_old_epoch(store: Store) -> None:
    for _ in range(3):
        planned(store)
    (store.root / "nginx.epoch").unlink()
    assert store.next_epoch("nginx") == 4


@pytest.mark.parametrize(
    "content",
    [*(f'{{"epoch": {n}}}' for n in ("1e400", '"7"', "-5", "true", "1.9", 2**53)), "{}", "[" * 100_000],
)
def test_a_damaged_epoch_is_named(store: Store, content: str) -> None:
    store.next_epoch("nginx")
    (store.root / "nginx.epoch").write_text(content)
    with pytest.raises(RolloutError, match=r"nginx\.epoch' cannot be read: it is damaged\."):
        store.next_epoch("nginx")


def test_the_latest_rollout_is_the_one_with_the_highest_epoch(store: Store) -> None:
    for _ in range(2):
        planned(store)
    planned(store, "nginx-edge")
    store.next_epoch("nginx")
    assert store.latest("nginx") == "nginx-e0002"
    assert store.latest("nginx-edge") == "nginx-edge-e0001"


def test_no_rollout_yet(store: Store) -> None:
    with pytest.raises(RolloutError, match="No rollout of 'nginx' is in ") as caught:
        store.latest("nginx")
    assert caught.value.help_text == "Set rollout_dir."


def test_a_misspelt_policy_is_told_whose_rollouts_there_are(store: Store) -> None:
    for policy in ("nginx", "redis+hello", "a", "b", "c"):
        planned(store, policy)
    with pytest.raises(RolloutError, match="No rollout of 'ngnix' is in ") as caught:
        store.latest("ngnix")
    help_text = caught.value.help_text
    assert help_text.startswith("There are some of nginx, ")
    assert help_text.endswith(". Write one of these, or set rollout_dir.")
    assert help_text.count(",") == 5


@pytest.mark.parametrize("rollout", ["", "nginx", "../etc-e0001", "a/b-e0001", "nginx-e1"])
def test_a_wrong_id_never_becomes_a_path(store: Store, rollout: str) -> None:
    with pytest.raises(RolloutError, match="is no rollout id"):
        store.folder(rollout)


@pytest.mark.parametrize(
    ("given", "name"), [("nginx", "nginx"), ("updates/nginx.yml", "nginx"), ("/srv/my-app.yaml", "my-app")]
)
def test_policy_name(given: str, name: str) -> None:
    assert policy_name(given) == name


@pytest.mark.parametrize("given", ["", "../nginx", "a b", "-x", "a\n"])
def test_no_policy_name(given: str) -> None:
    with pytest.raises(RolloutError, match="is no name of a policy"):
        policy_name(given)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RolloutError, match="cannot be used: Not a directory") as caught:
        Store(tmp_path / "file" / "rollouts").next_epoch("nginx")
    assert caught.value.help_text == "Set rollout_dir."


def test_a_rollout_of_several_policies_locks_and_counts_for_each(store: Store) -> None:
    assert store.next_epoch("redis") == 1
    assert store.next_epoch("nginx+redis") == 2
    assert (store.next_epoch("nginx"), store.next_epoch("redis")) == (3, 3)
    plan = planned(store, "nginx+redis")
    assert (plan.rollout, plan.policies) == ("nginx+redis-e0004", ("nginx", "redis"))
    assert store.latest("redis") == store.latest("nginx") == store.latest("redis+nginx") == plan.rollout
    holder = subprocess.Popen(["sleep", "60"])
    try:
        store.lock("redis", holder.pid, "a rollout")
        with pytest.raises(RolloutError, match="'redis' is being changed by a rollout"):
            store.lock("nginx+redis", os.getpid(), "another")
        assert not (store.root / "nginx.lock").exists()
        assert store.holder("nginx+redis")["pid"] == holder.pid
    finally:
        holder.kill()
        holder.wait()
    assert store.holder("nginx+redis") == {}
    store.lock("nginx+redis", os.getpid(), "another")
    store.unlock("nginx+redis", os.getpid())
    assert not list(store.root.glob("*.lock"))


def test_names_of_several_policies() -> None:
    assert policy_names(["x/nginx.yml", "redis"]) == "nginx+redis"
    with pytest.raises(RolloutError, match="Policy 'nginx' is named twice"):
        policy_names(["nginx", "a/nginx.yml"])
    with pytest.raises(RolloutError, match="No policy is named"):
        policy_names([])
    with pytest.raises(RolloutError, match="too long for one rollout"):
        rollout_id("+".join("x" * 60 + str(n) for n in range(5)), 1)


def test_what_was_taken_back_is_not_promoted(store: Store) -> None:
    names = [planned(store).rollout for _ in range(2)]
    for name in names:
        journal.append(store.journal(name), journal.Record("end", "pass", name))
    assert store.promoted("nginx") == names[1]
    journal.append(store.journal(names[1]), journal.Record("rollback", "intent", names[1], host="h1"))
    assert store.promoted("nginx") == names[0]
    for name in names:
        journal.append(store.journal(name), journal.Record("end", "rolled_back", name))
        journal.append(store.journal(name), journal.Record("end", "pass", name))  # as resume wrote it once
    with pytest.raises(RolloutError, match="has passed, so there is nothing to catch up to"):
        store.promoted("nginx")


def test_what_came_later_stays_until_it_is_aborted_or_taken_back(store: Store) -> None:
    first, second = planned(store), planned(store)
    assert store.stays(second.rollout, first)
    assert not store.stays(first.rollout, second)
    assert not store.stays(first.rollout, first)
    assert not store.stays("", first)
    assert not store.stays("../nginx-e0009", first)
    assert store.stays("nginx-e0009", first)  # of another folder: nobody here has taken it back
    path = store.journal(second.rollout)
    journal.append(path, journal.Record("gate", "pause", second.rollout, wave="pilot"))
    assert store.stays(second.rollout, first)
    journal.append(path, journal.Record("control", "abort", second.rollout))
    assert not store.stays(second.rollout, first)


def test_one_host_cannot_take_all_epochs(store: Store) -> None:
    planned(store)
    assert store.next_epoch("nginx", peek=True, seen=1_000_001) == 1_000_002
    with pytest.raises(RolloutError, match="has seen epoch 1000002, and .* knows none above 1"):
        store.next_epoch("nginx", seen=1_000_002)
    assert store.next_epoch("nginx") == 2
    # Whoever gave it by hand says so.
    (store.root / "nginx.epoch").write_text('{"epoch": 1000002}')
    assert store.next_epoch("nginx", seen=1_000_002) == 1_000_003
