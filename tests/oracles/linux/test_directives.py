# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine's systemd: it knows no directive that is in no table, and reads the values that our forms take."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from parsers import complaints, systemd_analyze

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import linux_vendor
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_overrides import UNIT, _told
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_values import FORMS

MANAGER = Path("/usr/lib/systemd/systemd")
BOOLEANS = ("yes", "No", "TRUE", "f", "1", "off", "T")
BYTES = ("0", "1", "999999999999", "8K", "64M", "3G", "1T")
LIMIT = (*BYTES, "infinity", "8M:infinity", "1:1", "infinity:infinity")
TIMES = ("0", "5", "1.5", "500ms", "2min 30s", "1h 2m 3s", "3 days", "infinity", "1w", "7month", "9us")
STATUSES = ("0", "255", "143 SIGTERM", "1 2 3 SIGHUP", "99 SIGABRT")
UNITS = ("a.service", "a-b@c.service b.socket dev-vda.device", "x:y_z.target", "-.mount", "a.timer")
ACTIONS = ("none", "exit", "exit-force", "reboot", "reboot-force", "poweroff", "poweroff-force")
MODES = ("0", "000", "0755", "7777", "750")
SIGNALS = ("SIGHUP", "SIGQUIT", "SIGUSR2", "SIGWINCH", "SIGPIPE", "SIGABRT", "1", "9", "15")
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "0", "7")
ON_DISK = ("/dev/vda 10M", "/ 1", "/var/lib/x 3G")
AMOUNT = (*BYTES, "infinity", "0%", "7%", "100%")

# What each form is said to take. A form that takes less than is written here fails, and so does one that takes what
# systemd does not.
TAKEN: dict[str, tuple[str, ...]] = {
    "CPUAffinity": ("numa", "0", "0-3,8", "1 2 3", "0-1 4-5"),
    "CPUSchedulingPolicy": ("other", "batch", "idle", "fifo", "rr"),
    "CPUSchedulingPriority": ("1", "99"),
    "Delegate": ("yes", "no", "cpu", "memory pids cpuset io"),
    "ExitType": ("main", "cgroup"),
    "FileDescriptorStoreMax": ("0", "4096"),
    "IOSchedulingClass": ("realtime", "best-effort", "idle"),
    "IOSchedulingPriority": ("0", "7"),
    "KeyringMode": ("inherit", "private", "shared"),
    "KillMode": ("control-group", "mixed"),
    "LimitNICE": ("+5", "-19", "0", "40", "+0"),
    "LimitNPROC": ("0", "5", "infinity", "1:2"),
    "LimitRTPRIO": ("0", "99", "infinity", "1:2"),
    "LimitSIGPENDING": ("0", "5", "infinity", "1:2"),
    "LogNamespace": ("a", "web-1", "A_b"),
    "LogRateLimitBurst": ("0", "1000000"),
    "MountFlags": ("shared", "slave", "private"),
    "NUMAMask": ("0", "0-1", "0,1"),
    "NUMAPolicy": ("default", "preferred", "bind", "interleave", "local"),
    "Nice": ("-20", "0", "19", "05"),
    "NotifyAccess": ("none", "main", "exec", "all"),
    "OOMPolicy": ("continue", "stop", "kill"),
    "OOMScoreAdjust": ("-1000", "0", "1000"),
    "PIDFile": ("/run/x.pid", "/run/%p/%i.pid"),
    "RuntimeDirectoryPreserve": ("yes", "no", "restart"),
    "SecureBits": ("keep-caps", "noroot noroot-locked", "no-setuid-fixup keep-caps-locked no-setuid-fixup-locked"),
    "StandardInput": ("null", "data", "socket", "tty", "tty-force", "tty-fail"),
    "SyslogFacility": ("kern", "daemon", "authpriv", "local0", "local7", "ftp", "uucp"),
    "SyslogIdentifier": ("demo", "demo-%i", "a.b:c"),
    "TTYPath": ("/dev/tty1", "/dev/pts/0"),
    "TimerSlackNSec": ("0", "50us", "1ms", "5s", "100ns"),
    "Type": ("simple", "exec", "forking", "oneshot", "notify", "idle"),
    "WorkingDirectory": ("/", "/srv/x", "-/srv/x", "~", "-~", "%S/x"),
    "Group": ("www-data", "0", "_x"),
    "SupplementaryGroups": ("adm", "a b 1"),
    "FinalKillSignal": ("SIGKILL",),
    "ExecSearchPath": ("/usr/bin", "/usr/bin:/opt/x/bin", "/opt/%p/bin"),
    "ConditionPathExists": ("/etc/x", "!/etc/x", "|/etc/x", "|!/etc/%i"),
    "RequiresMountsFor": ("/", "/srv /var/lib/x", "%S/x"),
    **dict.fromkeys(("KillSignal", "RestartKillSignal"), SIGNALS),
    **dict.fromkeys(("LogLevelMax", "SyslogLevel"), LEVELS),
    **dict.fromkeys(("IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax"), ON_DISK),
    **dict.fromkeys(("LimitAS", "LimitMEMLOCK", "LimitMSGQUEUE", "LimitSTACK"), LIMIT),
    "MemoryHigh": (*BYTES[1:], "infinity", "1%", "100%"),
    **dict.fromkeys(("MemoryLow", "MemoryMin"), AMOUNT),
    **dict.fromkeys(("RestartSec", "TimeoutAbortSec", "LogRateLimitIntervalSec"), TIMES),
    **dict.fromkeys(("RestartForceExitStatus", "RestartPreventExitStatus", "SuccessExitStatus"), STATUSES),
    **dict.fromkeys(
        ("StandardError", "StandardOutput"),
        ("inherit", "null", "tty", "journal", "kmsg", "journal+console", "kmsg+console", "socket", "fd:out.1"),
    ),
    **{key: BOOLEANS for key, form in FORMS.items() if form.ignore_case},
    **{key: MODES[1:] for key in FORMS if key.endswith("DirectoryMode") or key == "UMask"},
    **dict.fromkeys(("After", "Before", "BindsTo", "OnFailure", "OnSuccess", "PartOf", "Upholds", "Wants"), UNITS),
    **dict.fromkeys(("FailureAction", "StartLimitAction", "SuccessAction"), ACTIONS),
}  # fmt: skip
# Checked by rules of their own, not by their form.
OTHERS = {key for key in FORMS if key.startswith("Exec") and key not in ("ExecSearchPath", "ExitType")}
OTHERS |= {key for key in FORMS if key.endswith("Directory") and key != "WorkingDirectory"}


def version() -> int:
    said = subprocess.run([str(MANAGER), "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"systemd (\d+)", said)
    return int(found.group(1)) if found else 0


@pytest.mark.skipif(not MANAGER.exists(), reason="systemd is not installed")
def test_this_systemd_knows_no_directive_that_is_in_no_table():
    argv = [str(MANAGER), "--dump-configuration-items"]
    dumped = subprocess.run(argv, capture_output=True, text=True, check=True)
    section, unknown, seen = "", [], 0
    for line in dumped.stdout.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif section in linux_vendor.TABLE and "=" in line:
            seen += 1
            if linux_vendor.care(section, line.partition("=")[0]) is None:
                unknown.append((section, line))
    assert seen > 300
    assert unknown == [] or version() > linux_vendor.KNOWN_UP_TO


def test_every_form_has_values_here():
    assert sorted({*TAKEN, *OTHERS}) == sorted(FORMS)


@systemd_analyze
def test_systemd_reads_every_value_that_a_form_takes(tmp_path):
    for key, values in TAKEN.items():
        for value in values:
            assert FORMS[key].takes(value if FORMS[key].literal else _told(value)), (key, value)
    (tmp_path / "demo.service.d").mkdir()
    lines = []
    for section in ("Unit", "Service"):
        lines.append(f"[{section}]")
        lines += [
            f"{key}={value}"
            for key, values in sorted(TAKEN.items())
            if (key in UNIT) == (section == "Unit")
            for value in values
        ]
    lines += ["CPUSchedulingPolicy=other", "Type=simple", ""]
    (tmp_path / "demo.service.d/zz-bulkhead.conf").write_text("\n".join(lines))
    told = []
    for complaint in complaints(tmp_path, "demo.service"):
        place = re.search(r"conf:(\d+)", complaint)
        told.append(f"{lines[int(place.group(1)) - 1] if place else ''}: {complaint}")
    assert told == []


@systemd_analyze
def test_the_parser_does_complain_about_what_no_form_takes(tmp_path):
    (tmp_path / "demo.service.d").mkdir()
    (tmp_path / "demo.service.d/zz-bulkhead.conf").write_text("[Service]\nNice=5;x\nUMask=9\n")
    assert len(complaints(tmp_path, "demo.service")) == 2
