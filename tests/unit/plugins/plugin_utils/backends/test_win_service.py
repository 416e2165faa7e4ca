# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_systems import content, hostile_text, leaves, manifest, path, run, sample, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import win_service
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Features, Grade, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.win_service_table import (
    PRIVILEGES,
    SUPPORT,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.evaluate import Outcome, path_act
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.words import PRIVILEGES as WORDS

WIN = m.OS.WINDOWS


def settings(*clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **workload: str) -> dict:
    return json.loads(content(run("win_service", WIN, *clauses, mode=mode, **workload), "service.json"))


def test_writing_is_denied_by_default_and_granted_by_path():
    made = settings(
        m.WriteClosure("filesystem.write"),
        m.Write("filesystem.write[x]", path=path(WIN, r"C:\demo\logs")),
        m.Deny("filesystem.deny[x]", path=path(WIN, r"C:\demo\logs\old")),
        m.Read("filesystem.read[x]", path=path(WIN, r"c:/demo//conf/")),
    )
    assert made["sid"] == {"type": "restricted", "clause": "filesystem.write"}
    assert [(item["path"], item["type"], item["rights"]) for item in made["access"]] == [
        (r"C:\demo\logs\old", "Deny", ["FullControl"]),
        (r"C:\demo\conf", "Allow", ["Read"]),
        (r"C:\demo\logs", "Allow", ["Modify"]),
    ]
    assert made["account"] == r"NT SERVICE\demo"


_NAMES = {
    "FullControl": {"read", "write", "delete", "execute"},
    "Modify": {"read", "write", "delete", "execute"},
    "ReadAndExecute": {"read", "execute"},
    "Read": {"read"},
    "Write": {"write"},
    "Delete": {"delete"},
    "DeleteSubdirectoriesAndFiles": {"delete"},
    "ExecuteFile": {"execute"},
}


def decided(access: list[dict], file: str, right: str) -> bool:
    """NTFS as Microsoft describes it: nearer entries first, among those of one folder denials first."""
    around = [
        entry
        for entry in access
        if (file + "\\").casefold().startswith(entry["path"].casefold().rstrip("\\") + "\\")
    ]
    for entry in sorted(around, key=lambda entry: (-len(entry["path"]), entry["type"] != "Deny")):
        if any(right in _NAMES[name] for name in entry["rights"]):
            return bool(entry["type"] == "Allow")
    return False


trees = st.lists(st.sampled_from(["a", "a", "B", "b"]), min_size=1, max_size=4).map(
    lambda parts: "C:\\" + "\\".join(parts)
)
entries = st.tuples(st.sampled_from([m.Read, m.Write, m.Execute, m.Spawn, m.Deny]), trees)


def clauses(found):
    return [kind(f"{kind.section}[{n}]", path=path(WIN, text)) for n, (kind, text) in enumerate(found)]


@given(st.lists(entries, max_size=6), trees)
def test_access_lists_decide_as_the_policy_says(found, file):
    access = settings(*clauses(found))["access"]
    for action, rights in (("read", ["read"]), ("write", ["write", "delete"])):
        wanted = path_act(clauses(found), action, file, WIN).outcome is Outcome.ALLOW
        assert [decided(access, file, right) for right in rights] == [wanted] * len(rights)
    # Modify lets programs run as well; that they do not is AppLocker's.
    if path_act(clauses(found), "execute", file, WIN).outcome is Outcome.ALLOW:
        assert decided(access, file, "execute")


def test_reading_inside_of_writing_is_read_only_as_far_as_access_lists_go():
    found = clauses([(m.Write, r"C:\srv"), (m.Read, r"c:\SRV\static"), (m.Write, r"C:\srv\static\cache")])
    made = run("win_service", WIN, *found)
    denials = [item for item in settings(*found)["access"] if item["type"] == "Deny"]
    assert denials == [
        {
            "path": r"C:\SRV\static",
            "type": "Deny",
            "rights": ["Write", "Delete", "DeleteSubdirectoriesAndFiles", "ExecuteFile"],
            "clause": "filesystem.read[1]",
        }
    ]
    said = verdict(made, "filesystem.read[1]")
    assert said.status is Status.PARTIAL
    assert "can be renamed, and another put in its place" in said.detail
    assert verdict(made, "filesystem.write[2]").status is Status.ENFORCED
    audit = run("win_service", WIN, *found, mode=m.Mode.AUDIT)
    assert not [item for item in settings(*found, mode=m.Mode.AUDIT)["access"] if item["type"] == "Deny"]
    assert verdict(audit, "filesystem.read[1]").detail.startswith("audit mode leaves it out")


@given(
    st.permutations([(m.Write, r"C:\a"), (m.Read, r"C:\a\b"), (m.Spawn, r"C:\a\B"), (m.Read, r"C:\a\b\c")])
)
def test_order_of_clauses_changes_no_byte(order):
    named = [kind(kind.section + text, path=path(WIN, text)) for kind, text in order]
    plain = run("win_service", WIN, *sorted(named, key=lambda clause: clause.id))
    assert run("win_service", WIN, *named).artifacts == plain.artifacts


def test_every_neutral_privilege_has_an_answer():
    assert PRIVILEGES.keys() == WORDS.keys()
    for word in WORDS:
        said = verdict(run("win_service", WIN, m.Privilege("c", name=word)), "c")
        assert said.status is not Status.ENFORCED or said.mechanisms
        assert said.status is Status.ENFORCED or said.detail


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("bind_low_port", Status.ENFORCED, "Windows asks for no privilege here"),
        ("switch_user", Status.ENFORCED, ""),
        ("read_any_file", Status.PARTIAL, r"NT SERVICE\demo must be given SeBackupPrivilege"),
        ("change_owner", Status.PARTIAL, "ownership can be taken, not given away"),
        ("raw_network", Status.REFUSED, "raw sockets need membership of the administrators"),
    ],
)
def test_privileges(name, status, said):
    found = verdict(run("win_service", WIN, m.Privilege("c", name=name)), "c")
    assert (found.status, said in found.detail) == (status, True)


@pytest.mark.parametrize(
    ("name", "workload", "status", "said"),
    [
        ("www-data", {}, Status.PARTIAL, r"runs as NT SERVICE\demo and not as 'www-data': "),
        (r"nt service\demo", {}, Status.ENFORCED, r"runs as NT SERVICE\demo"),
        ("x", {"user": "W"}, Status.ENFORCED, "runs as W, which workload.windows.user names in place of 'x'"),
    ],
)
def test_the_account_is_not_called_what_it_is_not(name, workload, status, said):
    found = verdict(run("win_service", WIN, m.User("u", name=name), **workload), "u")
    assert found.status is status and found.detail.startswith(said)


def test_privileges_are_listed_once():
    clauses = [m.PrivilegeClosure("p")]
    clauses += [m.Privilege(f"p[{word}]", name=word) for word in ("override_permissions", "read_any_file")]
    names = [item["name"] for item in settings(*clauses)["required_privileges"]]
    assert sorted(names) == ["SeBackupPrivilege", "SeChangeNotifyPrivilege", "SeRestorePrivilege"]


def test_children_are_forbidden_only_where_no_program_may_run():
    nothing = settings(m.SpawnClosure("processes.spawn"))
    assert nothing["process_mitigations"] == [
        {"image": "demo.exe", "enable": ["DisallowChildProcessCreation"], "clause": "processes.spawn"}
    ]
    itself = m.Execute("filesystem.execute[x]", path=path(WIN, r"C:\demo\demo.exe"))
    assert settings(m.SpawnClosure("processes.spawn"), itself)["process_mitigations"] == []


def test_mitigations_say_that_they_are_keyed_by_file_name():
    made = run("win_service", WIN, m.WritableAndExecutable("c"))
    assert "every program named 'demo.exe' on the host gets it" in verdict(made, "c").detail
    assert verdict(made, "c").status is Status.PARTIAL


def test_mitigations_need_a_build_that_has_them():
    one = manifest(WIN, m.WritableAndExecutable("c"))
    said = verdict(win_service.compile(one, Features(WIN, "old", {"build": 14393})), "c")
    assert said.status is Status.REFUSED
    assert said.detail == "Exploit Protection has BlockDynamicCode from build 16299 on, this is 14393."


def test_audit_denies_nothing():
    closures = [
        m.WriteClosure("w"),
        m.PrivilegeClosure("p"),
        m.Deny("d", path=path(WIN, r"C:\x")),
        m.User("u", name="x"),
    ]
    made = run(
        "win_service", WIN, *closures, m.WritableAndExecutable("x"), m.CoreDumps("c"), mode=m.Mode.AUDIT
    )
    found = json.loads(content(made, "service.json"))
    assert found["sid"] == {"type": "unrestricted"}
    assert found["account"] is None
    assert found["access"] == found["required_privileges"] == found["registry"] == []
    assert [item["enable"] for item in found["process_mitigations"]] == [["AuditDynamicCode"]]
    assert all("audit" in said.detail or "logged" in said.detail for said in made.verdicts)


@pytest.mark.parametrize(
    ("when", "limit", "kinds", "status"),
    [
        ("never", None, [], Status.ENFORCED),
        ("on_failure", None, ["restart"] * 3, Status.ENFORCED),
        ("on_failure", 2, ["restart", "restart", "none"], Status.ENFORCED),
        ("always", 1, ["restart", "none"], Status.PARTIAL),
        ("on_failure", 999_999_999, ["restart"] * 3, Status.ENFORCED),  # the limit itself is refused
    ],
)
def test_restarts(when, limit, kinds, status):
    clauses = [m.Restart("resilience.restart", when=when)]
    clauses += [m.RestartLimit("l", count=limit, seconds=600)] if limit else []
    made = run("win_service", WIN, *clauses)
    assert verdict(made, "resilience.restart").status is status
    actions = json.loads(content(made, "service.json"))["failure_actions"]
    assert [item["type"] for item in actions["actions"]] == kinds
    assert actions["reset_seconds"] == (600 if limit and limit <= 100 else 86400)


@pytest.mark.parametrize(
    "kind", [kind for kind in leaves() if kind in SUPPORT and SUPPORT[kind].grade is Grade.NEVER]
)
def test_what_windows_never_carries_is_refused_with_the_reason(kind):
    clause = sample(kind, WIN)
    said = verdict(run("win_service", WIN, clause), clause.id)
    assert said.status is Status.REFUSED
    assert said.detail == SUPPORT[kind].missing and said.detail


@given(hostile_text, hostile_text, hostile_text)
def test_no_value_adds_an_entry_or_a_key(name, value, identity):
    made = run("win_service", WIN, m.EnvironmentSet(identity, name=name, value=value))
    found = json.loads(content(made, "service.json"))
    assert found.keys() == settings().keys()
    if verdict(made, identity).status is Status.REFUSED:
        assert found["environment"] == []
    else:
        assert found["environment"] == [{"entry": f"{name}={value}", "clause": identity}]
        assert "=" not in name and not set("\0\r\n") & set(value)


@given(hostile_text)
def test_a_path_is_refused_or_carried_as_it_is(text):
    made = run("win_service", WIN, m.Write("c", path=path(WIN, "C:\\x\\" + text)))
    found = json.loads(content(made, "service.json"))["access"]
    if verdict(made, "c").status is Status.REFUSED:
        assert found == []
        assert repr("C:\\x\\" + text) in verdict(made, "c").detail
    else:
        parts = [part for part in text.replace("/", "\\").split("\\") if part]
        assert found[0]["path"] == "\\".join(["C:\\x", *parts])
        assert ".." not in parts and not set(text) & set('<>:"|?*')


def test_lines_name_their_clauses():
    made = run("win_service", WIN, m.Write("filesystem.write[x]", path=path(WIN, r"C:\x")))
    (artifact,) = made.artifacts
    lines = artifact.content.decode().splitlines()
    assert [(lines[number - 1].strip(), clause) for number, clause in artifact.lines] == [
        ('"clause": "filesystem.write[x]",', "filesystem.write[x]")
    ]
