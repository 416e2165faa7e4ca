# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.bulkhead.fleet.plugins.module_utils import probing_confinement as confinement

STATUS = "Name:\tx\nCapBnd:\t00000000000004c3\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t5\n"
MOUNTS = "1 2 8:1 / / ro,noexec - ext4 /dev/vda rw\n3 1 0:5 / /dev/shm rw,noexec - tmpfs tmpfs rw\n"
SAME = {
    "status": STATUS,
    "attr/current": "bulkhead.x (enforce)",
    "cgroup": "0::/x.service",
    "mountinfo": MOUNTS,
}


def looser(**main):
    return confinement.compare({**SAME, **main}, SAME)


def test_the_same_is_no_difference():
    assert looser() == []


def test_a_tighter_main_process_is_fine():
    status = STATUS.replace("4c3", "400").replace("filters:\t5", "filters:\t9")
    assert looser(status=status, mountinfo=MOUNTS.replace("rw,noexec", "ro,nosuid,noexec")) == []


def test_each_way_of_being_looser_is_named():
    assert looser(status=STATUS.replace("4c3", "24c3")) == ["its bounding set has capabilities 0x2000 more"]
    assert looser(status=STATUS.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0")) == ["NoNewPrivs is not set"]
    assert looser(status=STATUS.replace("Seccomp:\t2", "Seccomp:\t0")) == ["it has no system call filter"]
    assert looser(status=STATUS.replace("filters:\t5", "filters:\t3")) == [
        "it has 3 system call filters instead of 5"
    ]
    assert looser(**{"attr/current": "unconfined"}) == [
        "its security label is unconfined and not bulkhead.x (enforce)"
    ]
    assert looser(mountinfo=MOUNTS.replace("ro,noexec", "rw")) == ["/ lacks ro, noexec"]
    assert looser(mountinfo="1 2 8:1 / / ro,noexec - ext4 /dev/vda rw\n") == [
        "/dev/shm shows / ext4 /dev/vda and not / tmpfs tmpfs"
    ]


def test_what_was_opened_for_the_probe_is_no_difference():
    probe = {
        **SAME,
        "mountinfo": MOUNTS + "9 1 8:1 /usr/bin/python3 /usr/bin/python3 ro - ext4 /dev/vda rw\n",
    }
    assert confinement.compare(SAME, probe, ["/usr/bin/python3"]) == []


def test_private_tmp_of_a_clone_is_of_the_same_kind():
    line = "9 1 8:1 /tmp/systemd-private-a-%s/tmp /tmp rw,noexec - ext4 /dev/vda rw\n"
    main, probe = ({**SAME, "mountinfo": MOUNTS + line % name} for name in ("x", "clone"))
    assert confinement.compare(main, probe) == []


def test_explain_counts_what_it_does_not_name():
    text = confinement.explain(["a", "b", "c", "d", "e", "f"], "x.service")
    assert text == (
        "the main process of x.service runs an older sandbox than a fresh start gets, restart it: "
        "a; b; c; d; and 2 more"
    )
