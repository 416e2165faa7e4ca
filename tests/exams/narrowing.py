# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the finished files allow, asked of evaluators that know no compiler: a deny never widens, a grant is granted.

* Random policies are compiled for each system with and without one more ``filesystem.deny``. Of the acts that are
  tried, the files with it must allow a part of those that the files without it allow.
* Half of those for Linux have a component, and the deny is the component's own as often as not. What its program may
  do, under its service's profile and its own, is asked in the same way, and is never more than the service may.
* Of the shipped policies, whatever the clauses allow the files must allow, and what the files allow beyond the clauses
  has to be of a clause whose verdict says that it is not wholly enforced.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import exam
from hosts import SYSTEMS, Act

from ansible_collections.bulkhead.fleet.plugins.plugin_utils import render
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import evaluate, library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import (
    OS,
    Component,
    Connect,
    Deny,
    Execute,
    Listen,
    Manifest,
    Mode,
    Port,
    Read,
    Spawn,
    Write,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

TODAY = date(2026, 11, 24)
GROUPS = {"app_servers": ["10.1.0.10", "10.1.0.11", "2001:db8::10"]}
SHIPPED = sorted(library.OWN.glob("*.yml"))
HOSTS = {
    OS.LINUX: ("debian11", "debian12", "debian13", "ubuntu2404"),
    OS.WINDOWS: ("windows2022",),
    OS.MACOS: ("macos15",),
}
WORKLOADS = {
    OS.LINUX: {"unit": "app.service", "executable": "/opt/app/bin/app", "user": "app"},
    OS.WINDOWS: {"service": "App", "executable": "C:\\App\\app.exe"},
    OS.MACOS: {"label": "org.app", "executable": "/opt/app/bin/app", "user": "_app"},
}
ROOTS = {
    OS.LINUX: (
        "/srv/one",
        "/var/lib/app",
        "/etc/app",
        "/opt/app",
        "/home/app",
        "/var/log/app",
        "/usr/share/app",
        "/run/app",
    ),
    OS.WINDOWS: ("C:\\App", "D:\\Data", "C:\\ProgramData\\App"),
    OS.MACOS: ("/opt/app", "/usr/local/var/app", "/Library/App", "/private/var/app"),
}
HELPER = "/usr/libexec/helper"
NAMES = ("a", "a/b", "a/b/c", "a/d", "e", "e/f", "")
PEERS = ("10.20.0.5", "10.30.0.5", "127.0.0.1", "169.254.169.254", "2001:db8::10", "::1", "10.1.0.10")
PORTS = (("tcp", 22), ("tcp", 80), ("tcp", 443), ("tcp", 5432), ("tcp", 8080), ("udp", 53), ("udp", 5005))
CLOSURES = {
    "read": "filesystem.read", "write": "filesystem.write", "execute": "filesystem.execute",
    "listen": "network.listen", "connect": "network.connect",
}  # fmt: skip


def path_of(os: OS, random: Random) -> str:
    slash = "\\" if os is OS.WINDOWS else "/"
    tail = random.choice(NAMES).replace("/", slash)
    return random.choice(ROOTS[os]) + (slash + tail if tail else "")


def document(os: OS, random: Random) -> dict[str, Any]:
    """A random policy for one system: grants and denials inside of each other, and a few ports and peers."""
    section = {
        key: sorted({path_of(os, random) for _number in range(random.randint(0, most))})
        for key, most in (("read", 3), ("write", 3), ("execute", 2), ("deny", 2))
    }
    network: dict[str, Any] = {
        "listen": [f"{kind}/{port}" for kind, port in random.sample(PORTS, random.randint(0, 2))]
    }
    network["connect"] = [
        {"to": peer, "ports": [f"{kind}/{port}"]}
        for peer, (kind, port) in zip(
            random.sample(PEERS, random.randint(0, 2)), random.sample(PORTS, 2), strict=False
        )
    ]
    return {
        "schema": 1, "policy": "app", "version": "1.0.0", "owner": "tests", "workload": {os.value: WORKLOADS[os]},
        "filesystem": section, "network": network,
    }  # fmt: skip


def acts(manifest: Manifest, os: OS, more: Iterable[str] = ()) -> Iterator[Act]:
    """Acts on, above, below and beside each path of the policy, and on each of some sockets."""
    slash = "\\" if os is OS.WINDOWS else "/"
    found: set[str] = set(more)
    for clause in manifest.clauses:
        # Sockets and devices are granted for other acts than these.
        path = clause.path.on(os) if isinstance(clause, (Read, Write, Execute, Spawn, Deny)) else None
        if path and not clause.path.glob and not path.startswith(("/dev", "/proc", "/sys")):  # type: ignore[attr-defined]
            found.add(path)
    for path in sorted(found):
        found |= {
            f"{path}{slash}inside",
            f"{path}{slash}in{slash}deep",
            f"{path}x",
            path.rpartition(slash)[0] + f"{slash}beside",
        }
    for path in sorted(found):
        for action in ("read", "write", "execute"):
            yield Act(action, path)
    ports = {*PORTS}
    for clause in manifest.clauses:
        for port in (
            clause.ports
            if isinstance(clause, Connect)
            else [clause.port]
            if isinstance(clause, Listen)
            else []
        ):
            ports |= {
                (port.protocol, number)
                for number in (port.first, port.last, port.last + 1)
                if 0 < number < 65536
            }
    for protocol, number in sorted(ports):
        yield Act("listen", protocol=protocol, port=number)
        yield from (Act("connect", protocol=protocol, port=number, address=peer) for peer in PEERS)


def component(random: Random) -> dict[str, Any]:
    """A random policy of a program that the service starts."""
    made = document(OS.LINUX, random)
    made["filesystem"]["execute"] = [HELPER]
    made["network"] = {}
    workload = {"unit": "helper.service", "executable": HELPER}
    return {**made, "policy": "helper", "workload": {"linux": workload}}


def allowed(bundle: Bundle, tried: Iterable[Act], program: str = "") -> set[Act]:
    """Which of these acts the bundle's files allow the service, or a ``program`` that it starts."""
    host = SYSTEMS[bundle.os.value]([(one.kind, one.content.decode()) for one in bundle.artifacts])
    return {act for act in tried if host.allows(act, program)}


def compiled(file: Path, name: str) -> tuple[Manifest, Bundle]:
    manifest = load_and_resolve(file, [file.parent], GROUPS, TODAY)
    linux = manifest.workload(OS.LINUX)
    return manifest, compile_bundle(manifest, features.reference(name, linux.name if linux else ""), TODAY)


def _write(folder: str, data: dict[str, Any], helper: dict[str, Any] | None) -> None:
    (Path(folder) / "app.yml").write_text(json.dumps(data))
    (Path(folder) / "helper.yml").write_text(json.dumps(helper or {}))


def denied(count: int, seed: int = 1) -> tuple[Counter[str], list[str]]:
    """``count`` random policies, each with one more deny."""
    counts: Counter[str] = Counter()
    shortfalls: list[str] = []
    random = Random(seed)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "app.yml"
        while counts["denies"] < count:
            os = random.choice(list(HOSTS))
            name = random.choice(HOSTS[os])
            data = document(os, random)
            helper = component(random) if os is OS.LINUX and random.random() < 0.5 else None
            if helper:
                data["filesystem"]["execute"].append(HELPER)
                data["components"] = [{"name": "side", "policy": "helper"}]
            denying = random.choice([data, helper]) if helper else data
            deny = path_of(os, random)
            try:
                _write(folder, data, helper)
                manifest, before = compiled(file, name)
                denying["filesystem"]["deny"] = [*denying["filesystem"]["deny"], deny]
                _write(folder, data, helper)
                after = compiled(file, name)[1]
            except PolicyFaults:  # a path that is granted and denied, written and run
                counts["refused"] += 1
                continue
            counts["denies"] += 1
            tried = list(acts(manifest, os, [deny]))
            for program in ("", HELPER) if helper else ("",):
                first, second = allowed(before, tried, program), allowed(after, tried, program)
                counts["acts"] += len(tried)
                counts["narrowed"] += first != second
                counts["component"] += bool(program)
                wider = second - first
                if program:
                    wider |= (first - allowed(before, tried)) | (second - allowed(after, tried))
                if wider:
                    counts["widened"] += 1
                    said = {key: value for key, value in denying["filesystem"].items() if value}
                    some = ", ".join(map(str, sorted(wider, key=str)[:4]))
                    shortfalls.append(f"deny {deny} on {name} allows {program} {some}: {said}")
    return counts, shortfalls


def decided(manifest: Manifest, act: Act, os: OS) -> evaluate.Decision:
    """What the clauses say."""
    if act.path:
        return evaluate.path_act(manifest.clauses, act.action, act.path, os)
    port = Port(act.protocol, act.port, act.port)
    if act.action == "listen":
        return evaluate.listen_act(manifest.clauses, port)
    return evaluate.connect_act(manifest.clauses, act.address, port)


def agreed(policies: Iterable[Path]) -> tuple[Counter[str], list[str]]:
    """The policies' clauses and files asked about the same acts."""
    counts: Counter[str] = Counter()
    shortfalls: list[str] = []
    for policy in policies:
        for name in features.names():
            manifest = load_and_resolve(policy, [library.OWN], GROUPS, TODAY)
            host = render.reference(name, manifest)
            if manifest.workload(host.os) is None or manifest.mode is Mode.AUDIT:
                continue
            bundle = compile_bundle(manifest, host, TODAY)
            counted, wrong = _components(manifest, bundle)
            counts += counted
            shortfalls += [f"{policy.stem} on {name}: {line}" for line in wrong]
            status = {verdict.clause: verdict.status.value for verdict in bundle.verdicts}
            tried = list(acts(manifest, host.os))
            open_to = allowed(bundle, tried)
            for act in tried:
                said = decided(manifest, act, host.os)
                if said.outcome is evaluate.Outcome.DEPENDS:
                    continue
                counts["compared"] += 1
                closure = CLOSURES[act.action]
                if said.outcome is evaluate.Outcome.ALLOW and act not in open_to:
                    if status.get(said.clause) in ("refused", "waived", "partial"):
                        counts["blocked_and_said"] += 1
                    else:
                        counts["blocked"] += 1
                        shortfalls.append(
                            f"{policy.stem} on {name}: {act} is granted by {said.clause} and denied"
                        )
                elif said.outcome is evaluate.Outcome.DENY and act in open_to:
                    named = {status.get(one, "enforced") for one in (said.clause, closure) if one}
                    if named == {"enforced"}:
                        counts["open"] += 1
                        shortfalls.append(
                            f"{policy.stem} on {name}: {act} is open, and {said.clause or closure} enforced"
                        )
                    else:
                        counts["open_and_said"] += 1
    return counts, shortfalls


def _components(manifest: Manifest, bundle: Bundle) -> tuple[Counter[str], list[str]]:
    """What the program of each component may do against what its own policy says of it."""
    counts: Counter[str] = Counter()
    shortfalls: list[str] = []
    carried = {
        verdict.clause for verdict in bundle.verdicts if verdict.status.value in ("enforced", "partial")
    }
    for one in (one for one in manifest.of(Component) if one.id in carried):
        own = replace(manifest, clauses=one.clauses)
        tried = [act for act in acts(own, bundle.os) if act.path]
        service, program = allowed(bundle, tried), allowed(bundle, tried, one.program(bundle.os))
        for act in tried:
            counts["of_components"] += 1
            wanted = act in service and decided(own, act, bundle.os).outcome is evaluate.Outcome.ALLOW
            if (act in program) is not wanted:
                shortfalls.append(f"{one.id}: {act} is {'denied' if wanted else 'open'}")
    return counts, shortfalls


if __name__ == "__main__":
    import sys

    figures, wrong = denied(int(sys.argv[1]) if sys.argv[1:] else 200)
    more, also = agreed([*SHIPPED, exam.EVERYTHING])
    exam.end("narrowing", {**figures, **more}, [*wrong, *also])
