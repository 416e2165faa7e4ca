# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two units that a policy's table needs: the slice that it matches and the oneshot that loads it."""

from __future__ import annotations

from .base import Artifact
from .linux_names import UNITS, net_unit, rules_path, slice_name, table_name
from .systemd_text import UnitText

NFT = "/usr/sbin/nft"


def slice_unit(policy: str, clause: str) -> Artifact:
    """The policy's slice: a cgroup whose inode stays the same over restarts of the application."""
    text = UnitText(f"Managed by Bulkhead: policy {policy}")
    text.set("Description", f"Applications of Bulkhead policy {policy}", clause, "Unit")
    content, lines = text.render()
    return Artifact(
        f"{UNITS}/{slice_name(policy)}", content, "systemd_unit", unit=slice_name(policy), lines=lines
    )


def net_service(policy: str, application: str, clause: str) -> Artifact:
    """The oneshot that loads the table before the application, and again whenever nftables.service reloads.

    nftables.service flushes every table when it starts or reloads. Stopping removes the table: the application
    requires this unit, so it is down by then.
    """
    name, slice_ = net_unit(policy), slice_name(policy)
    text = UnitText(f"Managed by Bulkhead: policy {policy}")
    unit = {
        "Description": f"Network rules of Bulkhead policy {policy}",
        "DefaultDependencies": "no",
        "Requires": slice_,
        "Wants": "network-pre.target",
        "After": f"{slice_} local-fs.target nftables.service",
        "Before": f"{application} network-pre.target shutdown.target",
        "Conflicts": "shutdown.target",
        "PartOf": "nftables.service",
        "ReloadPropagatedFrom": "nftables.service",
    }
    for key, value in unit.items():
        text.set(key, value, clause, "Unit")
    load = f"{NFT} -f {rules_path(policy)}"
    text.set("Type", "oneshot", clause)
    text.set("RemainAfterExit", "yes", clause)
    text.set("ExecStart", load, clause)
    text.set("ExecReload", load, clause)
    text.set("ExecStop", f"-{NFT} delete table inet {table_name(policy)}", clause)
    content, lines = text.render()
    return Artifact(f"{UNITS}/{name}", content, "systemd_unit", unit=name, lines=lines)
