# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.debug on real hosts: it opens what it says, and closes whatever happens."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator

import pytest
from lab_host import chosen
from overlay_host import DROPIN, POLICY, UNIT, OverlayHost

pytestmark = pytest.mark.lab
WHO = {"by": "tester", "reason": "ticket 4711"}
OVERLAY = f"/run/systemd/system/{UNIT}.d/zzy-bulkhead-debug.conf"
CLOSER = f"bulkhead-debug-close-{POLICY}"


@pytest.fixture(scope="module", params=chosen())
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayHost]:
    if request.param == "none":
        pytest.skip("no lab is up (make lab-up)")
    host = OverlayHost(request.param, tmp_path_factory.mktemp(request.param))
    host.install()
    try:
        answer = host.apply()
        assert answer.get("state") == "confirmed", answer.get("msg")
        host.before = host.marks()  # type: ignore[attr-defined]
        yield host
    finally:
        host.apply(state="absent")
        assert "ovl" not in host.ssh(
            "ls /run/bulkhead/debug /run/systemd/system /var/lib/bulkhead 2>/dev/null", False
        )
        host.uninstall()


def closed(host: OverlayHost) -> bool:
    return (
        host.ssh(f"test ! -e /run/bulkhead/debug/{POLICY} && test ! -e {OVERLAY} && echo yes || true")
        == "yes"
    )


def events(host: OverlayHost) -> list[str]:
    return [receipt["event"] for receipt in host.receipts(POLICY)]


def test_check_mode_says_that_the_service_would_restart_and_opens_nothing(host: OverlayHost) -> None:
    assert host.act("ptrace") == "Operation not permitted" and host.act("core") == "none"
    answer = host.debug("--check", "--diff", openings=["ptrace"], **WHO)
    assert answer["changed"] is True and answer["restarted"] == [UNIT]
    assert any("restarts now, and once more when this closes" in note for note in answer["notes"])
    assert host.marks() == host.before and closed(host)  # type: ignore[attr-defined]


def test_without_a_reason_nothing_is_opened(host: OverlayHost) -> None:
    answer = host.debug(openings=["ptrace"], by="tester")
    assert answer["failed"] and answer["state"] == "refused" and "'reason' has to be" in answer["msg"]
    answer = host.debug(openings=["ptrace"], restart="never", **WHO)
    assert answer["failed"] and "ptrace: needs a restart" in answer["msg"]
    assert closed(host)


def test_it_opens_shows_in_every_report_and_closes_by_itself(host: OverlayHost) -> None:
    answer = host.debug(openings=["ptrace", "core_dumps"], duration="240s", **WHO)
    assert answer["state"] == "open" and answer["restarted"] == [UNIT]
    assert host.act("ptrace") == "attached" and host.act("core") == "core"
    info = host.info()
    assert info["debug"]["open"] and info["debug"]["words"] == ["core_dumps", "ptrace"]
    assert info["debug"]["by"] == "tester" and info["debug"]["reason"] == "ticket 4711"
    assert info["drift"] == [] and info["state"] == "confirmed"
    proof = host.run(module="probe", policy=POLICY, method="none")[0]["evidence"]
    by_clause = {clause["clause"]: clause for clause in proof["clauses"]}
    for name in ("processes.syscalls", "memory.core_dumps"):
        assert by_clause[name]["outcome"] in ("partial", "failed"), by_clause[name]
        assert "open for debugging (core_dumps, ptrace)" in by_clause[name]["detail"]
    assert by_clause["processes.max"]["outcome"] == "enforced"
    assert proof["notes"] and "by tester: ticket 4711" in proof["notes"][0]
    assert host.until(lambda: closed(host), 400)
    assert host.act("ptrace") == "Operation not permitted" and host.act("core") == "none"
    assert host.info()["debug"] == {"open": False}
    assert events(host)[-2:] == ["DEBUG_OPENED", "DEBUG_CLOSED"]
    assert host.receipts(POLICY)[-1]["why"] == "its time is over"
    assert host.info()["receipts"]["valid"] is True
    host.ssh("rm -rf /run/bulkhead/cores/ovl; rmdir /run/bulkhead/cores /run/bulkhead 2>/dev/null || true")
    assert host.marks() == host.before  # type: ignore[attr-defined]
    assert host.ssh(f"systemctl list-units --all --plain --no-legend 'bulkhead-debug*' '{CLOSER}*'") == ""


def test_a_shell_has_all_that_confines_the_service_and_restarts_nothing(host: OverlayHost) -> None:
    pid = host.unit(UNIT)["MainPID"]
    answer = host.debug(openings=["shell", "ptrace"], restart="never", duration="1h", **WHO)
    assert answer["state"] == "open" and answer["restarted"] == []
    assert host.unit(UNIT)["MainPID"] == pid and host.act("ptrace") == "Operation not permitted"
    tried = (
        "id -un; cat /proc/self/cgroup; grep -E '^(NoNewPrivs|Seccomp|CapBnd):' /proc/self/status;"
        f" touch /etc/ovl-was-here 2>&1; ls /root 2>&1; grep CapBnd /proc/{pid}/status"
    )
    said = host.ssh(f"sh /run/bulkhead/debug/{POLICY}/enter /bin/sh -c {shlex.quote(tried)}")
    lines = said.splitlines()
    assert lines[0] == "ovl", said
    assert "/bulkhead.slice/bulkhead-ovl.slice/bulkhead-debug-ovl.service" in lines[1]
    assert "NoNewPrivs:\t1" in said and "Seccomp:\t2" in said
    assert "Read-only file system" in said and "ermission denied" in said
    bound = [line for line in lines if line.startswith("CapBnd")]
    assert len(bound) == 2 and bound[0] == bound[1], said  # the shell's and the service's
    again = host.debug(openings=["shell", "ptrace"], restart="never", duration="2h", **WHO)
    assert again["changed"] is False and again["debug"]["until"] == answer["debug"]["until"]
    other = host.debug(openings=["shell"], **WHO)
    assert other["failed"] and other["state"] == "refused" and "Close it first." in other["msg"]
    assert host.debug(state="closed")["changed"] is True and closed(host)
    assert host.receipts(POLICY)[-1]["why"] == "by hand"
    assert host.debug(state="closed")["changed"] is False
    assert host.unit(UNIT)["MainPID"] == pid and host.marks() == host.before  # type: ignore[attr-defined]


def test_it_closes_when_the_controller_and_the_closer_are_killed(host: OverlayHost) -> None:
    process, _answer = host.start(module="debug", policy=POLICY, openings=["ptrace"], duration="240s", **WHO)
    # Killed in the middle of the opening: as soon as the overlay's file is there.
    assert host.until(lambda: host.ssh(f"test -e {OVERLAY} && echo there || true") == "there", 220)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # Somebody holds the policy's lock, so that the closer waits; it is killed there.
    host.ssh(f"systemd-run --quiet --collect --unit=ovl-lock flock /var/lib/bulkhead/{POLICY}/lock sleep 900")
    assert host.until(
        lambda: (
            host.ssh(f"systemctl show --value -p ActiveState {CLOSER}.service") in ("active", "activating")
        ),
        300,
    )
    host.ssh(f"systemctl kill -s KILL {CLOSER}.service && systemctl stop ovl-lock.service")
    assert host.until(lambda: closed(host), 300)
    assert host.act("ptrace") == "Operation not permitted"
    assert host.marks() == host.before  # type: ignore[attr-defined]


def test_a_process_that_systemd_does_not_restart_is_not_called_closed(host: OverlayHost) -> None:
    """A unit whose files are wrong: systemd refuses its jobs, and what runs runs on."""
    assert host.debug(openings=["ptrace"], duration="1h", **WHO)["state"] == "open"
    pid, wrong = host.unit(UNIT)["MainPID"], f"/run/systemd/system/{UNIT}.d/90-wrong.conf"
    host.ssh(f"printf '[Service]\\nExecStart=\\n' >{wrong} && systemctl daemon-reload")
    answer = host.debug(state="closed")
    assert answer["failed"] and "its process still runs as it was opened" in answer["msg"]
    # What AppArmor opened is closed for a running process, too; what systemd opened is not.
    assert host.unit(UNIT)["MainPID"] == pid and host.act("ptrace") in ("attached", "Permission denied")
    debug = host.info()["debug"]
    assert debug["open"] and "its process still runs" in debug["trouble"]
    assert events(host)[-1] == "DEBUG_STUCK"
    host.ssh(f"rm {wrong} && systemctl daemon-reload")
    assert host.debug(state="closed")["changed"] is True and closed(host)
    assert host.unit(UNIT)["MainPID"] != pid and host.act("ptrace") == "Operation not permitted"
    assert events(host)[-1] == "DEBUG_CLOSED" and host.info()["receipts"]["valid"] is True
    assert host.marks() == host.before  # type: ignore[attr-defined]


def test_a_timer_that_is_gone_is_told_and_what_starts_with_userspace_closes(host: OverlayHost) -> None:
    assert host.debug(openings=["ptrace"], duration="1h", **WHO)["state"] == "open"
    assert host.ssh(f"systemctl show --value -p IgnoreOnIsolate {CLOSER}.timer") == "yes"
    assert host.info()["debug"]["trouble"] == ""
    host.ssh("systemctl start bulkhead-recover.service")
    assert not closed(host) and host.info()["debug"]["trouble"] == ""  # its timer will close it
    host.ssh(f"systemctl stop {CLOSER}.timer")
    assert host.info()["debug"]["trouble"] == "its timer does not run: nobody will close it"
    host.ssh("systemctl start bulkhead-recover.service")
    assert host.until(lambda: closed(host), 200)
    assert host.act("ptrace") == "Operation not permitted" and events(host)[-1] == "DEBUG_CLOSED"
    assert host.marks() == host.before  # type: ignore[attr-defined]
    assert host.until(
        lambda: host.ssh(f"systemctl list-units --all --plain --no-legend '{CLOSER}*'") == "", 60
    )


def test_what_a_soft_reboot_keeps_closes_before_the_service_starts(host: OverlayHost) -> None:
    """As far as a running host shows it: no timer, and a service that does not run yet."""
    assert host.debug(openings=["ptrace"], duration="1h", **WHO)["state"] == "open"
    host.ssh(f"systemctl stop {CLOSER}.timer {UNIT} && systemctl start bulkhead-recover.service")
    assert closed(host) and host.receipts(POLICY)[-1]["why"] == "its timer was gone"
    host.ssh(f"systemctl start {UNIT}")
    assert host.until(lambda: host.act("ptrace") == "Operation not permitted", 90)
    assert host.marks() == host.before  # type: ignore[attr-defined]


def test_an_apply_closes_it_first(host: OverlayHost) -> None:
    assert host.debug(openings=["ptrace"], duration="1h", **WHO)["state"] == "open"
    answer = host.apply(restart=False)
    assert (
        answer["failed"] and answer["state"] == "refused" and "open for debugging (ptrace)" in answer["msg"]
    )
    answer = host.apply()
    assert answer["changed"] is True and not answer.get("failed")
    assert answer["reasons"][0].startswith("was open for debugging (ptrace) until")
    assert closed(host) and host.act("ptrace") == "Operation not permitted"
    assert host.apply()["changed"] is False


def test_an_opening_by_hand_is_told_and_goes_with_the_next_apply(host: OverlayHost) -> None:
    host.ssh(f"mkdir -p /run/systemd/system/{UNIT}.d; echo '[Service]' >{OVERLAY}; systemctl daemon-reload")
    info = host.info()
    assert info["debug"]["open"] and info["debug"]["trouble"] == "nobody recorded who opened it"
    assert OVERLAY in [item["what"] for item in info["drift"]]
    assert host.apply()["changed"] is True and closed(host)
    assert host.info()["drift"] == []


def test_a_reboot_closes_it(host: OverlayHost) -> None:
    if host.kind != "qemu":
        pytest.skip("only a virtual machine is restarted")
    assert host.debug(openings=["ptrace", "shell"], duration="8h", **WHO)["state"] == "open"
    boot = host.ssh("cat /proc/sys/kernel/random/boot_id")
    host.lab("power-cut")
    assert host.ssh("cat /proc/sys/kernel/random/boot_id") != boot
    assert closed(host) and host.act("ptrace") == "Operation not permitted"
    assert host.ssh(f"grep -c LimitCORE=0 {DROPIN}") == "1"
    info = host.info()
    assert info["debug"] == {"open": False} and info["drift"] == [] and info["receipts"]["valid"] is True
