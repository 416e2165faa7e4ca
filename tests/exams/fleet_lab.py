# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of lab hosts whose faults are made on the hosts, or on the wire to them (``wire.py``).

The exam itself logs in beside that wire. Each version of the policy denies a page of its own: a host that serves it is
sick of that version and of no other one.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from bad_policies_kinds import PAGE, READS, deny
from fleet import STATE, Fleet

OWN = f"{STATE}/nginx"
DROPINS = "/etc/systemd/system/nginx.service.d"
PAGES = "/srv/exam"
VERSIONS = 30
PROXY = "ProxyCommand="
PREPARE = (
    f"mkdir -p {PAGES}; for n in $(seq {VERSIONS}); do echo ok >{PAGES}/$n.html; done; chmod -R a+rX {PAGES};"
    " systemctl reset-failed nginx; systemctl start nginx"
)
CLEAN = f"umount {DROPINS} /usr/bin/journalctl 2>/dev/null; rm -rf {PAGES} {PAGE}"
# What a way back writes into is read-only.
STICK = f"mount --bind {DROPINS} {DROPINS} && mount -o remount,bind,ro {DROPINS}"
DEAFEN = (
    "printf '#!/bin/sh\\necho No journal files >&2; exit 1\\n' >/run/exam-deaf && chmod +x /run/exam-deaf"
    " && mount --bind /run/exam-deaf /usr/bin/journalctl"
)
DRIFT = f"echo '# edited' >>{DROPINS}/zz-bulkhead.conf"
FORGE = f'sed -i \'1s/"epoch"/"epocx"/\' {OWN}/receipts.jsonl'
# Active and healthy again at once, for as long as this generation is there.
LOOP = (
    f"was=$(cat {OWN}/active); setsid sh -c 'for n in $(seq 40); do [ \"$(cat {OWN}/active)\" = '$was' ] || exit;"
    " kill -SEGV $(systemctl show --value -p MainPID nginx); sleep 2; done' >/dev/null 2>&1 &"
)


class LabFleet(Fleet):
    """Every host of an inventory. What the exam says of the ``soak`` leaves time for what is done to a changed host."""

    sick_says = "answered 403, not 200"
    soak = ("-e", "rollout_soak=6")
    patience = 3.0

    def __init__(self, work: Path, count: int, inventory: str) -> None:
        self.number, self.ended = 1, Event()
        super().__init__(work, count, inventory)
        wire = shlex.join([sys.executable, str(Path(__file__).with_name("wire.py")), str(work / "hosts")])
        hosts = {}
        for name, variables in self.hosts.items():
            words = shlex.split(variables["ansible_ssh_common_args"])
            # The lab's own way to a host in a network of its own, if it has one; ssh takes the first that it is given.
            reach = next((word[len(PROXY) :] for word in words if word.startswith(PROXY)), "busybox nc %h %p")
            args = shlex.join(["-o", f"{PROXY}{wire} {name} {reach}", *words])
            own = {"ansible_ssh_common_args": args, "ansible_control_path_dir": str(work / "cp")}
            hosts[name] = {**variables, **own, "ansible_control_path": f"{work}/cp/%%r@{name}"}
        (work / "cp").mkdir(mode=0o700)
        self.inventory = str(work / "inventory.json")
        Path(self.inventory).write_text(json.dumps({"all": {"hosts": hosts}}))
        self.each(PREPARE)

    def version(self, number: int, **replaced: str) -> None:
        self.number = number
        denied = deny(f"{PAGES}/{number}.html")
        super().version(number, **{f"{READS}]": f"{READS}, {PAGES}]"}, **denied, **replaced)

    # --- faults ---

    def fault(self, host: str, name: str, on: bool = True) -> None:
        getattr(self, f"_{name}")(host, on)

    def _away(self, host: str, on: bool) -> None:
        super().fault(host, "away", on)

    def _slow(self, host: str, on: bool) -> None:
        super().fault(host, "slow", on)

    def _mute(self, host: str, on: bool) -> None:
        """It goes away in the middle of a change."""
        if on:
            self._once(host, f"test -e {OWN}/pending.json && echo yes", lambda: self._away(host, True))
        else:
            self._away(host, False)

    def _broken(self, host: str, on: bool) -> None:
        self.on(host, f"ln -sfn {PAGES}/{self.number}.html {PAGE}" if on else f"rm -f {PAGE}")

    def _sick(self, host: str, _on: bool) -> None:
        self._changed(host, lambda: self._broken(host, True))

    def _looping(self, host: str, _on: bool) -> None:
        self._changed(host, lambda: self.on(host, LOOP))

    def _drifted(self, host: str, _on: bool) -> None:
        self.on(host, DRIFT)

    def _stuck(self, host: str, on: bool) -> None:
        if on:
            self._changed(host, lambda: self.on(host, STICK))
        else:
            self.on(host, f"umount {DROPINS}")

    def _forged(self, host: str, _on: bool) -> None:
        self.on(host, FORGE)

    def _deaf(self, host: str, _on: bool) -> None:
        self.on(host, DEAFEN)

    def _changed(self, host: str, then: Callable[[], object]) -> None:
        """``then``, once the host has another generation for good."""
        was = self.on(host, f"cat {OWN}/active")
        self._once(
            host, f'[ "$(cat {OWN}/active)" != "{was}" ] && [ ! -e {OWN}/pending.json ] && echo yes', then
        )

    def _once(self, host: str, question: str, then: Callable[[], object]) -> None:
        def wait() -> None:
            while not self.ended.wait(0.2):
                if self.on(host, question) == "yes":
                    then()
                    return

        Thread(target=wait, daemon=True).start()

    # --- what is done to hosts besides ---

    def take_back(self, host: str, _kept: str) -> None:
        self.task(host, f"policy=nginx state=reverted epoch={self.journal()[-1]['epoch']}")

    def reinstall(self, host: str) -> None:
        self.task(host, "policy=nginx state=absent epoch=100000")

    def release(self) -> None:
        self.ended.set()
        for path in (self.work / "hosts").iterdir():
            path.unlink()
        self.each(CLEAN)
        super().release()
