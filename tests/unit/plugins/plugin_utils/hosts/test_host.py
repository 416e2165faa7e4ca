# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.host import explained

TORN = {
    "failed": True,
    "msg": "Module result deserialization failed: No start of json char found",
    "module_stdout": "",
    "module_stderr": (
        "Traceback (most recent call last):\n  File x\nOSError: [Errno 28] No space left on device\nclosed.\n"
    ),
}


def test_a_module_that_gave_no_answer_is_told_by_its_last_error() -> None:
    assert explained(TORN)["msg"] == (
        "the host could not run the module: OSError: [Errno 28] No space left on device. "
        "Look at its free disk space and its Python."
    )
    assert "it said nothing" in explained(TORN | {"module_stderr": None})["msg"]


def test_an_answer_stays_as_it_is() -> None:
    for result in ({"failed": True, "msg": "no."}, {"changed": True}):
        assert explained(result) == result
