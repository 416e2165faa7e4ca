# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy that has every text field of the language, its fields, and what an attacker writes into them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import exam

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.parse import parse

Place = tuple[str | int, ...]

# The policy of the one component, whose program a field of its own grants.
HELPER_PROGRAM = "/usr/libexec/helper"
HELPER = (
    "schema: 1\npolicy: helper\nversion: 1.0.0\nowner: tests\n"
    f"workload: {{linux: {{unit: helper.service, executable: {HELPER_PROGRAM}}}}}\n"
    "filesystem: {read: [/opt/tools], write: [/srv/data/notes], execute: [$program]}\n"
)

# Mappings whose keys are the policy's own words.
FREE_KEYS = frozenset(
    {("paths",), ("environment", "set"), ("overrides", "linux"), ("overrides", "linux", "systemd")}
)
# Every character that some output language or parser lives by, and those that no eye sees.
_CHARACTERS = [
    *"\n\r\t\0\x1b\x7f\x85\u00a0\u2028\u2029\u202e\ufeff\ud800\U000e0001",
    *"\"'\\`%$;#[]{}()<>&|*?=,:@!+-~^/ ",
]
_FIRST = ["-", "+", "!", ":", "@", "|", "~", "=", "#", ";", "$", "%", '"', "[", "\\", " "]
_ATTACKS = [
    "\nExecStart=/bin/sh",
    "\n[Service]\nUser=root",
    "\r\nUser=root",
    "\u2028User=root",
    "\\\nUser=root",
    " /bin/sh",
    '" "/bin/sh',
    "; /bin/sh",
    "%h",
    "%%n",
    "$(reboot)",
    "${HOME}",
    "`reboot`",
    ":/etc:rbind",
    '" accept comment "x',
    '"; flush ruleset; #',
    '" } } table inet x { chain c { accept } } #',
    "; accept #",
    '"/><FilePathRule Action="Allow"/><x a="',
    "</string><key>Program</key><string>/bin/sh",
    "]]><!--",
    "&#10;&quot;&x;",
    '") (allow default) (deny file-read* (literal "',
    ")(allow default)(",
    "|#|",
    '\\") (allow default) (deny file-read* (literal "',
    "\npass out quick all",
    " user root\npass quick",
    '", "Action": "Allow", "x": "',
    "'; Start-Process cmd; '",
    "/../../etc/shadow",
    "/../../../etc",
    " ../../etc",
    "{{ lookup('pipe', 'id') }}",
    "!!python/object:os.system",
]


def policy() -> Any:
    """The tests' policy with every word of the language, and every text field that it leaves out."""
    data = parse(str(exam.EVERYTHING), exam.EVERYTHING.read_bytes()).data
    data["extends"] = ["local-daemon"]
    data["widens"] = [{"clause": "memory.writable_and_executable", "reason": "compiles while it runs"}]
    data["risk"] = "high"
    data["workload"]["linux"]["user"] = "everything"
    data["workload"]["windows"]["user"] = "NT SERVICE\\Every Thing"
    data["identity"]["privileges"] = ["bind_low_port", {"name": "lock_memory", "why": "keys", "id": "locked"}]
    data["filesystem"]["read"] += [
        {"path": "/srv/pages", "on": ["linux", "macos"], "why": "pages", "id": "pages"},
        {"path": "$data/notes", "on": "linux"},
        {"glob": "/var/lib/every/*.d", "on": "linux"},
        {"path": "D:\\Pages", "on": "windows"},
        "$tools/more",
    ]
    data["filesystem"]["write"] += ["/srv/out"]
    data["filesystem"]["execute"] += ["/opt/one/bin/run", "C:\\One\\run.exe"]
    data["filesystem"]["deny"] += ["/srv/pages/draft", "C:\\Drafts"]
    data["network"]["listen"].append({"port": "tcp/8443", "why": "administration", "id": "admin"})
    data["network"]["connect"] += [
        {"to": "2001:db8::7", "ports": ["tcp/5432"], "why": "the database", "id": "database", "rate": "5/min"}
    ]
    data["processes"]["spawn"] += ["/usr/bin/gzip", HELPER_PROGRAM]
    data["memory"]["writable_and_executable"] = "allow"
    data["ipc"]["unix"] += ["/run/one.sock"]
    data["ipc"]["dbus"].append({"name": "org.example.Other", "why": "names", "id": "bus"})
    data["devices"] += ["/dev/ttyS1"]
    data["environment"]["set"]["WORDS"] = "one"
    data["secrets"] = [{"name": "tls_key", "source": "/etc/every/site.key", "why": "TLS", "id": "tls"}]
    data["secrets"][0] |= {"rotate_after": "90d", "rotate_with": "playbooks/rotate_tls.yml"}
    data["components"] = [{"name": "store", "policy": "helper", "why": "sessions"}]
    data["health"] = [
        {"http": "http://127.0.0.1/healthz", "within": "2s", "why": "answers"},
        {"tcp": "127.0.0.1:80"},
        {"command": ["/usr/bin/every", "--check"]},
    ]
    data["examples"] = {
        "must_allow": [
            {"read": "/etc/hosts", "why": "names"},
            {"listen": "tcp/80"},
            {"connect": "10.20.0.1:5432"},
        ],
        "must_deny": [{"execute": "/bin/sh", "on": "linux", "why": "no shell"}, {"write": "/etc/passwd"}],
    }
    by_hand = {"Nice": "5", "SyslogIdentifier": "every", "StateDirectory": "every", "Wants": "one.target"}
    by_hand["ExecStartPre"] = "/usr/bin/true --check"
    data["overrides"] = {"linux": {"systemd": by_hand}}
    data["waivers"] = [
        {
            "clause": "memory.limit",
            "on": "windows",
            "reason": "later",
            "owner": "tests",
            "until": "2099-01-01",
        }
    ]
    return data


def fields(value: Any, place: Place = ()) -> Iterator[tuple[Place, bool]]:
    """The place of every text of the document, and of every key of its own choice (then True)."""
    if isinstance(value, dict):
        for key, one in value.items():
            if place in FREE_KEYS:
                yield (*place, key), True
            yield from fields(one, (*place, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from fields(one, (*place, number))
    elif isinstance(value, str):
        yield place, False


# A letter for each character that could mean something: what differs in an attack differs in its twin.
_LETTERS = {
    char: chr(ord("a") + number % 26)
    for number, char in enumerate(sorted({char for text in [*_CHARACTERS, *_ATTACKS] for char in text}))
    if not (char.isascii() and char.isalnum())
}


@dataclass(frozen=True)
class Attack:
    """A way to spoil a text. ``spoil(text)`` and ``tame(text)`` are of the same length and the same parts.

    ``form`` says where the payload stands. ``{into}`` is a separator where the text is a path: the payload then begins
    a component of its own, also behind a $name.
    """

    payload: str
    form: str = "{text}{into}{payload}x"

    def spoil(self, text: str) -> str:
        return self._put(text, self.payload)

    def tame(self, text: str) -> str:
        keep = "/. \\" if "\\" in text or text.startswith("$") else "/. "
        return self._put(
            text, "".join(char if char in keep else _LETTERS.get(char, char) for char in self.payload)
        )

    def _put(self, text: str, payload: str) -> str:
        into = "/" if text.startswith(("/", "$")) or ":\\" in text else ""
        return self.form.format(text=text, into=into, payload=payload)


def attacks() -> list[Attack]:
    """What is written into every field: into its text, at its end, at its beginning."""
    behind, ends, before = "{text}{payload}x", "{text}{into}{payload}", "{payload}{text}"
    return [
        *(Attack(one) for one in [*_CHARACTERS, *_ATTACKS]),
        *(Attack(one, behind) for one in "\n\\\"'% "),
        *(Attack(one, ends) for one in [*"\n\\\"'%$ ;#", *_ATTACKS[::4]]),
        *(Attack(one, before) for one in _FIRST),
    ]


def put(value: Any, texts: dict[Place, str]) -> Any:
    """A copy of the document with other texts at these places."""
    made = copy.deepcopy(value)
    for place, text in texts.items():
        at(made, place[:-1])[place[-1]] = text
    return made


def rename(value: Any, place: Place, text: str) -> Any:
    """A copy of the document with another key in place of that at ``place``."""
    made = copy.deepcopy(value)
    holder = at(made, place[:-1])
    holder[text] = holder.pop(place[-1])
    return made


def at(value: Any, place: Place) -> Any:
    """What stands at a place of the document."""
    for step in place:
        value = value[step]
    return value
