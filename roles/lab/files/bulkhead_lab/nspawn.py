# SPDX-License-Identifier: GPL-3.0-or-later
"""nspawn hosts."""

from __future__ import annotations

from bulkhead_lab.host import Host
from bulkhead_lab.image import Image
from bulkhead_lab.settings import Lab


def running(lab: Lab, host: Host) -> bool:
    return False


def down(lab: Lab, host: Host) -> None:
    return None


def up_all(lab: Lab, work: list[tuple[Host, Image]]) -> None:
    raise NotImplementedError


def traces(lab: Lab) -> bool:
    return False


def remove_all(lab: Lab) -> None:
    return None


def boot_mark(lab: Lab, host: Host) -> str:
    return ""
