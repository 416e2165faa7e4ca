# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The debug overlay: an opening of one policy's sandbox for a limited time, which closes by itself.

    /run/bulkhead/debug/close                 the closer (overlay_script.py)
    /run/bulkhead/debug/<policy>/             state.json and what the closer reads; there while it is open
    /run/systemd/system/<unit>.d/zzy-bulkhead-debug.conf      what is open for the service
    /run/systemd/system/bulkhead-debug-<policy>.service.d/    what confines the shell

The timer is armed before anything opens. All of it lies in /run, so that a reboot closes it by construction.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import namedtuple

from . import (
    command,
    diffing,
    files,
    guard_files,
    health,
    overlay_files,
    overlay_state,
    overlay_words,
    receipts,
    store,
    units,
)
from .errors import HostError
from .overlay_close import close_locked, owner_of, prepare, run_closer
from .overlay_state import at, dropin_path, facts, overdue, sentence, timer_name
from .units import parse_show

LONGEST = 8 * 3600
SHORTEST = 10
WATCHED = "SystemCallFilter,WorkingDirectory,User,ActiveState"
_DURATION = re.compile(r"([0-9]{1,6})([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}

Wish = namedtuple("Wish", "words seconds by reason restart check")


def seconds_of(text):
    """``90``, ``90s``, ``30m``, ``2h`` as seconds. HostError where it is none of these or out of bounds."""
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise HostError("%r is no duration: write 90s, 30m or 2h." % (text,), state="refused")
    seconds = int(match.group(1)) * _SECONDS[match.group(2)]
    if not SHORTEST <= seconds <= LONGEST:
        raise HostError(
            "%s is out of bounds: give %d seconds to 8 hours." % (text, SHORTEST), state="refused"
        )
    return seconds


def open_(policy, wish):
    """Open the sandbox of ``policy``; the answer is plain data for the module's result."""
    place = store.Store(policy)
    if not place.exists() or not place.active():
        raise HostError(
            "policy %s is not applied on this host, so nothing can be opened." % policy, state="refused"
        )
    overlay_words.check(wish.words, wish.restart)
    for name, text in (("by", wish.by), ("reason", wish.reason)):
        if not text or len(text) > 200 or not text.isprintable():
            raise HostError("%r has to be one line of 1 to 200 letters." % name, state="refused")
    if wish.check:
        return _plan(place, wish)[0]
    with place.lock():
        if overdue(facts(policy)):
            close_locked(place, "its time is over")
        answer, made = _plan(place, wish)
        if answer["changed"]:
            place.sign()
            _open_locked(place, wish, answer, made)
        return answer


def _settled(place):
    """HostError unless one generation is confirmed and nothing is under way."""
    if place.open_change():
        raise HostError(
            "policy %s has a change that is not confirmed: nothing is opened before it is." % place.policy,
            state="refused",
        )
    entries, _fault = receipts.load(place.at("receipts.jsonl"))
    changes = [entry for entry in entries if not str(entry.get("event")).startswith("DEBUG_")]
    if changes and changes[-1].get("event") in ("REVERTING", "REVERT_FAILED"):
        raise HostError(
            "the last way back of policy %s failed: apply it first." % place.policy, state="refused"
        )


def _plan(place, wish):
    _settled(place)
    bundle = place.load(place.active())
    if bundle is None:
        raise HostError("the active generation of policy %s is damaged: apply it first." % place.policy)
    policy, unit = place.policy, bundle.unit
    now = facts(policy, unit)
    if now["open"] and not overdue(now):
        same = {"words": sorted(wish.words), "by": wish.by, "reason": wish.reason}
        if any(now.get(key) != value for key, value in same.items()):
            raise HostError("policy %s is %s. Close it first." % (policy, sentence(now)), state="refused")
        return {
            "changed": False,
            "state": "open",
            "debug": now,
            "diff": [],
            "restarted": [],
            "notes": [],
        }, None
    done = command.must(["systemctl", "show", "-p", WATCHED, "--", unit], "reading %s" % unit)
    shown = parse_show(done.stdout, [unit])[unit]
    cores = overlay_words.Cores(shown.get("WorkingDirectory", ""), os.path.join(overlay_state.CORES, policy))
    words = sorted(wish.words)
    if "core_dumps" in words and cores.own:
        owner_of(shown)  # refused before anything is laid down
    lines = overlay_files.service_lines(words, shown, cores)
    made, shell = [], ""
    if lines and wish.restart:
        made.append(overlay_files.artifact(dropin_path(unit), overlay_files.dropin_text(policy, lines)))
    if "shell" in words:
        shell = overlay_files.shell_unit(policy, unit)
        original = command.must(["systemctl", "cat", "--", unit], "reading %s" % unit).stdout
        text = overlay_files.shell_text(policy, unit, original, lines)
        made.append(overlay_files.artifact(dropin_path(shell), text))
    running = units.running(shown)
    profile = _profile(bundle, words, cores)
    restarted = [unit] if running and lines and wish.restart else []
    state = {
        "words": words,
        "by": wish.by,
        "reason": wish.reason,
        "seconds": wish.seconds,
        "digest": bundle.digest,
        "unit": unit,
        "shell": shell,
        "clauses": overlay_words.clauses(words, [verdict["clause"] for verdict in bundle.data["verdicts"]]),
    }
    answer = {
        "changed": True,
        "state": "closed",
        "debug": {"open": False, **state},
        "diff": diffing.of_change(made + ([profile] if profile else []), []),
        "restarted": restarted,
        "notes": _notes(words, cores, shell, restarted, policy),
    }
    return answer, (bundle, state, made, cores, shown, profile)


def _profile(bundle, words, cores):
    """The opened copy of the policy's AppArmor profile, None where it has none or the words ask nothing of it.

    It is loaded under the same name, so that it holds for what runs already; the closer loads the policy's own again.
    """
    own = [item for item in bundle.artifacts if item.kind == "apparmor"]
    if not own or not any(word in overlay_words.PROFILE_RULES for word in words):
        return None
    name = os.path.basename(own[0].path)
    text = overlay_files.profile_text(words, name, own[0].content.decode(), cores.folder or "/dev/null")
    return overlay_files.artifact(at(bundle.policy, name), text)


def _notes(words, cores, shell, restarted, policy):
    notes = [overlay_words.WORDS[word].warning for word in words]
    if restarted:
        notes.append("%s restarts now, and once more when this closes." % restarted[0])
    if "core_dumps" in words:
        notes.append("core_dumps: %s." % cores.where)
    if shell:
        notes.append("shell: as root on the host, 'sh %s' or 'sh %s COMMAND'." % ((at(policy, "enter"),) * 2))
    return notes


def _open_locked(place, wish, answer, made):
    bundle, state, artifacts, cores, shown, profile = made
    policy, unit = place.policy, bundle.unit
    deadline = store.uptime() + wish.seconds
    state.update(deadline=deadline, boot_id=store.boot_id(), opened=_time(0), until=_time(wish.seconds))
    prepare(policy, state, artifacts, cores if "core_dumps" in wish.words else None, shown)
    if profile:
        own = next(item for item in bundle.artifacts if item.kind == "apparmor")
        files.write(profile.path, profile.content)
        files.write(at(policy, "own"), own.content)  # for the closer, should the file go meanwhile
        files.write(at(policy, "profile"), own.path.encode() + b"\n")
    try:
        _arm(policy, wish.seconds)
        # From here on it counts as open: the last thing that goes when it closes.
        files.write(at(policy, "state.json"), json.dumps(state, sort_keys=True, indent=1).encode() + b"\n")
        place.receipt(
            "DEBUG_OPENED",
            **{key: state[key] for key in ("words", "by", "reason", "until", "digest", "clauses")},
        )
        for item in artifacts:
            files.write(item.path, item.content, item.mode)
        _in_time(policy)
        if profile:
            command.must(
                ["apparmor_parser", "-K", "-r", profile.path], "opening the AppArmor profile", timeout=60
            )
        units.reload_manager()
        if answer["restarted"]:
            units.restart([unit])
            health.check_all(bundle.health)
        _in_time(policy)
    except (HostError, OSError) as problem:
        if not os.path.exists(at(policy, "files")):
            prepare(policy, state, artifacts, cores if "core_dumps" in wish.words else None, shown)
        run_closer(policy, "it could not be opened")
        text = getattr(problem, "strerror", None) or str(problem)
        raise HostError("%s Nothing is open." % text, state="reverted") from None
    answer.update(state="open", debug=facts(policy, unit))


def _in_time(policy):
    """HostError where the closer was faster: on a host that is slower than the time that was asked for."""
    if not os.path.exists(at(policy, "state.json")):
        raise HostError(
            "the time was over before it was open: give it longer than this host needs to restart."
        )


def _time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def _arm(policy, seconds):
    """Start the timer that closes it. What closes it where a soft reboot ends the timer is on the host before."""
    guard_files.install()
    closer = os.path.join(overlay_state.HOME, "close")
    command.must(["/bin/sh", closer, policy, "arm", "%d" % seconds], "arming the closer of the debug overlay")
    timer = timer_name(policy)
    if units.show([timer])[timer].get("ActiveState") != "active":
        raise HostError("the closer of the debug overlay is not armed.")
