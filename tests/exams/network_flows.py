# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of the network exam with a story: begun by somebody else, by name, or before the policy granted less."""

from __future__ import annotations

from typing import Any

from lab_host import LabHost
from network_lines import PLACE, Line, Nets
from network_trial import Findings, Trial


class Flows:
    """What ``network_road.Road`` has beside its stations."""

    host: LabHost
    nets: Nets
    found: Findings
    peer: Line
    outside: Line
    trial: Trial

    def confine(self, name: str, *replacements: tuple[str, str]) -> None:
        """Apply the policy with replacements in its text."""
        raise NotImplementedError

    def station(self, when: str) -> None:
        """Try what the exam tries everywhere."""
        raise NotImplementedError

    def answers(self, when: str) -> None:
        """Flows that somebody else began, and ports that the service takes over."""
        trial, mine = self.trial, self.nets.four(1)
        peer = self.nets.four(20)
        self.outside.ask("open", sockets=[{"name": "asked", "at": "0.0.0.0", "port": 42101, "datagram": 1}])
        self._datagram(self.peer, [peer, 50010], mine, 42101)
        to = {"dst": "4:20", "unconnected": 1}
        trial.say(when, "answering a datagram", True, "asked", port=50010, **to)
        trial.say(when, "sending unasked from a granted port", False, "asked", port=50011, **to)
        self._datagram(self.peer, [peer, 50020], mine, 42300)
        self.outside.ask("open", sockets=[{"name": "late", "at": "0.0.0.0", "port": 42300, "datagram": 1}])
        trial.say(when, "answering a datagram that came before", False, "late", port=50020, **to)
        self._datagram(self.outside, ["0.0.0.0", 42310], peer, 50030)
        self.outside.ask("open", sockets=[{"name": "later", "at": "0.0.0.0", "port": 42310, "datagram": 1}])
        token = self._datagram(self.peer, [peer, 50030], mine, 42310)
        came = self.outside.ask("collect", names=["later"])["later"]
        self.found.judge(
            when, "receiving by a flow that another program began", False, token in came, ("", ""), ""
        )

    def _datagram(self, line: Line, source: list[Any], dst: str, port: int) -> str:
        token = str(self.nets.spec({})["token"])
        line(
            "poke",
            acts=[{"name": "one", "dst": dst, "port": port, "from": source, "datagram": 1, "token": token}],
        )
        return token

    def names(self, when: str) -> None:
        for last, allowed, name in (
            (17, True, "a name, granted"),
            (20, False, "a name whose address changed"),
        ):
            self.outside.shell(
                f"cp {PLACE}/hosts /etc/hosts; echo '{self.nets.four(last)} exam-name.test' >>/etc/hosts"
            )
            spec = self.nets.spec({"act": "name", "dst": "exam-name.test", "port": "granted"})
            self.trial.reset()
            told = self.outside.ask("acts", via="service", acts=[spec])[0]
            self.found.judge(when, name, allowed, spec["token"] in self.trial.settled()[0], ("", ""), told)
        self.outside.shell(f"cp {PLACE}/hosts /etc/hosts")

    def narrowed(self) -> None:
        """What stands while the policy comes to grant less: what it no longer grants ends, the rest goes on."""
        places = [
            [f"keep {name}", "tcp", self.nets.four(17), port]
            for name, port in (("kept", 41905), ("cut", 41950))
        ]
        self.peer("listen", places=places)
        for name, port in (("kept", 41905), ("cut", 41950)):
            self.outside.ask("hold", **self.nets.spec({"name": name, "dst": "4:17", "port": port}))
        self.outside.ask("open", sockets=[{"name": f"in {name}", "at": "0.0.0.0", "port": port}
                                          for name, port in (("kept", 42111), ("cut", 42119))])  # fmt: skip
        for name, port in (("kept", 42111), ("cut", 42119)):
            knock = self.nets.spec({"name": f"in {name}", "dst": "self:4", "port": port, "keep": 1})
            self.peer("poke", acts=[knock])
        self.outside.ask("collect", names=["in kept", "in cut"])
        self.peer("listen", places=[["udp 41950", "udp", self.nets.four(17), 41950]])
        self.outside.ask("hold", **self.nets.spec({"name": "flow", "dst": "4:17", "port": 41950, "from": 42150,
                                                   "datagram": 1}))  # fmt: skip
        self.standing("before the policy grants less", True)
        before = self.outside.ask("pid")
        self.confine("narrow", ("41000-41999", "41000-41909"), ("tcp/42110-42119", "tcp/42110-42115"))
        if self.outside.ask("pid") != before:
            self.found.faults.append(f"{self.host.name}: the narrower policy restarted the service")
        self.standing("after the policy grants less", False)
        self.station("after the policy grants less")

    def standing(self, when: str, cut: bool) -> None:
        trial = self.trial
        trial.say(when, "a connection that stays granted", True, "kept+")
        trial.hear(when, "a connection that stays granted, other way", True, "kept+", "kept")
        trial.hear(when, "an accepted connection that stays granted", True, "in kept+", "in kept")
        trial.say(when, "an accepted connection that stays granted, other way", True, "in kept+")
        # First what the peer says, then what the service says: its own word would end the connection.
        token = self._datagram(self.peer, [self.nets.four(17), 41950], self.nets.four(1), 42150)
        came = self.outside.ask("collect", names=["flow"])["flow"]
        self.found.judge(when, "answers to datagrams, no longer granted", cut, token in came, ("", ""), "")
        trial.say(when, "datagrams of a socket, no longer granted", cut, "flow")
        trial.hear(when, "what a peer sends, no longer granted", cut, "cut+", "cut")
        trial.say(when, "a connection, no longer granted", cut, "cut+")
        trial.hear(when, "an accepted connection, no longer granted", cut, "in cut+", "in cut")
        trial.say(when, "an accepted connection, no longer granted, other way", cut, "in cut+")
