# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AppArmor recorded about a policy's profile: denied, or in audit mode let through (apparmor.d(5)).

In complain mode what no rule lists is ALLOWED, and what an audit rule lists is AUDIT: enforcement would deny both.
"""

from __future__ import annotations

from . import denials_audit

# What of the file masks decides the act, the strongest first (security/apparmor/file.c, map_mask_to_chr_mask).
_MASKS = (("x", "execute"), ("wacdl", "write"), ("m", "execute"), ("k", "write"), ("r", "read"))
_FILE_ACTS = frozenset(
    (
        "open",
        "exec",
        "file_mmap",
        "file_mprotect",
        "file_perm",
        "file_lock",
        "file_receive",
        "file_inherit",
        "mknod",
        "mkdir",
        "rmdir",
        "unlink",
        "symlink",
        "link",
        "rename_src",
        "rename_dest",
        "chmod",
        "chown",
        "truncate",
        "getattr",
        "setattr",
    )  # fmt: skip
)
_CREATING = frozenset(("mknod", "mkdir", "symlink", "link", "rename_dest"))
_REMOVING = frozenset(("unlink", "rmdir", "rename_src"))


def profile_of(policy):
    return "bulkhead." + policy


def owns(policy, profile):
    """Whether the profile is the policy's own or a child of it."""
    own = profile_of(policy)
    return profile == own or profile.startswith(own + "//")


def denial(policy, record, mode):
    """The facts of one record, or None where it is about another profile or no denial. ``mode``: the policy's."""
    found = record.fields
    verdict = found.get("apparmor", "")
    profile = denials_audit.label(found.get("profile", ""))
    verdicts = ("DENIED", "ALLOWED", "AUDIT") if mode == "audit" else ("DENIED", "ALLOWED")
    # The kernel names the namespace where it is not the host's own (security/apparmor/audit.c, audit_pre): a container
    # may have a profile of any name.
    if verdict not in verdicts or not owns(policy, profile) or found.get("namespace", "root") != "root":
        return None
    facts = {
        "mechanism": "apparmor",
        "enforced": verdict == "DENIED",
        "operation": found.get("operation", ""),
        "child": profile[len(profile_of(policy)) :].lstrip("/"),
        "attribution": "profile",
    }
    facts.update(_act(found))
    return facts


def _act(found):
    operation = found.get("operation", "")
    mask = found.get("denied_mask") or found.get("requested_mask", "")
    if operation == "capable":
        return {"act": "privilege", "capability": found.get("capname", "")}
    if "family" in found:
        return {
            "act": "socket",
            "family": found["family"],
            "socket": found.get("sock_type", ""),
            "address": denials_audit.printable(found.get("peer_addr", found.get("addr", "")), 200),
        }
    if operation in _FILE_ACTS and "name" in found:
        act = next((act for letters, act in _MASKS if set(letters) & set(mask)), "")
        if act:
            return {
                "act": act,
                "path": denials_audit.printable(found["name"]),
                "mask": mask,
                "creates": "c" in mask or operation in _CREATING,
                "removes": "d" in mask or operation in _REMOVING,
                "reason": found.get("info", ""),
            }
    return {
        "act": "other",
        "path": denials_audit.printable(found.get("name", "")),
        "reason": found.get("info", ""),
    }
