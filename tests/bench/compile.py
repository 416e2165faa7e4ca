# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmark: a fleet of HOSTS hosts (1,000) with five kinds of features costs five compiles, of at most 20 ms each.

The fleet goes the way of the action plugin: a ``Conversation`` for each host, in processes that run at once as
Ansible's forks do, all over one ``Cache`` on disk, which counts what it had to make.
Only the host's answers are made up here.

Then one policy of 60 clauses is compiled for each kind of host in turns with a Jinja2 template that writes a drop-in,
an nftables table and a profile of like size from values that are at hand. Times are processor time, medians of ROUNDS.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "exams"))
import exam
import jinja2

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.cache import Cache
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.conversation import Conversation
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Manifest

HOSTS = int(os.environ.get("HOSTS", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "200"))
FORKS = 5  # Ansible's own number
CLAUSES = 60
LIMIT_MS = 20.0
TODAY = date(2026, 11, 24)
UNIT = "shop.service"
POLICY = """schema: 1
policy: shop
version: 1.0.0
owner: web-platform
extends: [network-daemon]
workload: {linux: {unit: shop.service, executable: /opt/shop/bin/shop}}
identity: {user: shop, privileges: [bind_low_port]}
filesystem:
  read: [/etc/shop, /usr/share/shop, /srv/shop/static, /srv/shop/templates]
  write: [/var/lib/shop, /var/log/shop, /var/cache/shop]
  execute: [$program]
  deny: [/etc/shop/private, /srv/shop/static/drafts]
network:
  listen: [tcp/443, tcp/8443]
  connect:
    - {to: 10.20.0.0/16, ports: [tcp/5432], rate: 200/s, max_open: 100}
    - {to: 10.30.0.0/16, ports: [tcp/6379]}
    - {to: '2001:db8::/48', ports: [tcp/5432]}
    - {to: dns}
  max_connections: 2000
processes: {max: 64, syscalls: [network_server, network_client], spawn: [/usr/bin/gzip]}
memory: {limit: 512MiB}
cpu: {limit: 150%, weight: 100}
io: {weight: 100}
files: {max_open: 4096, max_size: 2GiB}
ipc: {unix: [/run/memcached/memcached.sock]}
environment: {allow: [LANG, TZ], set: {SHOP_MODE: production, SHOP_WORKERS: 8}}
secrets: [{name: tls_key, source: /etc/ssl/private/shop.key}]
resilience: {start_timeout: 30s, stop_timeout: 20s, restart: on_failure, restart_limit: 5/10min}
"""
TEMPLATE = """# Managed for {{ policy }}
[Unit]
{% for key, value in unit %}{{ key }}={{ value }}
{% endfor %}
[Service]
{% for key, value in service %}{{ key }}={{ value | replace('%', '%%') }}
{% endfor %}
# ---
table inet {{ policy }} {
{% for chain, rules in chains %}	chain {{ chain }} {
{% for rule in rules %}		{{ rule.match }} {{ rule.verdict }}
{%- if rule.comment %} comment "{{ rule.comment }}"{% endif %}

{% endfor %}	}
{% endfor %}}
# ---
profile {{ policy }} flags=(attach_disconnected) {
{% for path, access in paths %}  {% if access == 'deny' %}deny "{{ path }}/**" rwklx,
{%- else %}"{{ path }}/**" {{ access }},{% endif %}

{% endfor %}}
"""


def kinds() -> list[Features]:
    """Five kinds of hosts: four systems, and one whose resolvers differ."""
    found = [features.reference(name, UNIT) for name in ("debian11", "debian12", "debian13", "ubuntu2404")]
    return [*found, features.from_data({**found[1].data, "resolvers": ["192.0.2.77"]})]


def policy(folder: Path) -> Manifest:
    """The policy, filled up with paths to be read until it has as many clauses as it should."""
    file = folder / "shop.yml"
    file.write_text(POLICY)
    missing = CLAUSES - len(compiled.load(str(file), [], {}, None, TODAY).clauses)
    more = "".join(f", /opt/shop/lib/part{number:02}" for number in range(missing))
    file.write_text(POLICY.replace("/srv/shop/templates]", f"/srv/shop/templates{more}]"))
    made = compiled.load(str(file), [], {}, None, TODAY)
    if len(made.clauses) != CLAUSES:
        raise AssertionError(f"{len(made.clauses)} clauses")
    return made


def converge(work: tuple[Manifest, Path, list[tuple[str, dict[str, Any]]]]) -> tuple[int, int]:
    """What one fork does: (hosts that got their bundle, bundles that it compiled)."""
    manifest, home, hosts = work
    cache, done = Cache(home), 0
    for name, facts in hosts:
        given: list[dict[str, Any]] = []

        def answer(
            request: dict[str, Any], facts: dict[str, Any] = facts, given: list[dict[str, Any]] = given
        ) -> dict[str, Any]:
            if request["op"] == "features":
                return {"features": facts}
            given.append(request["bundle"])
            return {"state": "unchanged", "digest": request["bundle"]["digest"], "changed": False}

        statuses = ("enforced", "partial", "refused")
        talk = Conversation(name, name, answer, answer, cache, TODAY, accept=statuses)
        talk.present(manifest)
        done += given[0]["fingerprint"] == features.fingerprint(facts)
    return done, sum(kind == "bundles" for kind, _key in cache.made)


def fleet(manifest: Manifest, home: Path, found: list[Features]) -> tuple[int, int, float]:
    """(hosts served, compiles, seconds) of the whole fleet, its kinds mixed, by several processes at once."""
    hosts = [(f"host{number}", found[number % len(found)].data) for number in range(HOSTS)]
    lots = [(manifest, home, hosts[start::FORKS]) for start in range(FORKS)]
    start = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(FORKS) as pool:
        results = pool.map(converge, lots, chunksize=1)
    seconds = time.perf_counter() - start
    return sum(done for done, _made in results), sum(made for _done, made in results), seconds


def values(bundle: Bundle) -> dict[str, Any]:
    """What the template gets: finished values of the same number as the bundle has lines."""
    dropin = next(one for one in bundle.artifacts if one.kind == "systemd_dropin").content.decode()
    unit, _cut, service = dropin.partition("[Service]\n")
    pairs = [
        [line.partition("=")[::2] for line in text.split("\n") if "=" in line] for text in (unit, service)
    ]
    rules = [
        {
            "match": f"ip daddr 10.{n}.0.0/16 tcp dport {n}",
            "verdict": "counter accept",
            "comment": f"rule {n}",
        }
        for n in range(40)
    ]
    return {
        "policy": bundle.policy,
        "unit": pairs[0],
        "service": pairs[1],
        "chains": [("allow_connect", rules[:25]), ("allow_listen", rules[25:])],
        "paths": [(f"/srv/path{n}", "deny" if n % 5 == 0 else "r") for n in range(40)],
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(processor, wall) time in milliseconds."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return (time.process_time() - busy) * 1000, (time.perf_counter() - wall) * 1000


def main() -> None:
    shortfalls: list[str] = []
    with TemporaryDirectory() as folder:
        manifest = policy(Path(folder))
        found = kinds()
        served, compiles, seconds = fleet(manifest, Path(folder), found)
        _served, again, _seconds = fleet(manifest, Path(folder), found)
        loads = [
            timed(lambda: compiled.load(f"{folder}/shop.yml", [], {}, None, TODAY)) for _round in range(20)
        ]
    bundles = [compile_bundle(manifest, host, TODAY) for host in found]
    written = values(bundles[1])
    environment = jinja2.Environment(trim_blocks=False, cache_size=0)
    ready = environment.from_string(TEMPLATE)
    size = sum(len(one.content) for one in bundles[1].artifacts)
    times: dict[str, list[tuple[float, float]]] = {"compile": [], "jinja": [], "jinja_parse": []}
    for number in range(ROUNDS):
        host = found[number % len(found)]
        times["compile"].append(timed(lambda host=host: compile_bundle(manifest, host, TODAY).to_data()))  # type: ignore[misc]
        times["jinja"].append(timed(lambda: ready.render(written)))
        times["jinja_parse"].append(timed(lambda: environment.from_string(TEMPLATE).render(written)))
    median = {name: statistics.median(busy for busy, _wall in rows) for name, rows in times.items()}
    wall = statistics.median(wall for _busy, wall in times["compile"])
    print(
        f"  {HOSTS} hosts of {len(found)} kinds by {FORKS} forks: {compiles} compiles, {seconds:.1f} s; "
        f"again: {again} compiles"
    )
    print(
        f"  one policy of {CLAUSES} clauses: {median['compile']:.1f} ms (wall {wall:.1f} ms), {size} bytes of files"
    )
    print(
        f"  Jinja2 beside it: {median['jinja']:.1f} ms, with its template parsed {median['jinja_parse']:.1f} ms, "
        f"{len(ready.render(written))} bytes"
    )
    if served != HOSTS:
        shortfalls.append(f"{served} of {HOSTS} hosts got the bundle of their own features")
    if compiles > len(found) or again:
        shortfalls.append(f"{compiles} compiles for {len(found)} kinds of hosts, and {again} in a second run")
    if median["compile"] > LIMIT_MS:
        shortfalls.append(f"a compile takes {median['compile']:.1f} ms, more than {LIMIT_MS:.0f} ms")
    figures = {
        "hosts": served,
        "kinds": len(found),
        "compiles": compiles,
        "compiles_again": again,
        "clauses": CLAUSES,
        "rounds": ROUNDS,
        "compile_ms": round(median["compile"], 2),
        "compile_wall_ms": round(wall, 2),
        "jinja_ms": round(median["jinja"], 2),
        "jinja_parse_ms": round(median["jinja_parse"], 2),
        "load_ms": round(statistics.median(busy for busy, _wall in loads), 2),
        "fleet_seconds": round(seconds, 1),
    }
    exam.end("bench-compile", figures, shortfalls)


if __name__ == "__main__":
    main()
