# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmark: the job of one application on HOSTS (10,30) nspawn hosts, each way in turns, ROUNDS (5) times.

First converge, no change, rollback: wall time, the controller's processor time, bytes on the wire. After each act the
hosts' own files say whether the job was done. The table and the plot go to build/bench, with DOCS=1 into docs/. ADD=1
goes on with the rounds that lie there, WAYS="ours floor" runs some ways: slow ones need not run as often as the others.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "exams")]
import converge_chart as charts  # noqa: E402
import converge_job as jobs  # noqa: E402
import converge_measure as measure  # noqa: E402
import converge_page as pages  # noqa: E402
import converge_ways as ways_  # noqa: E402
import exam  # noqa: E402
from converge_goals import Run, medians, shortfalls  # noqa: E402
from converge_hosts import ROOT, Fleet, wrong  # noqa: E402
from converge_ways import ACTS, AT_ONCE, Way  # noqa: E402

SIZES = [int(size) for size in os.environ.get("HOSTS", "10,30").split(",")]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
ONLY = os.environ.get("WAYS", "").split()
PLACE = ROOT / "build/bench"


def job_of(fleet: Fleet, work: Path) -> jobs.Job:
    """The policy, compiled by the collection for the first host: all of them are alike."""
    import lab_host

    lab_host.INVENTORY = fleet.inventory
    lab_host.LabHost(fleet.names[0], work).policy("policies")
    options = {
        "policy": "nginx",
        "policies_dirs": [str(work / "policies")],
        "render_dir": str(work / "render"),
    }
    argv = [
        str(lab_host.PLAYBOOK), "-i", str(fleet.inventory), "bulkhead.fleet.render",
        "-e", f"fleet={fleet.names[0]}", "-e", json.dumps(options),
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the policy cannot be compiled: {done.stdout[-600:]}")
    bundle = json.loads((work / "render/nginx" / fleet.names[0] / "bundle.json").read_text())
    return jobs.from_bundle(bundle)


class Bench:
    def __init__(self, fleet: Fleet, job: jobs.Job, work: Path) -> None:
        self.fleet, self.job, self.work = fleet, job, work
        self.runs = earlier()
        self.begin = 1 + max((run.round for run in self.runs), default=-1)
        self.faults: list[str] = []

    def turn(self, way: Way, names: list[str], number: int) -> None:
        """All acts of one way, each followed by a look at every host."""
        way.fresh()
        before = self.fleet.look(names, way.name, self.job)
        for act in ACTS:
            argv = way.command(act, names)
            cost = measure.run(
                argv, os.environ | way.environment, self.work, self.fleet.space, self.fleet.cables(names)
            )
            after = self.fleet.look(names, way.name, self.job)
            faults = [
                f"{len(names)} hosts, {way.name}, {act}, {name}: {fault}"
                for name in names
                for fault in wrong(act, way.name, before[name], after[name], self.job)
            ]
            if cost["code"]:
                faults.append(f"{len(names)} hosts, {way.name}, {act}: status {cost['code']}")
                print((self.work / "log").read_text(errors="replace")[-1500:], file=sys.stderr)
            if faults:
                # What does not do the job has no time for it.
                print("".join(f"  {fault}\n" for fault in faults[:5]), end="", flush=True)
                self.faults += faults
                self.fleet.clean(names, self.job)
                return
            size = len(names)
            run = Run(
                size,
                self.begin + number,
                way.name,
                act,
                cost["wall"],
                cost["cpu"] / size,
                cost["wire"] / size,
            )
            self.runs.append(run)
            print(
                f"  {size} hosts, round {number + 1}, {way.name}, {act}: {run.wall:.1f} s, "
                f"{run.cpu:.3f} s of processor and {run.wire / 1000:.1f} kB per host",
                flush=True,
            )
            before = after


def earlier() -> list[Run]:
    """The runs that lie in the benchmark's folder, where they are to be gone on with."""
    path = PLACE / "runs.json"
    there = os.environ.get("ADD") and path.exists()
    return [Run(**run) for run in json.loads(path.read_text())] if there else []


def order(ways: list[Way], number: int) -> Iterator[Way]:
    """Another one begins in each round, and every second round runs backwards."""
    turned = ways[number % len(ways) :] + ways[: number % len(ways)]
    yield from reversed(turned) if number % 2 else turned


def conditions(load: float, ways: list[Way], rounds: int) -> list[str]:
    """What a reader has to know of the run, in sentences."""
    newest = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0]
    peers = [f"{way.name} {ways_.version(way.name)}" for way in ways if way.name in ("pyinfra", "mitogen")]
    more = ", slow ways fewer of them" if os.environ.get("ADD") else ""
    lines = [
        f"{datetime.date.today().isoformat()}, `make bench`, {rounds} rounds{more}: "
        f"nspawn hosts with Debian 12 on the controller's own {os.cpu_count()} processors, {AT_ONCE} hosts at a time,",
        f"ansible-core {version('ansible-core')}, Python {platform.python_version()}, {newest}"
        f"{''.join(f', {one}' for one in peers)}. Medians; ratios are medians of the rounds' own ratios.",
    ]
    if load > (os.cpu_count() or 1):
        lines.append(f"There was other work beside it (load {load:.0f} before it began): read the ratios.")
    return lines


def publish(runs: list[Run], titles: dict[str, str], said: list[str], missed: list[str]) -> None:
    """Table, plot and the runs themselves."""
    text, svg = pages.section(runs, titles, said, missed), charts.chart(runs, titles)
    (PLACE / "table.md").write_text(text + "\n")
    (PLACE / "runs.json").write_text(json.dumps([vars(run) for run in runs]))
    (PLACE / "bench.svg").write_text(svg)
    if os.environ.get("DOCS"):
        (ROOT / "docs/images/bench.svg").write_text(svg)
        pages.replace(ROOT / "docs/performance.md", text)


def main() -> None:
    load = os.getloadavg()[0]
    PLACE.mkdir(parents=True, exist_ok=True)
    with Fleet(max(SIZES)) as fleet:
        # ssh answers before a host has booted to its end.
        fleet.all(fleet.names, "systemctl is-system-running --wait >&2; systemctl start nginx.service")
        job = job_of(fleet, PLACE)
        everyone = ways_.every(PLACE, fleet, job)
        for way in everyone:
            if way.absent:
                print(f"  without {way.name}: {way.absent}")
        ways = [way for way in everyone if not way.absent and (not ONLY or way.name in ONLY)]
        bench = Bench(fleet, job, PLACE)
        for size in SIZES:
            for number in range(ROUNDS):
                for way in order(ways, bench.begin + number):
                    bench.turn(way, fleet.names[:size], number)
        for way in ways:
            for number in range(ROUNDS if way.name == "ours" else 0):  # what the rollback of one host takes
                bench.turn(way, fleet.names[:1], number)
    titles = {way.name: way.title for way in everyone if any(run.way == way.name for run in bench.runs)}
    missed = shortfalls(bench.runs)
    publish(bench.runs, titles, conditions(load, everyone, bench.begin + ROUNDS), missed)
    figures = {
        "hosts": SIZES,
        "rounds": ROUNDS,
        "absent": {way.name: way.absent for way in everyone if way.absent},
    }
    exam.end("bench", figures | medians(bench.runs, list(titles)), bench.faults + missed)


if __name__ == "__main__":
    main()
