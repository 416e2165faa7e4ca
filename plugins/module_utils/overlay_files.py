# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of an overlay's files. All of them lie in /run: a reboot closes whatever else fails to."""

from __future__ import annotations

from . import overlay_words
from .bundles import Artifact
from .probing_unit import quote, strip_for_clone

HEAD = "# Bulkhead: open for debugging, closes by itself (policy %s)\n"

# What systemd-run sets for the terminal, and what a unit's own file would take away from it.
_TERMINAL = ("StandardInput", "StandardOutput", "StandardError", "TTY", "Description")


def shell_unit(policy, unit):
    """The unit in which the shell runs; an instance keeps its instance's name, which its files may use."""
    instance = unit.partition("@")[2]
    return "bulkhead-debug-%s%s" % (policy, "@" + instance if instance else ".service")


def filter_lines(words, filters):
    """SystemCallFilter= lines. ``filters``: what systemd shows of it; "~" alone is no filter, and must stay none."""
    names = overlay_words.syscalls(words)
    if not names or filters.strip() in ("", "~"):
        return []
    # After an allow-list this adds to it, after a deny-list (shown with a leading ~) it takes away from it.
    return ["SystemCallFilter=" + " ".join(names)]


def core_lines(cores):
    lines = ["LimitCORE=infinity"]
    if cores.folder:
        # A path that is writable would be executable too: systemd mounts it anew.
        lines += ["ReadWritePaths=-" + quote(cores.folder), "NoExecPaths=-" + quote(cores.folder)]
    if cores.own:
        lines.append("WorkingDirectory=" + quote(cores.folder).strip('"'))
    return lines


def service_lines(words, shown, cores):
    """[Service] lines for the service itself. ``shown``: its properties."""
    lines = filter_lines(words, shown.get("SystemCallFilter", ""))
    if "core_dumps" in words:
        lines += core_lines(cores)
    return lines


def shell_text(policy, unit, original, lines):
    """The drop-in of the shell's unit: all that confines the service, the openings, and the programs of a shell.

    ``original``: ``systemctl cat`` of the service without this overlay.
    """
    kept = []
    for line in strip_for_clone(original).splitlines():
        key = line.partition("=")[0].strip()
        if "=" not in line or not key.startswith(_TERMINAL):
            kept.append(line)
    programs = ["ExecPaths=-%s" % path for path in overlay_words.PROGRAMS]
    # RuntimeDirectory= would go with the shell's end, and with it the live service's.
    tail = [
        "",
        "[Unit]",
        "JoinsNamespaceOf=" + unit,
        "",
        "[Service]",
        "RuntimeDirectoryPreserve=yes",
        "Restart=no",
    ]
    return HEAD % policy + "\n".join(kept + tail + programs + lines) + "\n"


def profile_text(words, name, text, folder):
    """The policy's AppArmor profile with the rules that ``words`` open, before the brace that ends it."""
    names = {"profile": name, "cores": folder}
    rules = ["  " + rule % names for word in words for rule in overlay_words.PROFILE_RULES.get(word, ())]
    body, _brace, _rest = text.rpartition("}")
    return body + "  # Bulkhead: open for debugging\n" + "".join(rule + "\n" for rule in rules) + "}\n"


def dropin_text(policy, lines):
    return HEAD % policy + "[Service]\n" + "\n".join(lines) + "\n"


def enter_text(policy, name):
    """A program that starts a shell, or the command that it is given, in the confinement of the service."""
    return (
        "#!/bin/sh\n# enter [COMMAND...]: inside of the sandbox of policy %s, while it is open\n"
        "[ $# -gt 0 ] || set -- /bin/sh -i\nway=--pipe\n[ ! -t 0 ] || way=--pty\n"
        'exec systemd-run --quiet --collect "$way" --unit=%s "$@"\n' % (policy, name)
    )


def artifact(path, text, mode=0o644):
    return Artifact(path, "debug", mode, "root", "root", "", text.encode())
