# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy of the tests' own, and acts as a host tells them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.acts import Act, of
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.attribute import attribute
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.change import Policy
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.explain import read_policy
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.proposal import Proposal, propose

TEXT = """\
schema: 1
policy: web
version: 1.0.0
owner: tests
workload: {linux: {unit: web.service}}
paths: {logs: {linux: /var/log/web}}
identity: {user: www-data, privileges: [bind_low_port]}
filesystem:
  read: [/etc/web, {path: /var/log/web/old, why: these are not to change}]
  write: [$logs, /var/lib/web]
  execute: [/usr/sbin/web]
  deny: [/etc/web/keys]
network:
  listen: [tcp/80]
  connect:
    - {to: 10.0.0.0/8, ports: [tcp/5432]}
    - {to: 192.0.2.9, ports: [tcp/443], max_open: 10, rate: 5/s, id: billing}
  max_connections: 100
processes: {max: 32}
memory: {limit: 128MiB}
secrets: [{name: key, source: /etc/ssl/private/web.key}]
examples:
  must_deny:
    - {read: /etc/shadow}
    - {connect: '169.254.169.254:80'}
    - {execute: /bin/sh}
    - {listen: tcp/22}
"""
NATIVE = "c000003e"


def policy(folder: Path, text: str = TEXT) -> Policy:
    (folder / "web.yml").write_text(text)
    return read_policy("web", [str(folder)], {}, date(2026, 11, 25))


def denied(policy: Policy, calls: set[str] | None = None, **row: Any) -> tuple[str, Proposal]:
    """The clause behind one row of a host's answer, and what is proposed."""
    act: Act = of(row)
    found = attribute(policy.manifest, act, calls)
    return found.clause, propose(policy, act, found)


def call(number: int, arch: str = NATIVE) -> dict[str, Any]:
    return {"mechanism": "seccomp", "act": "call", "arch": arch, "call": number, "action": "errno"}


def file(act: str, path: str, **more: Any) -> dict[str, Any]:
    return {"mechanism": "apparmor", "act": act, "path": path, **more}
