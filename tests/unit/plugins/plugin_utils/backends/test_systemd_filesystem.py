# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drop-in's mounts make of a path, held against what the policy says about it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from linux_support import by_systemd, host, path, values, verdict, words

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_names import below, within
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.evaluate import Outcome, path_act

CLOSED = (
    m.ReadClosure("filesystem.read"),
    m.WriteClosure("filesystem.write"),
    m.ExecuteClosure("filesystem.execute"),
)
# Below a data tree, which is hidden, and beside one, where everything can be read.
trees = st.tuples(
    st.sampled_from(["/srv", "/data"]), st.sampled_from(["a", "a/a", "a/a/a", "a/a/b", "ab"])
).map("/".join)
entries = st.tuples(st.sampled_from([m.Read, m.Write, m.Execute, m.Spawn, m.Deny]), trees)


def clauses(found):
    return [kind(f"{kind.section}[{n}]", path=path(text)) for n, (kind, text) in enumerate(found)]


class Mounts:
    """What systemd makes of a drop-in's path lists, as tried on systemd 252 and 257.

    The deepest mount around a path decides, nothing below an inaccessible one opens again, and a read-only bind is
    executable unless NoExecPaths names that very path.
    """

    def __init__(self, made):
        self.lists = {
            key: [words(value)[0].removeprefix("-").partition(":")[0] for value in values(made, key) if value]
            for key in (
                *("InaccessiblePaths", "TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths"),
                *("ReadWritePaths", "ReadOnlyPaths", "NoExecPaths", "ExecPaths"),
            )
        }

    def _deepest(self, file, *keys):
        return max(
            (tree for key in keys for tree in self.lists[key] if within(file, tree)), key=len, default=""
        )

    def read(self, file):
        if self._deepest(file, "InaccessiblePaths"):
            return False
        binds = ("BindPaths", "BindReadOnlyPaths", "ReadWritePaths", "ReadOnlyPaths")
        hidden = self._deepest(file, "TemporaryFileSystem")
        # Path lists open nothing that a bind has not put into the empty file system.
        return not hidden or below(self._deepest(file, *binds[:2]), hidden)

    def write(self, file):
        opened = self._deepest(file, "ReadWritePaths", "BindPaths")
        closed = self._deepest(file, "ReadOnlyPaths", "BindReadOnlyPaths", "TemporaryFileSystem")
        return self.read(file) and len(opened) > len(closed)

    def execute(self, file):
        opened = self._deepest(file, "BindReadOnlyPaths", "ExecPaths")
        closed = self._deepest(file, "NoExecPaths", "TemporaryFileSystem")
        return self.read(file) and len(opened) > len(closed)


@given(st.lists(entries, max_size=6), trees)
@settings(deadline=None, max_examples=300)
def test_mounts_decide_as_the_policy_says(found, file):
    mounts = Mounts(by_systemd(*CLOSED, *clauses(found)))
    for action in ("read", "write", "execute"):
        decision = path_act(clauses(found), action, file, m.OS.LINUX)
        if action == "read" and not decision.clause and not within(file, "/srv"):
            continue  # not hidden by default, as the verdict of filesystem.read says
        wanted = decision.outcome is Outcome.ALLOW
        assert getattr(mounts, action)(file) is wanted, (action, mounts.lists)


def test_a_grant_inside_of_a_wider_one_is_loose_and_says_until_when():
    made = by_systemd(
        *CLOSED,
        m.Write("w", path=path("/srv/app")),
        m.Read("r", path=path("/srv/app/static")),
        m.Execute("x", path=path("/opt/tools")),
        m.Read("d", path=path("/opt/tools/data")),
        m.Read("other", path=path("/data")),
    )
    assert values(made, "ReadOnlyPaths") == ["-/opt/tools/data", "-/run", "-/srv/app/static"]
    assert {"-/opt/tools/data", "-/srv/app/static"} <= set(values(made, "NoExecPaths"))
    for clause in ("r", "d"):
        assert "put in its place while the unit runs has the wider grant's rights" in dict(made.loose)[clause]
    assert sorted(dict(made.loose)) == ["d", "r"]
    assert {verdict(made, clause).status for clause in ("w", "x", "other", "d", "r")} == {Status.ENFORCED}


def test_what_is_denied_around_it_is_no_wider_grant():
    made = by_systemd(
        *CLOSED,
        m.Write("w", path=path("/srv/app")),
        m.Deny("d", path=path("/srv/app/private")),
        m.Read("r", path=path("/srv/app/private/public")),
    )
    assert verdict(made, "r").status is Status.ENFORCED and made.loose == ()
    assert "-/srv/app/private/public" in values(made, "BindReadOnlyPaths")


def test_reading_inside_of_a_private_folder_is_loose():
    made = by_systemd(*CLOSED, m.Write("w", path=path("/tmp")), m.Read("r", path=path("/tmp/in")))
    assert list(dict(made.loose)) == ["r"]


def test_a_socket_takes_nothing_from_the_folder_that_it_is_in():
    made = by_systemd(
        *CLOSED,
        m.UnixSocketClosure("ipc.unix"),
        m.Write("w", path=path("/run/app")),
        m.UnixSocket("u", path=path("/run/app/x.sock")),
    )
    assert values(made, "ReadOnlyPaths") == ["-/run"]
    assert values(made, "ReadWritePaths") == ["-/run/app"]


def test_only_what_a_policy_asks_for_by_name_is_writable_and_executable():
    library, program = m.Write("l", path=path("/usr/lib")), m.Write("w", path=path("/data/run"))
    unit = host(service={"ExecStart": ["/data/run"]})
    for made in (by_systemd(*CLOSED, library), by_systemd(*CLOSED, program, on=unit)):
        assert values(made, "ExecPaths") == []
    made = by_systemd(*CLOSED, program, m.Execute("x", path=path("/data/run")), on=unit)
    assert values(made, "ExecPaths") == ["-/data/run"]
    assert "-/data/run" not in values(made, "BindReadOnlyPaths")
