# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stations of the network exam on one host: unconfined, confined, and after all that may undo rules."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

from lab_host import LabHost
from network_flows import Flows
from network_lines import DEVICES, PLACE, Line, Nets, send_programs
from network_rows import CORE_IN, CORE_OUT, HANDED, MORE_IN, MORE_OUT
from network_trial import Findings, Trial

UNIT = "exam-network.service"
KEEPER = "bulkhead-net-exam-network.service"
PING = "/proc/sys/net/ipv4/ping_group_range"  # who may make ping sockets
START = "bk:start-{};"
# What may undo rules, in the shell's words; after each of them everything is tried again.
STATIONS = (
    ("after a restart", f"systemctl restart {UNIT}"),
    ("after a reload", f"systemctl reload {UNIT}"),
    ("after systemd itself was executed anew", "systemctl daemon-reload && systemctl daemon-reexec"),
    ("after nft flush ruleset", "nft flush ruleset"),
    (
        "after nftables.service was started, reloaded, restarted and stopped",
        "for what in start reload restart stop; do systemctl $what nftables.service || exit 1; done",
    ),
    (
        "after the slice was stopped",
        f"systemctl stop bulkhead-exam_network.slice && ! systemctl -q is-active {UNIT} && systemctl start {UNIT}",
    ),
    (
        "after the keeper was killed",
        f"systemctl kill -s KILL {KEEPER}; sleep 5; systemctl start {UNIT} && systemctl is-active {KEEPER}",
    ),
)
TRACES = (
    "ls -d /etc/bulkhead/nft/exam-network.nft /etc/systemd/system/*exam?network.slice /run/bulkhead-net-exam-network "
    "/etc/systemd/system/bulkhead-net-exam-network.service /etc/systemd/system/exam-network.service.d "
    "/var/lib/bulkhead/exam-network 2>/dev/null; nft list tables | grep exam"
)


class Road(Flows):
    """One host confined, one peer, and what was found."""

    def __init__(self, host: LabHost, peer: LabHost, work: Path, say: Callable[[str], None]) -> None:
        self.host, self.peer_host, self.work, self.say = host, peer, work, say
        self.nets, self.found = Nets(host), Findings(say)
        self.lines: list[Line] = []
        self.device = DEVICES[host.kind]

    def run(self) -> Findings:
        try:
            self.prepare()
            self.unconfined()
            self.confine("policy")
            self.confined()
            for when, command in STATIONS:
                self.outside.shell(command)
                self.station(when)
            self.narrowed()
            self.bound()
            self.reboot()
        finally:
            self.clean()
        return self.found

    def prepare(self) -> None:
        for host in (self.host, self.peer_host):
            send_programs(host)
        start = [{"act": "udp", "dst": self.peer_host.variables["bulkhead_lab_address"], "port": 30999,
                  "token": START.format(self.nets.number)}]  # fmt: skip
        setting = f"EXAM_START='{json.dumps(start)}'"
        self.peer, self.outside = Line(self.peer_host), Line(self.host)
        self.lines = [self.peer, self.outside]
        self.trial = Trial(self.nets, self.peer, self.outside, self.found)
        self.peer.shell(self.nets.addresses(True, "replace", self.device))
        self.nets.link = self.peer.shell(
            f"ip -6 -o addr show dev {self.device} scope link | sed 's,.*inet6 ,,;s,/.*,,' | head -n1"
        )
        self.outside.shell(
            f"{self.nets.addresses(False, 'replace', self.device)}; cp -p /etc/hosts {PLACE}/hosts; "
            f"cat {PING} >{PLACE}/ping; echo 0 2147483647 >{PING}; "
            f"cp {PLACE}/exam-network.service /etc/systemd/system/; mkdir -p /run/exam-granted /run/exam-outside; "
            f"printf '%s\\n' {shlex.quote(setting)} >/etc/exam-network.conf; "
            f"systemctl daemon-reload; systemctl enable {UNIT} 2>&1; systemctl restart {UNIT}"
        )
        self.listeners()
        self.say("prepared")

    def listeners(self) -> None:
        """The program outside of the sandbox."""
        places = [
            [f"own {at} {port}", "tcp", at, port] for at in ("127.0.0.1", "::1") for port in (41500, 41501)
        ]
        places += [["own", "tcp", self.nets.four(1), 41501], ["own udp", "udp", "127.0.0.1", 41502]]
        places += [[at, "unix", at, 0] for at in
                   ("/run/exam-granted/socket", "/run/exam-outside/socket", "@exam-outside")]  # fmt: skip
        faults = self.outside("listen", places=places)
        self.found.faults += [f"{self.host.name}: {name}: {fault}" for name, fault in faults.items()]

    def unconfined(self) -> None:
        """Everything reaches the other end: else its absence later would say nothing."""
        self.everything("unconfined")
        self.old_sockets()
        self.trial.reset()
        self.outside.shell(f"systemctl restart {UNIT}")
        self.after_start("unconfined")
        self.old_sockets()
        self.say(f"unconfined: without effect here: {', '.join(sorted(self.found.mute)) or 'nothing'}")

    def old_sockets(self) -> None:
        self.outside.ask("open", sockets=[{"name": "old", "at": "0.0.0.0", "datagram": 1}])
        self.outside.ask("store", name="old")

    def after_start(self, when: str) -> None:
        """A service that has just started, and what it got from before."""
        seen = self.trial.seen()[0]
        self.found.judge(
            when, "the first moments of a start", False, START.format(self.nets.number) in seen, ("", ""), ""
        )
        self.trial.say(
            when, "a socket opened before", False, "stored", dst="4:20", port="other", unconnected=1
        )

    def confine(self, name: str, *replacements: tuple[str, str]) -> None:
        self.trial.reset()
        folder = self.nets.policy(self.work / name, *replacements)
        result, _text = self.host.run(policy="exam-network", policies_dirs=[str(folder)])
        if result.get("state") != "confirmed":
            raise AssertionError(
                f"{self.host.name}: the policy is {result.get('state')}: {result.get('msg')}"
            )
        place = f"/var/lib/bulkhead/exam-network/generations/{result['digest']}/bundle.json"
        bundle = json.loads(self.outside.shell(f"cat {place}"))
        self.found.verdicts = {verdict["clause"]: verdict for verdict in bundle["verdicts"]}
        self.say(f"{name}: {result['state']}")

    def confined(self) -> None:
        self.after_start("confined")
        self.everything("confined")
        for via in ("child", "again"):
            name = ", by a child" if via == "child" else ", by the program executed anew"
            self.trial.out("confined", CORE_OUT, via=via, name=name)
        self.say(f"confined: {len(self.found.kinds)} kinds")

    def everything(self, when: str) -> None:
        self.trial.out(when, (*CORE_OUT, *MORE_OUT))
        self.trial.into(when, (*CORE_IN, *MORE_IN))
        self.answers(when)
        self.names(when)
        self.trial.say(when, "a socket handed in", False, "handed", HANDED, hand=True, dst="4:20", port="other",
                       unconnected=1)  # fmt: skip

    def station(self, when: str) -> None:
        self.trial.out(when, CORE_OUT)
        self.trial.into(when, CORE_IN)
        self.say(f"{when}: {len(self.found.leaks)} leaks, {len(self.found.blocks)} false blocks so far")

    def bound(self) -> None:
        """A policy without datagrams: there systemd refuses bind() itself, where it can."""
        replaced = ((", udp/41000-41999", ""), (f"    - {{to: {self.nets.four(18)}}}\n", ""))
        self.confine("without datagrams", *replaced)
        self.trial.into("under a policy without datagrams", (*CORE_IN, *MORE_IN))
        self.confine("policy")

    def reboot(self) -> None:
        self.trial.reset()
        self.outside.close()
        self.host.lab("reboot")
        self.host.until(
            lambda: self.host.ssh(f"systemctl is-active {UNIT} || true", check=False) == "active", 150
        )
        self.outside = self.trial.outside = Line(self.host)
        self.lines.append(self.outside)
        self.outside.shell(
            f"{self.nets.addresses(False, 'replace', self.device)}; mkdir -p /run/exam-granted /run/exam-outside"
        )
        self.listeners()
        seen = self.trial.seen()[0]
        self.found.judge("after a reboot", "the first moments of a start", False,
                         START.format(self.nets.number) in seen, ("", ""), "")  # fmt: skip
        self.station("after a reboot")

    def clean(self) -> None:
        """The host as it was before: sandbox, unit, programs and addresses gone."""
        result, _text = self.host.run(
            policy="exam-network", state="absent", policies_dirs=[str(self.work / "policy")]
        )
        if result.get("state") != "absent":
            self.found.faults.append(f"{self.host.name}: not removed: {result.get('msg')}")
        left = self.host.ssh(TRACES + " || true", check=False)
        if left:
            self.found.faults.append(f"{self.host.name}: the removal left {left}")
        self.host.ssh(
            f"systemctl disable --now {UNIT}; cp -p {PLACE}/hosts /etc/hosts; "
            f"cat {PLACE}/ping >{PING}; rm -rf {PLACE} /etc/exam-network.conf "
            f"/etc/systemd/system/{UNIT} /run/exam-granted /run/exam-outside; systemctl daemon-reload; "
            f"systemctl reset-failed {UNIT}; {self.nets.addresses(False, 'del', self.device)}",
            check=False,
        )
        self.peer_host.ssh(self.nets.addresses(True, "del", self.device), check=False)
        for line in self.lines:
            line.close()
