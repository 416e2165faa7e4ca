# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two units that a policy's table needs: the slice that it matches and the keeper that owns it."""

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


# Hands the rules to the keeper and waits until the kernel has a new table in place of the old: $1 command for nft,
# $2 where the keeper listens, $3 table. Rules that the kernel refuses leave the old table, and this fails.
_LOAD = (
    'new() { /usr/sbin/nft -a -t list table inet "$3" 2>/dev/null | grep "^table"; }; old=$(new x x "$3"); n=0; '
    '[ -p "$2" ] && echo "$1" >"$2" || exit 1; '
    'until now=$(new x x "$3") && [ "$now" != "$old" ]; do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done'
)
# The same for a keeper that has just started and owns nothing yet: the first table to appear is its own. At boot, when
# the kernel still fetches its modules, nft may refuse rules that it takes a second later: they are handed in again.
_LOAD_FIRST = (
    'n=0; until /usr/sbin/nft -t list table inet "$3" >/dev/null 2>&1; do '
    'if [ $((n / 20 * 20)) = $n ]; then [ -p "$2" ] && echo "$1" >"$2" || exit 1; fi; '
    "n=$((n+1)); sleep 0.2; done"
)


def _shell(script: str, *arguments: str) -> str:
    """``sh -c`` with ``script``, which has no single quote and no percent sign, and arguments that need none either."""
    words = " ".join(f"'{word}'" for word in (script.replace("$", "$$"), "sh", *arguments))
    return f"/bin/sh -c {words}"


def net_service(policy: str, application: str, clause: str) -> Artifact:
    """The keeper: an nft that loads the table before the application starts, and owns it (nft(8), table flags).

    A table that has an owner (Linux 5.12) is the owner's alone: "flush ruleset", which nftables.service does at every
    start and reload, passes it by, and nobody else can change it. It goes with its owner, so the application stops
    before this unit does, and a keeper that was killed is started again however often that takes.
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
        "StartLimitIntervalSec": "0",
    }
    for key, value in unit.items():
        text.set(key, value, clause, "Unit")
    folder, table = name.removesuffix(".service"), table_name(policy)
    listens = f"/run/{folder}/commands"
    words = (f'include "{rules_path(policy)}"', listens, table)
    service = {
        "Type": "simple",
        "RuntimeDirectory": folder,
        "RuntimeDirectoryMode": "0700",
        # nft keeps a history of commands in its home.
        "Environment": f"HOME=/run/{folder}",
        "ExecStart": _shell(f'exec {NFT} -i 0<>"$1"', listens),
        "ExecStartPost": _shell(_LOAD_FIRST, *words),
        "ExecReload": _shell(_LOAD, *words),
        "StandardOutput": "null",
        "StandardError": "journal",
        "Restart": "always",
        "RestartSec": "0",
        # An application whose keeper has failed is not started again by systemd, so a slow boot must not be a failure.
        "TimeoutStartSec": "300",
        "OOMScoreAdjust": "-1000",
        "CapabilityBoundingSet": "CAP_NET_ADMIN",
        "NoNewPrivileges": "yes",
    }
    for key, value in service.items():
        text.set(key, value, clause)
    # A table of that name without an owner can only be somebody's else, or of a version that had no keeper.
    text.add("ExecStartPre", "-" + _shell(f'{NFT} delete table inet "$1" 2>/dev/null', table), clause)
    text.add("ExecStartPre", f"/bin/mkfifo -m 0600 {listens}", clause)
    content, lines = text.render()
    return Artifact(f"{UNITS}/{name}", content, "systemd_unit", unit=name, lines=lines)
