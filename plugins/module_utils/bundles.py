# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle as it arrives: finished bytes, checked again before a byte of it is believed."""

from __future__ import annotations

import hashlib
import json
import re
from collections import namedtuple

from . import files
from .errors import HostError

FORMAT = 1

# Where files of ours may lie, by kind. A bundle that asks for more is refused, whoever compiled it.
PLACES = {
    "systemd_dropin": re.compile(r"/etc/systemd/system/[A-Za-z0-9:_.@\\-]+\.d/zz-bulkhead\.conf"),
    "systemd_unit": re.compile(
        r"/etc/systemd/system/bulkhead[A-Za-z0-9:_.@\\-]*\.(?:service|slice|socket|target)"
    ),
    "apparmor": re.compile(r"/etc/apparmor\.d/bulkhead\.[a-z0-9_-]+"),
    "nftables": re.compile(r"/etc/bulkhead/(?:nft/)?[A-Za-z0-9_.-]+\.nft"),
}
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?")
UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]{1,240}\.(?:service|socket|slice|target|timer)")
RESERVED = ("guard", "made", "lock")  # files of ours beside the policies' directories
DIGEST = re.compile(r"[0-9a-f]{64}")

Artifact = namedtuple("Artifact", "path kind mode owner group unit content")
Bundle = namedtuple(
    "Bundle", "policy version mode digest fingerprint unit artifacts units health readbacks data"
)


def digest(data):
    """The digest that names the generation: canonical JSON of what reaches the host and of nothing else."""
    keys = ("policy", "workload", "mode", "artifacts", "units", "health", "readbacks", "probes")
    named = {key: data[key] for key in keys}
    named["probes"] = [{key: probe[key] for key in probe if key != "why"} for probe in named["probes"]]
    canonical = json.dumps(named, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _need(condition, message, *values):
    if not condition:
        raise HostError("refusing the bundle: " + message % values, state="refused")


def is_name(name):
    """Whether ``name`` can be a policy's name and a directory's."""
    return isinstance(name, str) and bool(NAME.fullmatch(name)) and len(name) <= 64 and name not in RESERVED


def check_name(name):
    """``name`` when it can be a policy's."""
    _need(is_name(name), "%r is no policy name.", name)
    return name


def parse(data):
    """A ``Bundle`` of plain JSON data; HostError with state ``refused`` where anything is not as agreed."""
    _need(isinstance(data, dict) and data.get("format") == FORMAT, "its format is not %d.", FORMAT)
    _need(data.get("os") == "linux", "it is for %r and this is a Linux host.", data.get("os"))
    try:
        check_name(data["policy"])
        unit = data["workload"]["unit"]
        _need(UNIT.fullmatch(unit), "%r is no unit name.", unit)
        artifacts = tuple(_artifact(item) for item in data["artifacts"])
        units = tuple(data["units"])
        for name in units:
            _need(UNIT.fullmatch(name) and name.startswith("bulkhead"), "%r is no unit of ours.", name)
        for path in data.get("paths", ()):
            _need(isinstance(path, str) and path.startswith("/"), "%r is no path.", path)
        for check in data["health"]:
            _need(
                sum(bool(check.get(kind)) for kind in ("http", "tcp", "command")) == 1,
                "a health check is unclear.",
            )
        actual = digest(data)
    except (KeyError, TypeError, AttributeError) as problem:
        raise HostError(
            "refusing the bundle: %s is missing or of a wrong type." % problem, state="refused"
        ) from None
    _need(len({item.path for item in artifacts}) == len(artifacts), "two artifacts have the same path.")
    _need(actual == data.get("digest"), "its digest is %s, its content's is %s.", data.get("digest"), actual)
    return build(data, artifacts)


def build(data, artifacts=None):
    """A ``Bundle`` without checks: of data that was checked when it was stored."""
    artifacts = tuple(_made(item) for item in data["artifacts"]) if artifacts is None else artifacts
    return Bundle(
        data["policy"],
        str(data.get("version", "")),
        data["mode"],
        data["digest"],
        str(data.get("fingerprint", "")),
        data["workload"]["unit"],
        artifacts,
        tuple(data["units"]),
        tuple(data["health"]),
        tuple(data["readbacks"]),
        data,
    )


def paths(bundle):
    """The policy's paths, for ``features.collect``."""
    return bundle.data.get("paths", ())


def _artifact(item):
    place = PLACES.get(item["kind"])
    _need(place is not None, "this version cannot apply files of kind %r (%s).", item["kind"], item["path"])
    _need(
        place.fullmatch(item["path"]) and ".." not in item["path"],
        "%r is no place for %s.",
        item["path"],
        item["kind"],
    )
    mode = int(item["mode"], 8)
    _need(mode in (0o644, 0o640, 0o600), "%s wants mode %s.", item["path"], item["mode"])
    files.user_id(item["owner"])
    files.group_id(item["group"])
    return _made(item)


def _made(item):
    mode = int(item["mode"], 8)
    return Artifact(
        item["path"], item["kind"], mode, item["owner"], item["group"], item["unit"], item["content"].encode()
    )
