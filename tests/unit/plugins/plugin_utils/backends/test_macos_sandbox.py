# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_systems import content, hostile_text, manifest, path, run, verdict
from sbpl_model import Profile, read

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import macos_sandbox
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import (
    BackendError,
    Features,
    Status,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import evaluate
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.paths import covers

MAC = m.OS.MACOS
OPERATIONS = {"read": "file-read-data", "write": "file-write-data", "execute": "process-exec*"}
# Few names, so that trees meet.
names = st.sampled_from(["a", "a", "a", "ab"])
trees = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/srv/" + "/".join(parts))
globs = st.lists(st.sampled_from(["a", "*", "a*", "?b", "[ab]"]), max_size=3).map(
    lambda parts: "/srv/" + "/".join([*parts, "*"])
)
kinds = st.sampled_from([m.Read, m.Write, m.Execute, m.Spawn, m.Deny])
entries = st.one_of(
    st.tuples(kinds, trees, st.just(False)),
    st.tuples(kinds, globs, st.just(True)),
    st.tuples(kinds, st.sampled_from(["/srv", "/usr/lib", "/usr"]), st.just(False)),
)
files = st.one_of(trees, st.sampled_from(["/srv", "/usr/lib/x.dylib", "/usr/bin/env", "/etc/master.passwd"]))


def clauses(found: list[tuple[type[m.PathClause], str, bool]]) -> list[m.Clause]:
    return [
        kind(f"{kind.section}[{number}]", path=path(MAC, text, glob))
        for number, (kind, text, glob) in enumerate(found)
    ]


def profile(*found: m.Clause, mode: m.Mode = m.Mode.ENFORCE) -> Profile:
    return Profile(content(run("macos_sandbox", MAC, *found, mode=mode), "demo.sb"))


@given(st.lists(entries, max_size=6), files, st.sampled_from(sorted(OPERATIONS)))
def test_files_are_decided_as_the_policy_says(found, file, action):
    wanted = evaluate.path_act(clauses(found), action, file, MAC)
    assert profile(*clauses(found)).ask(OPERATIONS[action], file).allow is (
        wanted.outcome is evaluate.Outcome.ALLOW
    )


@given(st.lists(entries, max_size=6), files, st.sampled_from(sorted(OPERATIONS)))
def test_audit_allows_everything_and_reports_what_would_be_denied(found, file, action):
    strict = profile(*clauses(found)).ask(OPERATIONS[action], file)
    audit = profile(*clauses(found), mode=m.Mode.AUDIT).ask(OPERATIONS[action], file)
    assert audit.allow
    assert audit.report is not strict.allow


def test_audit_has_no_denial():
    everything = clauses([(m.Deny, "/srv/a", False), (m.Write, "/srv", False)])
    text = content(run("macos_sandbox", MAC, *everything, mode=m.Mode.AUDIT), "demo.sb")
    assert "(deny" not in text
    assert "(allow default)" in text


@given(st.lists(entries, max_size=4), st.lists(entries, min_size=1, max_size=2), files)
def test_another_denial_never_adds_access(found, more, file):
    more = [(m.Deny, text, glob) for _, text, glob in more]
    for operation in OPERATIONS.values():
        if profile(*clauses(found + more)).ask(operation, file).allow:
            assert profile(*clauses(found)).ask(operation, file).allow


@given(
    st.permutations(
        clauses([(m.Read, "/srv/a", False), (m.Write, "/srv", False), (m.Deny, "/srv/a/b", False)])
    )
)
def test_order_of_clauses_changes_no_byte(order):
    plain = run("macos_sandbox", MAC, *sorted(order, key=lambda clause: clause.id))
    assert run("macos_sandbox", MAC, *order).artifacts == plain.artifacts


def test_reading_inside_of_writing_is_read_only_and_cannot_be_carried_away():
    asked = profile(*clauses([(m.Write, "/srv", False), (m.Read, "/srv/a/b", False)]))
    assert asked.ask("file-write-data", "/srv/a/x").allow
    assert asked.ask("file-read-data", "/srv/a/b/x").allow
    assert not asked.ask("file-write-data", "/srv/a/b/x").allow
    for above in ("/srv", "/srv/a", "/srv/a/b"):
        assert not asked.ask("file-write-unlink", above).allow
    alone = content(run("macos_sandbox", MAC, *clauses([(m.Read, "/srv/a/b", False)])), "demo.sb")
    assert "(deny file-write" not in alone


@given(trees)
def test_nothing_above_a_denied_tree_can_be_renamed(tree):
    asked = profile(*clauses([(m.Write, "/srv", False), (m.Deny, tree, False)]))
    parts = tree.split("/")
    for end in range(2, len(parts) + 1):
        assert not asked.ask("file-write-unlink", "/".join(parts[:end])).allow
    assert asked.ask("file-write-unlink", "/srv/other/file").allow


def test_a_pattern_protects_what_is_above_it():
    asked = profile(
        m.Write("w", path=path(MAC, "/srv")), m.Deny("d", path=path(MAC, "/srv/*/keys/*.pem", glob=True))
    )
    assert not asked.ask("file-write-unlink", "/srv/site").allow
    assert not asked.ask("file-write-unlink", "/srv/site/keys").allow
    assert asked.ask("file-write-unlink", "/srv/site/pages").allow
    assert not asked.ask("file-read-data", "/srv/site/keys/a.pem").allow


@pytest.mark.parametrize(
    ("written", "real"),
    [
        ("/tmp/x", "/private/tmp/x"),
        ("/var/db/x", "/private/var/db/x"),
        ("/etc/x", "/private/etc/x"),
        ("/home/x", "/System/Volumes/Data/home/x"),
        ("/Users/x", "/Users/x"),
    ],
)
def test_system_links_are_resolved(written, real):
    asked = profile(m.Read("r", path=path(MAC, written)))
    assert asked.ask("file-read-data", real).allow
    assert real == written or not asked.ask("file-read-data", written).allow


@pytest.mark.parametrize(
    "wrong", ["/srv/../etc", "srv", "/srv/./x", "/srv/a\nb", '/srv/\ud800"', "/srv/\x1b[0m"]
)
def test_paths_with_another_meaning_are_refused(wrong):
    made = run("macos_sandbox", MAC, m.Read("filesystem.read[x]", path=path(MAC, wrong)))
    said = verdict(made, "filesystem.read[x]")
    assert said.status is Status.REFUSED
    assert repr(wrong) in said.detail and "filesystem.read[x]" in said.detail
    assert content(made, "demo.sb") == content(run("macos_sandbox", MAC), "demo.sb")


@given(hostile_text, kinds, st.booleans())
def test_no_value_adds_or_changes_a_form(text, kind, glob):
    """Whatever the path holds, it is refused or stays one string in the places of a harmless path."""
    harmless = run("macos_sandbox", MAC, kind("c", path=path(MAC, "/srv/x", glob)))
    clause = kind("c", path=path(MAC, "/srv/" + text.replace("/", "_"), glob))
    made = run("macos_sandbox", MAC, clause)
    if verdict(made, "c").status is Status.REFUSED:
        assert content(made, "demo.sb") == content(run("macos_sandbox", MAC), "demo.sb")
        return
    forms, plain = read(content(made, "demo.sb")), read(content(harmless, "demo.sb"))
    if text:
        assert _shape(forms) == _shape(plain)
    if not glob:
        strings = {item[-1] for form in forms for item in form if isinstance(item, list)}
        assert clause.path.on(MAC).rstrip("/") in strings


def _shape(forms):
    """Forms with every string replaced, so that only their structure is left."""
    return [
        _shape(item) if isinstance(item, list) else type(item).__name__ if type(item) is not str else item
        for item in forms
    ]


@given(st.lists(st.sampled_from(["a", "*", "?", "[ab]", "[!a]", "a.b", "x+"]), min_size=1, max_size=3), trees)
def test_patterns_match_like_shell_patterns(parts, file):
    ref = path(MAC, "/srv/" + "/".join(parts), glob=True)
    asked = profile(m.Read("r", path=ref))
    assert asked.ask("file-read-data", file).allow is bool(covers(ref, file, MAC))


peers = st.sampled_from(
    [
        m.Peer("any", m.PeerKind.ANY),
        m.Peer("loopback", m.PeerKind.LOOPBACK),
        m.Peer("127.0.0.1", m.PeerKind.ADDRESSES, ("127.0.0.1/32",)),
    ]
)
ports = st.builds(
    lambda protocol, first, length: m.Port(protocol, first, first + length),
    st.sampled_from(["tcp", "udp"]), st.integers(1, 60), st.integers(0, 5),
)  # fmt: skip


@given(
    st.lists(st.tuples(peers, st.lists(ports, max_size=2)), max_size=3),
    st.sampled_from(["10.0.0.1", "127.0.0.1"]),
    ports,
)
def test_connections_are_decided_as_the_policy_says(found, address, port):
    asked = [
        m.Connect(f"network.connect[{number}]", peer=peer, ports=tuple(wanted))
        for number, (peer, wanted) in enumerate(found)
    ]
    one = m.Port(port.protocol, port.first, port.first)
    wanted = evaluate.connect_act(asked, address, one).outcome is evaluate.Outcome.ALLOW
    assert (
        profile(*asked).ask("network-outbound", socket=(port.protocol, address, port.first)).allow is wanted
    )


@given(st.lists(ports, max_size=3), ports)
def test_listening_is_decided_as_the_policy_says(found, port):
    clauses = [m.Listen(f"network.listen[{number}]", port=one) for number, one in enumerate(found)]
    wanted = evaluate.listen_act(clauses, m.Port(port.protocol, port.first, port.first))
    asked = profile(*clauses)
    for operation in ("network-bind", "network-inbound"):
        allowed = asked.ask(operation, socket=(port.protocol, "0.0.0.0", port.first)).allow
        assert allowed is (wanted.outcome is evaluate.Outcome.ALLOW)


def test_the_ground_of_every_profile():
    asked = profile()
    assert asked.ask("file-read-data", "/").allow
    for outside in ("process-info-pidinfo", "nvram-get", "iokit-get-properties"):
        assert not asked.ask(outside).allow
    assert not asked.ask("file-map-executable", "/opt/other.dylib").allow
    assert not asked.ask("file-read-data", "/private/etc/master.passwd").allow
    assert asked.ask("process-exec*", "/opt/demo/bin/demo").allow


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        (
            m.Connect("c", peer=m.Peer("api.example.com", m.PeerKind.NAME)),
            "has no host names (c 'api.example.com')",
        ),
        (m.Listen("c", port=m.Port("tcp", 1000, 2000)), "no port ranges (c 'tcp/1000-2000')"),
        (m.Listen("c", port=m.Port("sctp", 80, 80)), "not 'sctp' (c)"),
        (m.Families("c", names=("netlink",)), "no address family 'netlink' (c)"),
        (m.BusName("c", name="org.example"), "macOS has no D-Bus"),
        (m.Syscalls("c", groups=("basic",)), "not groups of system calls"),
        (m.MaxConnections("c", count=1), "counts connections"),
    ],
)
def test_what_a_profile_cannot_say_is_refused(clause, said):
    made = run("macos_sandbox", MAC, clause)
    assert verdict(made, "c").status is Status.REFUSED
    assert said in verdict(made, "c").detail


def test_addresses_need_an_account_of_the_daemons_own():
    clause = m.Connect(
        "c", peer=m.Peer("10.0.0.0/8", m.PeerKind.ADDRESSES, ("10.0.0.0/8",)), ports=(m.Port("tcp", 1, 1),)
    )
    own, shared = run("macos_sandbox", MAC, clause), run("macos_sandbox", MAC, clause, user="nobody")
    assert verdict(own, "c").status is Status.PARTIAL
    assert '"*:1"' in content(own, "demo.sb")
    assert verdict(shared, "c").status is Status.REFUSED
    assert '"*:1"' not in content(shared, "demo.sb")


def test_a_socket_that_is_denied_by_name_stays_closed():
    socket = path(MAC, "/var/run/x.sock")
    text = content(
        run("macos_sandbox", MAC, m.UnixSocket("u", path=socket), m.Deny("d", path=socket)), "demo.sb"
    )
    assert not Profile(text).ask("network-outbound", "/private/var/run/x.sock").allow


def test_dynamic_code_is_a_partial_promise():
    made = run("macos_sandbox", MAC, m.WritableAndExecutable("c"))
    assert "(deny dynamic-code-generation)" in content(made, "demo.sb")
    assert verdict(made, "c").status is Status.PARTIAL
    assert "not seen on a real host" in verdict(made, "c").detail


def test_an_old_system_and_a_missing_program_are_said():
    with pytest.raises(BackendError, match="macOS 14 and later, this is 13"):
        macos_sandbox.compile(manifest(MAC), Features(MAC, "old", {"version": 13}))
    with pytest.raises(BackendError, match=re.escape("names no program (workload.macos.executable)")):
        run("macos_sandbox", MAC, executable="")


def test_lines_name_their_clauses():
    made = run(
        "macos_sandbox", MAC, m.Read("r", path=path(MAC, "/srv/a")), m.Deny("d", path=path(MAC, "/srv/b"))
    )
    (artifact,) = made.artifacts
    lines = artifact.content.decode().splitlines()
    for number, clause in artifact.lines:
        if clause in ("r", "d"):
            assert {"r": "/srv/a", "d": "/srv/b"}[clause] in lines[number - 1]
    assert {clause for _, clause in artifact.lines} == {"r", "d", "filesystem.execute"}
