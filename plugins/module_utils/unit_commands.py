# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of Exec lines as systemd reads them: quotes, escapes, prefixes, lists (systemd.service(5)).

After config_parse_exec() and extract_first_word() of systemd 257: the first word of a command is unquoted and unescaped
before prefixes are looked for, and a semicolon that stands alone, unquoted, begins another command.
"""

from __future__ import annotations

import os
import re
from collections import namedtuple

from . import unit_specifiers

PREFIXES = "@-:+!|"
# Where systemd looks for a program without a path, unless ExecSearchPath= says otherwise.
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

# program: without prefixes, its specifiers as they are written.
Command = namedtuple("Command", "prefix program")

_TOKEN = re.compile(
    r"\\(?:x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})|(?P<letter>[abfnrtv\\\"'s]))"
    r"|(?P<quote>[\"'])|(?P<space>[ \t\n\r]+)|(?P<plain>.)",
    re.DOTALL,
)
_LETTERS = dict(zip("abfnrtv\\\"'s", "\a\b\f\n\r\t\v\\\"' "))


def _bytes(found):
    """The bytes that a token stands for."""
    kind, text = found.lastgroup, found.group(found.lastgroup)
    if kind in ("byte", "octal"):
        return bytes([int(text, 16 if kind == "byte" else 8)])
    if kind in ("short", "long"):
        return chr(int(text, 16)).encode("utf-8", "replace")
    return (_LETTERS[text] if kind == "letter" else text).encode("utf-8", "replace")


def words(line):
    """[(word, as it is written)] of a command line. A quote without an end takes the rest; systemd refuses such."""
    found, word, quote, begin = [], None, "", 0
    for token in _TOKEN.finditer(line):
        kind, text = token.lastgroup, token.group()
        if kind == "space" and not quote:
            if word is not None:
                found.append((word, line[begin : token.start()]))
            word = None
            continue
        if word is None:
            word, begin = b"", token.start()
        if kind == "quote" and quote in ("", text):
            quote = "" if quote else text
        else:
            word += _bytes(token)
    if word is not None:
        found.append((word, line[begin:]))
    return [(plain.decode("utf-8", "replace"), written) for plain, written in found]


def commands(line):
    """Every ``Command`` of an Exec line, in order."""
    found, first = [], True
    for word, written in words(line):
        if first:
            program = word.lstrip(PREFIXES)
            found.append(Command(word[: len(word) - len(program)], program))
        first = not first and written == ";"
    return found


def places(program, folders=()):
    """Paths where ``program`` may lie; the first that is there is run. None for what systemd does not take as a name.

    ``folders``: of ExecSearchPath= (systemd 250).
    """
    if program.startswith("/"):
        return [program]
    if not program or "/" in program:
        return []
    return [folder.rstrip("/") + "/" + program for folder in folders or FOLDERS if folder.startswith("/")]


def search_folders(service):
    """Folders of ExecSearchPath= lines."""
    return [folder for value in service.get("ExecSearchPath", ()) for folder in value.split(":")]


def of_service(service, unit=""):
    """Program names of all Exec lines, specifiers expanded, sorted; those that cannot be told are left out."""
    found = set()
    for key, lines in service.items():
        if key.startswith("Exec") and key not in ("ExecPaths", "ExecSearchPath"):
            for command in (command for line in lines for command in commands(line)):
                try:
                    found.add(unit_specifiers.expand(command.program, unit))
                except ValueError:
                    continue  # the compiler refuses such a unit
    return sorted(found)


def programs(service, unit=""):
    """{program as an Exec line names it: its absolute path on this host}; names that are nowhere are left out."""
    folders = search_folders(service)
    found = {}
    for name in of_service(service, unit):
        # One with a path is what it is, whether it is there or not.
        there = [path for path in places(name, folders) if path == name or os.access(path, os.X_OK)]
        if there:
            found[name] = there[0]
    return found


def interpreter(path):
    """The program that a ``#!`` file really runs, ``/usr/bin/env NAME`` resolved; "" for anything else."""
    try:
        with open(path, "rb") as stream:
            first = stream.readline(256)
    except OSError:
        return ""
    if not first.startswith(b"#!"):
        return ""
    words_of_it = first[2:].decode("utf-8", "replace").split()
    if words_of_it and os.path.basename(words_of_it[0]) == "env":
        names = [word for word in words_of_it[1:] if not word.startswith("-") and "=" not in word]
        for directory in ("/usr/local/bin", "/usr/bin", "/bin"):
            if names and os.access(os.path.join(directory, names[0]), os.X_OK):
                return os.path.join(directory, names[0])
    return words_of_it[0] if words_of_it else ""
