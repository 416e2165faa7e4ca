# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and disks do to a host while a change is pending or on its way back."""

from __future__ import annotations

from faults_host import DROPIN, FLAG, GUARD, STATE, FaultyHost

RULES = "/etc/bulkhead/nft"


def open_files(host: FaultyHost) -> str:
    """The limit that the running application has, by the kernel."""
    return host.ssh(f"awk '/open files/{{print $4}}' /proc/{host.unit()['MainPID']}/limits")


def immutable_file_late_on_the_way_back(host: FaultyHost) -> None:
    """A step that fails after the application was restarted is tried again without another restart."""
    host.run(state="absent", epoch=host.epoch)
    host.unconfirmed(900)
    rules = host.ssh(f"ls {RULES}/*nginx*").split()[0]
    host.ssh(f'python3 -c "{FLAG}" {rules} 16')
    try:
        answer, _text = host.run(state="reverted", epoch=host.epoch)
        assert (answer.get("failed"), answer.get("state")) == (True, "revert_failed"), answer.get("msg")
        last = host.receipts()[-1]
        assert (last["event"], last["detail"]) == ("REVERTING", f"stuck at {rules}"), last
        once = host.unit()["InvocationID"]
        host.ssh("sleep 14")  # the guard tries again every few seconds
        assert host.unit()["InvocationID"] == once, "it restarts the application again and again"
    finally:
        host.ssh(f'python3 -c "{FLAG}" {rules} 0')
    host.ends(60)
    assert host.unit()["InvocationID"] == once
    assert host.ssh(f"ls {DROPIN} {RULES} 2>/dev/null || true") == "", "files of the first change are left"


def application_stopped_by_hand(host: FaultyHost) -> None:
    """Whoever stopped it meanwhile meant it: going back does not start it."""
    host.unconfirmed(30)
    host.ssh("systemctl stop nginx.service")
    host.ends(90)
    host.files_are_old()
    assert host.unit()["ActiveState"] == "inactive"
    host.ssh("systemctl start nginx.service")
    assert open_files(host) == "4096"


def application_restarted_by_hand(host: FaultyHost) -> None:
    """The change was not to restart it; somebody did, and so it runs as the new generation says until it goes back."""
    was = host.unit()["InvocationID"]
    host.unconfirmed(30, restart=False)
    assert host.unit()["InvocationID"] == was and open_files(host) == "4096"
    host.ssh("systemctl restart nginx.service")
    assert open_files(host) == "4000"
    host.goes_back(90)
    assert open_files(host) == "4096"


def targets_changed(host: FaultyHost) -> None:
    """``systemctl isolate`` stops what nobody wants; the guard stays."""
    host.unconfirmed(30)
    host.ssh("systemctl isolate multi-user.target || true")
    assert host.ssh(f"systemctl show --value -p ActiveState {GUARD}") == "active", "the guard is gone"
    host.ends(90)
    host.files_are_old()
    host.ssh("systemctl start nginx.service")


def state_on_a_mount_of_its_own(host: FaultyHost) -> None:
    """A file system of its own has a lost+found and cannot be removed."""
    host.run(state="absent", epoch=host.epoch)
    place = STATE.rpartition("/")[0]
    before = host.ssh("stat -c %y /var/lib")  # that of the folder made here is no mark of a sandbox
    host.ssh(
        f"mkdir -m 700 {place} && mount -t tmpfs -o mode=700 none {place} && mkdir -m 700 {place}/lost+found"
    )
    try:
        host.good()
        host.unconfirmed(900)
        answer, _text = host.run(state="reverted", epoch=host.epoch)
        assert answer["state"] == "reverted", answer.get("msg")
        host.is_old()
        answer, _text = host.run(state="absent", epoch=host.epoch)
        assert not answer.get("failed"), answer.get("msg")
        left = host.ssh(f"ls {place}; ls {DROPIN} 2>/dev/null || true").split()
        assert left == ["lost+found"], left
        again, _text = host.run(state="absent", epoch=host.epoch)
        assert not again["changed"], again
    finally:
        host.ssh(f"umount -l {place} && rmdir {place}; touch -m -d '{before}' /var/lib")


WINDOW = (
    immutable_file_late_on_the_way_back, application_stopped_by_hand, application_restarted_by_hand, targets_changed,
    state_on_a_mount_of_its_own,
)  # fmt: skip
