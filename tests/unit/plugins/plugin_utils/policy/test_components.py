# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from policy_support import HEAD, WORKLOAD, Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import diff
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.manifest import digest

LISTED = "components: [{name: php, policy: side, why: pages}]\n"


def written(folder: Path, body: str = "") -> None:
    head = HEAD.replace("policy: app", "policy: side")
    program = "workload: {linux: {unit: side.service, executable: /usr/bin/side}, macos: {label: org.side}}\n"
    (folder / "side.yml").write_text(head + program + body, encoding="utf-8")


def test_it_holds_the_clauses_and_the_program_of_its_policy(make: Make, tmp_path: Path) -> None:
    written(tmp_path, "filesystem: {read: [/srv/pages]}\n")
    (one,) = make(LISTED).of(m.Component)
    assert (one.id, one.section, one.name, one.policy, one.why) == (
        "components[php]",
        "components",
        "php",
        "side",
        "pages",
    )
    assert (one.program(m.OS.LINUX), one.program(m.OS.MACOS)) == ("/usr/bin/side", "")
    assert "filesystem.read[/srv/pages]" in [clause.id for clause in one.clauses]


def test_what_is_signed_is_the_components_policy_as_well(make: Make, tmp_path: Path) -> None:
    written(tmp_path)
    before = make(LISTED)
    written(tmp_path, "filesystem: {read: [/srv/pages]}\n")
    after = make(LISTED)
    assert digest(before) != digest(after)
    (change,) = diff.diff(before, after)
    assert (change.clause, change.direction) == ("components[php]", diff.Direction.WIDENS)
    (added,) = diff.diff(make(), after)
    assert (added.clause, added.direction) == ("components[php]", diff.Direction.NARROWS)


@pytest.mark.parametrize("clause", ["components[php]", "components", "components[0]"])
def test_it_can_be_waived_by_any_of_its_names(make: Make, tmp_path: Path, clause: str) -> None:
    written(tmp_path)
    waiver = f"waivers: [{{clause: '{clause}', on: linux, reason: r, owner: o, until: 2099-01-01}}]\n"
    (found,) = make(LISTED + waiver).waivers
    assert found.clause == clause.replace("[0]", "[php]")


def test_a_policy_that_is_not_there(make: Make) -> None:
    with pytest.raises(PolicyFaults, match="there is no policy 'no-such-policy'"):
        make("components: [{name: php, policy: no-such-policy}]\n")


def test_a_policy_with_faults(make: Make, tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text(HEAD + WORKLOAD + "memory: {limit: lots}\n", encoding="utf-8")
    with pytest.raises(
        PolicyFaults, match="the policy 'broken' of the component 'php' has faults: 2"
    ) as caught:
        make("components: [{name: php, policy: broken}]\n")
    (fault,) = caught.value.faults
    assert fault.help_text.startswith("the first: ") and not fault.help_text.endswith(".")


def test_what_is_wrong_beyond_form_is_found_too(make: Make, tmp_path: Path) -> None:
    written(tmp_path, "filesystem: {write: [/srv/a], execute: [/srv/a/b]}\n")
    with pytest.raises(
        PolicyFaults, match="the policy 'side' of the component 'php' has faults: 1"
    ) as caught:
        make(LISTED)
    assert "is writable" in caught.value.faults[0].help_text


def test_a_component_has_no_components(make: Make, tmp_path: Path) -> None:
    written(tmp_path, "components: [{name: app, policy: app}]\n")
    with pytest.raises(PolicyFaults, match="'side' of the component 'php' has components of its own"):
        make(LISTED)
