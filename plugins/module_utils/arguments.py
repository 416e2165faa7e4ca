# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that have something to do on hosts; their action plugins check them."""

from __future__ import annotations

SANDBOX = {
    "policy": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "default": "present",
        "choices": ["present", "absent", "reverted", "renewed", "promoted"],
    },
    "mode": {"type": "str", "choices": ["audit", "enforce"]},
    "accept": {
        "type": "list",
        "elements": "str",
        "default": ["enforced", "partial", "waived"],
        "choices": ["enforced", "partial", "waived"],
    },
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "confirm_within": {"type": "int", "default": 60},
    "lease": {"type": "int", "default": 0},
    "lapse": {"type": "str", "default": "revert", "choices": ["revert", "hold"]},
    "nonce": {"type": "str", "default": ""},
    "restart": {"type": "bool", "default": True},
    "rollout": {"type": "str", "default": ""},
    "epoch": {"type": "int", "default": 0},
    "from": {"type": "str"},
    "to": {"type": "str", "default": ""},
}

SANDBOX_INFO = {
    "policy": {"type": "str", "default": ""},
    "health": {"type": "bool", "default": False},
    "features": {"type": "bool", "default": False},
}

DENIALS_INFO = {
    "policy": {"type": "str", "required": True},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "cursor": {"type": "str", "default": ""},
    "limit": {"type": "int", "default": 5000},
}

DENIALS_RECORD = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "persistent": {"type": "bool", "default": False},
}

DEBUG = {
    "policy": {"type": "str", "required": True},
    "state": {"type": "str", "default": "open", "choices": ["open", "closed"]},
    "openings": {
        "type": "list",
        "elements": "str",
        "default": [],
        "choices": ["ptrace", "perf", "core_dumps", "shell"],
    },
    "duration": {"type": "str", "default": "30m"},
    "by": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "restart": {"type": "str", "default": "auto", "choices": ["auto", "never"]},
}

PROBE = {
    "policy": {"type": "str", "required": True},
    "host": {"type": "str"},
    "method": {"type": "str", "choices": ["auto", "reload", "clone", "none"], "default": "auto"},
    "survey": {"type": "bool", "default": False},
    "bundle": {"type": "dict"},
}
