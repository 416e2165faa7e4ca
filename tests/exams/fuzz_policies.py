# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies that nobody wrote: grown from the JSON Schema, shipped ones spoilt, and bytes that are hardly YAML.

Each is made from a seed and a number alone, so that one can be made again without those before it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

import exam
import hostile_policy

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import systemd_overrides
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.parse import parse
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.schema import SCHEMA_FILE

KINDS = ("grown", "spoilt", "bytes")
_WEIGHTS = (50, 35, 15)
_SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
_DEFS = _SCHEMA["$defs"]
_SHIPPED = [*sorted(library.OWN.glob("*.yml")), exam.EVERYTHING]
_TEXTS = [path.read_bytes() for path in _SHIPPED]
_DATA = [*(parse(str(path), path.read_bytes()).data for path in _SHIPPED), hostile_policy.policy()]
_ATTACKS = hostile_policy.attacks()
# What YAML, its old versions and its tools live by.
_PIECES = [
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xc3\x28",
        b"\xef\xbb\xbf",
        b"\r",
        b"\t",
        b"\n",
        b"\n---\n",
        b"\n...\n",
        b"%YAML 1.1\n",
    ),
    *(
        b"&a ",
        b"*a",
        b"!!python/object:os.system ",
        b"!x ",
        b"<<: *a",
        b"? ",
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"'",
        b'"',
        b"|\n",
        b">-\n",
        b"#",
        b"{{ x }}",
        b"1e999",
        b"0x7f",
        b"-0",
        b".nan",
        b"~",
        b"9" * 400,
        b"[" * 40,
    ),
    *(
        b"\xe2\x80\xa8",
        b"\xe2\x80\xae",
        b"\xed\xa0\x80",
        b"null",
        b"true",
        b"2026-01-01",
        b"id: ",
        b"glob: ",
        b"$program",
    ),
]

_LETTERS = "abcdefgh"
_FOLDERS = {
    "linux": [
        "/srv",
        "/srv/app",
        "/etc/app",
        "/var/lib/app",
        "/var/log/app",
        "/opt/a b",
        "/usr/share/app",
        "/run/app",
        "/tmp/x",
        "/home/app",
        "/usr/bin",
        "/usr/sbin/app",
        "/dev/ttyS0",
        "/run/app.pid",
        "/proc/sys",
        "/",
    ],
    "windows": [
        "C:\\App",
        "C:\\App\\data",
        "D:\\Data & Files",
        "C:\\Windows\\Temp",
        "\\\\server\\share",
        "C:\\",
    ],
    "macos": [
        "/opt/homebrew/var/app",
        "/Library/App",
        "/usr/local/bin/app",
        "/private/var/app",
        "/Users/app",
        "/",
    ],
}
_ADDRESSES = [
    *("10.0.0.1", "10.20.0.0/16", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::7", "2001:db8::/32", "::/0", "::1"),
    *("::ffff:10.0.0.1", "169.254.169.254", "dns", "loopback", "any", "group:app_servers", "group:nobody"),
    *("api.example.com", "10.0.0.1/8", "localhost", "fe80::1%eth0", "1.2.3", "*.example.com"),
]
_GLOBS = ["/srv/*.db", "/etc/app/[ab]*", "/var/log/*/x?", "/**", "/srv/[", "C:\\App\\*.dll", "/srv/plain"]
_OVERRIDES = sorted(systemd_overrides.SERVICE | systemd_overrides.UNIT | set(systemd_overrides.OWNED))


class Grower:
    """Values that mostly fit the schema. ``wild``: how often one does not."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.rich = random.choice((0.15, 0.35, 0.7))
        self.wild = random.choice((0.0, 0.0, 0.005, 0.03))
        self.systems = [name for name in ("linux", "windows", "macos") if random.random() < 0.7] or ["linux"]
        self.names = random.sample(["data", "logs", "config", "tools"], random.randint(0, 4))
        named: dict[str, Callable[[], Any]] = {
            "policy_name": lambda: self._word(),
            "name": lambda: self._word(),
            "id": lambda: self._word(),
            "line": self._line,
            "text": self._path,
            "scalar": self._scalar,
            "account": self._account,
            "variable": lambda: self._word().upper(),
            "bus_name": lambda: f"org.{self._word()}.{self._word()}",
            "size": lambda: self._number() + self._any("", "B", "KiB", "MiB", "GiB", "TB"),
            "duration": lambda: self._number() + self._any("ms", "s", "min", "h", "d"),
            "rate": lambda: (
                f"{self._any('999999999', self._number())}/{self._any('', '5')}{self._any('ms', 's', 'min', 'h', 'd')}"
            ),
            "percent": lambda: self._number() + "%",
            "port": self._port,
            "path_or_null": self._path,
            "path_entry": self._entry,
            "count": lambda: random.choice((1, 7, 100, 4096, 2147483647)),
        }
        by_key: dict[str, Callable[[], Any]] = {
            "version": lambda: self._any("1.0.0", "0.1.0-rc.1+x", "10.20.30"),
            "mode": self._mode,
            "unit": lambda: self._any(
                "nginx.service", "redis-server.service", f"{self._word()}.service", "a@.service"
            ),
            "service": lambda: self._any("nginx", "Every Thing", self._word()),
            "label": lambda: f"org.{self._word()}",
            "health": self._health,
            "waivers": self._waivers,
            "secrets": self._secrets,
            "to": lambda: self._any(*_ADDRESSES),
            "glob": lambda: self._any(*_GLOBS),
            "listen": self._listen,
            "connect": self._connect,
            "policy": self._policy,
            "extends": self._extends,
            "components": lambda: [{"name": "side", "policy": "helper"}],
            "widens": list,
        }
        self._named, self._by_key = named, by_key

    def document(self) -> Any:
        made = self._mapping(_DEFS["policy"], ("",))
        if self.names:
            made["paths"] = {
                name: {system: self._path_on(system) for system in self.systems} for name in self.names
            }
        return made

    def value(self, schema: dict[str, Any], place: tuple[str, ...]) -> Any:
        if self.random.random() < self.wild:
            return self._wild()
        if place[-1] == "executable":
            return self._path_on(place[-2]) or "/srv/none"
        if place[-1] in self._by_key and place[-2:] not in (("network", "listen"), ("network", "connect")):
            return self._by_key[place[-1]]()
        name = schema.get("$ref", "").rpartition("/")[2]
        if name in self._named:
            return self._named[name]()
        if name:
            return self.value(_DEFS[name], place)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        kinds = schema.get("type", "string")
        kind = kinds if isinstance(kinds, str) else self.random.choice(kinds)
        if kind == "object":
            return self._mapping(schema, place)
        if kind == "array":
            count = (
                self.random.choice((1, 1, 2, 3)) if self.random.random() < 0.8 else schema.get("minItems", 0)
            )
            return [self.value(schema["items"], (*place, "item")) for _number in range(count)]
        if kind == "integer":
            return self.random.choice((schema.get("minimum", 0), 100, 200, schema.get("maximum", 1000)))
        if kind == "string" and isinstance(schema.get("else"), dict):
            return self.value(schema["else"], place)
        if kind == "string" and place[-2:] == ("connect", "item"):
            return self._any(*_ADDRESSES)
        return self._scalar()

    def _mapping(self, schema: dict[str, Any], place: tuple[str, ...]) -> Any:
        known: dict[str, Any] = schema.get("properties", {})
        wanted = {*schema.get("required", []), *schema.get("then", {}).get("required", [])}
        forms = [form["required"][0] for form in schema.get("oneOf", schema.get("then", {}).get("oneOf", []))]
        wanted |= {key for key in known if key not in forms and self.random.random() < self.rich}
        if forms:
            wanted.add(self.random.choice(forms))
        if place[-1] == "workload":
            wanted = set(self.systems)
        if place[-1] == "overrides":
            wanted &= set(self.systems)
        if place == ("",) and self.random.random() < 0.8:
            wanted -= {"examples", "widens"}
        made = {key: self.value(known[key], (*place, key)) for key in known if key in wanted}
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            override = place[-2:-1] == ("overrides",)
            keys = (
                ["systemd"]
                if override
                else [self._key(place) for _number in range(self.random.randint(0, 2))]
            )
            made |= {key: self.value(more, (*place, key)) for key in keys}
        return made

    def _key(self, place: tuple[str, ...]) -> str:
        return self._any(*_OVERRIDES) if place[-1] == "systemd" else self._word().upper()

    def _any(self, *values: str) -> str:
        return self.random.choice(values)

    def _word(self) -> str:
        return "".join(self.random.choices(_LETTERS, k=self.random.randint(1, 6)))

    def _number(self) -> str:
        return str(self.random.choice((1, 5, 30, 80, 512, 8080, 65535)))

    def _line(self) -> str:
        return " ".join(self._word() for _number in range(self.random.randint(1, 5)))

    def _scalar(self) -> Any:
        return self.random.choice(
            (5, 0.5, True, "0", "yes", self._line(), '<a> & "b"; \\ $PATH %h', "x" * 300)
        )

    def _account(self) -> str:
        return self._any("www-data", "_app", "NT SERVICE\\App", "root", "LocalSystem", "app-user")

    def _path_on(self, system: str) -> str | None:
        if self.random.random() < 0.05:
            return None
        slash = "\\" if system == "windows" else "/"
        tail = self._any(
            "", "", slash + self._word(), slash + self._word() + slash + self._word(), f"{slash}a[1] b"
        )
        folder = self.random.choice(_FOLDERS[system])
        return folder.rstrip(slash) + tail if tail else folder

    def _path(self) -> str:
        if self.names and self.random.random() < 0.5:
            return f"${self.random.choice(self.names)}" + self._any("", "/" + self._word(), "/x/y.d")
        if self.random.random() < 0.05:
            return "$program"
        return self._path_on(self.random.choice(self.systems)) or "/srv/none"

    def _entry(self) -> Any:
        if self.random.random() < 0.7:
            return self._path()
        made: dict[str, Any] = (
            {"glob": self._any(*_GLOBS)} if self.random.random() < 0.2 else {"path": self._path()}
        )
        if self.random.random() < 0.3:
            made["on"] = self.random.choice(self.systems)
        if self.random.random() < 0.4:
            made["why"] = self._line()
        return made

    def _port(self) -> str:
        low = self.random.choice((0, 1, 53, 80, 443, 5000, 8080, 65535))
        return self._any("tcp/", "udp/") + self._any(str(low), f"{low}-{low + 10}", "*")

    def _listen(self) -> str:
        return self._any("tcp/", "udp/") + self._number()

    def _connect(self) -> str:
        return self._any("10.20.0.1:5432", "169.254.169.254:80", "udp/127.0.0.1:53", "[::1]:80", "1.2.3.4:0")

    def _health(self) -> list[dict[str, Any]]:
        forms = (
            {"http": f"http://127.0.0.1/{self._word()}", "status": 204},
            {"tcp": "[::1]:80", "within": "2s"},
        )
        return [
            self.random.choice((*forms, {"command": ["/usr/bin/test", "-e", self._line(), '"; %h $(id)']}))
        ]

    def _waivers(self) -> list[dict[str, Any]]:
        whole = ("filesystem.write", "network.connect", "memory.limit", "ipc.unix[0]", "identity")
        until = "2099-01-01" if self.random.random() < 0.8 else self._any("2020-01-01", "2027-02-30")
        words = {"reason": self._line(), "owner": self._word(), "until": until}
        return [{"clause": self._any(*whole[:2], *whole), "on": self.random.choice(self.systems), **words}]

    def _secrets(self) -> list[dict[str, Any]]:
        more = (
            {"rotate_after": "90d", "rotate_with": "playbooks/rotate.yml"}
            if self.random.random() < 0.5
            else {}
        )
        return [{"name": self._word(), "source": self._path(), **more}]

    def _extends(self) -> list[str]:
        return self.random.choice(([], [], [], ["local-daemon"], ["network-daemon"], ["nowhere"]))

    def _mode(self) -> str:
        return self._any("enforce", "enforce", "audit")

    def _policy(self) -> str:
        return self._any("fuzz", "fuzz", "a", "x-y_z", "fuzz" * 12)

    def _wild(self) -> Any:
        attack = self.random.choice(_ATTACKS)
        return self.random.choice(
            (
                attack.spoil(self._path()),
                attack.payload,
                attack.spoil(self._word()),
                None,
                [],
                {},
                -1,
                1e308,
                [[]],
                {"a": 1},
            )
        )


def make(seed: int, number: int) -> tuple[str, bytes]:
    """The kind and the bytes of one policy."""
    random = Random(f"{seed}:{number}")
    kind = random.choices(KINDS, _WEIGHTS)[0]
    if kind == "grown":
        return kind, _written(Grower(random).document(), random)
    if kind == "spoilt":
        return kind, _written(_spoilt(random), random)
    return kind, _bytes(random)


def _written(data: Any, random: Random) -> bytes:
    """JSON is YAML in which every character can be written; some with raw characters, which YAML may refuse."""
    raw = random.random() < 0.2
    text = json.dumps(data, indent=1, ensure_ascii=not raw)
    return text.encode("utf-8", "surrogatepass")


def _spoilt(random: Random) -> Any:
    """A document that was good, with a few changes: of texts, of kinds, of keys, of whole sections."""
    data = copy.deepcopy(random.choice(_DATA))
    grower = Grower(random)
    for _number in range(random.choice((1, 1, 2, 4))):
        found = list(hostile_policy.fields(data))
        if not found:
            break
        place, is_key = random.choice(found)
        if is_key:
            text = random.choice(_ATTACKS).spoil(str(place[-1])) if random.random() < 0.5 else grower._word()
            data = hostile_policy.rename(data, place, text)
            continue
        cut = random.choice((place, place, place, place[: random.randint(1, len(place))]))
        holder, last = hostile_policy.at(data, cut[:-1]), cut[-1]
        change = random.randrange(6)
        if change == 0 and isinstance(holder, dict):
            del holder[last]
        elif change == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif change == 2:
            holder[last] = grower._wild()
        elif change == 3 and isinstance(holder[last], str):
            holder[last] = random.choice(_ATTACKS).spoil(holder[last])
        elif change == 4:
            other = random.choice(found)[0]
            holder[last] = copy.deepcopy(hostile_policy.at(data, other))
        else:
            holder[last] = random.choice((grower._path, grower._entry, grower._port, grower._scalar))()
    return data


def _bytes(random: Random) -> bytes:
    """A shipped file with bytes lost, doubled, turned and put in; seldom no policy at all."""
    if random.random() < 0.1:
        return random.randbytes(random.randint(0, 200))
    data = bytearray(random.choice(_TEXTS))
    for _number in range(random.choice((1, 1, 2, 5, 20))):
        at = random.randrange(len(data) + 1)
        change = random.randrange(5)
        if change == 0:
            data[at:at] = random.choice(_PIECES)
        elif change == 1:
            del data[at : at + random.randint(1, 30)]
        elif change == 2:
            data[at:at] = data[at : at + random.randint(1, 60)]
        elif change == 3 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        else:
            other = random.choice(_TEXTS)
            start = random.randrange(len(other))
            data[at:at] = other[start : start + random.randint(1, 80)]
    return bytes(data)
