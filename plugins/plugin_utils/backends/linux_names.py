# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of Bulkhead's own units, files and tables on Linux, and paths as Linux writes them."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from ..policy.links import followed
from ..policy.model import OS
from .base import BackendError

DROPIN_NAME = "zz-bulkhead.conf"  # drop-ins apply in order of file name over all directories: last wins
UNITS = "/etc/systemd/system"
RULES = "/etc/bulkhead/nft"
PROFILES = "/etc/apparmor.d"

_POLICY = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def slug(policy: str) -> str:
    """The policy's name where a dash has a meaning of its own.

    A dash in a slice's name nests it one level deeper (systemd.slice(5)), which would move the cgroup away from
    level 2 that the packet filter matches; nftables identifiers know no dash. So '-' becomes '_', '_' becomes '.'.
    """
    if not _POLICY.fullmatch(policy):
        raise BackendError(
            f"'{policy}' cannot name units and tables: write lower-case letters, digits, '-' and '_', at most 63."
        )
    return policy.replace("_", ".").replace("-", "_")


def slice_name(policy: str) -> str:
    return f"bulkhead-{slug(policy)}.slice"


def slice_path(policy: str) -> str:
    """The slice's cgroup below the root, at level 2."""
    return f"bulkhead.slice/{slice_name(policy)}"


def net_unit(policy: str) -> str:
    """The keeper that loads the policy's table before the application starts, and owns it."""
    slug(policy)
    return f"bulkhead-net-{policy}.service"


def table_name(policy: str) -> str:
    return f"bulkhead_{slug(policy)}"


def rules_path(policy: str) -> str:
    slug(policy)
    return f"{RULES}/{policy}.nft"


def profile_name(policy: str) -> str:
    """The AppArmor profile, by which denials name the policy."""
    slug(policy)
    return f"bulkhead.{policy}"


def child_profile_name(policy: str, component: str) -> str:
    """The profile of one component, inside of the policy's own."""
    slug(component)
    return f"{profile_name(policy)}//{component}"


def profile_path(policy: str) -> str:
    return f"{PROFILES}/{profile_name(policy)}"


def profile_unit(policy: str) -> str:
    """The oneshot that loads the profile before the application starts."""
    slug(policy)
    return f"bulkhead-apparmor-{policy}.service"


def dropin_path(unit: str) -> str:
    return f"{UNITS}/{unit}.d/{DROPIN_NAME}"


@lru_cache(maxsize=4096)
def plain(path: str) -> str:
    """``path`` without doubled or trailing slashes, and /var/run written as the /run that it links to."""
    return followed("/" + posixpath.normpath(path).lstrip("/"), OS.LINUX)


def below(path: str, tree: str) -> bool:
    """True where ``path`` lies strictly below ``tree``."""
    return path != tree and (tree == "/" or path.startswith(tree + "/"))


def within(path: str, tree: str) -> bool:
    """True where ``path`` is ``tree`` or lies below it."""
    return path == tree or below(path, tree)


def is_instance(unit: str, template: str) -> bool:
    """True where ``template`` is ``x@.service`` and ``unit`` is ``x@anything.service``."""
    prefix, _sep, suffix = template.partition("@")
    return (
        suffix == ".service" and unit.startswith(f"{prefix}@") and unit.endswith(suffix) and unit != template
    )
