# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening and its files. That it really opens and closes is shown on hosts: tests/lab/test_debug.py."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from host_fixtures import state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    command,
    overlay,
    overlay_close,
    overlay_files,
    overlay_state,
    overlay_words,
    store,
    unit_files,
)
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.Store:
    for name, folder in (("RUN", "run"), ("HOME", "run/debug"), ("CORES", "run/cores")):
        monkeypatch.setattr(overlay_state, name, str(tmp_path / folder))
    monkeypatch.setattr(overlay_state, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(overlay_state, "unguarded", lambda policy: False)
    return state_below(monkeypatch, tmp_path)


def wish(**changes: object) -> overlay.Wish:
    fields: dict[str, object] = {
        "words": ["shell"], "seconds": 60, "by": "alice", "reason": "4711", "restart": True, "check": False,
    }  # fmt: skip
    return overlay.Wish(**{**fields, **changes})


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("8h", 28800)])
def test_durations(text: str, seconds: int) -> None:
    assert overlay.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "9s", "481m", "1d", "-5m", "1h30m", "1e9", "9999999s"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(HostError) as caught:
        overlay.seconds_of(text)
    assert caught.value.state == "refused"


def test_the_overlay_comes_after_the_sandbox_and_before_the_probe() -> None:
    names = [unit_files.OWN_DROPIN, unit_files.DEBUG_DROPIN, unit_files.PROBE_DROPIN]
    assert sorted(names) == names and set(names) == set(unit_files.OURS)


def test_a_policy_that_is_not_applied_is_not_opened(place: store.Store) -> None:
    with pytest.raises(HostError, match="policy web is not applied on this host"):
        overlay.open_("web", wish())


@pytest.mark.parametrize("changes", [{"by": ""}, {"reason": ""}, {"reason": "a\nb"}, {"by": "x" * 201}])
def test_who_and_why_are_required(place: store.Store, changes: dict[str, object]) -> None:
    place.set_active("a" * 64)
    with pytest.raises(HostError, match="has to be one line of 1 to 200 letters"):
        overlay.open_("web", wish(**changes))


def test_nothing_is_opened_while_a_change_is_pending(place: store.Store) -> None:
    place.set_active("a" * 64)
    place.write_pending({"from": "", "to": "a" * 64, "nonce": "n"})
    with pytest.raises(HostError, match="has a change that is not confirmed") as caught:
        overlay.open_("web", wish())
    assert caught.value.state == "refused"


def test_nothing_is_opened_after_a_way_back_that_failed(place: store.Store) -> None:
    place.set_active("a" * 64)
    place.receipt("REVERT_FAILED")
    place.receipt("DEBUG_CLOSED")
    with pytest.raises(HostError, match="the last way back of policy web failed"):
        overlay.open_("web", wish())


def test_what_is_prepared_but_not_armed_is_not_open(place: store.Store) -> None:
    Path(overlay_state.at("web")).mkdir(parents=True)
    Path(overlay_state.at("web", "files")).write_text("/x\n")
    assert overlay_state.facts("web", "web.service") == {"open": False}


def test_an_open_overlay_is_told_with_who_and_why(place: store.Store) -> None:
    Path(overlay_state.at("web")).mkdir(parents=True)
    state = {
        "words": ["ptrace"],
        "by": "alice",
        "reason": "4711",
        "until": "T",
        "clauses": ["processes.syscalls"],
    }
    Path(overlay_state.at("web", "state.json")).write_text(
        json.dumps({**state, "deadline": store.uptime() + 60})
    )
    found = overlay_state.facts("web")
    assert found["open"] and 55 <= found["left"] <= 60 and found["clauses"] == ["processes.syscalls"]
    assert overlay_state.sentence(found) == "open for debugging (ptrace) until T, by alice: 4711"
    Path(overlay_state.at("web", "state.json")).write_text(json.dumps({**state, "deadline": 0}))
    assert overlay_state.sentence(overlay_state.facts("web")).endswith(
        "; its time is over and it did not close"
    )


def test_a_dropin_that_nobody_recorded_is_open_too(place: store.Store) -> None:
    path = Path(overlay_state.dropin_path("web.service"))
    path.parent.mkdir(parents=True)
    path.write_text("[Service]\nSystemCallFilter=\n")
    found = overlay_state.facts("web", "web.service")
    assert (
        found["open"] and overlay_state.sentence(found) == "open for debugging: nobody recorded who opened it"
    )


def open_until(deadline: int) -> None:
    Path(overlay_state.at("web")).mkdir(parents=True, exist_ok=True)
    state = {"words": ["ptrace"], "by": "alice", "reason": "4711", "until": "T", "deadline": deadline}
    Path(overlay_state.at("web", "state.json")).write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (60, "its timer does not run: nobody will close it"),
        (-1, "its time is over and nobody will close it"),
    ],
)
def test_an_overlay_that_no_timer_closes_is_told(
    place: store.Store, monkeypatch: pytest.MonkeyPatch, left: int, told: str
) -> None:
    open_until(store.uptime() + left)
    assert overlay_state.facts("web")["trouble"] == ""
    monkeypatch.setattr(overlay_state, "unguarded", lambda policy: True)
    assert overlay_state.facts("web")["trouble"] == told


@pytest.mark.parametrize(
    ("answer", "code", "expected"),
    [
        ("ActiveState=active\n", 0, False),
        ("ActiveState=inactive\n", 0, True),
        ("", 1, False),
        ("", 127, False),
    ],
)
def test_only_systemd_itself_says_that_no_timer_runs(
    monkeypatch: pytest.MonkeyPatch, answer: str, code: int, expected: bool
) -> None:
    monkeypatch.setattr(command, "run", lambda argv: command.Completed(code, answer, ""))
    assert overlay_state.unguarded("web") is expected


def test_what_could_not_be_closed_is_open_and_says_why(place: store.Store) -> None:
    open_until(store.uptime() - 1)
    Path(overlay_state.at("web", "trouble")).write_text("its process still runs\n")
    assert overlay_state.facts("web")["trouble"] == "its process still runs"
    Path(overlay_state.at("web", "state.json")).unlink()  # one that nobody recorded
    found = overlay_state.facts("web", "web.service")
    assert found["open"] and found["trouble"] == "its process still runs; nobody recorded who opened it"


@pytest.mark.parametrize(("left", "closes"), [(60, False), (-1, True)])
def test_who_opens_closes_what_is_overdue_first(
    place: store.Store, monkeypatch: pytest.MonkeyPatch, left: int, closes: bool
) -> None:
    place.set_active("a" * 64)
    open_until(store.uptime() + left)
    told: list[str] = []
    monkeypatch.setattr(overlay, "close_locked", lambda place, why: told.append(why))
    with pytest.raises(HostError, match="damaged"):  # no generation is there, which is looked at next
        overlay.open_("web", wish())
    assert told == (["its time is over"] if closes else [])


@pytest.mark.parametrize(
    ("user", "owner"),
    [("", (0, 0)), ("root", (0, 0)), ("0", (0, 0)), ("4123456", (4123456, -1))],
)
def test_cores_belong_to_the_account_of_the_unit(user: str, owner: tuple[int, int]) -> None:
    assert overlay_close.owner_of({"User": user}) == owner


def test_an_account_that_is_there_only_while_the_unit_runs_is_told() -> None:
    with pytest.raises(HostError, match="user 'bulkhead-dyn' is not known on this host now") as caught:
        overlay_close.owner_of({"User": "bulkhead-dyn"})
    assert caught.value.state == "refused"


@pytest.mark.parametrize(
    ("filters", "lines"),
    [
        ("~", []),
        ("", []),
        ("accept bind", ["SystemCallFilter=perf_event_open"]),
        ("~mount", ["SystemCallFilter=perf_event_open"]),
    ],
)
def test_where_there_is_no_filter_none_is_made(filters: str, lines: list[str]) -> None:
    assert overlay_files.filter_lines(["perf"], filters) == lines


def test_a_folder_for_cores_is_writable_and_not_executable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/core_pattern").write_text("core\n")
    monkeypatch.setattr(overlay_words, "PROC_SYS", str(tmp_path))
    cores = overlay_words.Cores("", "/run/bulkhead/cores/web")
    assert overlay_files.service_lines(["core_dumps"], {}, cores) == [
        "LimitCORE=infinity",
        "ReadWritePaths=-/run/bulkhead/cores/web",
        "NoExecPaths=-/run/bulkhead/cores/web",
        "WorkingDirectory=/run/bulkhead/cores/web",
    ]


ORIGINAL = """# /lib/systemd/system/web.service
[Unit]
Description=Web
[Service]
Type=notify
ExecStart=/usr/bin/web \\
  --listen
User=web
StandardOutput=null
RuntimeDirectory=web
# /etc/systemd/system/web.service.d/zz-bulkhead.conf
[Service]
NoExecPaths=/
SystemCallFilter=@system-service
"""


def test_the_shell_has_all_that_confines_the_service_and_nothing_that_starts_it() -> None:
    text = overlay_files.shell_text("web", "web.service", ORIGINAL, ["SystemCallFilter=ptrace"])
    lines = text.splitlines()
    for line in (
        "User=web",
        "NoExecPaths=/",
        "SystemCallFilter=@system-service",
        "RuntimeDirectoryPreserve=yes",
    ):
        assert line in lines
    assert lines.index("SystemCallFilter=@system-service") < lines.index("SystemCallFilter=ptrace")
    assert lines.index("NoExecPaths=/") < lines.index("ExecPaths=-/usr/bin")
    for word in ("ExecStart", "--listen", "Type=", "StandardOutput", "Description"):
        assert word not in text


def test_the_shell_of_an_instance_keeps_its_name() -> None:
    assert overlay_files.shell_unit("postgresql", "postgresql@15-main.service") == (
        "bulkhead-debug-postgresql@15-main.service"
    )
    assert overlay_files.shell_unit("web", "web.service") == "bulkhead-debug-web.service"


PROFILE = """abi <abi/3.0>,

profile bulkhead.web flags=(mediate_deleted) {
  "/a{,/,/**}" r,
}
"""


def test_an_opened_profile_is_the_policys_own_with_rules_more(tmp_path: Path) -> None:
    text = overlay_files.profile_text(
        ["core_dumps", "ptrace", "shell"], "bulkhead.web", PROFILE, "/run/cores/web"
    )
    assert text.startswith(PROFILE.rpartition("}")[0]) and text.endswith("\n}\n")
    assert "  ptrace (trace, tracedby, read, readby) peer=bulkhead.web,\n" in text
    assert '  "/run/cores/web/{,**}" rw,\n' in text
    if not shutil.which("apparmor_parser"):
        pytest.skip("this machine has no apparmor_parser")
    done = subprocess.run(
        ["apparmor_parser", "-Q", "-K"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
