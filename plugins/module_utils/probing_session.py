# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The near side of the probe program: its source, the two files it talks through, and the talk."""

from __future__ import annotations

import json
import os
import subprocess
import time

from . import probing_acts_calls, probing_acts_files, probing_acts_network, probing_serve
from .errors import HostError

PARTS = (probing_acts_calls, probing_acts_files, probing_acts_network, probing_serve)
PATIENCE = 60.0  # seconds for one answer: an emulated host under load needs them

# One script on standard input: the parts become modules of a package that exists only in memory.
BOOT = """import sys, types
package = types.ModuleType("bulkhead_probe")
package.__path__ = []
sys.modules["bulkhead_probe"] = package
for name, source in %r:
    module = types.ModuleType("bulkhead_probe." + name)
    module.__package__ = "bulkhead_probe"
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules["bulkhead_probe.probing_serve"].serve()
"""


def source():
    """The whole program as one script. It works from a directory and from the zip that Ansible sends."""
    parts = [(part.__name__.rpartition(".")[2], part.__loader__.get_source(part.__name__)) for part in PARTS]
    return BOOT % (parts,)


class Session:
    """A running probe program: ``ask`` it to try something.

    ``folder`` holds ``program`` (the script; requests are appended to it), ``answers`` and ``errors``.
    """

    def __init__(self, folder):
        self.program = os.path.join(folder, "program")
        self.answers = os.path.join(folder, "answers")
        self.errors = os.path.join(folder, "errors")
        self.sequence = 0
        self.rest = b""
        os.makedirs(folder, mode=0o700)
        for path, content in ((self.program, source()), (self.answers, ""), (self.errors, "")):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(content)
        self.stream = open(self.answers, "rb")  # noqa: SIM115 (closed by close)

    def send(self, request):
        with open(self.program, "ab") as stream:
            stream.write(json.dumps(request).encode("ascii") + b"\n")

    def wait(self, patience=PATIENCE):
        """Until the program says that it reads requests: what came sooner would be part of the script."""
        while not self._line(patience).get("ready"):
            pass

    def _line(self, patience):
        end, pause = time.monotonic() + patience, 0.002
        while b"\n" not in self.rest:
            data = self.stream.read()
            if data:
                self.rest += data
            elif time.monotonic() > end:
                raise HostError("the probe program does not answer%s." % self.complaint())
            else:
                time.sleep(pause)
                pause = min(pause * 1.5, 0.05)
        line, _newline, self.rest = self.rest.partition(b"\n")
        return json.loads(line.decode("ascii"))

    def complaint(self):
        """The last line that the program wrote to standard error, in brackets, or nothing."""
        with open(self.errors, encoding="utf-8", errors="replace") as stream:
            text = stream.read().strip()
        return " (%s)" % text.splitlines()[-1][:200] if text else ""

    def ask(self, action, target="", meanwhile=None, patience=PATIENCE, **more):
        """Try one act and return its final answer.

        ``meanwhile(said)`` is called when the act says that it waits (an open listener, a held process); what
        it returns stands in the answer under ``meanwhile``.
        """
        self.sequence += 1
        request = {"action": action, "target": target}
        request.update(more)
        self.send(request)
        seen = None
        while True:
            said = self._line(patience)
            if said.get("seq") != self.sequence:
                continue
            if said.get("final"):
                said["meanwhile"] = seen
                return said
            seen = meanwhile(said) if meanwhile else None
            self.send({"action": "release"})

    def end(self):
        self.send({"action": "end"})

    def close(self):
        self.stream.close()


class Outside(Session):
    """The same program as a plain process of the module, unconfined: the positive control."""

    def __init__(self, folder, python):
        super().__init__(folder)
        with (
            open(self.program, "rb") as script,
            open(self.answers, "wb") as out,
            open(self.errors, "wb") as err,
        ):
            self.process = subprocess.Popen(
                [python, "-I", "-S", "-"], stdin=script, stdout=out, stderr=err, cwd="/"
            )
        self.wait()

    def close(self):
        self.end()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        super().close()
