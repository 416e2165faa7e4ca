# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from policy_support import CASES, GROUPS, TODAY, Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyError, PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.load import load_policy
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve, resolve

BASES = [path.read_bytes() for path in (CASES / "everything.accepted.yml", library.OWN / "nginx.yml")]
PIECES = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b": ",
        b"- ",
        b"\n",
        b"\t",
        b"'",
        b'"',
        b"&a ",
        b"*a",
        b"!!x ",
        b"<<: ",
        b"? ",
        b"| ",
        b"#",
    ),
    *(
        b"\x00",
        b"\xff",
        b"\r",
        b"---\n",
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"999999999999999999999",
        b"\xe2\x80\xae",
    ),
    *(
        b"$",
        b"..",
        b"/",
        b"\\\\",
        b"*",
        b"extends: [a]\n",
        b"'\\u0000'",
        b'"\\ud800"',
        b"0x10",
        b".inf",
        b"~",
        b"=",
    ),
]


def test_faults_of_all_stages_come_at_once() -> None:
    with pytest.raises(PolicyFaults) as caught:
        load_and_resolve(CASES / "many_faults.refused.yml", [], GROUPS, TODAY)
    places = [fault.place for fault in caught.value.faults]
    assert places == [
        "paths.data.linux",
        "filesystem.read[0]",
        "filesystem.read[1]",
        "filesystem.read[2]",
        "filesystem.wirte",
        "network.listen[1]",
        "network.connect[0].to",
        "network.connect[0].ports[1]",
        "network.connect[1].to",
        "memory.limit",
        "memory.core_dumps",
        "ipc.unix[0]",
        "examples.must_allow[0]",
        "waivers[0].until",
    ]


def test_in_two_steps_it_is_the_same() -> None:
    path = CASES / "everything.accepted.yml"
    assert resolve(load_policy(path), GROUPS, TODAY) == load_and_resolve(path, [], GROUPS, TODAY)


def test_a_waiver_holds_on_its_last_day() -> None:
    path = CASES / "waived.accepted.yml"
    assert len(load_and_resolve(path, [], GROUPS, date(2026, 11, 24)).waivers) == 2
    with pytest.raises(PolicyFaults, match="the waiver expired on '2026-11-24'"):
        load_and_resolve(path, [], GROUPS, date(2026, 11, 24) + timedelta(days=1))


def test_defaults(make: Make) -> None:
    found = make("network: {connect: [loopback]}\n")
    assert (found.risk, found.mode, found.summary) == (m.Risk.MEDIUM, m.Mode.ENFORCE, "")
    assert found.of(m.Families)[0].names == ("ipv4", "ipv6", "unix")
    assert found.of(m.Syscalls)[0].groups == ("basic", "network_client")
    assert found.of(m.MemoryLimit) == () and found.of(m.Restart) == ()


def test_every_shipped_policy_resolves_and_knows_three_systems() -> None:
    for path in sorted(library.OWN.glob("*.yml")):
        manifest = load_and_resolve(path, today=TODAY)
        assert {workload.os for workload in manifest.workloads} >= {m.OS.LINUX}, path.name


@settings(max_examples=200, deadline=None)
@example(base=0, seed=0, count=0)
@given(base=st.integers(0, 1), seed=st.integers(0, 2**32), count=st.integers(0, 6))
def test_no_text_makes_a_traceback(base: int, seed: int, count: int) -> None:
    """Policies with bytes cut, doubled and put in: either a manifest, or faults that can be shown."""
    random, raw = Random(seed), bytearray(BASES[base])
    for _ in range(count):
        start = random.randrange(len(raw) + 1)
        end = min(len(raw), start + random.choice([0, 0, 1, 5, 40]))
        raw[start:end] = random.choice([*PIECES, raw[end : end + 30]])
    _resolves_or_refuses(bytes(raw))


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
)
def test_no_bytes_make_a_traceback(raw: bytes) -> None:
    _resolves_or_refuses(raw)


def _resolves_or_refuses(raw: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "app.yml"
        path.write_bytes(raw)
        try:
            assert load_and_resolve(path, [CASES], GROUPS, TODAY).digest
        except PolicyError as error:
            assert isinstance(error, PolicyFaults) and error.faults
            for fault in error.faults:
                assert fault.message.endswith(".")
                shown = [line for line in str(fault).splitlines() if line]
                assert all(line.isprintable() for line in shown), shown


def test_a_policy_as_large_as_it_may_be_takes_seconds(make: Make) -> None:
    """No input may hold a controller up: 256 entries in each list, or a thousand faults on one line."""
    lists = ("read", "write", "execute", "deny")
    body = "filesystem:\n" + "".join(
        f"  {name}: [{', '.join(f'/srv/{name}/{n}/x' for n in range(256))}]\n" for name in lists
    )
    start = process_time()
    assert len(make(body).clauses) > 1024
    with pytest.raises(PolicyFaults, match="too long: 19000 where at most 256 are allowed"):
        make(f"filesystem: {{read: [{','.join('5' * 19000)}]}}\n")
    assert process_time() - start < 10
