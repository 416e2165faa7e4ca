# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's monitor protocol: connect to a machine's socket, run commands one at a time."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from bulkhead_lab.settings import LabError


class Monitor:
    """An open monitor; use it in a with statement, QEMU serves one connection at a time."""

    def __init__(self, path: Path, limit: float = 15.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        end = time.monotonic() + limit
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise LabError(
                        f"QEMU does not answer on its monitor '{path}' ({error.strerror})."
                    ) from error
                time.sleep(0.02)
        self._stream = self._socket.makefile("rw")
        self._stream.readline()  # greeting
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: Any) -> Any:
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        for line in self._stream:
            answer = json.loads(line)  # events come between answers
            if "error" in answer:
                raise LabError(f"QEMU refused '{command}': {answer['error']['desc']}.")
            if "return" in answer:
                return answer["return"]
        raise LabError(f"QEMU went away during '{command}'.")

    def ignore_shared(self) -> None:
        """Leave the memory out of a saved state: it is in a file that both sides have."""
        self.run("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def wait(self, statuses: tuple[str, ...], command: str = "query-status", limit: float = 60.0) -> str:
        """Ask again until the status is one of these."""
        end = time.monotonic() + limit
        while True:
            status = str(self.run(command).get("status"))
            if status in statuses:
                return status
            if time.monotonic() > end:
                raise LabError(f"QEMU stays in status '{status}', waited {limit:.0f} s for {statuses}.")
            time.sleep(0.02)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()
