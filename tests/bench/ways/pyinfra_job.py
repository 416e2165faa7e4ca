# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same job for pyinfra; --data gives the act and the job's file."""

import json
from pathlib import Path

from pyinfra import host
from pyinfra.operations import files, server, systemd

job = json.loads(Path(host.data.job).read_text())["job"]
if host.data.act == "rollback":
    systemd.service(name="Rules", service="bulkhead-net-nginx.service", running=False)
    done = [files.file(name="File", path=one["path"], present=False) for one in job["files"]]
    done += [files.directory(name="Folder", path=path, present=False) for path in job["made"]]
else:
    done = [
        files.put(name="File", src=one["source"], dest=one["path"], mode=one["mode"], create_remote_dir=True)
        for one in job["files"]
    ]
systemd.service(
    name="Restart",
    service="nginx.service",
    running=True,
    restarted=True,
    daemon_reload=True,
    _if=lambda: any(one.did_change() for one in done),
)
server.shell(
    name="Health",
    commands=["curl -fsS -o /dev/null --retry 10 --retry-delay 1 --retry-connrefused http://127.0.0.1/"],
)
