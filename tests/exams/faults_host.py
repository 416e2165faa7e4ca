# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab host with a fault, and what it has to say and to have then."""

from __future__ import annotations

from typing import Any

from lab_host import LabHost

STATE = "/var/lib/bulkhead/nginx"
DROPIN = "/etc/systemd/system/nginx.service.d/zz-bulkhead.conf"
OTHER = ("max_open: 4096", "max_open: 4000")
GUARD = "bulkhead-guard@nginx.service"
UNDER_WAY = f"ls {STATE}/pending.json {STATE}/reverting.json 2>/dev/null || true"
# ioctl FS_IOC_SETFLAGS: a minimal system has no chattr.
FLAG = (
    "import fcntl, struct, sys; f = open(sys.argv[1]);"
    " fcntl.ioctl(f, 0x40086602, struct.pack('L', int(sys.argv[2])))"
)


class FaultyHost(LabHost):
    def begin(self) -> None:
        assert self.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
        self.was = self.unit()["ActiveState"]
        self.ssh("systemctl start nginx.service")
        self.before = self.snapshot()
        self.two = str(self.policy("two", OTHER))
        self.epoch = 1
        self.old = self.good()["digest"]

    def good(self, **options: Any) -> dict[str, Any]:
        answer, text = self.run(epoch=self.epoch, **options)
        assert not answer.get("failed"), f"{answer.get('msg')} {text[-300:]}"
        return answer

    def change(self, *arguments: str, **options: Any) -> dict[str, Any]:
        """Apply the other generation."""
        options = {"policies_dirs": [self.two], "epoch": self.epoch, **options}
        return self.run(*arguments, **options)[0]

    def unconfirmed(self, seconds: int, **options: Any) -> dict[str, Any]:
        """The other generation, pending: nobody confirms it."""
        program = self.ssh_program("exit 255")
        return self.change("-e", f"ansible_ssh_executable={program}", confirm_within=seconds, **options)

    def files_are_old(self) -> None:
        active, limit = self.ssh(f"cat {STATE}/active; grep -o 'LimitNOFILE=.*' {DROPIN}").split()
        assert (active, limit) == (self.old, "LimitNOFILE=4096"), (active, limit)
        assert self.ssh(UNDER_WAY) == ""

    def is_old(self) -> None:
        self.files_are_old()
        assert self.unit()["ActiveState"] == "active"

    def is_told(self, answer: dict[str, Any], words: str) -> None:
        assert answer.get("failed") and words in answer["msg"], answer.get("msg")
        assert "Traceback" not in answer["msg"], answer["msg"]

    def ends(self, seconds: float) -> None:
        """Wait until nothing is under way any more."""
        assert self.until(lambda: self.ssh(UNDER_WAY) == "", seconds), "it did not go back"

    def goes_back(self, seconds: float = 60) -> None:
        self.ends(seconds)
        self.is_old()

    def calm(self) -> None:
        """Whatever the last fault left, an ordinary run puts right."""
        self.ssh(
            f'umount -l /etc /etc/bulkhead/nft {STATE} 2>/dev/null; python3 -c "{FLAG}" {DROPIN} 0 2>/dev/null; true'
        )
        self.good()
        self.is_old()

    def finish(self) -> list[str]:
        self.ssh("umount -l /etc /etc/bulkhead/nft 2>/dev/null; true")
        self.run(state="absent", epoch=2**31)
        after = self.snapshot()
        if self.was != "active":
            self.ssh("systemctl stop nginx.service")
        marks = sorted(set(after) ^ set(self.before))
        return [f"{self.name}: marks are left: {marks[:6]}"] if marks else []


def read_only_etc(host: FaultyHost) -> None:
    host.ssh("mount --bind /etc /etc && mount -o remount,bind,ro /etc")
    host.is_told(host.change(), "is read-only. Nothing was changed.")
    host.is_old()


def read_only_etc_on_the_way_back(host: FaultyHost) -> None:
    """What cannot be put back is told by name and tried again until it can."""
    host.unconfirmed(900)
    host.ssh("mount --bind /etc /etc && mount -o remount,bind,ro /etc")
    answer, _text = host.run(state="reverted", epoch=host.epoch)
    assert (answer.get("failed"), answer.get("state")) == (True, "revert_failed"), answer.get("msg")
    last = host.receipts()[-1]
    assert (last["event"], last["detail"]) == ("REVERTING", f"stuck at {DROPIN}"), last
    host.is_told(host.change(), f"cannot be taken back yet: stuck at {DROPIN}")
    host.ssh("umount -l /etc")
    host.goes_back()
    assert host.receipts()[-1]["event"] == "REVERTED"


def disk_full(host: FaultyHost) -> None:
    """Where the rules lie there is no room for the new ones."""
    host.ssh(
        "mkdir -p /run/keep && cp -a /etc/bulkhead/nft/. /run/keep"
        " && mount -t tmpfs -o size=16k,mode=755 none /etc/bulkhead/nft && cp -a /run/keep/. /etc/bulkhead/nft;"
        " dd if=/dev/zero of=/etc/bulkhead/nft/full bs=4k 2>/dev/null; true"
    )
    folder = host.policy("rules", ("listen: [tcp/80, tcp/443]", "listen: [tcp/80, tcp/443, tcp/8099]"))
    answer = host.change(policies_dirs=[str(folder)])
    host.ssh("umount -l /etc/bulkhead/nft; rm -rf /run/keep")
    host.is_told(answer, "No space left on device")
    host.goes_back()


def immutable_file(host: FaultyHost) -> None:
    host.ssh(f'python3 -c "{FLAG}" {DROPIN} 16')
    answer = host.change()
    host.ssh(f'python3 -c "{FLAG}" {DROPIN} 0')
    host.is_told(answer, DROPIN)
    host.goes_back()


def stale_marker(host: FaultyHost) -> None:
    """A change of an earlier boot that nobody cleared away, and no guard."""
    host.unconfirmed(900)
    host.ssh(f"systemctl stop {GUARD}")
    program = "import json,sys; sys.path.insert(0, '/x'); import hashlib\n"
    program += f"p='{STATE}/pending.json'; d=json.load(open(p)); d.pop('sum'); d['boot_id']='another'\n"
    program += "b=json.dumps(d, indent=1, sort_keys=True)[2:]+chr(10)\n"
    program += (
        "open(p,'w').write('{\"sum\": \"%s\",' % hashlib.sha256(b.encode()).hexdigest() + chr(10) + b)\n"
    )
    host.ssh(f"python3 - <<'END'\n{program}END")
    host.good()
    host.is_old()
    assert [entry["event"] for entry in host.receipts()][-1] in ("REVERTED", "CONFIRMED")


def torn_marker(host: FaultyHost) -> None:
    host.unconfirmed(900)
    host.ssh(f"truncate -s 100 {STATE}/pending.json")
    host.goes_back()


def torn_receipt(host: FaultyHost) -> None:
    host.change()
    host.ssh(f"truncate -s -20 {STATE}/receipts.jsonl")
    lines = host.ssh(f"wc -l <{STATE}/receipts.jsonl")
    answer = host.good()
    assert any("CONFIRMED was lost" in reason for reason in answer["reasons"]), answer["reasons"]
    assert int(host.ssh(f"wc -l <{STATE}/receipts.jsonl")) > int(lines)
    info, _text = host.run(module="sandbox_info", policy="nginx")
    assert info["damage"] == [] and info["receipts"]["valid"] is True, info["damage"]


def second_rollout_inside_the_window(host: FaultyHost) -> None:
    host.unconfirmed(900)
    nonce = host.ssh(f"grep -o '\"nonce\": \"[0-9a-f]*' {STATE}/pending.json | cut -d'\"' -f4")
    host.epoch += 1
    host.good(rollout="second")
    host.is_old()
    answer, _text = host.run(state="promoted", nonce=nonce, epoch=host.epoch)
    assert answer.get("failed") and "too late" in answer["msg"], answer.get("msg")
    host.is_old()


def older_epoch(host: FaultyHost) -> None:
    """Also where the newer run only took the older one's change back."""
    host.unconfirmed(900)
    host.epoch += 2
    host.run(state="reverted", epoch=host.epoch)
    host.is_old()
    answer = host.change(epoch=host.epoch - 1)
    host.is_told(answer, f"epoch {host.epoch - 1} is refused: a run with epoch {host.epoch} has been here.")
    host.is_old()


def guard_killed(host: FaultyHost) -> None:
    host.unconfirmed(60)
    if host.kind == "qemu":  # a container's manager may not spare its own
        pid = host.ssh(f"systemctl show --value -p MainPID {GUARD}")
        assert host.ssh(f"cat /proc/{pid}/oom_score_adj") == "-1000"
    for number in ("KILL", "TERM"):
        host.ssh(f"systemctl kill -s {number} {GUARD}; sleep 1.5")
    assert host.ssh(f"systemctl show --value -p ActiveState {GUARD}") == "active"
    host.goes_back(120)


def out_of_memory(host: FaultyHost) -> None:
    python = "/run/bulkhead-exam-python"
    host.ssh(
        f"printf '#!/bin/sh\\nulimit -v 26000\\nexec /usr/bin/python3 \"$@\"\\n' >{python}; chmod 755 {python}"
    )
    extra = host.work / "little.yml"
    extra.write_text(f"lab: {{hosts: {{{host.name}: {{ansible_python_interpreter: {python}}}}}}}\n")
    answer = host.change("-i", str(extra))
    host.ssh(f"rm -f {python}")
    assert answer.get("failed") and "Look at its memory" in answer["msg"], answer.get("msg")
    host.goes_back()


def clock_jump(host: FaultyHost) -> None:
    """A day each way while a change is pending moves no deadline."""
    assert host.kind == "qemu", "the clock of a container is this machine's"
    for jump in ("+1 day", "-1 day"):
        host.unconfirmed(60)
        host.ssh(f"date -s '{jump}' >/dev/null")
        try:
            assert host.ssh(f"test -e {STATE}/pending.json && echo pending || true") == "pending"
            host.goes_back(120)
        finally:
            back = "-1 day" if jump.startswith("+") else "+1 day"
            host.ssh(f"date -s '{back}' >/dev/null")


FAULTS = (
    read_only_etc, read_only_etc_on_the_way_back, disk_full, immutable_file, stale_marker, torn_marker, torn_receipt,
    second_rollout_inside_the_window, older_epoch, guard_killed, out_of_memory, clock_jump,
)  # fmt: skip
