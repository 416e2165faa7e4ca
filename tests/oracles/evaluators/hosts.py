# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host that has these files lets the application do something: all files of one system asked together.

Knows kinds of files and no compiler: ``files`` are (kind, text) pairs. An act that none of the files speaks of is
allowed, as it is on a host.
"""

from __future__ import annotations

import json
import plistlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from apparmor_profile import Confinement
from nftables_table import Packet, Table
from pf_model import Anchor
from sbpl_model import Profile
from systemd_mounts import Mounts, sockets
from windows_rules import AccessList, AppLocker, Firewall

Files = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Act:
    """``action``: read, write, execute (then ``path``), listen (``protocol``, ``port``), connect (with ``address``)."""

    action: str
    path: str = ""
    protocol: str = ""
    port: int = 0
    address: str = ""

    def __str__(self) -> str:
        there = f"{self.address} " if self.address else ""
        return f"{self.action} {self.path or f'{there}{self.protocol}/{self.port}'}"


# Links into /usr where a Linux host's trees are merged: mounts and profiles see paths after they were followed.
_MERGED = re.compile(r"/(s?bin|lib(32|64|x32)?)(/|$)")


class Linux:
    def __init__(self, files: Files) -> None:
        text = next(text for kind, text in files if kind == "systemd_dropin")
        # Only where /lib is a folder is it bound itself.
        self.merged = "\nBindReadOnlyPaths=-/lib\n" not in text
        self.mounts = Mounts(text)
        self.families = sockets(self.mounts, text)
        self.profile = next((Confinement(text) for kind, text in files if kind == "apparmor"), None)
        self.table = next((Table(text) for kind, text in files if kind == "nftables"), None)

    def allows(self, act: Act, program: str = "") -> bool:
        """Whether the service may, or ``program``, which it has started."""
        if act.path:
            path = self._real(act.path)
            under = self.profile.started(self._real(program)) if self.profile is not None else ()
            return all(one.allows(act.action, path) for one in under) and self.mounts.allows(act.action, path)
        families = (
            ["AF_INET6" if ":" in act.address else "AF_INET"] if act.address else ["AF_INET", "AF_INET6"]
        )
        if not any(self._opens(family, act.protocol) for family in families):
            return False
        hook = "output" if act.action == "connect" else "input"
        peer = act.address or "192.0.2.1"
        return self.table is None or self.table.allows(hook, Packet(act.protocol, act.port, peer))

    def _real(self, path: str) -> str:
        return f"/usr{path}" if self.merged and _MERGED.match(path) else path

    def _opens(self, family: str, protocol: str) -> bool:
        if family not in self.families:
            return False
        kind = {"tcp": "stream", "udp": "dgram"}[protocol]
        return self.profile is None or self.profile.opens(family.removeprefix("AF_").lower(), kind)


class Windows:
    def __init__(self, files: Files) -> None:
        settings = next(
            text for kind, text in files if kind == "powershell_data" and '"service_settings"' in text
        )
        rules = [text for kind, text in files if kind == "powershell_data" and '"firewall_rules"' in text]
        programs = [text for kind, text in files if kind == "applocker_xml"]
        self.access = AccessList(settings)
        self.firewall = Firewall(rules[0]) if rules else None
        sid = json.loads(settings)["service_sid"]
        self.programs = AppLocker(programs[0], sid) if programs else None

    def allows(self, act: Act, program: str = "") -> bool:
        if act.action == "execute":
            runs = self.programs is None or self.programs.allows(act.path)
            return runs and self.access.allows("execute", act.path)
        if act.path:
            return self.access.allows(act.action, act.path)
        if self.firewall is None:
            return True
        if act.action == "connect":
            return self.firewall.connects(act.protocol, act.address, act.port)
        return self.firewall.listens(act.protocol, act.port)


_OPERATIONS = {"read": "file-read-data", "write": "file-write-data", "execute": "process-exec*"}
# Links of every macOS: a profile sees paths after they were followed.
_LINKS = ("/etc", "/tmp", "/var")


class MacOS:
    def __init__(self, files: Files) -> None:
        self.profile = Profile(next(text for kind, text in files if kind == "sbpl"))
        plist = next((text for kind, text in files if kind == "launchd_plist"), "")
        self.user = str(plistlib.loads(plist.encode()).get("UserName", "root")) if plist else "root"
        self.anchor = next((Anchor(text) for kind, text in files if kind == "pf"), None)

    def allows(self, act: Act, program: str = "") -> bool:
        if act.path:
            path = act.path
            if any(path == link or path.startswith(link + "/") for link in _LINKS):
                path = "/private" + path
            return self.profile.ask(_OPERATIONS[act.action], path).allow
        if act.action == "listen":
            socket = (act.protocol, "0.0.0.0", act.port)
            operations = ("network-bind", "network-inbound") if act.protocol == "tcp" else ("network-bind",)
            return all(self.profile.ask(one, socket=socket).allow for one in operations)
        if not self.profile.ask("network-outbound", socket=(act.protocol, act.address, act.port)).allow:
            return False
        local = act.address == "::1" or act.address.startswith("127.")  # pf's rules leave lo0 out
        return (
            local
            or self.anchor is None
            or not self.anchor.blocks(self.user, act.protocol, act.address, act.port)
        )


SYSTEMS = {"linux": Linux, "windows": Windows, "macos": MacOS}
