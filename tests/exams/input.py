# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: whatever is wrong with a policy, its reader is told where, what and how to repair it, and nothing is written.

Each case goes the way of a user: ansible-playbook with the playbook that renders. It must fail, without a traceback,
soon, name file, line and clause of every fault, show the line with a caret and a fix, and leave no file behind. A good
policy goes the same way first, to see that the way leads somewhere.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import exam
from policy_support import CASES

SECONDS = 20
# The second line of an excerpt: nothing but the margin and the caret.
CARET = re.compile(r"^ +\| +\^$", re.MULTILINE)
HEAD = """schema: 1
policy: app
version: 1.0.0
owner: team
workload: {linux: {unit: app.service, executable: /usr/bin/app}}
"""
BODY = len(HEAD.splitlines()) + 1  # the line on which a body begins
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
BASELINE = "schema: 1\nbaseline: {}\nextends: [{}]\n"


@dataclass(frozen=True)
class Case:
    """A policy and, for each of its faults, the place (``line:column: clause:``) and what is said of it."""

    text: str
    faults: tuple[tuple[str, str], ...]
    others: dict[str, str] = field(default_factory=dict)  # files beside it
    inventory: str = "localhost,"


def _one(body: str, place: str, word: str, **more: object) -> Case:
    return Case(HEAD + body, ((f"{BODY}:{place}", word),), **more)  # type: ignore[arg-type]


INVENTORY = "[app]\n[local]\nlocalhost ansible_connection=local\n"
LATE = "clause: memory.limit, on: linux, reason: later, owner: team, until: 2020-01-01"
OWN: dict[str, Case] = {
    "missing baseline": _one("extends: [nowhere]\n", "11: extends[0]:", "there is no baseline 'nowhere'."),
    "cycle of baselines": Case(
        HEAD + "extends: [one]\n",
        (("3:11: extends[0]:", "extends itself: one -> two -> one."),),
        {
            "baselines/one.yml": BASELINE.format("one", "two"),
            "baselines/two.yml": BASELINE.format("two", "one"),
        },
    ),
    "baseline of itself": Case(
        HEAD + "extends: [one]\n",
        (("3:11: extends[0]:", "extends itself: one -> one."),),
        {"baselines/one.yml": BASELINE.format("one", "one")},
    ),
    "empty group": _one(
        "network: {connect: [{to: group:app, ports: [tcp/80]}]}\n",
        "26: network.connect[0].to:",
        "the group 'app' is empty.",
        inventory="hosts.ini",
        others={"hosts.ini": INVENTORY},
    ),
    "unknown group": _one(
        "network: {connect: [{to: group:nobody, ports: [tcp/80]}]}\n",
        "26: network.connect[0].to:",
        "the inventory has no group 'nobody'.",
    ),
    "expired waiver": _one(
        f"waivers: [{{{LATE}}}]\n", "80: waivers[0].until:", "the waiver expired on '2020-01-01'."
    ),
    "newline in a reason": _one(
        'filesystem: {read: [{path: /srv, why: "a\\nb"}]}\n',
        "39: filesystem.read[0].why:",
        "holds a line break.",
    ),
    "control character in a name": _one(
        'identity: {user: "app\\x1b"}\n', "18: identity.user:", "holds the control character U+001B."
    ),
    "NUL in a health check": _one(
        'health: [{command: [/usr/bin/app, "\\0"]}]\n', "35: health[0].command[1]:", "U+0000"
    ),
    "raw control character": _one("summary: a\x07b\n", "11:", "the character U+0007 is not allowed in YAML."),
    "empty file": Case("", (("1:1:", "the file is empty, and no mapping."),)),
    "text for a mapping": Case("nginx\n", (("1:1:", "the file holds text, and no mapping."),)),
    "broken YAML": Case(HEAD + "filesystem: [\n", ((f"{BODY + 1}:1:", "not valid YAML"),)),
    "tab": Case(
        HEAD + "memory:\n\tlimit: 1GiB\n", ((f"{BODY + 1}:1:", "a tab stands where YAML wants spaces."),)
    ),
    "duplicate key": Case(
        HEAD + "memory: {limit: 1GiB}\nmemory: {limit: 2GiB}\n",
        ((f"{BODY + 1}:1: memory:", f"the key 'memory' is given twice, first on line {BODY}."),),
    ),
    "10 MB": Case(HEAD + "# much\n" * 1_500_000, (("37438:7:", "the file is larger than 256 KiB"),)),
    "10 MB on one line": Case("a" * 10_500_000, (("1:262145:", "the file is larger than 256 KiB"),)),
    "alias bomb": Case(
        HEAD + BOMB,
        (
            *((f"{BODY + n}:1:", f"unknown key 'a{n}'") for n in range(12)),
            *(
                (
                    f"{BODY + n}:{10 + 2 * (n > 9)}:",
                    f"the alias '*a{n - 1}' is not part of the policy language.",
                )
                for n in range(1, 12)
            ),
        ),
    ),
    "deep nesting": _one("summary: " + "[" * 100_000 + "\n", "", "nested deeper than 16 levels."),
    "faults in three files": Case(
        HEAD + "extends: [one]\ncomponents: [{name: side, policy: side}]\nmemory: {limt: 1GiB}\n",
        (
            ("4:3: filesystem.read:", "unknown key 'read'."),
            (f"{BODY + 1}:14: components[0]:", "the policy 'side' of the component 'side' has faults: 1."),
            (f"{BODY + 2}:10: memory.limt:", "unknown key 'limt'."),
        ),
        {
            "baselines/one.yml": "schema: 1\nbaseline: one\nfilesystem:\n {read: [/srv]}\n",
            "side.yml": HEAD.replace("app", "side") + "mode: loose\n",
        },
    ),
}
# Cases of the unit tests, whose whole text is known.
SHARED = (
    *(
        "unknown_key",
        "unknown_key_inside",
        "unknown_key_of_entry",
        "missing_keys",
        "wrong_type",
        "wrong_type_of_item",
    ),
    *(
        "relative_path",
        "parent_in_path",
        "empty_path",
        "control_character",
        "newline_in_string",
        "turned_text",
    ),
    *("cyclic_baselines", "broken_baseline", "duplicate_id", "duplicate_grant", "list_as_root", "alias"),
)


def known() -> dict[str, Case]:
    """The shared cases: every head line of the expected text is a fault that must be told."""
    found = {}
    for name in SHARED:
        told = (CASES / f"{name}.refused.txt").read_text(encoding="utf-8")
        heads = re.findall(r"^\S+?\.yml:(\d+:\d+:)(.*)$", told, re.MULTILINE)
        text = (CASES / f"{name}.refused.yml").read_bytes().decode("utf-8")
        others = {f"baselines/{one.name}": one.read_text() for one in (CASES / "baselines").glob("*.yml")}
        found[name] = Case(text, tuple((place, rest.strip()) for place, rest in heads), others)
    found["many faults"] = Case(
        (CASES / "many_faults.refused.yml").read_text(),
        tuple(
            (f"{line}:", word)
            for line, word in [
                *((8, "paths.data.linux"), (10, "filesystem.read[0]"), (10, "filesystem.read[1]")),
                *((10, "filesystem.read[2]"), (11, "filesystem.wirte"), (13, "network.listen[1]")),
                *(
                    (15, "network.connect[0].to"),
                    (15, "network.connect[0].ports[1]"),
                    (16, "network.connect[1].to"),
                ),
                *((17, "memory.limit"), (17, "memory.core_dumps"), (19, "ipc.unix[0]")),
                *((22, "examples.must_allow[0]"), (24, "waivers[0].until")),
            ]
        ),
    )
    return found


@dataclass(frozen=True)
class Run:
    code: int
    output: str
    seconds: float
    written: list[str]


def render(case: Case, home: Path) -> Run:
    """ansible-playbook as a user calls it, into a folder that is not there yet."""
    for name, text in {"app.yml": case.text, **case.others}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(text.encode("utf-8"))
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    inventory = case.inventory if case.inventory.endswith(",") else str(home / case.inventory)
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "playbooks/render.yml",
        "-i",
        inventory,
    ]
    command += ["-e", f"policy={home}/app.yml", "-e", "system=debian12", "-e", f"render_dir={home}/rendered"]
    build = exam.ROOT / "build"
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(build / "ansible"),
        "ANSIBLE_CONFIG": str(exam.ROOT / "ansible.cfg"),
    }
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=exam.ROOT, capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    seconds = time.monotonic() - start
    after = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    written = [str(path) for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    return Run(done.returncode, done.stdout + done.stderr, seconds, written)


def unclear(case: Case, run: Run) -> list[str]:
    """What a reader of the output misses."""
    missed = []
    if run.code == 0:
        missed.append("it passes")
    # Ansible shows the message twice: as it is, and as one line of JSON.
    shown = [line for line in run.output.splitlines() if not line.startswith("fatal:")]
    for place, word in case.faults:
        if not any(re.search(rf"\.yml:{re.escape(place)}", line) and word in line for line in shown):
            missed.append(f"no line with '.yml:{place}' and {word!r}")
    text = "\n".join(shown)
    number = len(case.faults)
    if f"{number} fault{'' if number == 1 else 's'} in the policy:" not in text:
        missed.append(f"not {number} faults")
    for what, count in (("caret", len(CARET.findall(text))), ("fix", text.count("\n    fix: "))):
        if count != number:
            missed.append(f"{count} times a {what} for {number} faults")
    if run.seconds > SECONDS:
        missed.append(f"{run.seconds:.0f} s")
    return missed


def main() -> None:
    cases = {**OWN, **known()}
    shortfalls: list[str] = []
    clear = tracebacks = written = 0
    slowest = 0.0
    with TemporaryDirectory() as folder:
        good = render(Case(HEAD, ()), Path(folder))
        if good.code != 0 or not any(path.endswith("zz-bulkhead.conf") for path in good.written):
            shortfalls.append(f"a good policy is not rendered: {good.output[-400:]}")
    for name, case in cases.items():
        with TemporaryDirectory() as folder:
            run = render(case, Path(folder))
        missed = unclear(case, run)
        slowest = max(slowest, run.seconds)
        clear += not missed
        tracebacks += "Traceback" in run.output
        written += len(run.written)
        if "Traceback" in run.output:
            missed.append("a traceback")
        missed += [f"written: {path}" for path in run.written]
        if missed:
            shortfalls.append(f"{name}: {'; '.join(missed)}\n{run.output[:1500]}")
    figures = {"cases": len(cases), "clear": clear, "tracebacks": tracebacks, "written": written}
    exam.end("input", {**figures, "slowest_seconds": round(slowest, 1)}, shortfalls)


if __name__ == "__main__":
    main()
