# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small JSON files that know what they were: the first line has the SHA-256 of all lines that follow it.

One key a line, sorted, so that the guard reads them in one go. A file that is not to the byte what was written is torn,
whether it was cut, flipped or edited.
"""

from __future__ import annotations

import json

from . import files


def text(fields):
    body = json.dumps(fields, indent=1, sort_keys=True)[2:] + "\n"
    return '{"sum": "%s",\n%s' % (files.sha256(body.encode()), body)


def parse(content):
    """The fields of ``content`` (bytes), None where it is torn."""
    first, _newline, body = content.partition(b"\n")
    if first != b'{"sum": "%s",' % files.sha256(body).encode():
        return None
    try:
        fields = json.loads(content.decode())
        del fields["sum"]
    except (ValueError, KeyError):  # sealed, but never by us
        return None
    return fields


def write(path, fields):
    files.write(path, text(fields).encode())


def read(path):
    """The fields of the file at ``path``: {} where there is none, None where it is torn."""
    content = files.read(path)
    return {} if content is None else parse(content)
