# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import fcntl
import grp
import hashlib
import os
import pwd
import stat

from .errors import HostError


def sync_directory(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def locked(path, flags=fcntl.LOCK_EX):
    """A descriptor that holds the lock of the file at ``path``, which is made where it is not there.

    None where the file was unlinked while we waited: that would be a lock on nothing. BlockingIOError with LOCK_NB
    while somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, flags)
        if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
            return descriptor
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def temporary_name(path):
    """One fixed name per file: a second try overwrites what a killed first try left, and removal finds it.

    The leading dot and the suffix keep systemd and every ``*.conf`` glob from reading it.
    """
    directory, name = os.path.split(path)
    return os.path.join(directory, ".%s.bulkhead" % name)


def write(path, content, mode=0o600, uid=0, gid=0):
    """Replace ``path`` by ``content`` (bytes), durably. The old file stays until the new one is whole."""
    temporary = temporary_name(path)
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            if os.geteuid() == 0:
                os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as problem:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise HostError("cannot write %s: %s." % (path, problem.strerror)) from problem
    sync_directory(os.path.dirname(path))


def check_writable(paths):
    """HostError where one of these files could not be made: its file system is read-only (access(2) tells root so)."""
    for path in paths:
        folder = os.path.dirname(path)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        if not os.access(folder, os.W_OK):
            raise HostError(
                "%s cannot be written on this host: %s is read-only. Nothing was changed." % (path, folder),
                state="refused",
            )


def remove(path):
    """Unlink ``path``, durably; True when it was there."""
    for name in (temporary_name(path), path):
        try:
            os.unlink(name)
        except FileNotFoundError:
            if name == path:
                return False
    sync_directory(os.path.dirname(path))
    return True


def read(path):
    """The bytes of a regular file, or None where there is none. A link counts as none: we never made one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def read_text(path):
    content = read(path)
    return "" if content is None else content.decode("utf-8", "replace")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def user_id(name):
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise HostError("user %r does not exist on this host." % name) from None


def group_id(name):
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise HostError("group %r does not exist on this host." % name) from None


def difference(path, content, mode, uid, gid):
    """Why ``path`` is not as it should be: ``missing``, ``content``, ``mode``, ``owner``; "" when it is."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return "missing"
    if not stat.S_ISREG(status.st_mode) or read(path) != content:
        return "content"
    if stat.S_IMODE(status.st_mode) != mode:
        return "mode"
    if (status.st_uid, status.st_gid) != (uid, gid):
        return "owner"
    return ""
