# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from bulkhead_lab.cli import parser, plain
from bulkhead_lab.host import describe, known, named
from bulkhead_lab.settings import KERNELS, MAX_HOSTS, SUITES, Lab, LabError


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


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_belongs_to_a_host_and_not_to_its_suite(lab: Lab, kernel: str) -> None:
    host = describe(lab, "qemu", 1, f"trixie+{kernel}")
    assert (host.suite, host.kernel) == ("trixie", kernel)
    host.save(lab)
    assert known(lab) == [host] != [describe(lab, "qemu", 1, "trixie")]


def test_hosts_of_one_suite_share_its_image_whatever_their_kernels_are_told() -> None:
    arguments = parser().parse_args(["image", "--suites", "sid+hybrid,sid,bookworm+cgroup1,sid"])
    assert plain(arguments) == ["sid", "bookworm"]


@pytest.mark.parametrize(
    ("kind", "word", "message"),
    [
        ("qemu", "buzz", r"The lab has no suite 'buzz'\."),
        ("qemu", "sid+turbo", r"The lab has no kernel 'turbo' \('sid\+turbo'\)\."),
        (
            "nspawn",
            "sid+hybrid",
            r"Host 'n1' cannot be 'sid\+hybrid': an nspawn host has the kernel of this machine\.",
        ),
    ],
)
def test_a_host_that_cannot_be_is_refused(lab: Lab, kind: str, word: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        describe(lab, kind, 1, word)
