# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import probing_unit as unit
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

SHOWN = """# /lib/systemd/system/x.service
[Unit]
Description=x
OnFailure=mail.service
[Service]
Type=forking
PIDFile=/run/x.pid
ExecStartPre=/bin/true
ExecStart=/usr/sbin/x \\
  --flag
ExecPaths=/usr/sbin/x
NoExecPaths=/
Restart=always
RuntimeDirectory=x
[Install]
WantedBy=multi-user.target
"""


@pytest.mark.parametrize(
    ("name", "clone"),
    [
        ("x.service", "x-bulkhead-probe.service"),
        ("postgresql@15-main.service", "postgresql-bulkhead-probe@15-main.service"),
        ("a.b.service", "a.b-bulkhead-probe.service"),
    ],
)
def test_clone_name(name, clone):
    assert unit.clone_name(name) == clone


def test_a_clone_keeps_the_sandbox_and_drops_what_it_starts():
    kept = unit.strip_for_clone(SHOWN)
    assert kept.splitlines() == [
        "[Unit]", "Description=x", "[Service]", "ExecPaths=/usr/sbin/x", "NoExecPaths=/", "RuntimeDirectory=x",
        "[Install]",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "method"), [("simple", "reload"), ("forking", "reload"), ("notify", "reload"),
                                              ("oneshot", "clone"), ("notify-reload", "clone")])  # fmt: skip
def test_pick_method(kind, method):
    assert unit.pick_method({"Type": kind}) == method


@pytest.mark.parametrize(
    ("path", "text"),
    [("/usr/bin/python3", "/usr/bin/python3"), ("/a b", '"/a b"'), ("/100%", "/100%%"), ('/a"b', '"/a\\"b"')],
)
def test_quote(path, text):
    assert unit.quote(path) == text


def test_a_path_cannot_add_a_line():
    with pytest.raises(HostError, match="control characters"):
        unit.quote("/usr/bin/x\nUser=root")


def test_service_lines_open_no_path_for_reading_or_writing():
    session = SimpleNamespace(program="/run/p/program", answers="/run/p/answers", errors="/run/p/errors")
    lines, argv = unit.service_lines(session, "/usr/bin/python3", ["/usr/bin/python3"])
    assert lines == [
        "ExecPaths=-/usr/bin/python3",
        "StandardInput=file:/run/p/program",
        "StandardOutput=file:/run/p/answers",
        "StandardError=file:/run/p/errors",
    ]
    assert argv == "/usr/bin/python3 -I -S -"


def test_reload_puts_back_the_services_own_reload_behind_its_drop_in():
    session = SimpleNamespace(program="/run/p/program", answers="/run/p/answers", errors="/run/p/errors")
    made = unit.Reload("x.service", session, "/usr/bin/python3", [])
    assert made.path == "/run/systemd/system/x.service.d/zzz-bulkhead-probe.conf"
    assert made.text.endswith("ExecReload=\nExecReload=/usr/bin/python3 -I -S -\n")
    assert unit.PROBE_DROPIN > "zz-bulkhead.conf"
