# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bulkhead_lab.host import describe
from bulkhead_lab.image import Image
from bulkhead_lab.machine import Machine
from bulkhead_lab.qemu import machine_of, personal_script
from bulkhead_lab.settings import Lab
from bulkhead_lab.template import Template


def clone(lab: Lab, index: int, accelerator: str = "tcg") -> Machine:
    image = Image("bookworm", lab.cache / "bookworm-0")
    return machine_of(
        lab, describe(lab, "qemu", index, "bookworm"), Template(image, lab.cache / "t", accelerator)
    )


def test_the_kernel_line_carries_address_and_name(lab: Lab) -> None:
    words = clone(lab, 7).kernel_line().split()
    assert "lab.ip=10.7.0.7/24" in words
    assert "lab.name=h7" in words
    assert "root=/dev/vda" in words


def test_a_kernel_is_told_more_only_where_the_host_asks_for_it(lab: Lab) -> None:
    image = Image("bookworm", lab.cache / "bookworm-0")
    template = Template(image, lab.cache / "t", "tcg")
    plain = machine_of(lab, describe(lab, "qemu", 7, "bookworm"), template).kernel_line()
    told = machine_of(lab, describe(lab, "qemu", 7, "bookworm+noapparmor"), template).kernel_line()
    assert told == f"{plain} apparmor=0"


def test_a_clone_maps_the_memory_privately_and_has_no_way_out(lab: Lab) -> None:
    line = " ".join(clone(lab, 1).command(lab, incoming=True))
    assert f"mem-path={lab.cache / 't' / 'memory'},share=off" in line
    assert line.endswith("-incoming defer")
    assert f"restrict=on,hostfwd=tcp:127.0.0.1:{lab.first_port + 1}-:22" in line
    assert f"mcast={lab.multicast},localaddr=127.0.0.1" in line


def test_clones_differ_in_port_mac_and_name(lab: Lab) -> None:
    one, two = clone(lab, 1), clone(lab, 12)
    assert (one.mac, two.mac) == ("52:54:00:07:00:01", "52:54:00:07:00:0c")
    assert one.port != two.port
    assert one.monitor != two.monitor


@pytest.mark.parametrize(("accelerator", "processor"), [("kvm", "host"), ("tcg", "Nehalem,+rdrand")])
def test_the_processor_follows_from_the_accelerator(lab: Lab, accelerator: str, processor: str) -> None:
    words = clone(lab, 1, accelerator).command(lab, incoming=False)
    assert words[words.index("-cpu") + 1] == processor
    assert "-incoming" not in words


def test_the_personal_script_is_shell_and_carries_the_pinned_key(lab: Lab) -> None:
    host = describe(lab, "qemu", 3, "bookworm")
    script = personal_script(lab, host)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    key = Path(f"{host.folder(lab)}/hostkey.pub").read_text().strip()
    assert key in script
    assert "address=10.7.0.3/24\n" in script


def test_two_scripts_share_neither_seed_nor_machine_id(lab: Lab) -> None:
    def secret_lines(index: int) -> list[str]:
        lines = personal_script(lab, describe(lab, "qemu", index, "bookworm")).splitlines()
        return [line for line in lines if line.startswith(("seed=", "machine_id="))]

    one, two = secret_lines(1), secret_lines(2)
    assert len(one) == len(two) == 2
    assert not set(one) & set(two)
