# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shlex

import yaml
from bulkhead_lab import ssh
from bulkhead_lab.host import describe
from bulkhead_lab.inventory import dump, inventory, ssh_config, write
from bulkhead_lab.settings import Lab


def test_dump_is_yaml() -> None:
    tree = {"a": {"b": "x: y # 'z' \"q\" é", "c": {}, "d": {"e": 1, "f": True}}, "g": "%%r"}
    assert yaml.safe_load(dump(tree)) == tree


def test_groups_by_kind_and_suite(lab: Lab) -> None:
    hosts = [describe(lab, "qemu", 1, "bookworm"), describe(lab, "nspawn", 1, "trixie")]
    tree = inventory(lab, hosts)["lab"]
    groups = {name: list(group["hosts"]) for name, group in tree["children"].items()}
    assert groups == {"lab_qemu": ["h1"], "lab_nspawn": ["n1"], "bookworm": ["h1"], "trixie": ["n1"]}
    assert tree["hosts"]["n1"]["bulkhead_lab_address"] == "10.8.0.2"
    assert tree["hosts"]["h1"]["ansible_port"] == lab.first_port + 1


def test_keys_are_pinned_and_no_file_of_the_user_is_used(lab: Lab) -> None:
    words = ssh.options(lab, describe(lab, "qemu", 1, "bookworm"))
    assert words[:2] == ["-F", "none"]
    assert "StrictHostKeyChecking=yes" in words
    assert f"UserKnownHostsFile={lab.known_hosts}" in words
    assert "GlobalKnownHostsFile=none" in words


def test_nspawn_hosts_are_reached_through_the_labs_namespace(lab: Lab) -> None:
    tree = inventory(lab, [describe(lab, "nspawn", 1, "trixie")])["lab"]
    words = shlex.split(tree["hosts"]["n1"]["ansible_ssh_common_args"])
    assert words[-1] == f"ProxyCommand=nsenter --net=/run/netns/{lab.tag} busybox nc %h %p"


def test_write_pins_a_key_for_each_host_and_keeps_it(lab: Lab) -> None:
    for kind in ("qemu", "nspawn"):
        describe(lab, kind, 1, "bookworm").save(lab)
    path = write(lab)
    lines = lab.known_hosts.read_text().splitlines()
    assert [line.split()[0] for line in lines] == [f"[127.0.0.1]:{lab.first_port + 1}", "10.8.0.2"]
    assert len({line.split()[2] for line in lines}) == 2
    first = path.read_text(), lab.known_hosts.read_text()
    assert (write(lab).read_text(), lab.known_hosts.read_text()) == first
    assert list(yaml.safe_load(first[0])["lab"]["hosts"]) == ["h1", "n1"]


def test_ssh_config_names_every_host(lab: Lab) -> None:
    text = ssh_config(lab, [describe(lab, "qemu", 1, "bookworm"), describe(lab, "nspawn", 2, "bookworm")])
    assert "Host h1\n  HostName 127.0.0.1\n" in text
    assert f"  ProxyCommand nsenter --net=/run/netns/{lab.tag} busybox nc %h %p\n" in text
