# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet with one version on it, another one to roll out, and what may be said about it afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from fleet import Fleet

PAUSED = ("-e", '{"rollout_pause_after": ["pilot"]}')


class Shortfall(Exception):
    pass


class World:
    """A fleet that has version 1. ``before``: what it held then."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.number = fleet, 1
        self.before = fleet.holds()

    @property
    def first(self) -> str:
        """The host that is the pilot."""
        return self.fleet.names[0]

    @property
    def last(self) -> str:
        return self.fleet.names[-1]

    @property
    def journal(self) -> Path:
        """That of the latest rollout."""
        return max(self.fleet.rollouts.glob("nginx-e*/journal.jsonl"))

    def new(self) -> None:
        self.number += 1
        self.fleet.version(self.number)

    def play(self, name: str, *arguments: str, ok: bool) -> str:
        done = self.fleet.play(name, *arguments)
        if (done.returncode == 0) is not ok:
            raise Shortfall(f"{name} ended with {done.returncode}: {done.stdout[-500:]}")
        return done.stdout

    @contextmanager
    def soaking(self, *arguments: str, seconds: int = 600) -> Iterator[subprocess.Popen[bytes]]:
        """A rollout whose pilot has changed and soaks, beside what the fault does."""
        with self.fleet.playing("rollout", "-e", f"rollout_soak={seconds}", *arguments) as process:
            if not self.fleet.wait_for(
                process, lambda lines: lines[-1:] and lines[-1]["outcome"] == "changed"
            ):
                raise Shortfall("the pilot did not change")
            yield process

    def ends(self, process: subprocess.Popen[bytes], ok: bool) -> None:
        if (process.wait(timeout=300) == 0) is not ok:
            raise Shortfall(f"the rollout says {process.returncode}")

    # --- what is there afterwards ---

    def back(self, *but: str) -> None:
        held = self.fleet.holds()
        wrong = [host for host in held if host not in but and held[host] != self.before[host]]
        if wrong:
            raise Shortfall(f"not as before: {wrong}")

    def updated(self, *but: str) -> None:
        held = self.fleet.holds()
        same = [h for h in held if h not in but and (held[h][1] or held[h][0] == self.before[h][0])]
        if same:
            raise Shortfall(f"not updated: {same}")

    def only(self, *hosts: str) -> None:
        """These hosts have the new version, and no other one has it."""
        self.back(*hosts)
        self.updated(*(name for name in self.fleet.names if name not in hosts))

    def gate(self, outcome: str) -> None:
        """The last verdict of the latest rollout."""
        found = [line["outcome"] for line in self.fleet.journal() if line["phase"] == "gate"]
        if found[-1:] != [outcome]:
            raise Shortfall(f"the gate says {found[-1:]}, not {outcome}")

    def says(self, output: str, *texts: str) -> None:
        flat = " ".join(output.split())
        for text in texts:
            if text not in flat:
                raise Shortfall(f"nobody was told: {text}")

    def same(self, traces: dict[str, str], what: str) -> None:
        if self.fleet.traces() != traces:
            raise Shortfall(what)


@contextmanager
def answering(text: str) -> Iterator[str]:
    """The address of a server that answers everything with ``text``."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
