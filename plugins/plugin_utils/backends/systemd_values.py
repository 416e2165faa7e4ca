# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd takes for a value of each directive that a policy may set by hand.

systemd ignores a value that it cannot read, with one line in a log, and the unit starts without it (systemd.syntax(7)).
So a value has to have its directive's form before it is written. A test gives values of every form to systemd's own
parser; where ``systemctl show`` prints a form as it was written, the value is read back as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_TRUE = "1|yes|y|true|t|on"
_FALSE = "0|no|n|false|f|off"
_UNIT_OF_TIME = (
    "usec|us|msec|ms|seconds|second|sec|s|minutes|minute|min|m|hours|hour|hr|h|days|day|d|weeks|week|w|months|month|M|"
    "years|year|y"
)
_SPAN = rf"[0-9]{{1,9}}(\.[0-9]{{1,6}})?|([0-9]{{1,9}} ?({_UNIT_OF_TIME}) ?)+|infinity"
_BYTES = r"[0-9]{1,12}[KMGT]?"
_SIGNAL = r"SIG(HUP|INT|QUIT|TERM|KILL|USR1|USR2|CONT|ALRM|WINCH|PIPE|ABRT)|[1-9]|1[0-5]"
_PATH = r"/[^\s:;\"'\\]*"
_ACCOUNT = r"[a-zA-Z_][a-zA-Z0-9_-]{0,30}|[0-9]{1,9}"
_UNIT = r"[a-zA-Z0-9:_.@-]{1,200}\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)"
_SET = r"[0-9]{1,4}(-[0-9]{1,4})?([ ,][0-9]{1,4}(-[0-9]{1,4})?)*"
_STATUS = rf"[0-9]{{1,2}}|1[0-9]{{2}}|2[0-4][0-9]|25[0-5]|{_SIGNAL}"
_LEVEL = "emerg|alert|crit|err|warning|notice|info|debug"
_CONTROLLERS = "cpu|cpuset|io|memory|pids"


@dataclass(frozen=True)
class Form:
    """``pattern`` of the whole value, ``what`` it is for people; numbers lie in ``low`` to ``high``.

    ``literal``: the directive knows no specifiers, so '%' is itself.
    ``key``: the property by which ``systemctl show`` gives the value back as it was written; "" for none.
    """

    pattern: str
    what: str
    low: int | None = None
    high: int | None = None
    key: str = ""
    ignore_case: bool = False
    literal: bool = False

    def takes(self, value: str) -> bool:
        if not re.fullmatch(self.pattern, value, re.IGNORECASE if self.ignore_case else 0):
            return False
        return self.low is None or self.high is None or self.low <= int(value) <= self.high

    def shown(self, value: str) -> str:
        """What ``systemctl show`` prints of ``value``."""
        if self.ignore_case:
            return "yes" if re.fullmatch(_TRUE, value, re.IGNORECASE) else "no"
        return str(int(value)) if self.low is not None else value


def _number(low: int, high: int) -> Form:
    sign = "-?" if low < 0 else ""
    return Form(rf"{sign}[0-9]{{1,9}}", f"a whole number from {low} to {high}", low, high)


def _one_of(*words: str) -> Form:
    return Form("|".join(re.escape(word) for word in words), f"one of {', '.join(words)}")


def _many(pattern: str, what: str) -> Form:
    return Form(rf"({pattern})( ({pattern}))*", what)


def _limit(pattern: str, what: str) -> Form:
    one = rf"({pattern}|infinity)"
    return Form(rf"{one}(:{one})?", f"{what}, 'infinity', or two of them parted by ':'")


_BOOLEAN = Form(rf"{_TRUE}|{_FALSE}", "yes or no", ignore_case=True)
_TIME = Form(_SPAN, "a time span such as 500ms, 2min 30s or 5")
_MODE = Form(r"0?[0-7]{3}|[0-7]{4}", "a mode of three or four octal digits")
_AMOUNT = Form(
    rf"{_BYTES}|infinity|(100|[0-9]{{1,2}})%",
    "bytes (suffixes K, M, G, T), a percentage or infinity",
    literal=True,
)
_ON_DISK = Form(rf"{_PATH} {_BYTES}", "a path and a number, such as '/dev/vda 10M'")
_SIG = Form(_SIGNAL, "a signal such as SIGTERM")
_UNITS = _many(_UNIT, "names of units, parted by spaces")
_ACTION = _one_of("none", "exit", "exit-force", "reboot", "reboot-force", "poweroff", "poweroff-force")
_LEVELS = Form(f"{_LEVEL}|[0-7]", "a level of syslog, emerg to debug")
_STATUSES = _many(_STATUS, "exit codes (0 to 255) and signals, parted by spaces")
_OUTPUT = Form(
    "inherit|null|tty|journal|kmsg|journal\\+console|kmsg\\+console|socket|fd:[a-zA-Z0-9_.-]{1,50}",
    "journal, null, inherit, kmsg, tty, socket or fd:NAME",
)
# Checked where their other rules are, in systemd_overrides.
_NAMES = Form(r".+", "names")
_COMMAND = Form(r".+", "a command")

FORMS: dict[str, Form] = {
    "CPUAffinity": Form(f"numa|{_SET}", "numbers of processors"),
    "CPUSchedulingPolicy": _one_of("other", "batch", "idle", "fifo", "rr"),
    "CPUSchedulingPriority": _number(1, 99),
    "Delegate": Form(rf"(?i:{_TRUE}|{_FALSE})|({_CONTROLLERS})( ({_CONTROLLERS}))*", "yes, no or controllers"),
    "ExitType": _one_of("main", "cgroup"),
    "FileDescriptorStoreMax": _number(0, 4096),
    "GuessMainPID": _BOOLEAN,
    "IOReadBandwidthMax": _ON_DISK,
    "IOReadIOPSMax": _ON_DISK,
    "IOSchedulingClass": _one_of("realtime", "best-effort", "idle"),
    "IOSchedulingPriority": _number(0, 7),
    "IOWriteBandwidthMax": _ON_DISK,
    "IOWriteIOPSMax": _ON_DISK,
    "KeyringMode": _one_of("inherit", "private", "shared"),
    "KillMode": _one_of("control-group", "mixed"),
    "LimitAS": _limit(_BYTES, "bytes"),
    "LimitMEMLOCK": _limit(_BYTES, "bytes"),
    "LimitMSGQUEUE": _limit(_BYTES, "bytes"),
    "LimitNICE": Form(r"[+-]([0-9]|1[0-9])|40|[1-3]?[0-9]", "a nice level such as +5, or a number from 0 to 40"),
    "LimitNPROC": _limit("[0-9]{1,9}", "a number"),
    "LimitRTPRIO": _limit("[0-9]{1,2}", "a number"),
    "LimitSIGPENDING": _limit("[0-9]{1,9}", "a number"),
    "LimitSTACK": _limit(_BYTES, "bytes"),
    "LogLevelMax": _LEVELS,
    "LogNamespace": Form(r"[a-zA-Z0-9_][a-zA-Z0-9_-]{0,50}", "a name"),
    "LogRateLimitBurst": _number(0, 1_000_000),
    "LogRateLimitIntervalSec": _TIME,
    # Nothing of it can be zero.
    "MemoryHigh": replace(_AMOUNT, pattern=r"[1-9][0-9]{0,11}[KMGT]?|infinity|(100|[1-9][0-9]?)%"),
    "MemoryLow": _AMOUNT,
    "MemoryMin": _AMOUNT,
    "MountFlags": _one_of("shared", "slave", "private"),
    "NUMAMask": Form(_SET, "numbers of nodes"),
    "NUMAPolicy": _one_of("default", "preferred", "bind", "interleave", "local"),
    "Nice": _number(-20, 19),
    "NonBlocking": _BOOLEAN,
    "NotifyAccess": _one_of("none", "main", "exec", "all"),
    "OOMPolicy": _one_of("continue", "stop", "kill"),
    "OOMScoreAdjust": _number(-1000, 1000),
    "PIDFile": Form(_PATH, "a path"),
    "PrivateUsers": _BOOLEAN,
    "RemainAfterExit": _BOOLEAN,
    "RemoveIPC": _BOOLEAN,
    "RestartSec": _TIME,
    "RuntimeDirectoryPreserve": _one_of("yes", "no", "restart"),
    "SecureBits": _many(
        "keep-caps|keep-caps-locked|no-setuid-fixup|no-setuid-fixup-locked|noroot|noroot-locked", "secure bits"
    ),
    "SendSIGHUP": _BOOLEAN,
    "SendSIGKILL": _BOOLEAN,
    "StandardInput": _one_of("null", "data", "socket", "tty", "tty-force", "tty-fail"),
    "SyslogFacility": _one_of(
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        *(f"local{number}" for number in range(8)),
    ),
    "SyslogIdentifier": Form(r"[^\s\"'\\;]+", "one word"),
    "SyslogLevel": _LEVELS,
    "TTYPath": Form(r"/dev/[a-zA-Z0-9/]+", "a path below /dev"),
    "TimeoutAbortSec": _TIME,
    "TimerSlackNSec": Form(r"[0-9]{1,12}(ns|us|ms|s)?", "a time span such as 50us"),
    "Type": _one_of("simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"),
    "UMask": _MODE,
    "WorkingDirectory": Form(rf"-?({_PATH}|~)", "a path or ~"),
    "Group": Form(_ACCOUNT, "the name of a group"),
    "SupplementaryGroups": _many(_ACCOUNT, "names of groups, parted by spaces"),
    "FinalKillSignal": _one_of("SIGKILL"),
    **dict.fromkeys(("KillSignal", "RestartKillSignal"), _SIG),
    **dict.fromkeys(("RestartForceExitStatus", "RestartPreventExitStatus", "SuccessExitStatus"), _STATUSES),
    **dict.fromkeys(("StandardError", "StandardOutput"), _OUTPUT),
    **dict.fromkeys(
        (
            "ConfigurationDirectoryMode",
            "RuntimeDirectoryMode",
            "StateDirectoryMode",
            "CacheDirectoryMode",
            "LogsDirectoryMode",
        ),
        _MODE,
    ),
    **dict.fromkeys(
        ("ConfigurationDirectory", "RuntimeDirectory", "StateDirectory", "CacheDirectory", "LogsDirectory"), _NAMES
    ),
    "ExecSearchPath": Form(rf"{_PATH}(:{_PATH})*", "paths of folders, parted by ':'"),
    **dict.fromkeys(
        ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"),
        _COMMAND,
    ),
    **dict.fromkeys(("After", "Before", "BindsTo", "OnFailure", "OnSuccess", "PartOf", "Upholds", "Wants"), _UNITS),
    "ConditionPathExists": Form(rf"\|?!?{_PATH}", "a path, with '!' before it for one that must not exist"),
    "RequiresMountsFor": _many(_PATH, "paths, parted by spaces"),
    **dict.fromkeys(("FailureAction", "StartLimitAction", "SuccessAction"), _ACTION),
}  # fmt: skip

# Directives that ``systemctl show`` prints under their own name and as they were written (tried on 252).
_SHOWN = (
    "CPUSchedulingPriority",
    "ExitType",
    "FileDescriptorStoreMax",
    "GuessMainPID",
    "IOSchedulingPriority",
    "KeyringMode",
    "KillMode",
    "LogRateLimitBurst",
    "Nice",
    "NonBlocking",
    "NotifyAccess",
    "OOMPolicy",
    "OOMScoreAdjust",
    "PrivateUsers",
    "RemainAfterExit",
    "RemoveIPC",
    "RuntimeDirectoryPreserve",
    "SendSIGHUP",
    "SendSIGKILL",
    "Type",
    "Group",
    "SupplementaryGroups",
    "StandardError",
    "StandardOutput",
    "FailureAction",
    "StartLimitAction",
    "SuccessAction",
)
FORMS.update({key: replace(FORMS[key], key=key) for key in _SHOWN})
