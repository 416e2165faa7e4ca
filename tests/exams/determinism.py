# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: the same policy and the same host give the same bytes, whatever the order of the lists.

Every list of every shipped policy, and of one with every word of the language, is permuted by itself: all orders of
a short list, some of a long one. Then all lists and all mappings, of the baselines too, are shuffled at once. Each
document is loaded, resolved and compiled twice for every recorded host, and all that a review of it would see is
compared: artifacts, verdicts, probes, read-backs, digests. Interpreters with other hash seeds compile once more, for
the order of a Python set is theirs.

Then narrowing.py: a ``filesystem.deny`` more never lets the finished files allow more, as evaluators of their own judge
them, and what the shipped policies grant the files allow.

One list has an order that means something and is left as it is: ``health[].command``, the words of a command line.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import exam
import narrowing
import yaml
from policy_support import shuffled

from ansible_collections.bulkhead.fleet.plugins.plugin_utils import render
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.parse import parse
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

TODAY = date(2026, 11, 24)
GROUPS = {"app_servers": ["10.1.0.10", "10.1.0.11", "2001:db8::10"]}
SHIPPED = sorted(library.OWN.glob("*.yml"))
POLICIES = [*SHIPPED, exam.EVERYTHING]
HELPER = exam.EVERYTHING.with_name("helper.yml")  # its component
BASELINES = sorted((library.OWN / "baselines").glob("*.yml"))
SEEDS = ("0", "1", "4711")  # of PYTHONHASHSEED
ALL_ORDERS = 4  # items up to which every order is tried
SOME_ORDERS = 4
SHUFFLES = 8
DENIES = int(os.environ.get("DENIES", "400"))  # random policies that get one more deny

Place = tuple[str | int, ...]


def data_of(path: Path) -> Any:
    return parse(str(path), path.read_bytes()).data


def lists(value: Any, place: Place = ()) -> Iterator[tuple[Place, list[Any]]]:
    """Every list with two items or more whose order means nothing, with its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, list) and len(value) > 1 and not (place[0] == "health" and place[-1] == "command"):
        yield place, value
    for key, one in items:
        yield from lists(one, (*place, key))


def orders(items: list[Any]) -> Iterator[list[Any]]:
    """Other orders of these items: all of a short list, some of a long one, its reverse among them."""
    if len(items) <= ALL_ORDERS:
        yield from (list(order) for order in itertools.islice(itertools.permutations(items), 1, None))
        return
    yield items[::-1]
    for seed in range(SOME_ORDERS):
        yield Random(seed).sample(items, len(items))


def put(value: Any, place: Place, new: Any) -> Any:
    """A copy of the document with another value at this place."""
    if not place:
        return new
    copied = value.copy()
    copied[place[0]] = put(value[place[0]], place[1:], new)
    return copied


def variants(data: Any) -> Iterator[tuple[str, Any, int | None]]:
    """What is permuted, the document, and the seed by which its baselines and groups are shuffled with it."""
    for place, items in lists(data):
        for order in orders(items):
            yield ".".join(map(str, place)), put(data, place, order), None
    for seed in range(SHUFFLES):
        yield f"all, seed {seed}", shuffled(data, Random(seed)), seed


def made(path: Path, folder: Path, groups: dict[str, list[str]]) -> dict[str, str]:
    """System -> digest of everything that is written for it; for each system that the policy has a workload on."""
    manifest = load_and_resolve(path, [folder], groups, TODAY)
    digests = {}
    for name in features.names():
        host = render.reference(name, manifest)
        if manifest.workload(host.os) is None:
            continue
        files = render.files(compile_bundle(manifest, host, TODAY))
        whole = json.dumps({file: content.decode() for file, content in files.items()})
        digests[name] = hashlib.sha256(whole.encode()).hexdigest()
    return digests


def permuted(name: str, data: Any, seed: int | None) -> list[dict[str, str]]:
    """Compiled twice, from files written and read anew each time."""
    rounds = []
    for _ in range(2):
        with TemporaryDirectory() as folder:
            home = Path(folder)
            groups = GROUPS
            if seed is not None:
                (home / "baselines").mkdir()
                for one in BASELINES:
                    write(home / "baselines" / one.name, shuffled(data_of(one), Random(seed)))
                groups = {key: Random(seed).sample(found, len(found)) for key, found in GROUPS.items()}
            helper = data_of(HELPER)
            write(home / HELPER.name, helper if seed is None else shuffled(helper, Random(seed)))
            write(home / name, data)
            rounds.append(made(home / name, home, groups))
    return rounds


def write(path: Path, data: Any) -> None:
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


def as_is() -> dict[str, dict[str, str]]:
    return {path.stem: made(path, library.OWN, GROUPS) for path in POLICIES}


def elsewhere(seed: str) -> dict[str, dict[str, str]]:
    """The same by another interpreter, whose sets have another order."""
    command = [sys.executable, __file__, "--as-is"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
    )
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def main() -> None:
    wanted = as_is()
    systems = {system for digests in wanted.values() for system in digests}
    permutations = compiles = 0
    differences: list[str] = []

    def compare(what: str, policy: str, got: dict[str, str]) -> None:
        nonlocal compiles
        compiles += len(got)
        for system in sorted(set(wanted[policy]) | set(got)):
            if got.get(system) != wanted[policy].get(system):
                differences.append(f"{policy} on {system}: {what}")

    for path in POLICIES:
        for what, data, seed in variants(data_of(path)):
            permutations += 1
            for digests in permuted(path.name, data, seed):
                compare(what, path.stem, digests)
    for seed in SEEDS:
        for policy, digests in elsewhere(seed).items():
            compare(f"PYTHONHASHSEED={seed}", policy, digests)

    shortfalls = list(differences)
    if systems != set(features.names()):
        shortfalls.append(f"not compiled for {sorted(set(features.names()) - systems)}")
    denies, widened = narrowing.denied(DENIES)
    agreement, disagreed = narrowing.agreed(POLICIES)
    shortfalls += [*widened, *disagreed]
    if denies["narrowed"] * 10 < denies["denies"]:
        shortfalls.append("hardly a deny changed what is allowed: nothing was proven of it")
    if not denies["component"] or not agreement["of_components"]:
        shortfalls.append("no component was asked anything")
    exam.end(
        "determinism",
        {
            "policies": len(SHIPPED),
            "policies_of_tests": len(POLICIES) - len(SHIPPED),
            "systems": len(systems),
            "permutations": permutations,
            "hash_seeds": len(SEEDS),
            "compiles": compiles,
            "differences": len(differences),
            "denies": denies["denies"],
            "denies_that_narrowed": denies["narrowed"],
            "denies_that_widened": denies["widened"],
            "acts": denies["acts"],
            "acts_of_shipped_policies": agreement["compared"],
            "granted_but_blocked": agreement["blocked"],
            "denied_but_open_and_enforced": agreement["open"],
            "acts_of_components": agreement["of_components"],
        },
        shortfalls,
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--as-is"]:
        print(json.dumps(as_is()))
    else:
        main()
