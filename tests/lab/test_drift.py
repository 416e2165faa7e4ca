# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift on real hosts: each kind injected, reported with its clauses, put right by the next apply, and gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lab_host import chosen
from overlay_host import DROPIN, UNIT, OverlayHost

pytestmark = pytest.mark.lab
TABLE = "inet bulkhead_ovl"
NFT = "/etc/bulkhead/nft/ovl.nft"
KEEPER = "/run/bulkhead-net-ovl/commands"  # the table is its owner's alone; root may tell the owner


@pytest.fixture(scope="module", params=chosen())
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayHost]:
    if request.param == "none":
        pytest.skip("no lab is up (make lab-up)")
    host = OverlayHost(request.param, tmp_path_factory.mktemp(request.param))
    host.install()
    try:
        answer = host.apply()
        assert answer.get("state") == "confirmed", answer.get("msg")
        assert host.info()["drift"] == []
        yield host
    finally:
        host.ssh(f"rm -rf /run/systemd/system/{UNIT}.d", check=False)
        host.apply(state="absent")
        host.uninstall()


# Done together: [(command, [(what is told, part of why, the clauses that must be named, whether only they)])]
Expected = list[tuple[str, str, set[str], bool]]
INJECTIONS: dict[str, list[tuple[str, Expected]]] = {
    "a line of the drop-in, a rule that came, a mode": [
        (
            f"sed -i s/^TasksMax=.*/TasksMax=640/ {DROPIN}",
            [
                (DROPIN, "content", {"processes.max"}, True),
                (UNIT, "not read its files again", {"processes.max"}, False),
            ],
        ),
        (
            f"echo 'insert rule {TABLE} allow_connect accept' >{KEEPER}; sleep 2",
            [(TABLE, "its rules are not those", {"network.connect"}, True)],
        ),
        (f"chmod 0666 {NFT}", [(NFT, "mode", {"network.connect", "network.listen"}, False)]),
    ],
    "a line that is added, and systemd has read it; a rule that is gone": [
        (
            f"echo LimitCORE=infinity >>{DROPIN} && systemctl daemon-reload",
            [
                (DROPIN, "content", {"memory.core_dumps"}, True),
                (UNIT, "LimitCORE is infinity", {"memory.core_dumps"}, True),
            ],
        ),
        (
            f"echo delete rule {TABLE} allow_listen handle $(nft -a list chain {TABLE} allow_listen |"
            f" sed -n 's/.*dport 8299.*handle //p') >{KEEPER}; sleep 2",
            [(TABLE, "its rules are not those", {"network.listen[tcp/8299]"}, True)],
        ),
    ],
    "a match on a slice that is no more, a property set at run time": [
        (
            "mkdir -p /sys/fs/cgroup/bulkhead.slice/ovlgone && sed s,bulkhead.slice/bulkhead-ovl.slice,"
            f"bulkhead.slice/ovlgone, {NFT} >/run/ovl.nft && echo 'include \"/run/ovl.nft\"' >{KEEPER} && sleep 3 &&"
            " rmdir /sys/fs/cgroup/bulkhead.slice/ovlgone && rm /run/ovl.nft",
            [(TABLE, "stale", {"network.connect", "network.listen"}, True)],
        ),
        (
            f"systemctl set-property --runtime {UNIT} TasksMax=500 &&"
            f" rm -rf /run/systemd/system.control/{UNIT}.d",
            [(UNIT, "TasksMax is 500, not 64", {"processes.max"}, True)],
        ),
    ],
    "a process that was started without the sandbox, its files put back; the table": [
        (
            f"mv {DROPIN} /run/ovl.kept && systemctl daemon-reload && systemctl restart {UNIT} &&"
            f" cp -p /run/ovl.kept {DROPIN} && rm /run/ovl.kept && systemctl daemon-reload",
            [
                (UNIT, "NoNewPrivs is 0, not 1", {"identity.privileges"}, True),
                (UNIT, "Seccomp is 0, not 2", {"processes.syscalls"}, True),
            ],
        ),
        (
            f"echo 'delete table {TABLE}' >{KEEPER}; sleep 2",
            [(TABLE, "nftables table is gone", {"network.connect"}, False)],
        ),
    ],
    "a limit that was raised on the process": [
        (
            f"prlimit --nofile=4096:4096 --pid $(systemctl show --value -p MainPID {UNIT})",
            [(UNIT, "Max open files is 4096, not 1024", {"files.max_open"}, True)],
        ),
    ],
    "a drop-in of somebody else": [
        (
            f"mkdir -p /run/systemd/system/{UNIT}.d && cd /run/systemd/system/{UNIT}.d &&"
            " printf '[Service]\\nNice=5\\n' >10-x.conf && systemctl daemon-reload",
            [("features", "unit.dropins was []", {"processes.max"}, False)],
        ),
    ],
}


def told(info: dict[str, Any], what: str, why: str) -> set[str] | None:
    for item in info["drift"]:
        if item["what"] == what and why in item["why"]:
            return set(item["clauses"])
    return None


@pytest.mark.parametrize("name", INJECTIONS)
def test_drift_is_told_by_clause_and_put_right(host: OverlayHost, name: str) -> None:
    host.ssh("; ".join(f"({command}) || exit 1" for command, _expected in INJECTIONS[name]))
    expected = [item for _command, items in INJECTIONS[name] for item in items]
    info = host.info()
    for what, why, clauses, exact in expected:
        found = told(info, what, why)
        assert found is not None, (what, why, info["drift"])
        assert found == clauses if exact else clauses <= found, (what, why, found)
    proof = host.run(module="probe", policy="ovl", method="none")[0]["evidence"]
    assert proof["drift"] == info["drift"]
    wrong = {clause["clause"] for clause in proof["clauses"] if clause["outcome"] == "failed"}
    for what, _why, clauses, _exact in expected:
        assert clauses <= wrong if what != "features" else not wrong
    answer = host.apply()
    assert answer["changed"] is True and not answer.get("failed"), answer.get("msg")
    assert host.info()["drift"] == []
    assert host.act("ptrace") == "Operation not permitted"


def test_a_drop_in_that_undoes_a_unit_of_ours_is_told(host: OverlayHost) -> None:
    folder = "/run/systemd/system/bulkhead-net-ovl.service.d"
    host.ssh(
        f"mkdir -p {folder} && printf '[Service]\\nCPUWeight=90\\n' >{folder}/50-x.conf && systemctl daemon-reload"
    )
    assert host.info()["drift"] == []
    host.ssh(f"printf '[Service]\\nExecStop=/bin/true\\n' >{folder}/50-x.conf && systemctl daemon-reload")
    found = told(host.info(), f"{folder}/50-x.conf", "ExecStop of bulkhead-net-ovl.service")
    assert found and "network.connect" in found
    host.ssh(f"rm -rf {folder} && systemctl daemon-reload")
    assert host.info()["drift"] == []


def test_a_service_that_was_not_restarted_is_told_and_restarted(host: OverlayHost) -> None:
    smaller = ("max_open: 1024", "max_open: 1000")
    host.apply(smaller, restart=False)
    assert host.act("limits").split()[1] == "1024"
    info = host.info()
    found = told(info, UNIT, "its main process is older than its sandbox")
    assert found and "files.max_open" in found, info["drift"]
    again = host.apply(smaller, restart=False)
    assert again["changed"] is False and any("older than its sandbox" in text for text in again["reasons"])
    answer = host.apply(smaller)
    assert answer["changed"] is True and answer["restarted"] == [UNIT]
    assert host.act("limits").split()[1] == "1000"
    assert host.info()["drift"] == []
    unit = host.unit(UNIT)
    assert host.apply(smaller)["changed"] is False and host.unit(UNIT) == unit
