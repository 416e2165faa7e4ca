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


WRITE = "write an address, such as 'https://chat.example.org/hooks/name'."
ONLY = "and a webhook has no options; write its address only: an address, such as 'https://chat.example.org/hooks/name'."


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ({"url": "http://x/S3CRET", "headers": {}}, f"is a mapping (with 'url', 'headers'), {ONLY}"),
        ({"address": "http://x/S3CRET"}, f"is a mapping (with 'address'), {ONLY}"),
        ({}, f"is a mapping (with nothing), {ONLY}"),
        (None, f"is no text; {WRITE}"),
        (["http://x/S3CRET"], f"is no text; {WRITE}"),
        ("chat.example.org/S3CRET", f"does not begin with http:// or https://; {WRITE}"),
        ("http://x/S3CRET y", f"has no usable host or port, or has blanks; {WRITE}"),
        ("https://:80/S3CRET", f"has no usable host or port, or has blanks; {WRITE}"),
    ],
)
def test_a_webhook_is_an_address_and_none_of_it_is_told(address: object, fault: str) -> None:
    assert list(preflight.webhooks(["http://127.0.0.1:9/s", address])) == [f"rollout_webhooks[1] {fault}"]


def test_settings_without_a_plan() -> None:
    given = GIVEN | {"confirm_within": 1, "probe_waves": ["cannary"]}
    assert list(preflight.settings(given, None)) == [
        "rollout_confirm_within is '1'; write 5 to 86400 seconds."
    ]
