# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small confined service of the tests' own on a lab host; it tries from inside what a debugger needs.

GET /ptrace, /core, /limits on 127.0.0.1:8299 answer in one line what became of it.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from lab_host import LabHost

POLICY, UNIT, PORT = "ovl", "ovl.service", 8299
DROPIN = f"/etc/systemd/system/{UNIT}.d/zz-bulkhead.conf"
PROGRAM = """import ctypes, http.server, os, resource, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def child(act):
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    return pid
def ptrace():
    pid = child(lambda: time.sleep(30))
    answer = libc.ptrace(16, pid, None, None)  # PTRACE_ATTACH
    word = "attached" if answer == 0 else os.strerror(ctypes.get_errno())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return word
def core():
    pid = child(os.abort)
    return "core" if os.WCOREDUMP(os.waitpid(pid, 0)[1]) else "none"
def limits():
    return "%d %d" % (os.getpid(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
ACTS = {"/ptrace": ptrace, "/core": core, "/limits": limits, "/health": lambda: "ok"}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = ACTS[self.path]().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8299), Handler).serve_forever()
"""
UNIT_TEXT = """[Unit]
Description=Service of the overlay tests
[Service]
ExecStart=/usr/bin/python3 /opt/ovl/ovl.py
ExecReload=/bin/kill -HUP $MAINPID
User=ovl
[Install]
WantedBy=multi-user.target
"""
TEXT = """schema: 1
policy: ovl
version: 1.0.0
owner: lab
risk: low
summary: A service of the tests.
extends: [network-daemon]
mode: enforce
workload: {linux: {unit: ovl.service, executable: /opt/ovl/ovl.py}}
paths:
  code: {linux: /opt/ovl}
  interpreter: {linux: /usr/bin/python3}
  reloader: {linux: /bin/kill}
identity: {user: ovl, privileges: []}
filesystem:
  read: [$code]
  write: []
  execute: [$interpreter, $reloader]
network:
  listen: [tcp/8299]
  connect: []
  families: [ipv4, unix]
processes: {spawn: [], syscalls: [network_server], max: 64}
memory: {writable_and_executable: deny, core_dumps: deny}
files: {max_open: 1024}
health:
  - {http: 'http://127.0.0.1:8299/health', status: 200, within: 90s}
"""


class OverlayHost(LabHost):
    """The service installed, confined and gone again."""

    def install(self) -> None:
        files = {"/opt/ovl/ovl.py": PROGRAM, f"/etc/systemd/system/{UNIT}": UNIT_TEXT}
        parts = [
            "mkdir -p /opt/ovl",
            "id -u ovl >/dev/null 2>&1 || useradd --system --shell /usr/sbin/nologin ovl",
        ]
        for path, text in files.items():
            parts.append(f"echo {base64.b64encode(text.encode()).decode()} | base64 -d >{path}")
        parts += ["systemctl daemon-reload", f"systemctl enable -q --now {UNIT}"]
        self.ssh(" && ".join(parts))

    def uninstall(self) -> None:
        self.ssh(
            f"systemctl disable -q --now {UNIT}; rm -rf /opt/ovl /etc/systemd/system/{UNIT}; userdel ovl;"
            " systemctl daemon-reload; systemctl reset-failed ovl.service",
            check=False,
        )

    def folder(self, *replacements: tuple[str, str]) -> str:
        text = TEXT
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new)
        folder: Path = self.work / f"policies-{len(replacements)}"
        folder.mkdir(exist_ok=True)
        (folder / "ovl.yml").write_text(text)
        return str(folder)

    def apply(self, *replacements: tuple[str, str], **options: Any) -> dict[str, Any]:
        options = {"policy": POLICY, "policies_dirs": [self.folder(*replacements)], **options}
        return self.run(module="sandbox", **options)[0]

    def debug(self, *arguments: str, **options: Any) -> dict[str, Any]:
        return self.run(*arguments, module="debug", policy=POLICY, **options)[0]

    def info(self) -> dict[str, Any]:
        return self.run(module="sandbox_info", policy=POLICY)[0]

    def act(self, name: str) -> str:
        address = f"http://127.0.0.1:{PORT}/{name}"
        fetch = f"import urllib.request as u; print(u.urlopen('{address}', timeout=60).read().decode())"
        return self.ssh(
            f'for i in 1 2 3 4 5 6 7 8 9; do python3 -c "{fetch}" 2>/dev/null && exit 0; sleep 2; done; exit 1'
        )

    def marks(self) -> list[str]:
        """All that the tests' policy has on the host, but for its receipts and lock; bytes, modes and times."""
        return self.ssh(
            "for f in $(find /etc/systemd/system /etc/bulkhead /run/systemd/system /run/systemd/transient /run/bulkhead"
            " /var/lib/bulkhead/ovl/generations -path '*ovl*' -type f 2>/dev/null | sort); do"
            ' echo "$f $(stat -c "%a %U %G %Y" $f) $(sha256sum <$f)"; done'
        ).splitlines()
