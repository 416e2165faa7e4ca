# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import gate_options

COMMAND = {"command": ["/bin/true"]}
URL = {"url": "http://x"}
QUERY = {"prometheus": "http://x", "query": "up", "below": 1}
BLANKS = (
    "rollout_gates has an address without a usable host or port, or with blanks; "
    "write one like https://shop.example.org:8443/health."
)


@pytest.mark.parametrize(
    ("gate", "fault"),
    [
        (COMMAND | {"within": "abc"}, "'within: abc' for command; write seconds, above 0 and at most 86400."),
        (COMMAND | {"within": 0}, "'within: 0' for command; write seconds, above 0 and at most 86400."),
        (COMMAND | {"within": True}, "'within: True' for command; write seconds, above 0 and at most 86400."),
        (COMMAND | {"within": "inf"}, "'within: inf' for command; write seconds, above 0 and at most 86400."),
        (COMMAND | {"retries": "two"}, "'retries: two' for command; write a whole number, 0 or more."),
        (COMMAND | {"retries": 1.5}, "'retries: 1.5' for command; write a whole number, 0 or more."),
        (URL | {"status": "2xx"}, "'status: 2xx' for url; write a status of HTTP, such as 200."),
        (URL | {"status": 99}, "'status: 99' for url; write a status of HTTP, such as 200."),
        (URL | {"token_file": None}, "'token_file: ' for url; write the path of a file."),
        (QUERY | {"below": "2%"}, "'below: 2%' for prometheus; write a number, such as 0.02."),
        (QUERY | {"below": None}, "'below: ' for prometheus; write a number, such as 0.02."),
        (QUERY | {"query": " "}, "'query:  ' for prometheus; write an expression of Prometheus."),
    ],
)
def test_values_that_make_no_sense(gate: dict[str, Any], fault: str) -> None:
    assert list(gate_options.faults(gate)) == [f"rollout_gates has {fault}"]


@pytest.mark.parametrize(
    "address",
    ["http://", "http://x:99999/", "http://x:port/", "http://[::1", "http://x/?t=S3CRET y", "http://x:0"],
)
def test_addresses_that_make_no_sense_are_not_quoted(address: str) -> None:
    assert list(gate_options.faults({"url": address})) == [BLANKS]


@pytest.mark.parametrize(
    "gate",
    [
        COMMAND | {"within": 0.5, "retries": 0},
        COMMAND | {"within": "20", "retries": "2"},
        URL | {"url": "https://[::1]:8443/a?b=c#d", "status": 302, "token_file": "/x"},
        {"prometheus": "http://x", "query": "up", "above": "0"},
    ],
)
def test_what_makes_sense(gate: dict[str, Any]) -> None:
    assert list(gate_options.faults(gate)) == []


@pytest.mark.parametrize(
    ("gate", "fault"),
    [
        ({"url": "x/?t=S3CRET"}, "an address that does not begin with http:// or https://; write one like "),
        ({"urll": "S3CRET"}, "a gate with 'urll'; write a mapping with one of command, url, prometheus."),
        (URL | {"prometheus": "S3CRET"}, "a gate with 'url', 'prometheus'; write a mapping with one of "),
        ("S3CRET", "a text; write a mapping with one of command, url, prometheus."),
        ({"command": "curl -H S3CRET"}, "a command that is a text; write a list, such as "),
        ({"command": ["S3CRET", ""]}, "a command that has an empty word; write a list, such as "),
        ({"command": []}, "a command that is empty; write a list, such as "),
    ],
)
def test_nothing_is_quoted_that_may_be_secret(gate: object, fault: str) -> None:
    [told] = gate_options.faults(gate)
    assert told.startswith(f"rollout_gates has {fault}")
    assert "S3CRET" not in told
