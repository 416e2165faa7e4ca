# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import uniform


class Broken(dict[str, Any]):
    """A host whose variables cannot be worked out."""

    def get(self, _name: str, _default: object = None) -> Any:
        raise AnsibleUndefinedVariable("'nope' is undefined")


def told(localhost: dict[str, Any] | None, **hosts: dict[str, Any]) -> list[str]:
    ours = {} if localhost is None else {"localhost": localhost}
    return [*uniform.faults(hosts, ours | hosts)]


def test_what_all_have_is_no_fault() -> None:
    every = {"rollout_windows": ["22:00-04:00"], "mode": "audit"}
    assert told(every, a=every, b={**every, "bulkhead_risk": "low", "rollout_own": 1}) == []
    assert told(None, a={}, b={}) == []


@pytest.mark.parametrize(
    "setting", ["rollout_windows", "rollout_dir", "rollout_approvers", "mode", "policies_dirs"]
)
def test_a_setting_of_some_hosts_is_refused(setting: str) -> None:
    fault = f"{setting} is another one on b than on localhost, and a rollout has one: "
    [alone] = told({}, a={}, b={setting: "S3CRET"})
    [other] = told({setting: "x"}, a={setting: "x"}, b={setting: "S3CRET"})
    assert alone.startswith(fault)
    assert other == alone
    assert "S3CRET" not in alone


def test_a_setting_of_localhost_alone_is_refused() -> None:
    [fault] = told({"rollout_approvers": "x"}, **{f"h{number}": {} for number in range(12)})
    assert fault.startswith(
        "rollout_approvers is another one on h0, h1, h2, h3, h4, h5, h6, h7 and 4 more than on "
    )


@pytest.mark.parametrize(
    "setting", ["rollout_accept", "accept", "rollout_confirm_within", "rollout_probe_method"]
)
def test_a_host_may_have_its_own_of_what_only_it_reads(setting: str) -> None:
    assert told({}, a={setting: "x"}, b={}) == []


def test_what_cannot_be_worked_out_is_another_one() -> None:
    [fault] = told({"mode": "audit"}, a=Broken(mode="{{ nope }}"))
    assert fault.startswith("mode is another one on a")
    assert str(uniform.value(Broken(), "bulkhead_policies")) == "'nope' is undefined"
