# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from bulkhead_lab.host import describe, known, named
from bulkhead_lab.settings import MAX_HOSTS, SUITES, Lab, LabError


def test_two_labs_share_no_port_net_or_name() -> None:
    one, two = Lab(Path("/a/lab"), Path("/img")), Lab(Path("/b/lab"), Path("/img"))
    assert one.tag != two.tag
    assert one.multicast != two.multicast
    assert one.first_port != two.first_port


def test_ports_stay_below_the_ephemeral_ones() -> None:
    for number in range(500):
        lab = Lab(Path(f"/{number}"), Path("/img"))
        assert lab.first_port >= 20000 and lab.first_port + 100 <= 32768


def test_suites_saved_at_the_same_time_share_no_port() -> None:
    lab = Lab(Path("/a/lab"), Path("/img"))
    ports = {lab.template_port(suite) for suite in SUITES}
    assert len(ports) == len(SUITES)
    assert lab.first_port + MAX_HOSTS < min(ports) <= max(ports) < lab.first_port + 100


def test_names_of_interfaces_and_namespaces_fit() -> None:
    assert len(Lab(Path("/a"), Path("/img")).tag + "-n90") <= 15


def test_a_folder_too_deep_for_sockets_is_refused() -> None:
    lab = Lab(Path("/" + "x" * 90), Path("/img"))
    with pytest.raises(LabError, match=r"has a path of 91 characters, sockets in it allow 78\.") as caught:
        lab.check()
    assert caught.value.help_text == "Give a shorter folder with lab_dir (--dir)."


def test_hosts_are_remembered_in_order(lab: Lab) -> None:
    for kind, index in (("nspawn", 1), ("qemu", 10), ("qemu", 2)):
        describe(lab, kind, index, "bookworm").save(lab)
    assert [host.name for host in known(lab)] == ["h2", "h10", "n1"]
    assert named(lab, "n1").address == "10.8.0.2"
    assert named(lab, "h2").port == lab.first_port + 2


def test_an_unknown_host_is_named(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"The lab has no host 'h9'\."):
        named(lab, "h9")


def test_more_hosts_than_addresses_are_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"A lab has at most 90 hosts of a kind, not '91'\."):
        describe(lab, "qemu", 91, "bookworm")
