# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each word of a debug overlay opens, what it costs, and what on this host speaks against it. Data first."""

from __future__ import annotations

import os
from collections import namedtuple

from . import files
from .errors import HostError

# syscalls: added to the filter; clauses: sections that no longer hold as written; restart: the service itself has to
# be started anew for it; warning: for people.
Word = namedtuple("Word", "syscalls clauses restart warning")

WORDS = {
    "ptrace": Word(
        # What gdb and strace call on processes of their own user: ptrace(2), process_vm_readv(2), kcmp(2).
        ("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"),
        ("processes.syscalls",),
        True,
        "ptrace: a process inside can read and change every process of its user.",
    ),
    "perf": Word(
        ("perf_event_open",),
        ("processes.syscalls",),
        True,
        "perf: kernel.perf_event_paranoid is the host's own and was not changed.",
    ),
    "core_dumps": Word(
        (),
        ("memory.core_dumps",),
        True,
        "core_dumps: a core holds all that the process knew, keys and passwords too.",
    ),
    "shell": Word(
        (),
        ("filesystem.execute", "processes.spawn"),
        False,
        "shell: all installed programs can be run in it, under everything else that the policy says.",
    ),
}

# Rules that an opened AppArmor profile has more; %(profile)s is its name, %(cores)s a folder.
PROFILE_RULES = {
    "ptrace": ("ptrace (trace, tracedby, read, readby) peer=%(profile)s,",),
    "core_dumps": ('"%(cores)s/{,**}" rw,',),
    "shell": (
        '"/{,usr/,usr/local/}{bin,sbin}/{,**}" mrix,',
        '"/{,usr/,usr/local/}lib{,64}/{,**}" mrix,',
        '"/{etc,usr/share,usr/lib}/terminfo/{,**}" r,',
        '"/etc/{profile,bash.bashrc,inputrc,profile.d/**}" r,',
        '"/dev/{tty,pts/*}" rw,',
    ),
}

# Programs of the shell, and the libraries that they need.
PROGRAMS = (
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/bin",
    "/sbin",
)
PROC_SYS = "/proc/sys"


def _sysctl(name):
    return files.read_text(os.path.join(PROC_SYS, name)).strip()


def _level(name):
    text = _sysctl(name)
    return int(text) if text.lstrip("-").isdigit() else None


def objections(words, restart):
    """Why this host cannot open ``words``; one sentence each. ``restart``: whether the service may be restarted."""
    found = []
    if "perf" in words:
        level = _level("kernel/perf_event_paranoid")
        if level is not None and level > 2:
            found.append(
                "perf: kernel.perf_event_paranoid is %d on the whole host, which refuses perf_event_open inside"
                " whatever is opened. Profile from outside instead: 'perf record -p PID' as root needs none."
                % level
            )
    if "ptrace" in words and _level("kernel/yama/ptrace_scope") == 3:
        found.append(
            "ptrace: kernel.yama.ptrace_scope is 3, which refuses it to the whole host until a reboot."
        )
    if "core_dumps" in words and not _sysctl("kernel/core_pattern"):
        found.append("core_dumps: kernel.core_pattern is empty, so this host writes no cores.")
    if not restart:
        # The shell is a unit of its own: what is opened for it alone needs no restart of the service.
        stuck = [
            word for word in words if WORDS[word].restart and (word == "core_dumps" or "shell" not in words)
        ]
        if stuck:
            found.append("%s: needs a restart of the service, and restart is 'never'." % ", ".join(stuck))
    return found


def check(words, restart):
    """HostError ``refused`` where ``words`` cannot be opened here."""
    unknown = sorted(set(words) - set(WORDS))
    if unknown or not words:
        raise HostError(
            "there is no opening %s; there are %s."
            % (", ".join(map(repr, unknown)) or "without a word", ", ".join(sorted(WORDS))),
            state="refused",
        )
    found = objections(words, restart)
    if found:
        raise HostError(" ".join(found), state="refused")


class Cores:
    """Where a core goes: ``folder`` that has to be writable inside ("" for none), and ``where`` in words."""

    def __init__(self, working_directory, own_folder):
        pattern = _sysctl("kernel/core_pattern")
        self.own = False
        if pattern.startswith("|"):
            # A program outside of the sandbox gets it; core(5).
            self.folder, self.where = "", "kernel.core_pattern hands it to %s" % pattern[1:].split()[0]
        elif pattern.startswith("/"):
            self.folder = os.path.dirname(pattern)
            self.where = "kernel.core_pattern writes it to %s" % pattern
        elif working_directory in ("", "/"):
            self.own, self.folder = True, own_folder
            self.where = "it is written to %s as %s, until the next reboot" % (own_folder, pattern)
        else:
            self.folder = working_directory.lstrip("!-")
            self.where = "it is written to the service's own folder %s" % self.folder


def clauses(words, known):
    """The clause ids of ``known`` that ``words`` open: closures, not grants, which stay granted."""
    sections = {section for word in words for section in WORDS[word].clauses}
    return [clause for clause in known if clause in sections]


def syscalls(words):
    return [name for word in words for name in WORDS[word].syscalls]
