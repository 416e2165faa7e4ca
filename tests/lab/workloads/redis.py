# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis as its users use it: commands, pipelines, scripts, snapshots, append-only file. Runs on the host."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path
from typing import Any, Iterator  # noqa: UP035

import steps
from steps import Context

UNIT = "redis-server.service"
CONFIG = "/etc/redis/redis.conf"
SOCKET = "/run/redis/workload.sock"
DATA = Path("/var/lib/redis")
LOG = Path("/var/log/redis/redis-server.log")
Reply = Any


class Client:
    """The Redis protocol (RESP2) over one connection."""

    def __init__(self, path: str = "") -> None:
        self._socket: socket.socket
        if path:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(15)
            self._socket.connect(path)
        else:
            self._socket = socket.create_connection(("127.0.0.1", 6379), timeout=15)
        self._stream = self._socket.makefile("rb")

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, *commands: tuple[str | int, ...]) -> None:
        data = b""
        for command in commands:
            words = [str(word).encode() for word in command]
            data += b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self._socket.sendall(data)

    def receive(self) -> Reply:
        line = self._stream.readline()
        if not line:
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"$":
            return None if rest == "-1" else self._stream.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self.receive() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        return RedisError(rest) if kind == b"-" else rest

    def __call__(self, *command: str | int) -> Reply:
        """One command and its reply; an error reply is returned, not raised."""
        self.send(command)
        return self.receive()


class RedisError(str):
    """An error reply."""


@contextlib.contextmanager
def client(path: str = "") -> Iterator[Client]:
    connection = Client(path)
    try:
        yield connection
    finally:
        connection.close()


def prepare() -> None:
    """The distribution's configuration, and a UNIX socket beside its port."""
    steps.remember_service(UNIT)
    steps.keep_file(CONFIG)
    if SOCKET not in Path(CONFIG).read_text():
        with open(CONFIG, "a") as config:
            config.write(f"\nunixsocket {SOCKET}\nunixsocketperm 770\n")
    steps.command("systemctl", "enable", "--quiet", UNIT)
    steps.restart(UNIT)
    _until_up()


def cleanup() -> None:
    if steps.show(UNIT, "ActiveState") == "active":
        with client() as redis:
            redis("FLUSHALL")
    steps.restore_file(CONFIG)
    steps.restore_service(UNIT)
    steps.forget()


def _until_up() -> None:
    def answers() -> bool:
        with client() as redis:
            return bool(redis("PING") == "PONG")

    steps.until(answers, "Redis to answer")


def _info(redis: Client, key: str) -> str:
    return next(line.split(":", 1)[1] for line in redis("INFO").splitlines() if line.startswith(key + ":"))


def basics(context: Context) -> None:
    """Strings, counters, lists, hashes and expiry."""
    _until_up()
    with client() as redis:
        assert redis("FLUSHALL") == "OK"
        assert redis("SET", "name", "Grüße 世界") == "OK"
        assert redis("GET", "name") == "Grüße 世界"
        assert [redis("INCR", "counter") for _ in range(3)] == [1, 2, 3]
        assert redis("RPUSH", "list", "a", "b", "c") == 3
        assert redis("LRANGE", "list", 0, -1) == ["a", "b", "c"]
        assert redis("HSET", "hash", "field", "value") == 1
        assert redis("HGETALL", "hash") == ["field", "value"]
        assert redis("SET", "short", "lived", "PX", 50) == "OK"
        time.sleep(0.1)
        assert redis("GET", "short") is None


def pipeline(context: Context) -> None:
    """Five thousand commands in one go are answered in order."""
    count = 5000
    with client() as redis:
        started = time.monotonic()
        redis.send(*[("SET", f"key:{i}", i) for i in range(count)])
        assert {redis.receive() for _ in range(count)} == {"OK"}
        redis.send(*[("GET", f"key:{i}") for i in range(count)])
        assert [redis.receive() for _ in range(count)] == [str(i) for i in range(count)]
        context.figures["pipelined_per_second"] = round(2 * count / (time.monotonic() - started))


def transaction(context: Context) -> None:
    """MULTI and EXEC, and a Lua script."""
    with client() as redis:
        assert redis("MULTI") == "OK"
        assert redis("INCRBY", "sum", 5) == "QUEUED"
        assert redis("INCRBY", "sum", 6) == "QUEUED"
        assert redis("EXEC") == [5, 11]
        assert redis("EVAL", "return redis.call('GET', KEYS[1]) * ARGV[1]", 1, "sum", 2) == 22


def publish(context: Context) -> None:
    """A message reaches its subscriber."""
    with client() as listener, client() as speaker:
        assert listener("SUBSCRIBE", "news") == ["subscribe", "news", 1]
        assert speaker("PUBLISH", "news", "hello") == 1
        assert listener.receive() == ["message", "news", "hello"]


def unix_socket(context: Context) -> None:
    """The same data over the UNIX socket."""
    with client(SOCKET) as redis:
        assert redis("GET", "name") == "Grüße 世界"


def snapshot(context: Context) -> None:
    """BGSAVE forks and writes a snapshot."""
    dump = DATA / "dump.rdb"
    before = dump.stat().st_mtime_ns if dump.exists() else 0
    with client() as redis:
        assert redis("BGSAVE") == "Background saving started"
        steps.until(lambda: _info(redis, "rdb_bgsave_in_progress") == "0", "the snapshot")
        assert _info(redis, "rdb_last_bgsave_status") == "ok"
    assert dump.stat().st_mtime_ns > before
    steps.until(lambda: "Background saving terminated with success" in LOG.read_text(), "the log line")


def append_only(context: Context) -> None:
    """The append-only file is switched on, written and rewritten."""
    with client() as redis:
        assert redis("CONFIG", "SET", "appendonly", "yes") == "OK"
        steps.until(lambda: _info(redis, "aof_rewrite_in_progress") == "0", "the append-only file")
        assert _info(redis, "aof_last_bgrewrite_status") == "ok"
        mark = f"mark-{time.monotonic_ns()}"
        assert redis("SET", "appended", mark) == "OK"

        def written() -> bool:
            return any(mark.encode() in path.read_bytes() for path in DATA.rglob("*.aof"))

        steps.until(written, "the command in the append-only file")
        assert redis("BGREWRITEAOF") == "Background append only file rewriting started"
        steps.until(lambda: _info(redis, "aof_rewrite_in_progress") == "0", "the rewritten file")
        assert _info(redis, "aof_last_bgrewrite_status") == "ok"
        assert redis("CONFIG", "SET", "appendonly", "no") == "OK"


def rewrite_config(context: Context) -> None:
    """CONFIG REWRITE: the configuration belongs to the administrator, so it fails once confined."""
    before = Path(CONFIG).read_bytes()
    with client() as redis:
        assert redis("CONFIG", "SET", "slowlog-max-len", 129) == "OK"
        reply = redis("CONFIG", "REWRITE")
        assert redis("CONFIG", "SET", "slowlog-max-len", 128) == "OK"
    if context.confined:
        assert isinstance(reply, RedisError) and "Rewriting config file" in reply, reply
        assert Path(CONFIG).read_bytes() == before
    else:
        assert reply == "OK", reply
        assert b"slowlog-max-len 129" in Path(CONFIG).read_bytes()
        _put_back(before)


def _put_back(content: bytes) -> None:
    with open(CONFIG, "r+b") as config:  # in place: owner and mode stay
        config.write(content)
        config.truncate()


def calls_nobody(context: Context) -> None:
    """MIGRATE reaches another server, and none once confined."""
    with socket.create_server(("127.0.0.1", 6399)) as other, client() as redis:
        other.settimeout(2)
        redis.send(("MIGRATE", "127.0.0.1", 6399, "name", 0, 500))
        try:
            other.accept()[0].close()
            reached = True
        except socket.timeout:  # noqa: UP041 (3.9: not yet a TimeoutError)
            reached = False
        reply = redis.receive()
    assert isinstance(reply, RedisError), reply
    assert reached is not context.confined, f"reached: {reached}, reply {reply!r}"


def restart_keeps(context: Context) -> None:
    """A restart saves and keeps everything."""
    with client() as redis:
        size = redis("DBSIZE")
        assert size > 5000
    steps.restart(UNIT)
    _until_up()
    with client() as redis:
        steps.until(lambda: _info(redis, "loading") == "0", "the data to load")
        assert redis("DBSIZE") == size
        assert redis("GET", "name") == "Grüße 世界"


STEPS = (
    basics,
    pipeline,
    transaction,
    publish,
    unix_socket,
    snapshot,
    append_only,
    rewrite_config,
    calls_nobody,
    restart_keeps,
)
