# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 run.py NAME {prepare,run,cleanup} [--confined]`` on a host: one JSON object, 1 on failure."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback

import steps

MODULES = {
    "nginx": "nginx",
    "postgresql": "postgresql",
    "redis": "redis",
    "bulletin": "bulletin.workload",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(MODULES))
    parser.add_argument("action", choices=("prepare", "run", "cleanup"))
    parser.add_argument("--confined", action="store_true")
    options = parser.parse_args()
    workload = importlib.import_module(MODULES[options.name])
    if options.action == "run":
        report = steps.run_steps(options.name, workload.STEPS, steps.Context(options.confined))
    else:
        report = {"workload": options.name, "action": options.action, "ok": True, "detail": ""}
        try:
            getattr(workload, options.action)()
        except Exception:
            report.update(ok=False, detail=traceback.format_exc()[-2000:])
    print(json.dumps(report))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
