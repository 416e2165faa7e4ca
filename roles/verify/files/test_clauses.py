# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One test for each host and clause: the evidence speaks for it, and the host still says the same.

The facts are read here a second time, through testinfra and with code of its own: what the probe module
believes to have read is not taken from its word. Run by the verify role; needs BULKHEAD_EVIDENCE (folder of
one policy's evidence), BULKHEAD_HOSTS and BULKHEAD_INVENTORY (one source a line).
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import testinfra

EVIDENCE = Path(os.environ.get("BULKHEAD_EVIDENCE", "."))
HOSTS = os.environ.get("BULKHEAD_HOSTS", "").split()
SOURCES = [line for line in os.environ.get("BULKHEAD_INVENTORY", "").splitlines() if line]
TOLERATED = ("inconclusive",) if os.environ.get("BULKHEAD_INCONCLUSIVE") == "pass" else ()


@functools.cache
def evidence(name: str) -> dict[str, Any]:
    path = EVIDENCE / f"{name}.json"
    data: dict[str, Any] = (
        json.loads(path.read_text()) if path.is_file() else {"missing": "there is no evidence"}
    )
    return data


@functools.cache
def inventory() -> str:
    """One path for testinfra: of several sources a folder of links is made, which Ansible reads as one."""
    if len(SOURCES) == 1:
        return SOURCES[0]
    folder = Path(tempfile.mkdtemp(prefix="bulkhead-inventory-"))
    for number, source in enumerate(SOURCES):
        (folder / f"{number:02d}-{Path(source).name}").symlink_to(Path(source).resolve())
    return str(folder)


# All that the tests want to know of a host, in one command: connections are what costs on slow hosts. Sections
# begin with a record separator; the arguments are unit and policy, then "unit", "table" and "file" with a name.
GATHER = r"""
section() { printf '\036%s\n' "$*"; }
main=$1; shift
section active; cat "/var/lib/bulkhead/$1/active"; shift
pid=$(systemctl show -p MainPID --value -- "$main")
for name in status mountinfo; do section "process $name"; cat "/proc/$pid/$name"; done
section "process label"; cat "/proc/$pid/attr/apparmor/current" 2>/dev/null || cat "/proc/$pid/attr/current" 2>/dev/null
section profiles; cat /sys/kernel/security/apparmor/profiles 2>/dev/null
while [ $# -gt 1 ]; do
  section "$1 $2"
  case $1 in
    unit) systemctl show --all -- "$2" ;;
    table) nft list table inet "${2#inet }" | sed -n 's/^[[:space:]]*chain \([^ ]*\) {.*/\1/p' | while read -r chain; do
      nft -j list chain inet "${2#inet }" "$chain"; done ;;
    file) cat "/sys/fs/cgroup$(systemctl show -p ControlGroup --value -- "${2%%|*}")/${2#*|}" ;;
  esac
  shift 2
done
exit 0
"""


def wanted(found: dict[str, Any]) -> list[str]:
    """Arguments of GATHER for all read-backs of one host."""
    facts = [fact for clause in found["clauses"] for fact in clause["readbacks"]]
    units = {found["unit"]} | {fact["unit"] for fact in facts if fact["kind"] == "unit_property"}
    units |= {fact["key"] for fact in facts if fact["kind"] == "unit_state"}
    tables = {fact["key"] for fact in facts if fact["kind"] in ("nft_rule", "slice_match")}
    files = {f"{fact['unit']}|{fact['key']}" for fact in facts if fact["kind"] == "cgroup_file"}
    pairs = (
        [("unit", name) for name in units]
        + [("table", name) for name in tables]
        + [("file", name) for name in files]
    )
    return [found["unit"], found["policy"], *(word for pair in sorted(pairs) for word in pair)]


class Host:
    """What one host says, asked once."""

    def __init__(self, name: str) -> None:
        found = evidence(name)
        self.unit: str = found["unit"]
        host = testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory())
        words = ["sh", "-c", GATHER, "sh", *wanted(found)]
        done = host.run(" ".join(["%s"] * len(words)), *words)
        assert done.rc == 0, f"{name} does not answer: {done.stderr.strip()[-300:]}"
        sections = [text.partition("\n") for text in done.stdout.split("\x1e")[1:]]
        self.said = {label: text for label, _newline, text in sections}

    def properties(self, unit: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self.said.get(f"unit {unit}", "").splitlines():
            name, _equals, value = line.partition("=")
            found[name] = f"{found[name]} {value}" if name in found else value
        return found

    def process(self, name: str) -> str:
        return self.said.get(f"process {name}", "")

    def rules(self, table: str) -> list[dict[str, Any]]:
        # Chain by chain, each an object of its own: nftables 1.0.6 breaks the JSON of a table that has a flag.
        text, decoder, found = self.said.get(f"table {table}", "").strip(), json.JSONDecoder(), []
        while text:
            listed, end = decoder.raw_decode(text)
            found += [entry["rule"] for entry in listed["nftables"] if "rule" in entry]
            text = text[end:].lstrip()
        return found

    def read(self, kind: str, key: str, unit: str) -> str:
        """The text of one fact; an empty one where the host has none."""
        if kind == "unit_property":
            return self.properties(unit).get(key, "")
        if kind == "unit_state":
            return self.properties(key).get("ActiveState", "")
        if kind == "process_status":
            lines = dict(line.split(":", 1) for line in self.process("status").splitlines() if ":" in line)
            return lines.get(key, "").strip()
        if kind == "mount_option":
            points = {}
            for line in self.process("mountinfo").splitlines():
                fields = line.split(" ")
                points[fields[4].replace("\\040", " ")] = fields[5] + "," + fields[-1]
            around = [point for point in points if (key + "/").startswith(point.rstrip("/") + "/")]
            return points[max(around, key=len)].replace(",", " ") if around else ""
        if kind == "cgroup_file":
            return self.said.get(f"file {unit}|{key}", "").strip()
        if kind == "nft_rule":
            return "\n".join(rule.get("comment", "") for rule in self.rules(key))
        if kind == "slice_match":
            matches = [entry.get("match", {}) for rule in self.rules(key) for entry in rule["expr"]]
            return "\n".join(str(match["right"]) for match in matches if "socket" in str(match.get("left")))
        if kind == "process_label":
            return self.process("label").strip("\0\n")
        if kind == "apparmor_profile":
            modes = dict(line.rsplit(" ", 1) for line in self.said.get("profiles", "").splitlines())
            return modes.get(key, "").strip("()")
        raise AssertionError(f"these tests know no read-back '{kind}'")


@functools.cache
def asked() -> dict[str, Future[Host]]:
    """All hosts that gave evidence are asked at the same time, when the first of them is wanted."""
    pool = ThreadPoolExecutor(max_workers=16)
    return {name: pool.submit(Host, name) for name in HOSTS if "missing" not in evidence(name)}


def connected(name: str) -> Host:
    return asked()[name].result()


def agrees(fact: dict[str, Any], got: str) -> bool:
    want, relation = fact["want"], fact["relation"]
    if fact["kind"] == "nft_rule":
        return want in got.splitlines()
    if fact["kind"] == "slice_match":
        return bool(got) and all(f"/{line}".endswith(f"/{want}") for line in got.splitlines())
    if relation == "equals":
        return sorted(got.split()) == sorted(want.split())
    if relation == "contains":
        return set(want.split()) <= set(got.split())
    if relation == "excludes":
        return bool(got) and not set(want.split()) & set(got.split())
    if relation == "at_most":
        return float(got.replace("max", "inf")) <= float(want.replace("max", "inf"))
    return False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "clause" in metafunc.fixturenames:
        pairs = [(name, item) for name in HOSTS for item in evidence(name).get("clauses", [])]
        ids = [f"{name}-{item['clause']}" for name, item in pairs]
        metafunc.parametrize(("name", "clause"), pairs, ids=ids)
    elif "name" in metafunc.fixturenames:
        metafunc.parametrize("name", HOSTS)


def test_host(name: str) -> None:
    """There is evidence, and it is of the generation that the host has active."""
    found = evidence(name)
    assert "missing" not in found, f"{name}: {found['missing']}"
    assert connected(name).said["active"].strip() == found["digest"], (
        f"{name} runs another generation than the one that was proven"
    )


def test_clause(name: str, clause: dict[str, Any]) -> None:
    trouble = [*clause["failures"], *clause["unsure"]] or [clause["detail"]]
    if clause["outcome"] in ("failed", "inconclusive", "refused") and clause["outcome"] not in TOLERATED:
        pytest.fail(f"{clause['clause']} is {clause['outcome']}: {'; '.join(trouble)}", pytrace=False)
    if clause["outcome"] == "waived":
        pytest.skip(clause["detail"] or "waived")
    host = connected(name)
    for fact in clause["readbacks"]:
        got = host.read(fact["kind"], fact["key"], fact["unit"])
        assert agrees(fact, got), (
            f"{clause['clause']}: {fact['kind']} {fact['key']} is '{got[:300]}', "
            f"wanted {fact['relation']} '{fact['want'][:300]}'"
        )
