# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program of the host: no shell, the C locale, always with a time limit."""

from __future__ import annotations

import os
import subprocess
from collections import namedtuple

from .errors import HostError

Completed = namedtuple("Completed", "returncode stdout stderr")

# A login's PATH may lack the sbin directories, where nft and the parsers live.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(argv, timeout=30.0, stdin="", environment=None, keep=()):
    """Run ``argv`` to its end and return ``Completed``; 127 where the program is not there, 124 past ``timeout``.

    ``keep``: descriptors that the program gets as well.
    """
    variables = {"PATH": PATH, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    variables.update(environment or {})
    try:
        done = subprocess.run(
            argv,
            input=stdin.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            env=variables,
            cwd="/",
            pass_fds=keep,
            check=False,
        )
    except FileNotFoundError:
        return Completed(127, "", "%s: not found" % argv[0])
    except subprocess.TimeoutExpired:
        return Completed(124, "", "%s: no answer within %g s" % (argv[0], timeout))
    return Completed(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


def must(argv, what, timeout=30.0, stdin=""):
    """Like ``run``, but a failure is a ``HostError`` that begins with ``what``."""
    done = run(argv, timeout=timeout, stdin=stdin)
    if done.returncode != 0:
        text = " ".join((done.stderr or done.stdout).split())[:400]
        raise HostError(
            "%s failed (%s, exit %d): %s" % (what, os.path.basename(argv[0]), done.returncode, text)
        )
    return done
