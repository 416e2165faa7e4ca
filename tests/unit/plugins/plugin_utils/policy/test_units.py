# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import units
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import Refusal
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Port


@pytest.mark.parametrize(
    ("text", "value"),
    [("512MiB", 536870912), ("2GiB", 2147483648), ("1GB", 1000000000), (4096, 4096), ("10kB", 10000)],
)
def test_size(text: object, value: int) -> None:
    assert units.size(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("10min", 600), ("90d", 7776000), ("2h", 7200), ("500ms", 0.5)]
)
def test_duration(text: str, value: float) -> None:
    assert units.duration(text) == value


@pytest.mark.parametrize(("text", "value"), [("200/s", 200), ("5/10min", 5 / 600), ("60/min", 1)])
def test_rate(text: str, value: float) -> None:
    assert units.rate(text) == pytest.approx(value)


def test_count_in_time() -> None:
    assert units.count_in_time("5/10min") == (5, 600)


def test_percent() -> None:
    assert units.percent("150%") == 150


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("tcp/80", Port("tcp", 80, 80)),
        ("udp/5000-5010", Port("udp", 5000, 5010)),
        ("tcp/*", Port("tcp", 0, 65535)),
    ],
)
def test_port(text: str, port: Port) -> None:
    assert units.port(text) == port
    assert str(port) == text


@given(st.sampled_from(["tcp", "udp"]), st.integers(1, 65535), st.integers(1, 65535))
def test_a_port_reads_back_as_it_is_written(protocol: str, one: int, other: int) -> None:
    port = Port(protocol, min(one, other), max(one, other))
    assert units.port(str(port)) == port


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (units.size, "512M", "'512M' is no size."),
        (units.size, "99999999999TiB", "the size '99999999999TiB' is out of range."),
        (units.duration, "30", "'30' is no duration."),
        (units.duration, "0s", "the duration '0s' is out of range."),
        (units.duration, "999999d", "the duration '999999d' is out of range."),
        (units.rate, "200", "'200' is no rate."),
        (units.rate, "1/2d", "the rate '1/2d' is less than one a day."),
        (units.rate, "x/s", "'x/s' is no rate."),
        (units.percent, "150", "'150' is no percentage."),
        (units.port, "80", "'80' is no port."),
        (units.port, "tcp/0", "the port 'tcp/0' is out of range."),
        (units.port, "tcp/65536", "the port 'tcp/65536' is out of range."),
        (units.port, "tcp/20-10", "the range 'tcp/20-10' ends before it begins."),
    ],
)
def test_refused(read: object, text: str, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(text)  # type: ignore[operator]
    assert caught.value.message == message
    assert caught.value.help_text.startswith("write ")
