# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are files: a connection that answers as a host would, at once, so that only the controller costs.

What a host holds, and what makes it fail, is told in ``pretend_host.py``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import program

sys.path.append(str(Path(__file__).resolve().parents[1]))
from pretend_host import Host  # noqa: E402

DOCUMENTATION = """
name: pretend
short_description: hosts that are files
version_added: 0.1.0
author: The Bulkhead authors (@bulkhead)
description:
  - For benchmarks and for exams of the controller.
options:
  host:
    description: Name of the host. A delegated task finds the other host's here, and its own in inventory_hostname.
    type: str
    required: true
    vars:
      - name: ansible_host
"""
_GIVEN = re.compile(rb'GIVEN = r"""(\{.*\})"""')


class Connection(ConnectionBase):
    transport = "pretend"
    has_pipelining = True
    always_pipeline_modules = True

    def _connect(self) -> Connection:
        return self

    def exec_command(self, cmd: str, in_data: Any = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        found = _GIVEN.search(in_data) if in_data else None
        if found is None:
            return 0, b"", b""
        given = json.loads(found[1].decode())
        sent = program.unpack(given["program"])
        host = Host(Path(os.environ["PRETEND_DIR"]), str(self.get_option("host")))
        try:
            host.reached()
            answer = getattr(host, sent["operation"])(sent["request"], bool(given.get("_ansible_check_mode")))
        except ConnectionError as problem:
            raise AnsibleConnectionFailure(str(problem)) from None
        finally:
            host.save()
            host.lock.close()
        text = json.dumps({"changed": False, **answer}).encode()
        return int(bool(answer.get("failed"))), text, b""

    def put_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("pretend hosts take no files")

    fetch_file = put_file

    def reset(self) -> None:
        return

    def close(self) -> None:
        return
