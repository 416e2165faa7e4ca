# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from policy_support import Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults

TWO = """workload:
  linux: {unit: app.service}
  macos: {label: app}
paths:
  config: {linux: /etc/app, macos: /opt/etc/app}
"""


def test_ids_are_by_content(make: Make) -> None:
    body = """examples:
  must_deny:
    - {connect: 'udp/[2001:DB8::1]:53'}
    - {connect: 10.0.0.1:80}
    - {listen: udp/53}
    - {execute: /bin//sh, why: no shell}
"""
    found = make(body).examples
    assert [one.id for one in found] == [
        "examples.must_deny[connect 10.0.0.1:80]",
        "examples.must_deny[connect udp/[2001:db8::1]:53]",
        "examples.must_deny[execute /bin/sh]",
        "examples.must_deny[listen udp/53]",
    ]
    assert (found[1].address, found[1].port) == ("2001:db8::1", m.Port("udp", 53, 53))
    assert found[2].why == "no shell"


def test_an_example_is_judged_on_every_system_that_has_its_path(make: Make) -> None:
    body = "filesystem: {read: [$config]}\nexamples: {must_allow: [{read: $config/a}]}\n"
    assert make(body, workload=TWO).examples
    with pytest.raises(PolicyFaults, match="no clause of filesystem.read does on macos"):
        make(body.replace("$config/a", "/etc/app/a"), workload=TWO)


def test_on_narrows_an_example_to_a_system(make: Make) -> None:
    body = "filesystem: {read: [$config]}\nexamples: {must_allow: [{read: /etc/app/a, on: linux}]}\n"
    assert make(body, workload=TWO).examples[0].path.on(m.OS.MACOS) is None  # type: ignore[union-attr]


def test_what_depends_on_the_host_contradicts_nothing(make: Make) -> None:
    body = "network: {connect: [dns]}\nexamples:\n  must_allow: [{connect: udp/9.9.9.9:53}]\n"
    assert make(body).examples
    assert make(body.replace("must_allow", "must_deny")).examples


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "web:80", "[::1]", "x/10.0.0.1:80", "10.0.0.1:0", "10.0.0.1:http"]
)
def test_no_address_and_port(make: Make, text: str) -> None:
    with pytest.raises(PolicyFaults) as caught:
        make(f"examples: {{must_deny: [{{connect: '{text}'}}]}}\n")
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].place == "examples.must_deny[0].connect"


def test_an_example_of_a_family_that_the_policy_does_not_have(make: Make) -> None:
    network = "network: {connect: [{to: loopback, ports: [tcp/80]}], families: [ipv4, unix]}\n"
    assert make(f"{network}examples: {{must_allow: [{{connect: '127.0.0.1:80'}}]}}\n").examples
    with pytest.raises(PolicyFaults) as caught:
        make(f"{network}examples: {{must_allow: [{{connect: '[::1]:80'}}]}}\n")
    (fault,) = caught.value.faults
    assert "must be allowed, but the policy denies it by network.families." in fault.message
    assert fault.help_text == "add ipv6 to network.families, or remove the example"
