# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child profiles of components: their text, what they may beside the service's profile, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from apparmor_model import Profile
from apparmor_support import clause, nesting
from linux_support import content, host, manifest, path, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import (
    apparmor,
    macos_sandbox,
    win_service,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Compilation, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import asked_paths
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

PROGRAM = "/usr/bin/a side"
SPAWN = m.Spawn("spawn", path=path("/usr/bin"))
OWN = m.Execute("own", path=path(PROGRAM))


def side(*clauses: m.Clause, program: str = PROGRAM, name: str = "side") -> m.Component:
    programs = ((m.OS.LINUX, program),) if program else ()
    return m.Component(
        f"components[{name}]", name=name, policy="helper", version="1.0.0", programs=programs, clauses=clauses
    )


def compiled(*clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **facts: object) -> Compilation:
    return apparmor.compile(manifest(*clauses, mode=mode), host(**facts))  # type: ignore[arg-type]


def profile(made: Compilation) -> Profile:
    return Profile(content(made, "bulkhead.demo"))


def said(*clauses: m.Clause, **facts: object) -> tuple[Status, str]:
    found = verdict(compiled(*clauses, **facts), "components[side]")
    return found.status, found.detail


def test_its_program_changes_to_a_stack_of_the_services_profile_and_its_own():
    made = compiled(SPAWN, side(OWN, m.Read("r", path=path("/srv/a"))))
    rules = profile(made)
    assert rules.changes == {PROGRAM.encode(): "side"}
    assert f'  "{PROGRAM}" mrkpx -> bulkhead.demo//&bulkhead.demo//side,\n' in content(made, "bulkhead.demo")
    inner = rules.children["side"]
    assert inner.allows("/srv/a/x", "r") and not rules.allows("/srv/a/x", "r")  # the kernel asks both
    assert not inner.allows("/usr/bin/other", "x") and rules.allows("/usr/bin/other", "x")
    assert inner.allows(PROGRAM, "m")
    for peer in ("bulkhead.demo", "bulkhead.demo//side"):
        assert f"signal (send) peer={peer}" in rules.others and f"signal (send) peer={peer}" in inner.others
    read = [(item.clause, item.key, item.value) for item in made.readbacks if item.kind == "apparmor_profile"]
    assert read == [
        ("filesystem.read", "bulkhead.demo", "enforce"),
        ("components[side]", "bulkhead.demo//side", "enforce"),
    ]


def test_every_line_of_a_child_is_of_its_component():
    made = compiled(SPAWN, side(OWN))
    (artifact,) = [item for item in made.artifacts if item.kind == "apparmor"]
    lines = artifact.content.decode().split("\n")
    begin, end = (
        lines.index("  profile side flags=(attach_disconnected, mediate_deleted) {"),
        lines.index("  }"),
    )
    owners = dict(artifact.lines)
    assert {owners[number + 1] for number in range(begin, end + 1)} == {"components[side]"}
    assert owners[begin] == "components[side]"  # the change of profile
    assert "components[side]" not in {owners.get(number) for number in range(1, begin)}


def test_it_is_enforced_where_all_that_its_policy_says_is_held():
    status, detail = said(
        SPAWN, m.Write("w", path=path("/srv")), side(OWN, m.Write("in", path=path("/srv/in")))
    )
    assert status is Status.ENFORCED
    assert detail == (
        "its processes stay under the service's profile too: NoNewPrivileges allows no other change of profile"
    )


def test_what_the_service_may_not_is_named_and_not_given():
    grants = (m.Write("in", path=path("/srv/in")), m.Privilege("low", name="bind_low_port"))
    families = m.Families("network.families", names=("ipv4", "unix"))
    status, detail = said(
        SPAWN,
        m.Families("network.families", names=("unix",)),
        side(OWN, *grants, families, m.Read("g", path=path("/srv/*.d", glob=True))),
    )
    assert status is Status.PARTIAL
    assert detail.startswith(
        "not given, because the service itself may not or no rule carries it: g, in, low, network.families; "
    )


def test_what_no_profile_can_narrow_is_named():
    service = (
        SPAWN,
        m.Listen("network.listen[tcp/80]", port=m.Port("tcp", 80, 80)),
        m.Syscalls("processes.syscalls", groups=("basic", "debug")),
        m.MemoryLimit("memory.limit", bytes=100),
        m.MaxProcesses("processes.max", count=10),
        m.User("identity.user", name="web"),
        m.Secret("secrets[key]", name="key", source=path("/etc/key")),
    )
    held = (
        m.Syscalls("processes.syscalls", groups=("basic",)),
        m.MemoryLimit("memory.limit", bytes=100),
        m.MaxProcesses("processes.max", count=5),
        m.MaxOpenFiles("files.max_open", count=5),
        m.User("identity.user", name="other"),
        m.ListenClosure("network.listen"),
        m.Watchdog("resilience.watchdog", seconds=5),
    )
    _status, detail = said(*service, side(OWN, *held))
    assert detail.startswith(
        "no narrower than the service has it: "
        "files.max_open, identity.user, network.listen, processes.max, processes.syscalls, secrets; "
    )


def test_its_denials_are_weighed_as_the_services_own():
    bad = m.Deny("d", path=path("/srv/[\t]", glob=True))
    _status, detail = said(
        SPAWN, side(OWN, bad, m.Deny("l", path=path("/srv/now"))), links={"/srv/now": "/srv/v2"}
    )
    assert "not denied: '/srv/[\\t]' holds the control character" in detail
    assert "l: '/srv/now' goes through a link to '/srv/v2'" in detail


@pytest.mark.parametrize(
    ("clauses", "why"),
    [
        ((SPAWN, side(program="")), "the policy 'helper' names no program on Linux"),
        (
            (side(OWN),),
            "the service may not start '/usr/bin/a side' (components[side]): add it to processes.spawn.",
        ),
        ((SPAWN, m.Deny("d", path=path(PROGRAM)), side(OWN)), "the service may not start"),
        ((SPAWN, m.Read("r", path=path(PROGRAM)), side(OWN)), "the service may not start"),
    ],
)
def test_what_cannot_be_started_is_refused(clauses, why):
    made = compiled(*clauses)
    found = verdict(made, "components[side]")
    assert found.status is Status.REFUSED and why in found.detail
    assert profile(made).children == {} and not any(item.clause == found.clause for item in made.readbacks)


def test_two_components_of_one_program_are_one_too_many():
    made = compiled(SPAWN, side(OWN), side(OWN, name="twin"))
    assert list(profile(made).children) == ["side"]
    found = verdict(made, "components[twin]")
    assert "is the program of components[side] already" in found.detail and found.status is Status.REFUSED


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"container": True}, "it is a container"),
        ({"lsm": []}, "its kernel runs without it"),
        (
            {"apparmor": {"enabled": True, "parser": "", "abis": []}},
            "it has no apparmor_parser that knows ABI 3.0",
        ),
        ({"systemd": {"version": 252, "flags": {"APPARMOR": False}}}, "its systemd is built without it"),
    ],
)
def test_without_apparmor_it_is_refused_with_the_reason(facts, why):
    status, detail = said(SPAWN, side(OWN), **facts)
    assert status is Status.REFUSED
    assert detail == f"a component needs a profile of AppArmor, and this host has none: {why}"


@pytest.mark.parametrize(
    ("backend", "why"), [(win_service, "own token"), (macos_sandbox, "keeps the sandbox")]
)
def test_other_systems_say_that_they_cannot(backend, why):
    assert why in backend.SUPPORT[m.Component].missing


def test_audit_blocks_nothing_in_a_child_either():
    clauses = (SPAWN, side(OWN, m.Deny("d", path=path("/srv"))))
    made = compiled(*clauses, mode=m.Mode.AUDIT)
    inner = profile(made).children["side"]
    assert "complain" in inner.flags and not any(rule.deny for rule in inner.files)
    assert inner.allows("/usr/bin/anything", "x")
    assert verdict(made, "components[side]").detail.startswith("audit: logged by the profile, not denied; ")


def test_a_rule_for_the_program_alone_gives_its_way_of_starting_up():
    # What is denied below a program's own name leaves a rule for that one name: two ways to start one program.
    made = compiled(m.Spawn("s", path=path(PROGRAM)), m.Read("r", path=path(f"{PROGRAM}/x")), side(OWN))
    rules = [rule for rule in profile(made).files if rule.where == PROGRAM and "x" in rule.may]
    assert len(rules) == 1


def test_links_are_followed():
    made = compiled(
        SPAWN,
        side(program="/bin/side"),
        links={"/usr/bin/side": "/usr/lib/side", "/bin/side": "/usr/lib/side"},
    )
    assert (
        verdict(made, "components[side]").status is Status.REFUSED
    )  # nothing lets it run what the link leads to
    made = compiled(
        m.Spawn("s", path=path("/usr/lib/side")),
        side(program="/bin/side"),
        links={"/bin/side": "/usr/lib/side"},
    )
    assert profile(made).changes == {b"/usr/lib/side": "side"}
    given = manifest(SPAWN, side(m.Read("r", path=path("/srv/b"))))
    assert asked_paths(given, m.OS.LINUX) == ("/srv/b", "/usr/bin", PROGRAM)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_policies_a_component_never_has_more_than_either(seed):
    service = [*nesting(seed), SPAWN]
    inside = [replace(one, id=f"{one.id} inside") for one in nesting(seed + 1000)]
    rules = profile(compiled(*service, side(OWN, *inside)))
    alone = Profile(content(compiled(*inside, clause(m.Execute, PROGRAM)), "bulkhead.demo"))
    service_alone = Profile(content(compiled(*service), "bulkhead.demo"))
    inner = rules.children["side"]
    for one in [*service, *inside]:
        for letter in "rwx":
            where = one.path.text
            assert inner.allows(where, letter) is alone.allows(where, letter)
            assert rules.allows(where, letter) is service_alone.allows(where, letter)
