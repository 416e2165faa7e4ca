# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab itself: is every host what the other tests take it for, and does the lab go without a trace."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab_host import ssh_words

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = Path(os.environ.get("BULKHEAD_LAB_INVENTORY", ROOT / "build/lab/inventory.yml"))
CYCLE = bool(os.environ.get("BULKHEAD_LAB_CYCLE"))
pytestmark = pytest.mark.lab
Variables = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def machine_clock() -> Iterator[None]:
    """nspawn hosts share this machine's kernel: a test that moved its clock must not go unseen."""
    before = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    yield
    drift = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - before
    assert abs(drift) < 1, f"the machine's own clock moved by {drift:.1f} s during the tests"


def hosts() -> dict[str, Variables]:
    if not INVENTORY.exists():
        pytest.skip("no lab is up (make lab-up)")
    found: dict[str, Variables] = yaml.safe_load(INVENTORY.read_text())["lab"]["hosts"]
    return found


def ssh(variables: Variables, command: str) -> str:
    argv = [*ssh_words(variables), command]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def on_all(command: str, kind: str = "") -> dict[str, str]:
    """The command's output by host."""
    chosen = {n: v for n, v in hosts().items() if kind in ("", v["bulkhead_lab_kind"])}
    if not chosen:
        pytest.skip(f"the lab has no host of kind '{kind}'")
    with ThreadPoolExecutor(4) as pool:
        return dict(pool.map(lambda item: (item[0], ssh(item[1], command)), chosen.items()))


def test_every_host_answers_by_its_name() -> None:
    assert all(name == answer for name, answer in on_all("hostname").items())


def test_suites_are_what_the_inventory_says() -> None:
    answers = on_all(". /etc/os-release; echo $VERSION_CODENAME")
    assert answers == {name: variables["bulkhead_lab_suite"] for name, variables in hosts().items()}


def test_systemd_is_up_on_cgroup2() -> None:
    answers = on_all("systemctl is-system-running; stat -fc %T /sys/fs/cgroup")
    assert {answer.split()[-1] for answer in answers.values()} == {"cgroup2fs"}
    assert {answer.split()[0] for answer in answers.values()} <= {"running", "degraded"}


def test_qemu_hosts_have_apparmor() -> None:
    assert set(on_all("cat /sys/module/apparmor/parameters/enabled", "qemu").values()) == {"Y"}


def test_nft_takes_a_table_and_gives_it_back() -> None:
    answers = on_all("nft add table inet labtest && nft list tables && nft delete table inet labtest")
    assert all("table inet labtest" in answer for answer in answers.values())


@pytest.mark.parametrize("path", ["/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"])
def test_identity_is_each_hosts_own(path: str) -> None:
    answers = on_all(f"cut -d' ' -f1,2 {path}")
    assert len(set(answers.values())) == len(answers)


def test_random_generators_differ() -> None:
    answers = on_all("od -An -tx1 -N16 /dev/urandom")
    assert len(set(answers.values())) == len(answers)


def test_clocks_are_right_within_two_seconds() -> None:
    for name, variables in hosts().items():
        before = time.time()
        there = float(ssh(variables, "date +%s.%N"))
        assert before - 2 <= there <= time.time() + 2, name


def test_hosts_of_a_kind_reach_each_other() -> None:
    for kind in ("qemu", "nspawn"):
        members = [v for v in hosts().values() if v["bulkhead_lab_kind"] == kind]
        if len(members) > 1:
            address = members[-1]["bulkhead_lab_address"]
            code = f"import socket; print(socket.create_connection(('{address}', 22), 20).recv(4))"
            assert ssh(members[0], f"python3 -c {shlex.quote(code)}") == "b'SSH-'"


def test_nspawn_hosts_could_not_set_the_machines_clock() -> None:
    """Read, never tried: bit 25 is CAP_SYS_TIME (capabilities(7))."""
    for name, answer in on_all("grep CapBnd /proc/1/status", "nspawn").items():
        assert not int(answer.split()[1], 16) >> 25 & 1, name


def traces() -> set[str]:
    """What a lab could leave behind: mounts, namespaces, cgroups, files, processes."""
    found = {f"mount {line.split()[1]}" for line in Path("/proc/self/mounts").read_text().splitlines()}
    for folder in ("/dev/shm", "/run/netns", "/run/systemd", "/run/systemd/nspawn", "/root/.ssh"):
        if Path(folder).exists():
            found |= {folder, *(f"file {path}" for path in Path(folder).glob("*"))}
    found |= {f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob("*/blab*")}
    found |= {f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob("blab*")}
    return found


def lab_processes(folder: Path) -> list[str]:
    listing = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(folder) in line and "pytest" not in line]


@pytest.mark.skipif(not CYCLE, reason="starts a lab of its own: set BULKHEAD_LAB_CYCLE=1")
@pytest.mark.skipif(os.geteuid() != 0, reason="nspawn hosts need root")
@pytest.mark.parametrize("end", ["down", "killed"])
def test_down_leaves_nothing(end: str) -> None:
    """Up and down through the playbook, once in peace and once after a kill half-way; down twice."""
    folder = ROOT / "build" / "labc"
    play = [
        str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "playbooks/lab.yml",
        "-e", f"lab_dir={folder}", "-e", f"lab_cache_dir={ROOT / 'build/lab/img'}", "-e", "lab_kind=nspawn",
        "-e", "lab_hosts=3",
    ]  # fmt: skip
    before = traces()
    if end == "down":
        subprocess.run([*play, "-e", "lab_state=present"], cwd=ROOT, check=True, capture_output=True)
        fresh = yaml.safe_load((folder / "inventory.yml").read_text())["lab"]["hosts"]
        assert list(fresh) == ["n1", "n2", "n3"]
        # applications are installed, and wait for the test that wants them
        states = ssh(fresh["n1"], "systemctl is-enabled nginx postgresql redis-server || true")
        assert states.split() == ["disabled"] * 3
    else:
        package = ROOT / "roles/lab/files/bulkhead_lab"
        argv = [
            sys.executable,
            "-B",
            str(package),
            "--dir",
            str(folder),
            "--cache",
            str(ROOT / "build/lab/img"),
        ]
        process = subprocess.Popen([*argv, "up", "--kind", "nspawn"], stderr=subprocess.DEVNULL)
        time.sleep(1)
        process.kill()
        process.wait()
    for changed in ("changed=1", "changed=0"):
        done = subprocess.run([*play, "-e", "lab_state=absent"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        assert changed in done.stdout
    assert traces() == before
    assert lab_processes(folder) == []
    assert sorted(path.name for path in folder.iterdir()) == ["lab.log", "lock"]
