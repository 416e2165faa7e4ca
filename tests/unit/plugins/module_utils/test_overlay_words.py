# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import arguments, overlay_words
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


@pytest.fixture
def sysctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc/sys of a host that permits everything."""
    for name, text in {
        "kernel/perf_event_paranoid": "1",
        "kernel/yama/ptrace_scope": "0",
        "kernel/core_pattern": "core",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(overlay_words, "PROC_SYS", str(tmp_path))
    return tmp_path


def test_the_module_offers_the_words_that_there_are() -> None:
    assert set(arguments.DEBUG["openings"]["choices"]) == set(overlay_words.WORDS)


@pytest.mark.parametrize(
    ("words", "message"), [([], "no opening without a word"), (["gdb"], "no opening 'gdb'")]
)
def test_unknown_words_are_refused_with_those_that_there_are(
    sysctl: Path, words: list[str], message: str
) -> None:
    with pytest.raises(
        HostError, match=f"there is {message}; there are core_dumps, perf, ptrace, shell."
    ) as caught:
        overlay_words.check(words, True)
    assert caught.value.state == "refused"


@pytest.mark.parametrize(
    ("name", "value", "word", "message"),
    [
        ("kernel/perf_event_paranoid", "3", "perf", "kernel.perf_event_paranoid is 3 on the whole host"),
        ("kernel/yama/ptrace_scope", "3", "ptrace", "kernel.yama.ptrace_scope is 3"),
        ("kernel/core_pattern", "", "core_dumps", "kernel.core_pattern is empty"),
    ],
)
def test_what_the_whole_host_forbids_is_refused(
    sysctl: Path, name: str, value: str, word: str, message: str
) -> None:
    overlay_words.check([word], True)
    (sysctl / name).write_text(value + "\n")
    with pytest.raises(HostError, match=message):
        overlay_words.check([word], True)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["shell"], ""),
        (["ptrace", "shell"], ""),
        (["ptrace"], "ptrace: needs a restart of the service"),
        (["core_dumps", "shell"], "core_dumps: needs a restart"),
    ],
)
def test_without_a_restart_only_the_shell_opens(sysctl: Path, words: list[str], refused: str) -> None:
    found = " ".join(overlay_words.objections(words, False))
    assert found.startswith(refused) and bool(found) is bool(refused)


@pytest.mark.parametrize(
    ("pattern", "directory", "folder", "own"),
    [
        ("|/usr/lib/systemd/systemd-coredump %P", "", "", False),
        ("/var/crash/core.%p", "", "/var/crash", False),
        ("core", "", "/run/cores/web", True),
        ("core", "/", "/run/cores/web", True),
        ("core", "!/srv/web", "/srv/web", False),
    ],
)
def test_where_a_core_goes(sysctl: Path, pattern: str, directory: str, folder: str, own: bool) -> None:
    (sysctl / "kernel/core_pattern").write_text(pattern + "\n")
    cores = overlay_words.Cores(directory, "/run/cores/web")
    assert (cores.folder, cores.own) == (folder, own) and cores.where


def test_grants_are_not_opened() -> None:
    known = ["processes.spawn", "processes.spawn[/bin/x]", "filesystem.execute", "memory.limit"]
    assert overlay_words.clauses(["shell"], known) == ["processes.spawn", "filesystem.execute"]
