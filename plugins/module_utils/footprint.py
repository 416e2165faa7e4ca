# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories we made or touched, so that removal leaves none of ours and gives the others their time back.

``/var/lib/bulkhead/directories.json``: {path: {"created": true}} or {path: {"before": ns, "after": ns}}. ``before`` is
the mtime without us, ``after`` the one that our last change left. A directory whose mtime is no longer ``after`` has
been changed by somebody else since: its time is the truth and stays. ``open``: a change of ours was cut off there.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager

from . import bundles, files, store

# Where the time of the base's parent is kept while the base comes or goes, and the record in it with it.
ASIDE = "/run/bulkhead.parent"
# What lies beside the policies' folders.
OWN = ("_compiled", "_sources", "directories.json", "guard", "lock", "made")
# Nanoseconds between the note and what it announces, at the most.
BLUR = 2_000_000_000


def _record_path():
    return os.path.join(store.BASE, "directories.json")


def load():
    """The record. What is damaged in it counts as not noted: those directories stay as they are."""
    try:
        found = json.loads(files.read_text(_record_path()) or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {path: entry for path, entry in found.items() if path.startswith("/") and _sound(entry)}


def _sound(entry):
    if not isinstance(entry, dict):
        return False
    return entry.get("created") is True or all(isinstance(entry.get(key), int) for key in ("before", "after"))


def _save(record):
    files.write(_record_path(), json.dumps(record, sort_keys=True, indent=1).encode() + b"\n")
    # The guard reads which directories it may remove when they are empty: one a line, deepest first.
    made = sorted((path for path in record if "created" in record[path]), reverse=True)
    text = "".join(path + "\n" for path in made).encode()
    path = os.path.join(store.BASE, "made")
    if files.read(path) != text:
        files.write(path, text)


def note_base():
    """Create the base directory and remember the time of the directory it stands in. Of two at once one does."""
    if os.path.isdir(store.BASE):
        return
    parent = os.path.dirname(store.BASE)
    before = _kept_aside() or os.stat(parent).st_mtime_ns
    _keep_aside(before)
    try:
        os.mkdir(store.BASE, 0o700)
    except FileExistsError:
        return
    files.sync_directory(parent)
    with alone():
        pass  # whoever has the lock takes the note over into the record


def _keep_aside(before):
    parent = os.path.dirname(store.BASE)
    note = {"before": before, "after": os.stat(parent).st_mtime_ns, "at": time.time_ns()}
    files.write(ASIDE, json.dumps(note).encode() + b"\n")


def _kept_aside():
    """The time of the base's parent without us, as a run that was cut off there has left it; None without one.

    Not to be believed where somebody else has changed the parent since.
    """
    try:
        note = json.loads(files.read_text(ASIDE) or "null")
        now = os.stat(os.path.dirname(store.BASE)).st_mtime_ns
        ours = note and (now == note["after"] or -BLUR < now - note["at"] < BLUR)
        return note["before"] if ours and _sound(note) else None
    except (ValueError, KeyError, TypeError):
        return None


def _take_over():
    """The base is there, and its lock is held: from here on the record in it keeps the parent's time."""
    if not os.path.exists(ASIDE):
        return
    parent, before, record = os.path.dirname(store.BASE), _kept_aside(), load()
    if before is not None and parent not in record:
        _save({**record, parent: {"before": before, "after": os.stat(parent).st_mtime_ns}})
    files.remove(ASIDE)


def settle():
    """Without a base: give its parent the time back that a removal, cut off at its last step, still owes it."""
    before = _kept_aside()
    parent = os.path.dirname(store.BASE)
    if before is not None and not os.path.isdir(store.BASE):
        _give(parent, os.stat(parent), before)
    files.remove(ASIDE)


_held = []


@contextmanager
def alone():
    """The record and the directories are common to all policies, whose own locks do not exclude each other."""
    if _held:
        yield
        return
    descriptor = None
    while descriptor is None:
        try:
            descriptor = files.locked(os.path.join(store.BASE, "lock"))
        except FileNotFoundError:  # the last policy was just removed
            note_base()
    _held.append(descriptor)
    try:
        _take_over()
        yield
    finally:
        os.close(_held.pop())


@contextmanager
def touching(paths, others=()):
    """Around every change below the parents of ``paths``: makes missing parents (0755) and keeps the record.

    ``others``: paths whose parents are kept as well, where they are there.
    """
    paths = list(paths) + [path for path in others if os.path.isdir(os.path.dirname(path))]
    if not paths:
        yield
        return
    with alone():
        yield from _touching(paths)


def _touching(paths):
    record = load()
    parents = sorted({os.path.dirname(path) for path in paths})
    for parent in parents:
        _make(parent, record)
    for parent in parents:
        if "created" not in record.get(parent, {}):
            _observe(parent, record)
            record[parent]["open"] = True
    _save(record)
    try:
        yield
    finally:
        for parent in parents:
            entry = record.get(parent, {})
            if "before" in entry and os.path.isdir(parent):
                entry["after"] = os.stat(parent).st_mtime_ns
                entry.pop("open", None)
        _save(record)


def _observe(path, record):
    now = os.stat(path).st_mtime_ns
    entry = record.setdefault(path, {"before": now, "after": now})
    if entry.pop("open", False):
        entry["after"] = now
    elif entry["after"] != now:
        record[path] = {"before": now, "after": now}


def _make(path, record):
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make(parent, record)
    if "created" not in record.get(parent, {}):
        _observe(parent, record)
    # Recorded before it is made: a power cut in between must not leave a directory that nobody owns up to, nor a time.
    record[path] = {"created": True}
    with _changing(parent, record):
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)
        files.sync_directory(parent)


@contextmanager
def _changing(path, record):
    """Around one change of ours in the directory ``path``: its time after it is ours, also where it is cut off."""
    entry = record.get(path, {})
    ours = "before" in entry and ("open" in entry or os.stat(path).st_mtime_ns == entry["after"])
    if ours:
        entry["open"] = True
    _save(record)
    yield
    if ours:
        entry["after"] = os.stat(path).st_mtime_ns
        del entry["open"]


def withdraw(still_used):
    """Remove directories that we made and that are empty, give the others their old time, forget both.

    ``still_used``: paths of other policies' files; their directories stay on record.
    """
    record = load()
    used = {os.path.dirname(path) for path in still_used}
    waits = set()  # for its time: what we made in it stays for now
    for path in sorted(record, key=len, reverse=True):
        parent = os.path.dirname(path)
        if any(name == path or name.startswith(path + "/") for name in used):
            waits |= {parent} if "created" in record[path] else set()
            continue
        if "created" in record[path]:
            if os.path.isdir(path):
                if os.listdir(path):
                    continue  # somebody else's file is in it now
                with _changing(parent, record):
                    os.rmdir(path)
            del record[path]
    for path in sorted(record):
        entry = record[path]
        if "before" in entry and path not in used | waits and path != os.path.dirname(store.BASE):
            restore_time(path, entry)
            del record[path]
    _save(record)


def withdraw_base():
    """Remove the whole state, and give /var/lib its time back.

    What others keep in it stays, and with it the directory, which may be a file system of its own.
    """
    parent = os.path.dirname(store.BASE)
    entry = load().get(parent)
    if entry and os.stat(parent).st_mtime_ns == entry["after"]:
        _keep_aside(entry["before"])
    for name in filter(_is_own, os.listdir(store.BASE)):
        path = os.path.join(store.BASE, name)
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    try:
        os.rmdir(store.BASE)
    except OSError:
        files.remove(ASIDE)
        return
    files.sync_directory(parent)
    settle()


def remains():
    """Whether there is anything of ours below the state: what others keep is not, nor is a file system of its own."""
    names = os.listdir(store.BASE)
    return any(_is_own(name) for name in names) or not (names or os.path.ismount(store.BASE))


def _is_own(name):
    if name in OWN or (name.startswith(".") and name.endswith((".bulkhead", ".gone"))):
        return True
    path = os.path.join(store.BASE, name)  # of a run that was killed right after it had made it
    return bundles.is_name(name) and os.path.isdir(path) and not os.listdir(path)


def _give(path, status, before):
    os.utime(path, ns=(status.st_atime_ns, before))


def restore_time(path, entry):
    """Give a directory its old time back, unless somebody else has changed it since."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    if status.st_mtime_ns == entry["after"] or "open" in entry:
        _give(path, status, entry["before"])
