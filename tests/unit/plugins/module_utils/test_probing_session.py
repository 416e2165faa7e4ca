# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe program as it is sent, run for real as an ordinary process of this machine."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils.probing_acts_calls import CALLS
from ansible_collections.bulkhead.fleet.plugins.module_utils.probing_session import Outside, source

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be denied nothing")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    outside = Outside(str(tmp_path_factory.mktemp("probe") / "outside"), sys.executable)
    yield outside
    outside.close()
    assert outside.process.returncode == 0
    assert Path(outside.errors).read_text() == ""


def test_the_program_is_one_script_that_needs_no_package():
    compile(source(), "program", "exec")
    assert "ansible" not in source().replace("Ansible", "")


def test_read_leaves_no_content_in_the_answer(session, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    answer = session.ask("read", str(secret))
    assert (answer["done"], answer["sort"], answer["length"]) == (True, "file", 7)
    assert "hunter2" not in str(answer)
    assert session.ask("read", str(tmp_path / "gone"))["errno"] == "ENOENT"
    assert session.ask("read", str(secret), limit=3)["length"] == 3
    assert session.ask("read", str(tmp_path))["length"] == 1


def test_write_changes_nothing(session, tmp_path):
    target = tmp_path / "log"
    target.write_text("old")
    before = target.stat().st_mtime_ns
    assert session.ask("write", str(target))["done"]
    assert session.ask("write", str(tmp_path))["done"]
    assert session.ask("write", str(tmp_path / "new"))["done"]
    assert session.ask("write", str(tmp_path / "gone" / "new"))["place"] == ["create", str(tmp_path)]
    elsewhere = ["create", str(tmp_path / "gone")]  # where the other side did it is where it is tried here
    assert session.ask("write", str(tmp_path / "gone" / "new"), place=elsewhere)["errno"] == "ENOENT"
    assert (target.read_text(), target.stat().st_mtime_ns) == ("old", before)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_execute_starts_and_ends_a_program_before_it_does_anything(session, tmp_path):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    assert session.ask("execute", str(program))["done"]
    assert not (tmp_path / "ran").exists()
    program.chmod(0o644)
    assert session.ask("execute", str(program)) == {
        "done": False, "errno": "EACCES", "final": True, "seq": session.sequence, "meanwhile": None,
    }  # fmt: skip
    assert session.ask("execute", "/bin/sh")["done"]


def test_listen_is_met_from_outside_while_it_waits(session):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def knock(said):
        assert said["open"]
        socket.create_connection(("127.0.0.1", port), 2).close()
        return "came in"

    answer = session.ask("listen", f"tcp/{port}", meanwhile=knock)
    assert (answer["done"], answer["meanwhile"]) == (True, "came in")


def test_connect(session):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert session.ask("connect", f"tcp/127.0.0.1:{port}")["done"]
    assert session.ask("connect", f"tcp/127.0.0.1:{port}")["errno"] == "ECONNREFUSED"


@root
def test_setuid_exec_shows_who_the_program_became(session):
    def who(said):
        status = Path(f"/proc/{said['pid']}/status").read_text()
        return next(line.split()[2] for line in status.splitlines() if line.startswith("Uid:"))

    answer = session.ask("setuid_exec", "/usr/bin/su", meanwhile=who, as_uid=65534)
    assert (answer["done"], answer["meanwhile"]) == (True, "0")


@pytest.mark.parametrize("name", sorted(CALLS))
def test_harmless_calls_are_let_in_or_not_there(session, name):
    answer = session.ask("syscall", name)
    assert answer["done"] or answer["errno"] in ("ENOSYS", "EPERM"), answer


def test_what_the_program_does_not_know_it_says(session):
    assert session.ask("syscall", "no_such_call")["unknown"]
    assert session.ask("socket_family", "vsock")["unknown"]
    assert session.ask("socket_family", "unix")["done"]
    assert "fault" in session.ask("connect", "nonsense")


def test_confinement_tells_what_it_needs_open(session):
    answer = session.ask("confinement")
    assert "CapBnd" in answer["status"]
    assert os.path.realpath(sys.executable) in answer["maps"]
