# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""With real keys and signatures; the exam of approvals tries many more of the bad ones."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import approval, signatures
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    Plan,
    PlannedHost,
    Version,
    make,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PLAN = make(
    rollout="nginx-e0003",
    epoch=3,
    policy="nginx",
    created="",
    hosts=[PlannedHost("a", policy="nginx")],
    options=Options(approvals=2, approvers="x"),
    versions=[Version("nginx", "1.0.0", "d", "carol")],
    author="dave",
)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("people")
    for name in ("alice", "bob", "carol"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(work / name)]
        subprocess.run(argv, check=True)
    lines = [f"{name} {(work / f'{name}.pub').read_text()}" for name in ("alice", "bob", "carol")]
    lines.append(f'c2,c3 namespaces="bulkhead-approval" {(work / "carol.pub").read_text()}')
    (work / "allowed_signers").write_text("# people\n\n" + "".join(lines))
    return work


def rules(people: Path, **fields: object) -> approval.Rules:
    given = {"approvers": ("alice", "bob", "carol", "c2"), "authors": ("bob", "carol")} | fields
    return approval.Rules(people / "allowed_signers", **given)  # type: ignore[arg-type]


def approve(folder: Path, people: Path, by: str, key: str = "", plan: Plan = PLAN) -> None:
    folder.mkdir(exist_ok=True)
    said = approval.statement(plan, by, NOW + timedelta(hours=1))
    (folder / by).write_bytes(said)
    (folder / f"{by}.sig").write_bytes(signatures.sign(said, people / (key or by), signatures.APPROVAL))


def test_the_statement_is_five_lines() -> None:
    assert approval.statement(PLAN, "alice", NOW).decode().splitlines() == [
        "bulkhead approval",
        "rollout nginx-e0003",
        f"plan {PLAN.digest}",
        "by alice",
        "until 2026-11-26T12:00:00Z",
    ]


def test_good_ones_count_once_and_bad_ones_say_why(people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "approvals"
    assert approval.check(PLAN, folder, rules(people), NOW) == approval.Approvals()
    approve(folder, people, "alice")
    for suffix in ("", ".sig"):  # the same one under another name
        (folder / f"copy{suffix}").write_bytes((folder / f"alice{suffix}").read_bytes())
    approve(folder, people, "bob", key="alice")
    approve(folder, people, "carol")
    approve(folder, people, "c2", key="carol")
    (folder / "note").write_text("I agree")
    found = approval.check(PLAN, folder, rules(people), NOW)
    assert found.by == ("alice",)
    assert set(found.refused) == {"bob", "carol", "c2", "note"}
    assert found.refused["bob"].startswith("It is not by 'bob': the signature does not check out")
    assert found.refused["carol"] == "'carol' is the author 'carol', who cannot approve what is his own."
    assert found.refused["c2"] == "'c2' is the author 'carol', who cannot approve what is his own."
    assert found.refused["note"] == "It is no approval."


def test_one_key_under_two_names_counts_once(people: Path, tmp_path: Path) -> None:
    folder, signers = tmp_path / "approvals", tmp_path / "allowed_signers"
    signers.write_text(f"alice,bob {(people / 'alice.pub').read_text()}")
    approve(folder, people, "alice")
    approve(folder, people, "bob", key="alice")
    found = approval.check(PLAN, folder, replace(rules(people), signers=signers), NOW)
    assert found.by == ("alice",)
    assert found.refused == {"bob": "'bob' signed with the key of 'alice', whose approval counts already."}


@pytest.mark.parametrize("changed", ["approvers.yml", "allowed_signers"])
def test_who_may_approve_is_what_it_was_when_the_rollout_was_planned(
    people: Path, tmp_path: Path, changed: str
) -> None:
    path, folder = tmp_path / "approvers.yml", tmp_path / "approvals"
    path.write_text("allowed_signers: allowed_signers\napprovers: [alice, bob]\n")
    (tmp_path / "allowed_signers").write_text((people / "allowed_signers").read_text())
    known = approval.digest(path, approval.rules(path))
    made = replace(PLAN, options=replace(PLAN.options, approvers_digest=known))
    for name in ("alice", "bob"):
        approve(folder, people, name, plan=made)
    assert approval.state(made, folder, NOW, str(path))[1] == 0
    with (tmp_path / changed).open("a") as stream:
        stream.write("# mallory\n")
    _found, missing, text = approval.state(made, folder, NOW, str(path))
    assert missing == 2
    assert text.endswith("are not what they were when 'nginx-e0003' was planned.")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"now": NOW + timedelta(hours=2)}, "It expired 2026-11-26T13:00:00Z."),
        ({"now": NOW - timedelta(hours=80)}, "at most 72 hours are allowed."),
        ({"approvers": ("bob",)}, "'alice' is no approver."),
        ({"author": "alice"}, "'alice' is the author 'alice'"),
        ({"epoch": 4}, "It approves another plan, of 'nginx-e0003'."),
    ],
)
def test_when_an_approval_does_not_count(
    people: Path, tmp_path: Path, change: dict[str, object], why: str
) -> None:
    folder = tmp_path / "approvals"
    fields = {key: value for key, value in change.items() if key in ("author", "epoch")}
    changed = replace(PLAN, **fields)  # type: ignore[arg-type]
    approve(folder, people, "alice", plan=changed if "author" in change else PLAN)
    wanted = rules(people, **{key: value for key, value in change.items() if key == "approvers"})
    found = approval.check(changed, folder, wanted, change.get("now", NOW))  # type: ignore[arg-type]
    assert found.by == ()
    assert why in found.refused["alice"]


def test_what_a_wave_waits_for(people: Path, tmp_path: Path) -> None:
    path = tmp_path / "approvers.yml"
    path.write_text(f"allowed_signers: {people}/allowed_signers\napprovers: [alice, bob]\n")
    folder = tmp_path / "approvals"
    approve(folder, people, "alice")
    _found, missing, text = approval.state(PLAN, folder, NOW, str(path))
    assert (missing, text) == (1, "1 of 2 approvals (alice).")
    approve(folder, people, "bob")
    assert approval.state(PLAN, folder, NOW, str(path))[1] == 0
    assert approval.state(replace(PLAN, options=Options()), folder, NOW, "nowhere")[1] == 0


def test_a_policy_is_signed_by_an_author_or_not_at_all(people: Path, tmp_path: Path) -> None:
    said, path = approval.policy_statement("nginx", "1.0.0", "d" * 64), tmp_path / "nginx.yml.sig"
    with pytest.raises(RolloutError, match="there is no signature"):
        approval.policy_signer(said, path, rules(people))
    path.write_bytes(signatures.sign(said, people / "carol", signatures.POLICY))
    assert approval.policy_signer(said, path, rules(people)) == "carol"
    with pytest.raises(RolloutError, match="the signature does not check out"):
        approval.policy_signer(said.replace(b"1.0.0", b"1.0.1"), path, rules(people))
    with pytest.raises(RolloutError, match="the signature does not check out"):
        approval.policy_signer(said, path, rules(people, authors=("bob",)))
    with pytest.raises(RolloutError, match="names no authors"):
        approval.policy_signer(said, path, rules(people, authors=()))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "is no mapping."),
        ("{", "is no YAML"),
        ("approvers: [a]", "has no 'allowed_signers'."),
        ("{allowed_signers: x, approvers: a}", "has 'approvers' that is no list."),
        ("{allowed_signers: x, approvers: [a], approvals: yes}", "has 'approvals' that is no int."),
        ("{allowed_signers: x, approvers: [a], colour: red}", "has 'colour', which is not known."),
        ("{allowed_signers: x, approvers: [a], approvals: 0}", "has 'approvals' below 1."),
        ("{allowed_signers: x, approvers: [a], approvals: -1}", "has 'approvals' below 1."),
        ("{allowed_signers: x, approvers: [a], approvals: false}", "has 'approvals' that is no int."),
        (
            "{allowed_signers: x, approvers: [a, a], approvals: 2}",
            "has 'approvals' 2, more than the approvers that it names (1).",
        ),
        ("{allowed_signers: x, approvers: [a], hours: 0}", "has 'hours' below 1."),
    ],
)
def test_a_file_of_approvers_that_makes_no_sense(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "approvers.yml"
    path.write_text(text)
    with pytest.raises(RolloutError) as caught:
        approval.rules(path)
    assert fault in str(caught.value)


def test_a_file_of_approvers_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "approvers.yml").write_bytes(b"approvers: [jos\xe9]")
    with pytest.raises(RolloutError, match=r"approvers\.yml' is no text in UTF-8\."):
        approval.rules(tmp_path / "approvers.yml")


@pytest.mark.parametrize(
    ("by", "name"),
    [
        ("alice", "alice"),
        ("alice@example.org", "alice_at_example.org"),
        ("alice+ops@example.org", "alice_2b_ops_at_example.org"),
        ("Ann Ott", "Ann_20_Ott"),
        ("../x", "by_.._2f_x"),
        ("bob.sig", "by_bob.sig"),
        ("bob.yml", "bob.yml"),
    ],
)
def test_the_file_of_an_approval(by: str, name: str) -> None:
    assert approval.file_name(by) == name


def test_a_pipe_is_no_approval_and_nobody_waits_for_it(people: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alice")
    assert approval.check(PLAN, tmp_path, rules(people), NOW) == approval.Approvals()


def test_no_file_of_approvers(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="cannot be read: No such file"):
        approval.rules(tmp_path / "x")


def test_a_key_that_cannot_sign(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="cannot sign: "):
        signatures.sign(b"x", tmp_path / "nobody", signatures.APPROVAL)
