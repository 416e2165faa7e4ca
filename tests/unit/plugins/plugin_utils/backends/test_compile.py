# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The joint: one verdict for every clause, none dropped, waivers by name and date."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from datetime import date

import pytest
from linux_support import TODAY, host, manifest, path
from other_systems import FEATURES, GOLDEN, leaves, load

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features, registry
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import (
    BackendError,
    Compilation,
    Status,
    Verdict,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle, join
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

CLAUSE = m.MaxProcesses("processes.max", count=1)
UPDATE = "BULKHEAD_UPDATE_GOLDEN"
REFERENCES = ["debian11", "debian12", "debian13", "ubuntu2404"]
POLICIES = ["nginx", "everything"]


def said(*verdicts, waivers=(), today=TODAY):
    made = [Compilation(verdicts=(verdict,)) for verdict in verdicts]
    (found,) = join(manifest(CLAUSE, waivers=tuple(waivers)), m.OS.LINUX, made, today)
    return found


def of(status, mechanism="x", detail=""):
    return Verdict("processes.max", status, (mechanism,) if mechanism else (), detail)


def waiver(clause="processes.max", until="2026-11-24", on=m.OS.LINUX):
    return m.Waiver(clause, on, "legacy kernel", "web-platform", until)


def test_a_clause_that_nobody_claims_is_refused():
    assert said() == Verdict("processes.max", Status.REFUSED, (), "No backend of linux carries this clause.")


def test_one_lock_that_holds_is_enough_and_a_refusal_stays_in_sight():
    enforced, partial, refused = (
        of(Status.ENFORCED, "a"),
        of(Status.PARTIAL, "b", "why"),
        of(Status.REFUSED, "", "no"),
    )
    assert said(refused, partial) == of(Status.PARTIAL, "b", "why; no")
    both = replace(enforced, mechanisms=("a", "b"))
    assert said(partial, enforced, refused) == both, "what holds a part as well is named after it"


def test_what_one_backend_keeps_closed_is_not_granted():
    grant = m.Execute("filesystem.execute[x]", path=path("/x"))
    made = [
        Compilation(verdicts=(Verdict(grant.id, Status.ENFORCED, ("a",)),)),
        Compilation(verdicts=(Verdict(grant.id, Status.REFUSED, (), "no rule can name '%x%'"),)),
    ]
    for order in (made, made[::-1]):
        (found,) = join(manifest(grant), m.OS.LINUX, order, TODAY)
        assert found == Verdict(grant.id, Status.PARTIAL, ("a",), "no rule can name '%x%'")


def test_what_one_backend_keeps_closed_in_part_is_granted_in_part():
    grant, closure = m.Write("filesystem.write[/x]", path=path("/x")), m.WriteClosure("filesystem.write")
    for clause, status, detail in (
        (grant, Status.PARTIAL, "/x/lib stays closed"),
        (closure, Status.ENFORCED, ""),
    ):
        made = [
            Compilation(verdicts=(Verdict(clause.id, Status.ENFORCED, ("a",)),)),
            Compilation(verdicts=(Verdict(clause.id, Status.PARTIAL, ("b",), "/x/lib stays closed"),)),
        ]
        (found,) = join(manifest(clause), m.OS.LINUX, made, TODAY)
        assert found == Verdict(clause.id, status, ("a", "b"), detail)


@pytest.mark.parametrize(
    ("status", "detail", "want"),
    [
        (Status.ENFORCED, "", "a hole"),
        (Status.PARTIAL, "why", "why; a hole"),
        (Status.PARTIAL, "a hole; why", "a hole; why"),
    ],
)
def test_a_hole_lowers_what_any_backend_says(status, detail, want):
    made = [
        Compilation(holes=(("processes.max", "a hole"), ("processes.max", "a hole"))),
        Compilation(verdicts=(of(status, "x", detail),)),
    ]
    for order in (made, made[::-1]):
        (found,) = join(manifest(CLAUSE), m.OS.LINUX, order, TODAY)
        assert found == of(Status.PARTIAL, "x", want)


@pytest.mark.parametrize(
    ("other", "want"),
    [
        (Status.ENFORCED, Status.ENFORCED),  # another lock holds exactly that
        (Status.PARTIAL, Status.PARTIAL),
        (Status.REFUSED, Status.PARTIAL),
        (None, Status.PARTIAL),
    ],
)
def test_what_one_backend_opens_beyond_a_grant_counts_unless_another_closes_it(other, want):
    grant = m.Write("w", path=path("/run/demo.pid"))
    wide = Compilation(verdicts=(Verdict("w", Status.ENFORCED, ("a",)),), loose=(("w", "all of it is open"),))
    second = [Compilation(verdicts=(Verdict("w", other, ("b",), "why"),))] if other else []
    for order in ([wide, *second], [*second, wide]):
        (found,) = join(manifest(grant), m.OS.LINUX, order, TODAY)
        assert found.status is want
        assert ("all of it is open" in found.detail) is (want is not Status.ENFORCED)


def test_equals_are_merged():
    assert said(of(Status.PARTIAL, "a", "one"), of(Status.PARTIAL, "b", "two")) == Verdict(
        "processes.max", Status.PARTIAL, ("a", "b"), "one; two"
    )


@pytest.mark.parametrize("status", [Status.REFUSED, Status.PARTIAL])
def test_a_waiver_counts_through_its_last_day(status):
    found = said(of(status, detail="no pids"), waivers=[waiver()])
    assert found.status is Status.WAIVED
    assert found.detail == "waived by web-platform until 2026-11-24: legacy kernel (no pids)"


@pytest.mark.parametrize(
    "other", [waiver(until="2026-11-23"), waiver("process"), waiver("processes"), waiver(on=m.OS.MACOS)]
)
def test_other_waivers_do_not_count(other):
    assert said(of(Status.REFUSED), waivers=[other]).status is Status.REFUSED


def test_an_expired_waiver_is_named():
    found = said(of(Status.REFUSED, detail="no pids"), waivers=[waiver(until="2026-11-23")])
    assert found.detail == "no pids; the waiver of web-platform expired on 2026-11-23"


def test_a_waiver_of_what_is_enforced_changes_nothing():
    assert said(of(Status.ENFORCED), waivers=[waiver()]).status is Status.ENFORCED


def test_paths_that_nobody_named_are_refused_and_those_that_are_not_there_need_nothing():
    unknown = m.Write("w", path=m.PathRef("$logs", ((m.OS.MACOS, "/logs"),)))
    absent = m.Read("r", path=m.PathRef("$modules", ((m.OS.LINUX, None),)))
    made = compile_bundle(manifest(unknown, absent), host(), TODAY)
    assert {item.clause: item.status for item in made.verdicts} == {"w": Status.REFUSED, "r": Status.ENFORCED}
    assert "does not say what '$logs' is on linux: add it to paths" in made.verdicts[0].detail
    assert "'$modules' does not exist on linux: needs nothing here" in made.verdicts[1].detail


def override(backend, key="Nice", system=m.OS.LINUX):
    return m.Override(f"overrides.{system.value}.{backend}.{key}", system, backend, key, "5")


def test_every_override_has_a_verdict_and_none_is_lost():
    given = [override("systemd"), override("nftables"), override("sysctl"), override("x", system=m.OS.MACOS)]
    made = compile_bundle(manifest(CLAUSE, overrides=tuple(given)), host(), TODAY)
    found = {item.clause: item for item in made.verdicts}
    assert list(found) == [
        "processes.max",
        *("overrides.linux.systemd.Nice", "overrides.linux.nftables.Nice", "overrides.linux.sysctl.Nice"),
    ]
    assert found["overrides.linux.systemd.Nice"].status is Status.ENFORCED
    assert found["overrides.linux.nftables.Nice"] == Verdict(
        *("overrides.linux.nftables.Nice", Status.REFUSED, ()),
        "'nftables' takes no overrides (overrides.linux.nftables.Nice): write systemd.",
    )
    assert found["overrides.linux.sysctl.Nice"] == Verdict(
        *("overrides.linux.sysctl.Nice", Status.REFUSED, ()),
        "'sysctl' is no backend of linux (overrides.linux.sysctl.Nice): known are systemd, apparmor, nftables; "
        "of these systemd takes overrides.",
    )


def test_overrides_are_left_out_in_audit_mode_and_said():
    made = compile_bundle(
        manifest(CLAUSE, overrides=(override("systemd"),), mode=m.Mode.AUDIT), host(), TODAY
    )
    assert made.verdicts[-1] == Verdict(
        "overrides.linux.systemd.Nice", Status.PARTIAL, ("systemd none",), "audit: overrides are left out"
    )


@pytest.mark.parametrize(
    ("system", "backend", "said"),
    [
        (
            m.OS.WINDOWS,
            "win_service",
            "'win_service' takes no overrides (overrides.windows.win_service.Nice): no ",
        ),
        (
            m.OS.MACOS,
            "launchd",
            "'launchd' is no backend of macos (overrides.macos.launchd.Nice): known are ",
        ),
    ],
)
def test_systems_without_overrides_refuse_them(system, backend, said):
    loaded = replace(load(GOLDEN / "everything.yml"), overrides=(override(backend, system=system),))
    made = compile_bundle(loaded, features.reference(FEATURES[system]), TODAY)
    assert made.verdicts[-1].status is Status.REFUSED
    assert made.verdicts[-1].detail.startswith(said)
    assert made.verdicts[-1].detail.endswith(("leave it out.", "of these none takes overrides."))


def test_examples_become_probes_of_the_clause_that_decides():
    clauses = (
        m.ReadClosure("filesystem.read"),
        m.Read("r", path=path("/srv")),
        m.Deny("d", path=path("/srv/private")),
        m.Connect(
            "c", peer=m.Peer("x", m.PeerKind.ADDRESSES, ("10.0.0.0/8",)), ports=(m.Port("tcp", 80, 80),)
        ),
    )
    examples = (
        m.Example("1", True, "read", path("/srv/a")),
        m.Example("2", False, "read", path("/srv/private/a")),
        m.Example("3", False, "read", path("/etc/shadow")),
        m.Example("4", True, "connect", address="10.1.1.1", port=m.Port("tcp", 80, 80)),
        m.Example("5", False, "connect", address="2001:db8::1", port=m.Port("tcp", 80, 80)),
        m.Example("6", False, "listen", port=m.Port("tcp", 4444, 4444)),
    )
    made = compile_bundle(manifest(*clauses, examples=examples), host(), TODAY)
    got = {probe.id: (probe.clause, probe.action, probe.target, probe.expect) for probe in made.probes}
    assert {key: got[key] for key in "123456"} == {
        "1": ("r", "read", "/srv/a", "allow"),
        "2": ("d", "read", "/srv/private/a", "deny"),
        "3": ("filesystem.read", "read", "/etc/shadow", "deny"),
        "4": ("c", "connect", "tcp/10.1.1.1:80", "allow"),
        "5": ("network.connect", "connect", "tcp/[2001:db8::1]:80", "deny"),
        "6": ("network.listen", "listen", "tcp/4444", "deny"),
    }


def test_without_a_workload_there_is_nothing_to_compile():
    with pytest.raises(BackendError, match=r"Policy 'demo' has no workload for linux: add workload\.linux"):
        compile_bundle(replace(manifest(), workloads=()), host(), TODAY)


@pytest.mark.parametrize("kind", leaves())
def test_every_kind_of_clause_has_a_row_of_some_linux_backend(kind):
    assert any(kind in backend.SUPPORT for backend in registry.backends(m.OS.LINUX))


def linux(policy, name):
    loaded = load(GOLDEN / f"{policy}.yml" if policy == "everything" else policy)
    unit = loaded.workload(m.OS.LINUX).name
    return loaded, features.reference(name, unit)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("policy", POLICIES)
def test_golden_files(policy, name):
    loaded, facts = linux(policy, name)
    made = compile_bundle(loaded, facts, TODAY)
    folder = GOLDEN / name / policy
    table = "".join(
        f"{item.status.value}\t{item.clause}\t{', '.join(item.mechanisms)}\t{item.detail}\n"
        for item in made.verdicts
    )
    files = {artifact.path.lstrip("/"): artifact.content for artifact in made.artifacts}
    files["verdicts.tsv"] = table.encode()
    if os.environ.get(UPDATE):
        for relative, data in files.items():
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            (folder / relative).write_bytes(data)
    there = {str(item.relative_to(folder)) for item in folder.rglob("*") if item.is_file()}
    assert there == set(files)
    for relative, data in files.items():
        assert (folder / relative).read_text("utf-8") == data.decode(), relative


@pytest.mark.parametrize("name", REFERENCES)
def test_order_of_clauses_changes_no_byte(name):
    loaded, facts = linux("everything", name)
    made = compile_bundle(loaded, facts, TODAY)
    shuffled = random.Random(7).sample(loaded.clauses, len(loaded.clauses))
    other = compile_bundle(replace(loaded, clauses=tuple(shuffled)), facts, TODAY)
    assert {item.path: item.content for item in made.artifacts if not item.path.endswith(".nft")} == {
        item.path: item.content for item in other.artifacts if not item.path.endswith(".nft")
    }
    assert sorted(made.verdicts, key=str) == sorted(other.verdicts, key=str)


def test_every_clause_has_exactly_one_verdict():
    for name in REFERENCES:
        loaded, facts = linux("everything", name)
        names = [item.clause for item in compile_bundle(loaded, facts, TODAY).verdicts]
        assert sorted(names) == sorted(clause.id for clause in loaded.clauses)


def test_sixty_clauses_compile_in_twenty_milliseconds():
    loaded, facts = linux("nginx", "debian12")
    more = tuple(
        m.Connect(f"c{n}", peer=m.Peer("x", m.PeerKind.ADDRESSES, (f"10.0.{n}.0/24",))) for n in range(20)
    )
    loaded = replace(loaded, clauses=loaded.clauses + more)
    assert len(loaded.clauses) >= 60
    took = []
    for _ in range(10):
        begin = time.process_time()
        compile_bundle(loaded, facts, date(2026, 11, 24))
        took.append(time.process_time() - begin)
    assert min(took) < 0.02
