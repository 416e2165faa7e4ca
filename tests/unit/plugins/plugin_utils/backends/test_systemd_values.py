# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of overrides: their form, and what is read back of them. systemd's own parser has its say in the oracles."""

from __future__ import annotations

import pytest
from linux_support import by_systemd, content, host, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_overrides import SERVICE, UNIT
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_values import FORMS
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m


def by_hand(key: str, value: str):
    override = m.Override(f"overrides.linux.systemd.{key}", m.OS.LINUX, "systemd", key, value)
    made = by_systemd(overrides=(override,), on=host("debian13"))
    return made, verdict(made, override.id)


def test_every_directive_that_may_be_set_has_a_form_and_no_other() -> None:
    assert sorted(FORMS) == sorted(SERVICE | UNIT)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Nice", "5;x"),
        ("Nice", "20"),
        ("Nice", "-21"),
        ("OOMScoreAdjust", "1001"),
        ("UMask", "9"),
        ("UMask", "0o22"),
        ("RemainAfterExit", "ja"),
        ("RestartSec", "5 parsecs"),
        ("Type", "fork"),
        ("KillSignal", "TERM;"),
        ("LimitSTACK", "8M:"),
        ("MemoryHigh", "101%"),
        ("SuccessExitStatus", "256"),
        ("After", "network"),
        ("RequiresMountsFor", "srv"),
        ("WorkingDirectory", "srv"),
        ("StandardOutput", "journald"),
        ("SupplementaryGroups", "a,b"),
        ("IOReadBandwidthMax", "10M"),
        ("ExecSearchPath", "/bin:sbin"),
        ("CPUAffinity", "one"),
        ("SyslogFacility", "local8"),
    ],
)
def test_what_systemd_would_ignore_is_refused(key: str, value: str) -> None:
    made, said = by_hand(key, value)
    assert said.status is Status.REFUSED
    assert said.detail.startswith(
        f"'{value}' is nothing that {key}= takes (overrides.linux.systemd.{key}), systemd"
    )
    assert f"{key}={value}" not in content(made, "zz-bulkhead.conf")


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("Nice", "-5", "-5"),
        ("Nice", "05", "5"),
        ("RemainAfterExit", "True", "yes"),
        ("SendSIGHUP", "off", "no"),
        ("Type", "notify-reload", "notify-reload"),
        ("StandardError", "null", "null"),
    ],
)
def test_a_value_that_systemd_shows_is_read_back(key: str, value: str, shown: str) -> None:
    made, said = by_hand(key, value)
    assert said.status is Status.ENFORCED
    (back,) = [item for item in made.readbacks if item.clause == said.clause]
    assert (back.kind, back.key, back.value, back.relation) == ("unit_property", key, shown, "equals")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RestartSec", "2min 30s"),
        ("RestartSec", "5"),
        ("TimeoutAbortSec", "infinity"),
        ("WorkingDirectory", "-/srv/%i"),
        ("WorkingDirectory", "%S/x"),
        ("WorkingDirectory", "~"),
        ("MemoryHigh", "75%"),
        ("LimitSTACK", "8M:infinity"),
        ("LimitNICE", "+5"),
        ("After", "network-online.target db@%i.service"),
        ("ConditionPathExists", "|!/etc/x"),
        ("SuccessExitStatus", "143 SIGTERM"),
    ],
)
def test_forms_take_what_systemd_takes(key: str, value: str) -> None:
    assert by_hand(key, value)[1].status is Status.ENFORCED


def test_an_order_adds_to_ours_and_does_not_name_our_units() -> None:
    made, said = by_hand("After", "network-online.target")
    assert said.status is Status.ENFORCED
    text = content(made, "zz-bulkhead.conf")
    assert "After=network-online.target\n" in text and "After=bulkhead-apparmor-demo.service\n" in text
    said = by_hand("Before", "bulkhead-apparmor-demo.service")[1]
    assert (said.status, "orders its own units" in said.detail) == (Status.REFUSED, True)
