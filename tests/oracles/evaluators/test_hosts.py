# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files of a system asked together, and that a file with a line too few is noticed."""

from __future__ import annotations

import json

from hosts import Act, Linux, MacOS, Windows

DROPIN = "[Service]\nProtectSystem=strict\nRestrictAddressFamilies=AF_INET\nInaccessiblePaths=/srv/private\n"
TABLE = """table inet t {
	chain out {
		tcp dport 443 accept
		reject
	}
	chain output {
		type filter hook output priority 0; policy accept;
		goto out
	}
}
"""
PROFILE = """(version 1)
(deny default)
(allow file-read* (subpath "/private/var/app"))
(deny file-read* (subpath "/private/var/app/private"))
(allow process-exec* (literal "/opt/app"))
(allow network-outbound (remote tcp "*:443"))
(allow network-bind network-inbound (local tcp "*:80"))
"""
ANCHOR = """table <b0> const { 10.0.0.0/8 }
block return out quick on ! lo0 inet proto tcp from any to ! <b0> port { 443 } user root flags S/SA
"""


def connect(address: str, port: int) -> Act:
    return Act("connect", protocol="tcp", port=port, address=address)


def test_linux() -> None:
    host = Linux([("systemd_dropin", DROPIN), ("nftables", TABLE)])
    assert host.allows(Act("read", "/srv/x")) and not host.allows(Act("write", "/srv/x"))
    assert not host.allows(Act("read", "/srv/private/x"))
    assert host.allows(connect("9.9.9.9", 443)) and not host.allows(connect("9.9.9.9", 80))
    assert not host.allows(connect("2001:db8::1", 443))  # no such family
    assert Linux([("systemd_dropin", DROPIN)]).allows(connect("9.9.9.9", 80))
    lost = DROPIN.replace("InaccessiblePaths=/srv/private\n", "")
    assert Linux([("systemd_dropin", lost)]).allows(Act("read", "/srv/private/x"))


def test_macos() -> None:
    host = MacOS([("sbpl", PROFILE), ("pf", ANCHOR)])
    assert host.allows(Act("read", "/var/app/x")) and host.allows(Act("read", "/private/var/app/x"))
    assert not host.allows(Act("read", "/var/app/private/x")) and not host.allows(Act("write", "/var/app/x"))
    assert host.allows(Act("execute", "/opt/app")) and not host.allows(Act("execute", "/bin/sh"))
    assert host.allows(connect("10.1.1.1", 443)) and not host.allows(connect("9.9.9.9", 443))
    assert host.allows(connect("127.0.0.1", 443)) and not host.allows(connect("10.1.1.1", 80))
    assert host.allows(Act("listen", protocol="tcp", port=80))
    assert not host.allows(Act("listen", protocol="tcp", port=81))


def test_windows() -> None:
    settings = {
        "kind": "service_settings",
        "service_sid": "S-1-5-80-1",
        "sid": {"type": "restricted"},
        "access": [],
    }
    rules = {"kind": "firewall_rules", "rules": []}
    host = Windows([("powershell_data", json.dumps(settings)), ("powershell_data", json.dumps(rules))])
    assert host.allows(Act("read", "C:\\x")) and not host.allows(Act("write", "C:\\x"))
    assert host.allows(connect("9.9.9.9", 443)) and not host.allows(Act("listen", protocol="tcp", port=80))
    assert host.allows(Act("execute", "C:\\x.exe"))
