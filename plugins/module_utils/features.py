# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host can do: the facts that the compiler decides by. File reads first, five spawns at most.

The shape is the controller's ``LinuxFeatures``. A fact that cannot be read is left out or False: the
compiler refuses what depends on it.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re

from . import unit_commands, unit_files, unit_groups, unit_instances, unit_specifiers
from .command import run
from .errors import HostError

# Asks nft's own parser and the kernel whether a socket's cgroup can be matched; -c changes nothing.
SOCKET_CHECK = """table inet bulkhead_check {
  chain output {
    type filter hook output priority 0;
    socket cgroupv2 level 1 "system.slice" counter
  }
}
"""


# Controllers of cgroup v1 that carry limits of a policy.
LEGACY = ("blkio", "cpu", "memory", "pids")
PROPERTIES = "Names,LoadState,FragmentPath,DropInPaths,TriggeredBy"
# Where units of users' own managers lie: systemd.unit(5), user unit search path.
USER_UNITS = (
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
)


def fingerprint(data):
    """SHA-256 of the canonical JSON of ``data``; the controller computes the same."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def collect(unit, paths=()):
    """All facts of this host for one unit, as plain JSON data. HostError where systemd is not PID 1.

    For a template the facts are about its one instance on this host, and ``unit.name`` says which. ``paths``: of the
    policy; those that go through a link are in ``links``.
    """
    if not os.path.isdir("/run/systemd/system"):
        raise HostError(
            "this host does not run systemd, so nothing here can confine %s." % unit, state="refused"
        )
    unit = unit_instances.resolve(unit)
    virt = _virt()
    about_unit = unit_facts(unit)
    programs = unit_commands.programs(about_unit["service"], unit)
    return {
        "os": "linux",
        "distribution": _distribution(_text("/etc/os-release")),
        "systemd": parse_systemd_version(run(["systemctl", "--version"]).stdout),
        "kernel": os.uname().release,
        "virt": virt,
        "container": os.path.exists("/run/systemd/container"),
        "cgroup": _cgroup(),
        "nft": _nft(),
        "lsm": [name for name in _text("/sys/kernel/security/lsm").strip().split(",") if name],
        "apparmor": _apparmor(),
        "cores_to_program": _text("/proc/sys/kernel/core_pattern").startswith("|"),
        "resolvers": parse_resolvers(_text("/etc/resolv.conf")),
        "merged_usr": os.path.islink("/lib"),
        "groups": _groups(about_unit["account"]),
        "links": links([*paths, *programs.values(), *about_unit["interpreters"].values()]),
        "unit": about_unit,
    }


def links(paths):
    """{path: its real name} of the paths that go through a link. What is in /proc changes with each look: left out."""
    found = {path: os.path.realpath(path) for path in sorted(set(paths))}
    return {path: real for path, real in found.items() if real != path and not real.startswith("/proc/")}


def unit_facts(unit):
    """The unit's facts; see ``UnitFacts`` of the controller."""
    shown = run(["systemctl", "show", "-p", PROPERTIES, "--", unit])
    facts = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    if facts.get("LoadState") == "not-found":
        refuse_user_unit(unit)
    fragment = facts.get("FragmentPath", "")
    # systemd lists those that it has read. One that is gone since then is none any more after the next daemon-reload,
    # which may well be ours.
    dropins = [
        path
        for path in facts.get("DropInPaths", "").split()
        if os.path.basename(path) not in unit_files.OURS and os.path.lexists(path)
    ]
    sections = unit_files.read(fragment, dropins)
    service = sections.get("Service", {})
    programs = unit_commands.programs(service, unit)
    scripts = {path: unit_commands.interpreter(path) for path in programs.values()}
    main = {key: service[key] for key in ("ExecStart", "ExecSearchPath") if key in service}
    return {
        "name": unit,
        "names": sorted(set(facts.get("Names", "").split()) | {unit}),
        "load_state": facts.get("LoadState", ""),
        "fragment": fragment,
        "dropins": dropins,
        "service": service,
        "unit": sections.get("Unit", {}),
        "triggered_by": sorted(facts.get("TriggeredBy", "").split()),
        "interpreters": {path: program for path, program in scripts.items() if program},
        "searched": {name: path for name, path in programs.items() if name != path},
        **_account(service, unit),
        "profile": attached_profile(unit_commands.programs(main, unit).values()),
    }


def _account(service, unit):
    """``account``: of the unit's own files, by the name of the unit where DynamicUser= may make one."""
    written = (service.get("User") or [""])[-1]
    try:
        name = unit_specifiers.expand(written, unit) or unit_specifiers.known(unit)["p"]
    except ValueError:
        return {"account": "", "static_account": True}  # the compiler refuses such a unit
    return {"account": name if written else "", "static_account": unit_groups.is_static(name)}


def _groups(account):
    found = unit_groups.members(_text("/etc/group"), _text("/etc/passwd"))
    for group in unit_groups.of_account(account) if account not in ("", "0", "root") else ():
        found[group] = sorted(set(found.get(group, ())) | {account})
    return found


def refuse_user_unit(unit, folders=USER_UNITS):
    """HostError where ``unit`` belongs to users' managers, which run without root and cannot confine anything."""
    for folder in folders:
        if os.path.exists(os.path.join(folder, unit)):
            raise HostError(
                "%s is a unit of users' own managers on this host (%s): only units of the system can be confined."
                % (unit, os.path.join(folder, unit)),
                state="refused",
            )


def parse_systemd_version(text):
    """``systemctl --version``: "systemd 252 (252.39-1~deb12u2)" and a line of +FLAG and -FLAG words."""
    version = re.match(r"systemd (\d+)", text)
    flags = {word[1:]: word[0] == "+" for word in text.split() if re.fullmatch(r"[+-][A-Z0-9_]+", word)}
    return {"version": int(version.group(1)) if version else 0, "flags": flags}


def parse_resolvers(text):
    """Addresses of resolv.conf's nameserver lines, in order."""
    lines = [line.split() for line in text.splitlines()]
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def _distribution(text):
    words = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    name = words.get("ID", "linux").strip('"')
    return ("%s %s" % (name.capitalize(), words.get("VERSION_ID", "").strip('"'))).strip()


def _virt():
    # In a container the file holds the name already; systemd writes it.
    name = _text("/run/systemd/container").strip()
    return name or run(["systemd-detect-virt"]).stdout.strip() or "none"


def _cgroup(root="/sys/fs/cgroup"):
    controllers = _text(root + "/cgroup.controllers")
    if os.path.exists(root + "/cgroup.controllers"):
        device_filter = True
        if os.path.exists("/run/systemd/container"):
            from . import features_bpf

            device_filter = features_bpf.takes_device_filter()
        return {"mode": "v2", "controllers": sorted(controllers.split()), "device_filter": device_filter}
    mode = "hybrid" if os.path.isdir(root + "/unified") else "v1"
    return {
        "mode": mode,
        "controllers": [],
        "device_filter": not os.path.exists("/run/systemd/container"),
        "legacy": [name for name in LEGACY if _writable(root + "/" + name)],
    }


def _writable(path):
    """Whether something is mounted at ``path``, and not read-only; systemd makes no empty folder for a controller."""
    try:
        return os.path.isdir(path) and not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _nft():
    version = run(["nft", "--version"])
    number = re.search(r"v([0-9.]+)", version.stdout)
    if version.returncode != 0:
        return {"present": False, "version": "", "socket_cgroupv2": False}
    checked = run(["nft", "-c", "-f", "-"], stdin=SOCKET_CHECK)
    return {
        "present": True,
        "version": number.group(1) if number else "",
        "socket_cgroupv2": checked.returncode == 0,
    }


def _apparmor():
    parser = re.search(r"version ([0-9.]+)", run(["apparmor_parser", "--version"]).stdout)
    try:
        abis = sorted(os.listdir("/etc/apparmor.d/abi"))
    except OSError:
        abis = []
    return {
        "enabled": _text("/sys/module/apparmor/parameters/enabled").strip() == "Y",
        "parser": parser.group(1) if parser else "",
        "abis": abis,
    }


def attached_profile(programs, root="/sys/kernel/security/apparmor/policy/profiles"):
    """Name of the loaded profile that the kernel puts on one of ``programs`` by itself; "" where there is none."""
    for folder in sorted(glob.glob(os.path.join(root, "*"))):
        pattern = _text(os.path.join(folder, "attach")).strip()
        if pattern.startswith(("/", "{", "@")) and any(globbed(pattern).fullmatch(path) for path in programs):
            return _text(os.path.join(folder, "name")).strip()
    return ""


_GLOB = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}


def globbed(pattern):
    """A pattern of AppArmor's as a regular expression (apparmor.d(5), FILE GLOBBING)."""
    parts = re.findall(r"\\.|\*\*|\[[^]]*\]|.", pattern, re.DOTALL)
    text = "".join(
        _GLOB.get(part) or (part if part.startswith("[") else re.escape(part[-1])) for part in parts
    )
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))


def _text(path):
    try:
        with open(path, "rb") as stream:
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
