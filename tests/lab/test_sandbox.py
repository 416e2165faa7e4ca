# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.sandbox on real hosts. What the host holds is read by plain ssh, never from our own report."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_host import LabHost, chosen

pytestmark = pytest.mark.lab
STATE = "/var/lib/bulkhead/nginx"
SICK = ("status: 200, within: 10s", "status: 418, within: 1s")
DROPIN = "/etc/systemd/system/nginx.service.d/zz-bulkhead.conf"
# Another generation that runs as well: it differs in a limit.
OTHER = ("max_open: 4096", "max_open: 4000")


@pytest.fixture(scope="module", params=chosen())
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    if request.param == "none":
        pytest.skip("no lab is up (make lab-up)")
    host = LabHost(request.param, tmp_path_factory.mktemp(request.param))
    assert host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
    was = host.unit()["ActiveState"]
    host.ssh("systemctl start nginx.service")
    host.before = host.snapshot()  # type: ignore[attr-defined]
    host.untouched = host.everything()  # type: ignore[attr-defined]
    try:
        yield host
    finally:
        host.run(state="absent", epoch=2**31)
        if was != "active":
            host.ssh("systemctl stop nginx.service")


def settle(host: LabHost, epoch: int = 0) -> str:
    """The shipped policy confirmed; its digest, read from the host."""
    host.run(epoch=epoch)
    assert host.ssh(f"test ! -e {STATE}/pending.json && cat {STATE}/active")
    return host.ssh(f"cat {STATE}/active")


def test_a_refused_clause_stops_the_task_before_any_change(host: LabHost) -> None:
    folder = host.policy("names", ("{to: dns}", "{to: api.example.com, ports: [tcp/443]}"))
    result, text = host.run(policies_dirs=[str(folder)])
    assert result["failed"] and result["state"] == "refused"
    assert "nothing was changed" in result["msg"]
    assert "network.connect[api.example.com tcp/443] is refused" in result["msg"]
    assert '{clause: "network.connect[api.example.com tcp/443]", on: linux' in result["msg"]
    assert "Traceback" not in text
    assert host.snapshot() == host.before  # type: ignore[attr-defined]


def test_a_policy_that_is_none_is_told_with_its_line(host: LabHost) -> None:
    folder = host.work / "garbage"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.yml").write_text("schema: 1\npolicy: nginx\n\tnetwork: [\n")
    result, text = host.run(policies_dirs=[str(folder)])
    assert result["failed"] and result["state"] == "refused"
    assert "nginx.yml:3" in result["msg"]
    assert "Traceback" not in text


def test_check_mode_shows_the_files_and_changes_nothing(host: LabHost) -> None:
    result, text = host.run("--check", "--diff")
    assert result["changed"] is True
    assert f"after: {DROPIN}" in text
    assert "+ProtectSystem=strict" in text
    assert host.snapshot() == host.before  # type: ignore[attr-defined]


def test_first_apply_restarts_once_and_confirms_over_a_new_connection(host: LabHost) -> None:
    before = host.unit()
    # OpenSSH 9.8 and newer: a program of its own for each session.
    count = "journalctl -q -t sshd -t sshd-session -o cat --no-pager | grep -c 'Accepted publickey'"
    logins = int(host.ssh(count))
    # A control path of this run's own: one login for the task, one that the confirmation must make anew.
    result, _text = host.run("-e", f"ansible_control_path={host.work}/cp-%%h")
    assert result["changed"] is True and result["state"] == "confirmed"
    assert int(host.ssh(count)) - logins - 1 == 2
    after = host.unit()
    assert after["ActiveState"] == "active" and after["NRestarts"] == "0"
    assert after["InvocationID"] != before["InvocationID"]
    assert after["Slice"] == "bulkhead-nginx.slice"
    starts = host.ssh("journalctl -q UNIT=nginx.service -o cat --no-pager | grep -c '^Started'")
    assert host.ssh(f"cat {STATE}/active") == result["digest"]
    assert [receipt["event"] for receipt in host.receipts()] == ["APPLYING", "PENDING", "CONFIRMED"]
    assert int(starts) >= 1
    assert host.ssh("stat -c %a /var/lib/bulkhead /var/lib/bulkhead/nginx").split() == ["700", "700"]


def test_second_run_writes_nothing_and_restarts_nothing(host: LabHost) -> None:
    settle(host)
    before, unit = host.snapshot(), host.unit()
    result, _text = host.run()
    assert result["changed"] is False and result["state"] == "unchanged"
    assert host.snapshot() == before
    assert host.unit() == unit


def test_drift_is_told_and_put_right(host: LabHost) -> None:
    settle(host)
    assert "not permitted" in host.ssh("nft delete table inet bulkhead_nginx 2>&1 || true")
    host.ssh("nft flush ruleset && nft list table inet bulkhead_nginx")
    # Only its owner can delete the table.
    owner = "/run/bulkhead-net-nginx/commands"
    host.ssh(f"echo '# by hand' >>{DROPIN}; echo 'delete table inet bulkhead_nginx' >{owner}; sleep 2")
    info, _text = host.run(module="sandbox_info", policy="nginx")
    told = {(item["what"], item["why"]) for item in info["drift"]}
    assert {(DROPIN, "content"), ("inet bulkhead_nginx", "nftables table is gone")} <= told
    result, _text = host.run()
    assert result["changed"] is True and result["state"] == "confirmed"
    info, _text = host.run(module="sandbox_info", policy="nginx", health=True)
    assert info["drift"] == [] and info["receipts"]["valid"] is True
    assert [check["ok"] for check in info["health"]] == [True]


def test_a_failing_health_check_brings_the_old_generation_back(host: LabHost) -> None:
    digest = settle(host)
    before = host.ssh(f"cat {DROPIN} | sha256sum")
    folder = host.policy("sick", SICK, OTHER)
    result, _text = host.run(policies_dirs=[str(folder)])
    assert result["failed"] and result["state"] == "reverted"
    assert "answered 200, not 418" in result["msg"]
    assert host.ssh(f"cat {STATE}/active") == digest
    assert host.ssh(f"cat {DROPIN} | sha256sum") == before
    assert host.unit()["ActiveState"] == "active"
    assert host.receipts()[-1]["event"] == "REVERTED"


def test_a_lower_epoch_is_refused(host: LabHost) -> None:
    folder = host.policy("other", OTHER)
    result, _text = host.run(policies_dirs=[str(folder)], epoch=7)
    assert result["state"] == "confirmed"
    result, _text = host.run(epoch=6)
    assert result["failed"] and result["state"] == "refused"
    assert result["msg"].startswith("epoch 6 is refused: a run with epoch 7 has been here. ")
    assert "'epoch: 7'" in result["msg"]
    result, _text = host.run(epoch=7)
    assert result["state"] == "confirmed"


def test_the_host_reverts_when_the_controller_is_killed_before_it_confirms(host: LabHost) -> None:
    digest = settle(host, 7)
    program = host.ssh_program(f"kill -KILL -$(cat {host.work}/group) $PPID; exit 255")
    folder = host.policy("other", OTHER)
    arguments = ("-e", f"ansible_ssh_executable={program}")
    process, answer = host.start(*arguments, policies_dirs=[str(folder)], confirm_within=20, epoch=7)
    (host.work / "group").write_text(str(process.pid))
    print(process.communicate(timeout=600)[0])
    assert process.returncode == -9 and not answer.exists()
    assert host.ssh(f"cat {STATE}/active") != digest
    assert host.until(lambda: host.receipts()[-1]["event"] == "REVERTED", 90)
    assert host.ssh(f"cat {STATE}/active") == digest
    assert host.ssh(f"test ! -e {STATE}/pending.json; grep -c LimitNOFILE=4096 {DROPIN}") == "1"
    assert host.unit()["ActiveState"] == "active"


def test_a_power_cut_before_the_confirmation_is_reverted_while_booting(host: LabHost) -> None:
    if host.kind != "qemu":
        pytest.skip("only a virtual machine can lose its power")
    digest = settle(host, 7)
    program = host.ssh_program("exit 255")
    folder = host.policy("other", OTHER)
    arguments = ("-e", f"ansible_ssh_executable={program}")
    result, _text = host.run(*arguments, policies_dirs=[str(folder)], confirm_within=900, epoch=7)
    assert result["failed"] and "could not be reached again" in result["msg"]
    assert host.ssh(f"cat {STATE}/active") != digest
    boot = host.ssh("cat /proc/sys/kernel/random/boot_id")
    host.lab("power-cut")
    assert host.ssh("cat /proc/sys/kernel/random/boot_id") != boot
    assert host.ssh(f"cat {STATE}/active") == digest
    assert host.receipts()[-1]["event"] == "REVERTED"
    assert host.ssh(f"grep -c LimitNOFILE=4096 {DROPIN}") == "1"
    times = [
        int(host.ssh(f"systemctl show --value -p {key} {unit}"))
        for unit, key in (
            ("bulkhead-recover.service", "ExecMainExitTimestampMonotonic"),
            ("basic.target", "ActiveEnterTimestampMonotonic"),
        )
    ]
    assert 0 < times[0] <= times[1]
    host.ssh("systemctl start nginx.service")
    limit = host.ssh("grep 'open files' /proc/$(systemctl show --value -p MainPID nginx.service)/limits")
    assert limit.split()[3] == "4096"


def test_reverted_goes_back_to_the_generation_before(host: LabHost) -> None:
    first = settle(host, 8)
    folder = host.policy("other", OTHER)
    result, _text = host.run(policies_dirs=[str(folder)], epoch=8)
    second = result["digest"]
    assert second != first and result["from"] == first
    result, _text = host.run(state="reverted", **{"from": first, "to": "0" * 64}, epoch=8)
    assert result["changed"] is False and host.ssh(f"cat {STATE}/active") == second
    result, _text = host.run(state="reverted", **{"from": first, "to": second}, epoch=8)
    assert result["changed"] is True
    assert host.ssh(f"cat {STATE}/active") == first
    assert host.ssh(f"test -e {STATE}/pending.json || echo confirmed") == "confirmed"


def test_the_way_back_is_not_to_blame_for_what_was_wrong_before(host: LabHost) -> None:
    """The page is away under both generations: the host goes back, and says how the application is."""
    first, page = settle(host, 8), "/var/www/html/index.nginx-debian.html"
    second = host.run(policies_dirs=[str(host.policy("other", OTHER))], epoch=8)[0]["digest"]
    host.ssh(f"mv {page} {page}.away")
    try:
        result, _text = host.run(state="reverted", **{"from": first, "to": second}, epoch=8)
    finally:
        host.ssh(f"mv {page}.away {page}")
    assert result["changed"] is True and host.ssh(f"cat {STATE}/active") == first
    assert result["note"].count("answered 403, not 200") == 2
    assert host.ssh(f"test -e {STATE}/pending.json || echo confirmed") == "confirmed"


def test_the_way_back_that_makes_a_well_application_unwell_is_not_gone(host: LabHost) -> None:
    """It needs by now what only the newer generation grants."""
    first, page = settle(host, 8), "/var/www/html/index.nginx-debian.html"
    host.ssh("mkdir -p -m 755 /srv/later && echo ok >/srv/later/page && chmod 644 /srv/later/page")
    granted = ("read: [$config,", "read: [/srv/later, $config,")
    second = host.run(policies_dirs=[str(host.policy("later", granted))], epoch=8)[0]["digest"]
    host.ssh(f"mv {page} {page}.away && ln -s /srv/later/page {page}")
    try:
        result, _text = host.run(state="reverted", **{"from": first, "to": second}, epoch=8)
        assert (
            result["failed"] and result["state"] == "reverted" and host.ssh(f"cat {STATE}/active") == second
        )
        assert host.ssh("curl -sf http://127.0.0.1/") == "ok"
    finally:
        host.ssh(f"mv {page}.away {page}; rm -r /srv/later")
    host.run(state="reverted", **{"from": first, "to": second}, epoch=8)
    assert host.ssh(f"cat {STATE}/active") == first


def test_absent_leaves_no_trace(host: LabHost) -> None:
    result, _text = host.run("--check", "--diff", state="absent", epoch=9)
    assert result["changed"] is True and host.ssh(f"test -e {DROPIN} && echo there") == "there"
    result, _text = host.run(state="absent", epoch=9)
    assert result["changed"] is True and result["state"] == "absent"
    assert host.snapshot() == host.before  # type: ignore[attr-defined]
    assert host.everything() == host.untouched  # type: ignore[attr-defined]
    assert host.ssh("systemctl list-units --all --no-legend 'bulkhead*' '*bulkhead*'") == ""
    assert host.ssh("nft list tables") == ""
    assert host.unit()["ActiveState"] == "active" and host.unit()["Slice"] == "system.slice"
    result, _text = host.run(state="absent", epoch=9)
    assert result["changed"] is False
