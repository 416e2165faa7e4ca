# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the network exam tried on one host, and what the other end saw of each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from network_lines import Line, LineError, Nets
from network_rows import In, Out

NAMES = {132: "sctp", 136: "udplite", 262: "tcp"}
SETTLE = 0.6  # seconds
PATIENCE = 8.0  # seconds that an emulated host gets for what is allowed


@dataclass
class Findings:
    """What one host showed. ``able``: probes that had an effect before the policy came, so that its absence counts."""

    say: Callable[[str], None]
    acts: int = 0
    kinds: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    table: dict[str, Counter[str]] = field(default_factory=dict)

    def judge(
        self, when: str, name: str, allowed: bool, reached: bool, declared: tuple[str, str], told: str
    ) -> None:
        """One act: before the policy it must have its effect, under it only what is allowed may."""
        if when == "unconfined":
            if not reached:
                self.mute.add(name)
            return
        if name in self.mute:
            return
        self.acts += 1
        self.kinds |= {name, when}
        verdict = self.verdicts.get(declared[0], {})
        said = (
            bool(declared[0])
            and verdict.get("status") == "partial"
            and declared[1] in verdict.get("detail", "")
        )
        text = f"{when}: {name} ({told or 'no error'})"
        word = "passed" if reached else "stopped"
        if reached and not allowed:
            word = "declared" if said else "leak"
            if said:
                self.declared.add(name)
            else:
                self.leaks.append(text)
        if allowed and not reached:
            word = "false block"
            self.blocks.append(text)
        if word in ("leak", "false block"):
            self.say(f"{word}: {text}")
        self.table.setdefault(name, Counter())[word] += 1


class Trial:
    """One confined host between its two witnesses."""

    def __init__(self, nets: Nets, peer: Line, outside: Line, found: Findings) -> None:
        self.nets, self.peer, self.outside, self.found = nets, peer, outside, found

    def reset(self) -> None:
        self.peer("reset")
        self.outside("reset")

    def out(self, when: str, rows: tuple[Out, ...], via: str = "service", name: str = "") -> None:
        """Try ``rows`` in the service, its child or its program executed anew."""
        specs = [self.nets.spec(row.spec) for row in rows]
        self.reset()
        self._expect(rows, specs)
        results = self._run(rows, specs, via)
        seen, told = self.settled()
        for row, spec, result in zip(rows, specs, results, strict=True):
            reached = {
                "peer": self._reached(row, spec, seen),
                "outside": spec["token"] in told,
                "itself": result == "",
            }[row.end]
            self.found.judge(when, row.name + name, row.allowed, reached, row.declared, str(result))
            if spec["act"] == "tcp" and not row.allowed and result == "ETIMEDOUT" and when != "unconfined":
                self.found.faults.append(
                    f"{when}: {row.name}{name}: the service waits instead of being refused"
                )

    def settled(self) -> tuple[set[str], set[str]]:
        """What was seen once a last, allowed datagram of the service has come: the rest came before, or never will."""
        last = self.nets.spec({"act": "udp", "dst": "4:17", "port": "granted"})
        self.outside.ask("acts", via="service", acts=[last])
        self.until(lambda: last["token"] in self.seen()[0])
        time.sleep(SETTLE)
        return self.seen()

    @staticmethod
    def until(condition: Callable[[], bool]) -> bool:
        limit = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > limit:
                return False
            time.sleep(0.2)
        return True

    def seen(self) -> tuple[set[str], set[str]]:
        report = self.peer("report")
        return set(report["seen"]), set(self.outside("report")["told"])

    def _expect(self, rows: tuple[Out, ...], specs: list[dict[str, Any]]) -> None:
        """The other end listens wherever an act may arrive."""
        places = []
        for row, spec in zip(rows, specs, strict=True):
            kind = NAMES.get(spec.get("protocol", 0), {"udp": "udp", "sctp": "sctp"}.get(spec["act"], "tcp"))
            if row.end == "peer" and "port" in spec and spec["act"] in ("tcp", "udp", "sctp", "fastopen"):
                places.append([f"{kind} {spec['port']}", kind, "::" if kind in ("tcp", "udp") else "0.0.0.0",
                               spec["port"]])  # fmt: skip
        self.peer("listen", places=places)

    def _run(self, rows: tuple[Out, ...], specs: list[dict[str, Any]], via: str) -> list[Any]:
        results: list[Any] = [None] * len(rows)
        risky = [number for number, row in enumerate(rows) if row.child]
        calm = [number for number, row in enumerate(rows) if not row.child]
        if calm:
            answers = self.outside.ask("acts", via=via, acts=[specs[number] for number in calm])
            for number, answer in zip(calm, answers, strict=True):
                results[number] = answer
        for number in risky:
            results[number] = self.outside.ask("acts", via="child", acts=[specs[number]])[0]
        return results

    @staticmethod
    def _reached(row: Out, spec: dict[str, Any], seen: set[str]) -> bool:
        """An allowed connection has to carry its token; of a denied one not even the first segment may come."""
        if spec["act"] == "join":
            return f"igmp {spec['dst']}" in seen
        kind = NAMES.get(spec.get("protocol", 0), spec["act"])
        kind = "tcp" if kind == "fastopen" else kind
        plain = f"{kind} {spec.get('dst', '').removeprefix('::ffff:')} {spec.get('port')}"
        if spec["act"] == "dccp" or (kind == "sctp" and row.allowed):
            return plain in seen
        return spec["token"] in seen or (not row.allowed and plain in seen)

    def into(self, when: str, rows: tuple[In, ...]) -> None:
        """The service listens as ``rows`` say, the other end knocks, and the service says what came."""
        specs = [self.nets.spec({**row.listens, "name": row.name}) for row in rows]
        self.reset()
        shared = [
            ["shared " + spec["token"], "udp", "0.0.0.0", spec["port"]] for spec in specs if "shared" in spec
        ]
        ports = self.outside.ask("open", sockets=specs)
        self.outside("listen", places=shared)
        knocks: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for row, spec in zip(rows, specs, strict=True):
            dst = {"4": self.nets.four(1), "6": self.nets.six(1)}.get(row.knock["dst"], row.knock["dst"])
            knock = {"name": row.name, "dst": dst, "port": ports[row.name], "token": spec["token"]}
            knock |= {key: spec[key] for key in ("datagram", "protocol") if key in spec}
            knock |= {"device": 1} if "device" in row.knock else {}
            if isinstance(knock["port"], int):
                knocks[row.outside].append(knock)
            elif row.allowed:
                self.found.faults.append(f"{when}: {row.name} cannot listen: {knock['port']}")
        answers = {**self.peer("poke", acts=knocks[False]), **self.outside("poke", acts=knocks[True])}
        came: dict[str, list[str]] = {row.name: [] for row in rows}

        def all_allowed() -> bool:
            for name, texts in self.outside.ask("collect", names=list(came)).items():
                came[name] += texts
            return all(any(spec["token"] in text for text in came[row.name])
                       for row, spec in zip(rows, specs, strict=True)
                       if row.allowed and row.name not in self.found.mute)  # fmt: skip

        self.until(all_allowed)
        time.sleep(SETTLE)
        all_allowed()
        for row, spec in zip(rows, specs, strict=True):
            arrived = any(spec["token"] in text or text.startswith("accepted") for text in came[row.name])
            # A connection that the other end made counts as well, whether or not the service has taken it.
            arrived = arrived or (not row.listens.get("datagram") and answers.get(row.name) == "")
            told = answers.get(row.name, str(ports[row.name]))
            self.found.judge(when, row.name, row.allowed, arrived, row.declared, told)
        self.outside.ask("close")

    def say(
        self,
        when: str,
        name: str,
        allowed: bool,
        held: str,
        declared: tuple[str, str] = ("", ""),
        **more: Any,
    ) -> None:
        """The service sends on what it holds; the peer must see it, or not."""
        spec = self.nets.spec({"act": "say", **more})
        self.reset()
        told = self.outside.ask("say", **{**spec, "name": held})
        self.found.judge(when, name, allowed, spec["token"] in self.settled()[0], declared, told)

    def hear(self, when: str, name: str, allowed: bool, held: str, mine: str) -> None:
        """The peer sends on what it holds as ``mine``; the service must get it, or not."""
        spec = self.nets.spec({})
        told = self.peer("say", name=mine, token=spec["token"])
        came: list[str] = []

        def heard() -> bool:
            came.extend(self.outside.ask("collect", names=[held])[held])
            return any(spec["token"] in text for text in came)

        if allowed:
            self.until(heard)
        else:
            time.sleep(2 * SETTLE)
        self.found.judge(when, name, allowed, heard(), ("", ""), told)


__all__ = ["Findings", "LineError", "Trial"]
