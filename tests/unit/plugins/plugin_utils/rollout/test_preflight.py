# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import preflight
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.options import Options

GIVEN: dict[str, Any] = {"confirm_within": 60, "probe_method": "auto", "probe_waves": ["pilot", "wave 3"]}


def test_what_makes_sense() -> None:
    assert list(preflight.settings(GIVEN, Options(poll=2, lease=6))) == []
    assert list(preflight.hosts({"a": ["nginx"], "b": []})) == []


@pytest.mark.parametrize(
    ("given", "lease", "fault"),
    [
        ({"confirm_within": 0}, 0, "rollout_confirm_within is '0'; write 5 to 86400 seconds."),
        ({"confirm_within": -5}, 0, "rollout_confirm_within is '-5'; write 5 to 86400 seconds."),
        (
            {"probe_method": "fast"},
            0,
            "rollout_probe_method is 'fast'; write one of auto, reload, clone, none.",
        ),
        (
            {"probe_waves": ["cannary"]},
            0,
            "rollout_probe_waves has 'cannary'; write pilot, canary, unchanged or wave 1 to wave 3.",
        ),
        ({}, 3, "rollout_lease is '3'; write 0 for none, or 5 to 86400 seconds."),
    ],
)
def test_what_makes_none(given: dict[str, Any], lease: int, fault: str) -> None:
    assert list(preflight.settings(GIVEN | given, Options(poll=1, lease=lease))) == [fault]


@pytest.mark.parametrize("value", ["nginx-edge", {"nginx": 1}, [["nginx"]], True])
def test_a_host_lists_its_policies(value: object) -> None:
    """Of the text 'nginx-edge' a part is 'nginx', which the host would then get."""
    assert list(preflight.hosts({"a": value})) == [
        f"Host 'a' has bulkhead_policies '{value}'; write a list of names, such as [nginx]."
    ]
