# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_systems import content, hostile_text, path, run, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.win_names import service_sid
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import evaluate
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

WIN = m.OS.WINDOWS
trees = st.lists(st.sampled_from(["a", "a", "a", "A b"]), min_size=1, max_size=4).map(
    lambda parts: "C:\\" + "\\".join(parts)
)
entries = st.tuples(st.sampled_from([m.Execute, m.Spawn, m.Deny, m.Read, m.Write]), trees)


def clauses(found):
    return [kind(f"{kind.section}[{n}]", path=path(WIN, text)) for n, (kind, text) in enumerate(found)]


def policy(*found: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **workload: str) -> ET.Element:
    return ET.fromstring(content(run("win_applocker", WIN, *found, mode=mode, **workload), "applocker.xml"))


def allowed(root: ET.Element, file: str, sid: str, collection: str = "Exe") -> bool:
    """AppLocker as Microsoft describes it: deny beats allow, and what no rule allows is blocked."""
    rules = root.find(f"RuleCollection[@Type='{collection}']").findall("FilePathRule")
    actions = {
        rule.get("Action")
        for rule in rules
        if rule.get("UserOrGroupSid") in (sid, "S-1-1-0") and _hit(rule, file)
    }
    return "Allow" in actions and "Deny" not in actions


def _hit(rule: ET.Element, file: str) -> bool:
    conditions = [item.get("Path") for item in rule.findall("Conditions/FilePathCondition")]
    exceptions = [item.get("Path") for item in rule.findall("Exceptions/FilePathCondition")]
    return any(_match(item, file) for item in conditions) and not any(
        _match(item, file) for item in exceptions
    )


def _match(pattern: str, file: str) -> bool:
    pattern, file = pattern.casefold(), file.casefold()
    return file.startswith(pattern[:-1]) if pattern.endswith("*") else file == pattern


@given(st.lists(entries, max_size=6), trees, st.sampled_from(["Exe", "Script"]))
def test_execution_is_decided_as_the_policy_says(found, file, collection):
    wanted = evaluate.path_act(clauses(found), "execute", file, WIN).outcome is evaluate.Outcome.ALLOW
    assert allowed(policy(*clauses(found), executable=""), file, service_sid("demo"), collection) is wanted


def test_a_grant_that_says_less_closes_what_is_around_it():
    found = clauses([(m.Execute, "C:\\a"), (m.Read, "C:\\a\\b"), (m.Read, "C:\\c")])
    made = run("win_applocker", WIN, *found)
    assert not allowed(policy(*found), "C:\\a\\b\\x.exe", service_sid("demo"))
    assert verdict(made, "filesystem.read[1]").status is Status.PARTIAL
    assert not [said for said in made.verdicts if said.clause == "filesystem.read[2]"]


def test_a_narrower_path_that_no_rule_can_name_is_said():
    found = clauses([(m.Execute, "C:\\a"), (m.Read, "C:\\a\\100%")])
    said = verdict(run("win_applocker", WIN, *found), "filesystem.read[1]")
    assert said.status is Status.PARTIAL
    assert said.detail.startswith("only the access list keeps programs in it from running: 'C:\\\\a\\\\100%'")


@given(st.lists(entries, max_size=6), trees)
def test_nobody_else_is_confined(found, file):
    assert allowed(policy(*clauses(found)), file, service_sid("other"))


@given(st.permutations(clauses([(m.Execute, "C:\\a"), (m.Spawn, "C:\\b"), (m.Deny, "C:\\a\\c")])))
def test_order_of_clauses_changes_no_byte(order):
    plain = run("win_applocker", WIN, *sorted(order, key=lambda clause: clause.id))
    assert run("win_applocker", WIN, *order).artifacts == plain.artifacts


@given(hostile_text, hostile_text, st.sampled_from([m.Execute, m.Deny]))
def test_no_value_adds_an_element_or_an_attribute(text, identity, kind):
    clause = kind(identity, path=path(WIN, "C:\\x" + text.replace("\\", "_").replace("/", "_")))
    made = run("win_applocker", WIN, clause)
    if verdict(made, identity).status is Status.REFUSED:
        return
    root = ET.fromstring(content(made, "applocker.xml"))
    harmless = policy(kind("c", path=path(WIN, "C:\\x")))
    assert [(item.tag, sorted(item.attrib)) for item in root.iter()] == [
        (item.tag, sorted(item.attrib)) for item in harmless.iter()
    ]
    paths = {item.get("Path") for item in root.iter("FilePathCondition")}
    assert clause.path.on(WIN) in paths


@given(hostile_text, st.text("&;'`$()=,#ab ", max_size=8).filter(lambda text: not text.endswith(" ")))
def test_identities_and_odd_names_are_carried_as_they_are(identity, name):
    """Nearly all of these are allowed, unlike those above."""
    made = run("win_applocker", WIN, m.Deny(identity, path=path(WIN, "C:\\x" + name)))
    if verdict(made, identity).status is Status.REFUSED:
        assert repr(identity) in verdict(made, identity).detail
        return
    (rule, _) = ET.fromstring(content(made, "applocker.xml")).findall(".//FilePathRule[@Action='Deny']")[1:3]
    assert rule.get("Description") == identity
    assert rule.find("Conditions/FilePathCondition").get("Path") == "C:\\x" + name


def test_the_mode_is_the_policys():
    for mode, name in ((m.Mode.ENFORCE, "Enabled"), (m.Mode.AUDIT, "AuditOnly")):
        collections = policy(mode=mode).findall("RuleCollection")
        assert {item.get("EnforcementMode") for item in collections} == {name}
        assert [item.get("Type") for item in collections] == ["Exe", "Script"]


def test_services_are_reached_in_the_one_collection_that_can():
    root = policy()
    services = root.findall(".//Services")
    assert [item.get("EnforcementMode") for item in services] == ["Enabled"]
    assert root.find("RuleCollection[@Type='Exe']//SystemApps").get("Allow") == "Enabled"


def test_the_services_own_program_can_start():
    assert allowed(policy(), r"C:\demo\demo.exe", service_sid("demo"))
    assert not allowed(policy(), r"C:\Windows\System32\cmd.exe", service_sid("demo"))


def test_verdicts_say_what_is_not_known():
    made = run(
        "win_applocker", WIN, m.ExecuteClosure("filesystem.execute"), m.SpawnClosure("processes.spawn")
    )
    for said in made.verdicts:
        assert said.status is Status.PARTIAL
        assert "machine-wide" in said.detail and "not seen on a real host" in said.detail


def test_what_a_path_rule_cannot_say_is_refused():
    for ref, said in (
        (path(WIN, r"C:\a*", glob=True), "is a pattern (c)"),
        (path(WIN, r"C:\100%\x"), "a variable or a wildcard (c): rename it."),
        (path(WIN, r"C:\PROGRA~1\x"), "write the long name"),
        (path(WIN, r"\\server\share"), "not a path on a Windows drive (c)"),
    ):
        made = run("win_applocker", WIN, m.Execute("c", path=ref))
        assert verdict(made, "c").status is Status.REFUSED
        assert said in verdict(made, "c").detail


def test_a_program_that_no_rule_can_name_is_told_by_its_place():
    with pytest.raises(BackendError, match=r"wildcard \(workload\.windows\.executable\): rename it\.$"):
        run("win_applocker", WIN, executable=r"C:\100%\demo.exe")


def test_rule_ids_are_unique_and_stable():
    first, again = (policy(*clauses([(m.Deny, "C:\\a"), (m.Execute, "C:\\")])) for _ in range(2))
    ids = [item.get("Id") for item in first.iter("FilePathRule")]
    assert len(set(ids)) == len(ids)
    assert ids == [item.get("Id") for item in again.iter("FilePathRule")]
