# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts of nginx to three real hosts. What the hosts hold is read from their own files by plain ssh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab_host import ssh_words

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = Path(os.environ.get("BULKHEAD_LAB_INVENTORY", ROOT / "build/lab/inventory.yml"))
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
STATE = "/var/lib/bulkhead/nginx"
LIMITS = ("cpu: {limit: 150%, weight: 100}\n", "io: {weight: 100}\n", "limit: 512MiB, ", ", max: 64")
SUITES = ("bookworm", "trixie")
ONCE = "/run/rollout-test-once"
pytestmark = pytest.mark.lab

# A check that only Debian 12 passes, and one that passes only the first time it runs on a host.
ONLY_BOOKWORM = "{command: [/bin/grep, -q, bookworm, /etc/os-release], within: 1s}"
ONLY_ONCE = f"{{command: [/bin/mkdir, {ONCE}], within: 1s}}"


@dataclass
class Fleet:
    """Two hosts of Debian 12 (pilot and wave), one of Debian 13 (canary), and a folder of rollouts."""

    hosts: dict[str, dict[str, Any]]
    work: Path

    @property
    def roles(self) -> tuple[str, str, str]:
        """Names of the hosts that are pilot, canary and wave 1: by name, and one of each kind of system."""
        pilot, last, canary = self.hosts
        return pilot, canary, last

    def on(self, host: str, command: str) -> str:
        variables = self.hosts[host]
        argv = [*ssh_words(variables), command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def each(self, command: str) -> dict[str, str]:
        with ThreadPoolExecutor(3) as pool:
            return dict(pool.map(lambda host: (host, self.on(host, command)), self.hosts))

    def active(self) -> dict[str, str]:
        return self.each(f"cat {STATE}/active 2>/dev/null || true")

    def traces(self) -> dict[str, str]:
        """Everything of the policy on the host that a change would leave a mark in."""
        return self.each(
            f"cd /; find {STATE} etc/systemd/system -printf '%p %T@ %s\\n' | sort | sha256sum;"
            " systemctl show -p MainPID,NRestarts,InvocationID nginx.service"
        )

    def play(self, name: str, *arguments: str, policies: Path | None = None) -> tuple[int, str]:
        argv = [
            str(PLAYBOOK), f"bulkhead.fleet.{name}", "-i", str(INVENTORY), "-e", "policy=nginx",
            "-e", f"rollout_dir={self.work}/rollouts", "-e", "rollout_soak=1",
            # An emulated host on a busy machine is slow, and not what is tested here.
            "-e", "rollout_confirm_within=300", *arguments,
        ]  # fmt: skip
        if policies := policies or self.shipped():
            argv += ["-e", json.dumps({"policies_dirs": [str(policies)]})]
        if "rollout_probe_method" not in " ".join(arguments):
            # Probes take most of a wave's time; the first rollout runs them all, the others read back.
            argv += ["-e", "rollout_probe_method=none"]
        if "fleet=" not in " ".join(arguments):
            argv += ["-e", f"fleet={','.join(self.hosts)}"]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            stdin=subprocess.DEVNULL,
        )
        print(done.stdout, done.stderr)
        return done.returncode, done.stdout

    def journal(self) -> list[dict[str, Any]]:
        """The lines of the latest rollout."""
        latest = max((self.work / "rollouts").glob("nginx-e*/journal.jsonl"))
        return [json.loads(line) for line in latest.read_text().splitlines()]

    def gates(self) -> list[tuple[str, str]]:
        return [(line["wave"], line["outcome"]) for line in self.journal() if line["phase"] == "gate"]

    def outcomes(self, phase: str) -> dict[str, str]:
        """The last outcome by host."""
        return {line["host"]: line["outcome"] for line in self.journal() if line["phase"] == phase}

    def base(self) -> str:
        """The shipped policy; on nspawn hosts without the limits for which their cgroups have no controller."""
        text = (ROOT / "policies/nginx.yml").read_text()
        if all(host["bulkhead_lab_kind"] == "qemu" for host in self.hosts.values()):
            return text
        assert LIMITS[0] in text
        for limit in LIMITS:
            text = text.replace(limit, "")
        return text

    def shipped(self) -> Path:
        folder = self.work / "shipped"
        if not folder.exists():
            folder.mkdir()
            (folder / "nginx.yml").write_text(self.base())
        return folder

    def variant(self, name: str, **changes: str) -> Path:
        """A folder with the shipped policy after replacing text; each text must be there."""
        text = self.base()
        for old, new in changes.values():
            assert old in text
            text = text.replace(old, new)
        folder = self.work / name
        folder.mkdir()
        (folder / "nginx.yml").write_text(text)
        return folder


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if not INVENTORY.exists():
        pytest.skip("no lab is up (make lab-up)")
    found = yaml.safe_load(INVENTORY.read_text())["lab"]["hosts"]
    suites = {
        suite: [n for n in sorted(found) if found[n]["bulkhead_lab_suite"] == suite] for suite in SUITES
    }
    if len(suites["bookworm"]) < 2 or not suites["trixie"]:
        pytest.skip("needs two hosts of Debian 12 and one of Debian 13")
    names = [*suites["bookworm"][:2], suites["trixie"][0]]
    hosts = {name: found[name] for name in names}
    fleet = Fleet(hosts, tmp_path_factory.mktemp("rollout"))
    before = fleet.each("systemctl is-active nginx.service || true")
    fleet.each(f"test ! -e {STATE} && systemctl start nginx.service")
    try:
        yield fleet
    finally:
        # Out of the way, whatever the tests made of it: the removal is another test's business.
        subprocess.run(
            [PLAYBOOK.with_name("ansible"), "-i", INVENTORY, ",".join(hosts), "-m", "bulkhead.fleet.sandbox",
             "-a", "policy=nginx state=absent epoch=1000"],
            cwd=ROOT, check=False, capture_output=True, timeout=300,
        )  # fmt: skip
        fleet.each(f"rm -rf {ONCE}")
        for host, state in before.items():
            if state != "active":
                fleet.on(host, "systemctl stop nginx.service")


@pytest.fixture(scope="module")
def confined(fleet: Fleet) -> dict[str, str]:
    """Digest by host after a first rollout, which must pass."""
    code, output = fleet.play("rollout", "-e", "rollout_probe_method=auto")
    assert code == 0, output[-3000:]
    return fleet.active()


def test_check_mode_shows_the_plan_and_touches_nothing(fleet: Fleet) -> None:
    pilot, canary, last = fleet.roles
    before = fleet.traces()
    code, output = fleet.play("rollout", "--check")
    assert code == 0
    assert "pilot: 1 host" in output
    assert f"{canary}  medium    unconfined -> " in output
    assert "/etc/systemd/system/nginx.service.d/zz-bulkhead.conf: +" in output
    assert fleet.traces() == before
    assert not (fleet.work / "rollouts").exists()


def test_a_rollout_goes_through_pilot_canary_and_waves(fleet: Fleet, confined: dict[str, str]) -> None:
    pilot, canary, last = fleet.roles
    assert fleet.gates() == [("pilot", "pass"), ("canary", "pass"), ("wave 1", "pass")]
    intents = [line["host"] for line in fleet.journal() if line["outcome"] == "intent"]
    assert intents == [pilot, canary, last]
    written = {line["host"]: line["to"] for line in fleet.journal() if line["outcome"] == "changed"}
    assert written == confined
    assert all(len(digest) == 64 for digest in confined.values())
    assert {line["outcome"] for line in fleet.journal() if line["phase"] == "end"} == {"pass"}


def test_the_same_again_changes_nothing(fleet: Fleet, confined: dict[str, str]) -> None:
    before = fleet.traces()
    code, output = fleet.play("rollout")
    assert code == 0
    assert set(fleet.outcomes("apply").values()) == {"unchanged"}
    assert fleet.active() == confined
    assert fleet.traces() == before


def test_a_fault_on_the_canary_takes_the_pilot_back_and_leaves_the_rest_alone(
    fleet: Fleet, confined: dict[str, str]
) -> None:
    pilot, canary, last = fleet.roles
    bad = fleet.variant("canary", health=("  - {http:", f"  - {ONLY_BOOKWORM}\n  - {{http:"))
    untouched = fleet.traces()[last]
    code, output = fleet.play("rollout", policies=bad)
    assert code != 0
    assert "aborted: every host that was changed had to go back." in output
    assert fleet.gates() == [("pilot", "pass"), ("canary", "abort")]
    assert fleet.outcomes("apply") == {pilot: "changed", canary: "reverted"}
    assert fleet.outcomes("rollback") == {pilot: "rolled_back"}
    assert fleet.active() == confined
    assert fleet.traces()[last] == untouched
    assert set(fleet.each("systemctl is-active nginx.service").values()) == {"active"}


def test_a_fault_that_shows_late_is_caught_by_the_gate(fleet: Fleet, confined: dict[str, str]) -> None:
    pilot, canary, last = fleet.roles
    bad = fleet.variant("late", health=("  - {http:", f"  - {ONLY_ONCE}\n  - {{http:"))
    before = fleet.traces()
    code, output = fleet.play("rollout", policies=bad)
    assert code != 0
    assert fleet.gates() == [("pilot", "abort")]
    assert "health:" in next(line["detail"] for line in fleet.journal() if line["phase"] == "gate")
    assert fleet.outcomes("apply") == {pilot: "changed"}
    assert fleet.outcomes("rollback") == {pilot: "rolled_back"}
    assert fleet.active() == confined
    after = fleet.traces()
    assert (after[last], after[canary]) == (before[last], before[canary])


def test_a_policy_that_a_host_refuses_stops_before_any_change(fleet: Fleet, confined: dict[str, str]) -> None:
    bad = fleet.variant("refused", unit=("unit: nginx.service", "unit: no-such.service"))
    before = fleet.traces()
    code, output = fleet.play("rollout", policies=bad)
    assert code != 0
    assert f"Nothing was changed. {', '.join(fleet.hosts)}: " in output
    assert fleet.traces() == before


def test_an_unreachable_host_is_counted_and_a_rollback_owes_it(
    fleet: Fleet, confined: dict[str, str]
) -> None:
    pilot, canary, last = fleet.roles
    gone = fleet.work / "gone.yml"
    gone.write_text(
        yaml.safe_dump(
            {
                "all": {
                    "hosts": {
                        "gone": {"ansible_host": "127.0.0.1", "ansible_port": 9, "bulkhead_risk": "low"}
                    }
                }
            }
        )
    )
    new = fleet.variant("new", files=("max_open: 4096", "max_open: 5000"))
    everybody = ("-i", str(gone), "-e", f"fleet={','.join(fleet.hosts)},gone")

    code, output = fleet.play("rollout", *everybody, policies=new)
    assert code != 0
    assert fleet.gates()[-1] == ("wave 2", "abort")
    assert fleet.outcomes("rollback") == {
        pilot: "rolled_back",
        last: "rolled_back",
        canary: "rolled_back",
        "gone": "owed",
    }
    assert "OWED: gone could not be shown to be back" in output
    assert fleet.active() == confined

    waves = ("-e", '{"rollout_waves": [100]}', "-e", "rollout_max_failed=1")
    code, output = fleet.play("rollout", *everybody, *waves, policies=new)
    assert code == 0
    assert fleet.gates()[-1] == ("wave 1", "pass")
    assert fleet.outcomes("apply")["gone"] == "unreachable"
    updated = fleet.active()
    assert not set(updated.values()) & set(confined.values())

    code, output = fleet.play("rollback", "-i", str(gone), "--limit", pilot)
    assert code != 0
    assert f"The limit '{pilot}' leaves out {canary}, {last}, gone, and nothing was rolled back." in " ".join(
        output.split()
    )
    assert fleet.active() == updated

    code, output = fleet.play("rollback", "-i", str(gone))
    assert code != 0
    assert "OWED: gone" in output
    assert fleet.active() == confined


def test_a_rollback_of_the_first_rollout_leaves_the_hosts_unconfined(
    fleet: Fleet, confined: dict[str, str]
) -> None:
    code, output = fleet.play("rollback", "-e", "rollout=nginx-e0001")
    assert code == 0, output[-3000:]
    assert set(fleet.active().values()) == {""}
    assert set(fleet.each("ls /etc/systemd/system/nginx.service.d 2>/dev/null || true").values()) == {""}
    assert set(fleet.each("systemctl is-active nginx.service").values()) == {"active"}
