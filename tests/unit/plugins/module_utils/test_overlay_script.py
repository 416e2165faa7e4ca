# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The closer itself, run by a real sh on real files. Only systemctl and chown are stand-ins.

tests/lab/test_debug.py runs it with the real ones, by its timer.
"""

from __future__ import annotations

import fcntl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from host_fixtures import state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import overlay_script, receipts, store


@dataclass
class Overlay:
    root: Path
    place: store.Store

    @property
    def home(self) -> Path:
        return self.root / "run/bulkhead/debug"

    @property
    def dropin(self) -> Path:
        return self.root / "units/web.service.d/zzy-bulkhead-debug.conf"

    def close(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = ["sh", str(self.home / "close"), "web", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def told(self) -> list[str]:
        path = self.root / "bin/told"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.startswith(("show ", "is-active "))]

    def fail(self, words: str) -> None:
        (self.root / "bin/fails").write_text(words)

    def runs(self, first: str, then: str = "") -> None:
        """What systemd shows of the application: ``first``, and ``then`` after it was told to restart it."""
        for name, text in (("run", first), ("run.then", then or first)):
            (self.root / "bin" / name).write_text(text)

    def details(self) -> list[tuple[str, str]]:
        entries, fault = receipts.load(self.place.at("receipts.jsonl"))
        assert fault == ""
        return [(entry["event"], entry.get("detail", "")) for entry in entries]


@pytest.fixture
def overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Overlay:
    found = Overlay(tmp_path, state_below(monkeypatch, tmp_path))
    (tmp_path / "bin").mkdir()
    for name in ("systemctl", "systemd-run", "chown", "apparmor_parser"):
        stub = tmp_path / "bin" / name
        stub.write_text(
            f"#!/bin/sh\n[ {name} = chown ] && exit 0\n"
            f'echo "{"" if name == "systemctl" else name + " "}$*" >>"${{0%/*}}/told"\n'
            'case "$*" in try-restart*) cp "${0%/*}/run.then" "${0%/*}/run" 2>/dev/null ;; esac\n'
            'case "$*" in *"$(cat "${0%/*}/fails" 2>/dev/null || echo none)"*) exit 1 ;; esac\n'
            'case "$*" in show*) cat "${0%/*}/run" 2>/dev/null || : ;; esac\n'
        )
        stub.chmod(0o755)
    here = found.home / "web"
    here.mkdir(parents=True)
    script = overlay_script.SCRIPT.replace("@BASE@", store.BASE)
    script = script.replace("PATH=/usr/sbin", f"PATH={tmp_path}/bin:/usr/sbin", 1)
    (found.home / "close").write_text(script)
    found.dropin.parent.mkdir(parents=True)
    found.dropin.write_text("[Service]\n")
    (here / "files").write_text(f"{found.dropin}\n")
    (here / "unit").write_text("web.service\n")
    (here / "deadline").write_text(f"{store.uptime() - 1}\n")
    (here / "state.json").write_text("{}")
    (here / "restart").write_text("\n")
    found.place.receipt("CONFIRMED")
    return found


def test_it_closes_when_its_time_is_over_and_says_so_in_the_receipts(overlay: Overlay) -> None:
    assert overlay.close().returncode == 0
    assert not overlay.dropin.parent.exists() and not overlay.home.exists()
    assert overlay.told() == [
        "daemon-reload",
        "try-restart -- web.service",
        "stop --no-block -- bulkhead-debug-close-web.timer",
    ]
    entries, fault = receipts.load(overlay.place.at("receipts.jsonl"))
    assert fault == ""
    assert [(entry["event"], entry.get("why")) for entry in entries] == [
        ("CONFIRMED", None),
        ("DEBUG_CLOSED", "its time is over"),
    ]


def test_a_timer_of_an_earlier_overlay_does_not_close_a_later_one(overlay: Overlay) -> None:
    (overlay.home / "web/deadline").write_text(f"{store.uptime() + 60}\n")
    assert overlay.close().returncode == 0
    assert overlay.dropin.exists() and overlay.told() == []
    assert overlay.close("locked", "by hand").returncode == 0
    assert not overlay.dropin.exists()


@pytest.mark.parametrize("text", ["", "soon\n", "-5\n"])
def test_a_deadline_that_cannot_be_read_is_over(overlay: Overlay, text: str) -> None:
    (overlay.home / "web/deadline").write_text(text)
    overlay.close()
    assert not overlay.dropin.exists()


def test_killed_half_way_it_goes_on_where_it_was(overlay: Overlay) -> None:
    overlay.fail("daemon-reload")
    assert overlay.close().returncode == 1
    assert not overlay.dropin.exists() and (overlay.home / "web/state.json").exists()
    overlay.fail("nothing at all")
    assert overlay.close().returncode == 0
    assert "try-restart -- web.service" in overlay.told() and not overlay.home.exists()


def test_a_file_that_is_written_while_it_closes_goes_as_well(overlay: Overlay) -> None:
    """The opener was so slow that its time is over: its file comes while the closer is at work."""
    stub, mark = overlay.root / "bin/systemctl", overlay.root / "bin/late"
    write = f"mkdir -p {overlay.dropin.parent}; echo late >{overlay.dropin}; : >{mark}"
    stub.write_text(
        stub.read_text() + f'case "$*" in try-restart*) [ -e {mark} ] || {{ {write}; }} ;; esac\n'
    )
    assert overlay.close().returncode == 0
    assert not overlay.dropin.exists() and not overlay.home.exists()
    assert overlay.told().count("daemon-reload") == 2


def test_an_application_that_does_not_start_again_is_told_in_the_receipt(overlay: Overlay) -> None:
    overlay.fail("try-restart")
    assert overlay.close().returncode == 0
    entries, _fault = receipts.load(overlay.place.at("receipts.jsonl"))
    assert entries[-1]["detail"] == "the application did not start again"
    assert not overlay.home.exists()


RUNNING = "ActiveState=active\nInvocationID=%s\n"
STILL = "systemd did not restart the application: its process still runs as it was opened"


def test_a_process_that_systemd_does_not_restart_stays_open_and_is_tried_again(overlay: Overlay) -> None:
    overlay.runs(RUNNING % "a1")
    overlay.fail("try-restart")  # masked, a unit that is gone, one that it requires
    for _time in range(2):
        done = overlay.close()
        assert done.returncode == 1 and STILL in done.stderr
    assert not overlay.dropin.exists() and (overlay.home / "web/state.json").exists()
    assert (overlay.home / "web/trouble").read_text() == STILL + "\n"
    assert overlay.details() == [("CONFIRMED", ""), ("DEBUG_STUCK", STILL)]  # told once
    overlay.runs(RUNNING % "a1", RUNNING % "b2")
    overlay.fail("nothing at all")
    assert overlay.close().returncode == 0 and not overlay.home.exists()
    assert overlay.details()[-1] == ("DEBUG_CLOSED", "")


@pytest.mark.parametrize(
    "then",
    [RUNNING % "b2", "ActiveState=failed\nInvocationID=a1\n", "InvocationID=a1\nActiveState=inactive\n"],
)
def test_a_restart_that_failed_after_the_old_process_ended_is_closed(overlay: Overlay, then: str) -> None:
    overlay.runs(RUNNING % "a1", then)
    overlay.fail("try-restart")
    assert overlay.close().returncode == 0 and not overlay.home.exists()
    assert overlay.details()[-1] == ("DEBUG_CLOSED", "the application did not start again")


def test_without_an_answer_of_systemd_nothing_is_called_closed(overlay: Overlay) -> None:
    overlay.fail("show -p")
    assert overlay.close().returncode == 1 and (overlay.home / "web/state.json").exists()


def lost(overlay: Overlay, timer: bool) -> subprocess.CompletedProcess[str]:
    """Userspace starts again, hours before the time is over."""
    (overlay.home / "web/deadline").write_text(f"{store.uptime() + 9999}\n")
    overlay.fail("nothing at all" if timer else "is-active")
    argv = ["sh", str(overlay.home / "close"), "--all"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_what_a_soft_reboot_left_open_closes_before_the_application_starts(overlay: Overlay) -> None:
    overlay.runs("ActiveState=inactive\nInvocationID=\n")
    assert lost(overlay, timer=False).returncode == 0
    assert not overlay.home.exists() and not overlay.dropin.exists()
    assert overlay.told() == ["daemon-reload", "stop --no-block -- bulkhead-debug-close-web.timer"]
    entries, _fault = receipts.load(overlay.place.at("receipts.jsonl"))
    assert (entries[-1]["event"], entries[-1]["why"]) == ("DEBUG_CLOSED", "its timer was gone")


def test_what_runs_already_is_left_to_a_new_timer(overlay: Overlay) -> None:
    overlay.runs(RUNNING % "a1")
    assert lost(overlay, timer=False).returncode == 0
    assert not overlay.dropin.exists() and (overlay.home / "web/state.json").exists()
    told = overlay.told()
    assert told[:2] == ["daemon-reload", "--no-block stop -- bulkhead-debug-close-web.timer"]
    assert told[-1].startswith(
        "systemd-run --quiet --no-block --unit=bulkhead-debug-close-web.service --on-active=1s "
    )
    assert not any("try-restart" in line for line in told)
    overlay.runs(RUNNING % "a1", RUNNING % "b2")
    assert overlay.close().returncode == 0 and not overlay.home.exists()  # the new timer


def test_what_its_timer_will_close_or_what_never_opened_is_left_alone(overlay: Overlay) -> None:
    assert lost(overlay, timer=True).returncode == 0
    assert overlay.dropin.exists() and overlay.told() == []
    (overlay.home / "web/state.json").unlink()
    assert lost(overlay, timer=False).returncode == 0
    assert overlay.dropin.exists() and overlay.told() == []


def test_the_timer_outlives_a_change_of_targets_and_tries_again_each_minute(overlay: Overlay) -> None:
    assert overlay.close("arm", "90").returncode == 0
    (told,) = [line for line in overlay.told() if line.startswith("systemd-run ")]
    assert "--on-active=90s --on-unit-inactive=60s" in told
    assert "--timer-property=IgnoreOnIsolate=yes" in told and "-p RestartPreventExitStatus=1" in told
    assert told.endswith(f"/bin/sh {overlay.home}/close web")
    overlay.fail("--on-active")
    assert overlay.close("arm", "90").returncode == 1


def test_without_lines_for_the_service_it_is_not_restarted_and_the_shell_is_ended(overlay: Overlay) -> None:
    (overlay.home / "web/restart").unlink()
    (overlay.home / "web/shell").write_text("bulkhead-debug-web.service\n")
    overlay.close()
    assert overlay.told()[:2] == ["stop -- bulkhead-debug-web.service", "daemon-reload"]
    assert not any("restart" in line for line in overlay.told())


def test_the_policys_own_profile_is_loaded_again_before_anything_else_or_it_is_tried_again(
    overlay: Overlay,
) -> None:
    own = overlay.root / "bulkhead.web"
    own.write_text("profile\n")
    (overlay.home / "web/profile").write_text(f"{own}\n")
    overlay.fail("-K -r")
    assert overlay.close().returncode == 1 and (overlay.home / "web/state.json").exists()
    overlay.fail("nothing at all")
    assert overlay.close().returncode == 0
    assert overlay.told()[:3] == [f"apparmor_parser -K -r {own}"] * 2 + ["daemon-reload"]


def test_a_profile_whose_file_is_gone_is_loaded_from_the_copy_or_stays_open(overlay: Overlay) -> None:
    own = overlay.home / "web/own"
    own.write_text("profile\n")
    (overlay.home / "web/profile").write_text(f"{overlay.root}/bulkhead.web\n")
    overlay.fail("-K -r")
    assert overlay.close().returncode == 1 and (overlay.home / "web/state.json").exists()
    assert overlay.details()[-1] == ("DEBUG_STUCK", "the AppArmor profile is still loaded as it was opened")
    overlay.fail("nothing at all")
    assert overlay.close().returncode == 0
    assert overlay.told()[:2] == [f"apparmor_parser -K -r {own}"] * 2
    assert overlay.details()[-1] == (
        "DEBUG_CLOSED",
        "the file of its AppArmor profile is gone, a copy was loaded",
    )


def test_cores_stay_and_an_empty_folder_for_them_goes(overlay: Overlay) -> None:
    cores = overlay.root / "run/bulkhead/cores/web"
    for kept in (True, False):
        cores.mkdir(parents=True, exist_ok=True)
        (cores / "core").write_text("secret")
        if not kept:
            (cores / "core").unlink()
        (overlay.home / "web").mkdir(parents=True, exist_ok=True)
        if not (overlay.home / "close").exists():
            pytest.fail("the closer is gone")
        (overlay.home / "other").mkdir(exist_ok=True)
        for name, text in {"cores": f"{cores}\n", "unit": "web.service\n", "files": ""}.items():
            (overlay.home / "web" / name).write_text(text)
        overlay.close("locked", "by hand")
        assert (cores / "core").exists() is kept and cores.exists() is kept
        if kept:
            assert cores.stat().st_mode & 0o777 == 0o700


def test_another_policys_overlay_keeps_the_closer(overlay: Overlay) -> None:
    (overlay.home / "shop").mkdir()
    overlay.close()
    assert (overlay.home / "close").exists() and (overlay.home / "shop").exists()


def test_somebody_who_holds_the_lock_does_not_keep_it_open(overlay: Overlay) -> None:
    script = (overlay.home / "close").read_text()
    (overlay.home / "close").write_text(
        script.replace("flock -w 30", "flock -w 1").replace("flock -w 300", "flock -w 1")
    )
    with open(overlay.place.at("lock"), "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert overlay.close().returncode == 0
    assert not overlay.dropin.exists() and not overlay.home.exists()
    entries, _fault = receipts.load(overlay.place.at("receipts.jsonl"))
    assert [entry["event"] for entry in entries] == ["CONFIRMED"]  # two writers would break the chain


def test_shellcheck(tmp_path: Path) -> None:
    path = tmp_path / "close.sh"
    path.write_text(overlay_script.SCRIPT.replace("@BASE@", "/var/lib/bulkhead"))
    done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
