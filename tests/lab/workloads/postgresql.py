# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL as its users use it: SQL, COPY, dump, extensions, crash recovery, restart. Runs on the host."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from functools import lru_cache
from pathlib import Path

import steps
from steps import Context

DATABASE, ROLE, COPY = "workload", "workload", "workload_copy"
PASSWORD = secrets.token_hex(12)


@lru_cache(maxsize=1)
def cluster() -> tuple[str, str, str, str]:
    """(version, name, port, log file) of the host's one cluster, as Debian's tools tell it."""
    lines = steps.command("pg_lsclusters", "-h").split("\n")
    version, name, port, _status, _owner, _data, log = lines[0].split()[:7]
    return version, name, port, log


def unit() -> str:
    version, name, *_ = cluster()
    return f"postgresql@{version}-{name}.service"


def program(name: str) -> str:
    """The version's own program: the wrapper in /usr/bin starts Perl each time, seconds on a slow host."""
    return f"/usr/lib/postgresql/{cluster()[0]}/bin/{name}"


class SqlError(AssertionError):
    """What the server answered to a statement that failed."""


class Session:
    """One psql that stays, as an application's connection does."""

    def __init__(self, *argv: str) -> None:
        self._process = subprocess.Popen(
            [*argv, "-XAtqw"],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
        )

    def __call__(self, sql: str) -> str:
        """What the statements print; SqlError when one of them fails."""
        assert self._process.stdin and self._process.stdout
        mark = f"--end-{time.monotonic_ns()}--"
        lines: list[str] = []
        try:
            # psql 17 takes what follows an empty statement after COPY's last line for data of that COPY
            end = "" if sql.rstrip().endswith("\\.") else ";"
            self._process.stdin.write(f"{sql}\n{end}\n\\echo {mark}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said before it ended follows
        for line in self._process.stdout:
            if line.startswith(mark):
                break
            lines.append(line.rstrip("\n"))
        else:
            raise SqlError("the connection ended: " + " ".join(lines))
        faults = [line for line in lines if line.startswith(("ERROR:", "FATAL:")) or ": ERROR: " in line]
        if faults:
            raise SqlError(" ".join(lines))
        return "\n".join(lines)

    def close(self) -> None:
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait(15)
        if self._process.stdout:
            self._process.stdout.close()


SESSIONS: dict[str, Session] = {}


def _session(key: str, *argv: str) -> Session:
    if key not in SESSIONS:
        SESSIONS[key] = Session(*argv)
    return SESSIONS[key]


def _forget_sessions() -> None:
    for key in list(SESSIONS):
        SESSIONS.pop(key).close()


def _as_admin(name: str) -> list[str]:
    return [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        program(name),
        "-p",
        cluster()[2],
    ]


def _admin(sql: str, database: str = DATABASE) -> str:
    """SQL of the server's own account over the UNIX socket."""
    return _session(f"admin {database}", *_as_admin("psql"), "-d", database)(sql)


def _url(password: str) -> str:
    return f"postgresql://{ROLE}:{password}@127.0.0.1:{cluster()[2]}/{DATABASE}"


def _client(sql: str) -> str:
    """SQL of an ordinary role over TCP with a password, as an application sends it."""
    return _session("client", program("psql"), _url(PASSWORD))(sql)


def _refused(sql: str) -> str:
    """What the server says to SQL of its own account that must fail; over a connection of its own."""
    argv = [*_as_admin("psql"), "-d", DATABASE, "-XAtqw", "-c", sql]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", timeout=60, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        raise AssertionError(f"{sql} should have failed, it said {done.stdout[:200]!r}")
    return done.stderr


def _until_up() -> None:
    def answers() -> bool:
        try:
            return _admin("SELECT 1", "postgres") == "1"
        except SqlError:
            _forget_sessions()
            return False

    steps.until(answers, "PostgreSQL to answer", 60)


def prepare() -> None:
    steps.remember_service("postgresql.service")
    steps.remember_service(unit())
    steps.command("systemctl", "enable", "--quiet", "postgresql.service")
    steps.command("systemctl", "start", "postgresql.service", unit())
    _until_up()
    _drop()
    _forget_sessions()


def cleanup() -> None:
    if steps.show(unit(), "ActiveState") == "active":
        _until_up()
        _drop()
        _forget_sessions()
    steps.restore_service(unit())
    steps.restore_service("postgresql.service")
    steps.forget()


def _drop() -> None:
    for name in (DATABASE, COPY):
        _admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres")
    _admin(f"DROP ROLE IF EXISTS {ROLE}", "postgres")


def create(context: Context) -> None:
    """A role and its database are made over the UNIX socket."""
    _until_up()
    _drop()
    _admin(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'", "postgres")
    _admin(f"CREATE DATABASE {DATABASE} OWNER {ROLE}", "postgres")
    assert _admin("SELECT inet_server_addr() IS NULL AND current_user = 'postgres'") == "t"


def over_tcp(context: Context) -> None:
    """The role connects over TCP with its password, and not with another."""
    assert _client("SELECT current_user, inet_server_addr()") == f"{ROLE}|127.0.0.1"
    said = steps.fails(program("psql"), "-XAtqw", _url("wrong"), "-c", "SELECT 1")
    assert "password authentication failed" in said, said


def transactions(context: Context) -> None:
    """A rollback leaves nothing, a commit stays, a constraint holds."""
    _client("CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0))")
    _client("INSERT INTO account VALUES (1, 100), (2, 0)")
    _client("BEGIN; UPDATE account SET balance = 0; ROLLBACK")
    assert _client("SELECT sum(balance) FROM account") == "100"
    move = (
        "BEGIN; UPDATE account SET balance = balance - {0} WHERE id = 1; "
        "UPDATE account SET balance = balance + {0} WHERE id = 2; COMMIT"
    )
    _client(move.format(30))
    assert _client("SELECT string_agg(balance::text, ',' ORDER BY id) FROM account") == "70,30"
    assert "violates check constraint" in _refused(move.format(1000))
    assert _client("SELECT sum(balance) FROM account") == "100"


def copy_in(context: Context) -> None:
    """COPY FROM STDIN loads 20,000 rows; an index over them is used."""
    rows = "".join(f"{i}\tname {i % 977}\t{i * 7 % 1000}\n" for i in range(20000))
    started = time.monotonic()
    _client(f"CREATE TABLE item (id int, name text, price int);\nCOPY item FROM STDIN;\n{rows}\\.\n")
    context.figures["copy_rows_per_second"] = round(20000 / (time.monotonic() - started))
    assert _client("SELECT count(*), sum(id) FROM item") == "20000|199990000"
    _client("CREATE INDEX item_name ON item (name); ANALYZE item")
    assert "item_name" in _client("EXPLAIN SELECT * FROM item WHERE name = 'name 5'")
    assert _client("SELECT count(*) FROM item WHERE name = 'name 5'") == "21"


def vacuum(context: Context) -> None:
    """Deleted rows are vacuumed away."""
    _client("DELETE FROM item WHERE id % 2 = 1")
    _client("VACUUM (ANALYZE) item")
    assert _client("SELECT count(*) FROM item") == "10000"
    dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'item'"
    steps.until(lambda: _client(dead) == "0", "no dead rows")


def parallel_and_spill(context: Context) -> None:
    """Parallel workers share memory, and a sort that does not fit spills into a file."""
    force = "debug_parallel_query" if int(cluster()[0]) >= 16 else "force_parallel_mode"
    _client(f"SET {force} = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0")
    _client("SET min_parallel_table_scan_size = 0; SET work_mem = '64kB'")
    explain = "EXPLAIN (ANALYZE, TIMING off, COSTS off)"
    plan = _client(f"{explain} SELECT sum(price) FROM item")
    assert "Workers Launched: " in plan and "Workers Launched: 0" not in plan, plan
    plan = _client(f"SET {force} = off; {explain} SELECT * FROM item ORDER BY price, name")
    assert "external merge  Disk" in plan, plan
    _client("RESET ALL")


def just_in_time(context: Context) -> None:
    """A query compiled just in time gives the same sum, where the server can compile."""
    query = "SELECT sum(price * 2 + id) FROM item WHERE price % 3 = 1"
    plain = _client(f"SET jit = off; {query}")
    _client("SET jit = on; SET jit_above_cost = 0")
    assert _client(query) == plain
    if Path(f"/usr/lib/postgresql/{cluster()[0]}/lib/llvmjit.so").exists():
        assert "JIT:" in _client(f"EXPLAIN {query}")
    _client("RESET ALL")


def dump(context: Context) -> None:
    """pg_dump gives all, and what it gives can be restored."""
    script = steps.command(*_as_admin("pg_dump"), DATABASE)
    assert "COPY public.account" in script
    _admin(f"CREATE DATABASE {COPY}", "postgres")
    _admin(script, COPY)
    SESSIONS.pop(f"admin {COPY}").close()  # the script empties its session's search path
    assert _admin("SELECT count(*), sum(id) FROM item", COPY) == _client("SELECT count(*), sum(id) FROM item")
    SESSIONS.pop(f"admin {COPY}").close()
    _admin(f"DROP DATABASE {COPY}", "postgres")


def extension(context: Context) -> None:
    """An extension's library loads and works."""
    _admin("CREATE EXTENSION pg_trgm")
    assert float(_client("SELECT similarity('bulkhead', 'bulkheads')")) > 0.7
    assert _client("SELECT encode(sha256('x'), 'hex') LIKE '2d711642%'") == "t"


def other_processes(context: Context) -> None:
    """No program can be started from SQL once confined."""
    witness = "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null'"
    if context.confined:
        said = _refused(witness)
        assert "could not execute command" in said or "failed" in said, said
    else:
        _admin(witness)


def other_files(context: Context) -> None:
    """SQL reads and writes no file of others once confined."""
    read = "SELECT length(pg_read_file('/var/lib/dpkg/status')) > 0"
    place = Path("/var/tmp/workload-from-sql")
    place.unlink(missing_ok=True)
    write = f"COPY (SELECT 1) TO '{place}'"
    try:
        if context.confined:
            _refused(read)
            with contextlib.suppress(SqlError):  # a folder of the service's own may take it
                _admin(write)
            assert not place.exists(), f"{place} was written on the host"
        else:
            assert _admin(read) == "t"
            _admin(write)
            assert place.read_text() == "1\n"
    finally:
        place.unlink(missing_ok=True)


def own_files(context: Context) -> None:
    """Server-side COPY into the data folder works: the grants are no smaller than needed."""
    folder = Path(_admin("SHOW data_directory"))
    place = folder / "workload.copy"
    try:
        _admin(f"COPY (SELECT 42) TO '{place}'")
        assert place.read_text() == "42\n"
    finally:
        place.unlink(missing_ok=True)


def settings(context: Context) -> None:
    """ALTER SYSTEM and a reload change a setting without a restart."""
    before = steps.main_pid(unit())
    _admin("ALTER SYSTEM SET log_min_duration_statement = '7s'")
    steps.command("systemctl", "reload", unit())
    steps.until(lambda: _admin("SHOW log_min_duration_statement") == "7s", "the new setting")
    _admin("ALTER SYSTEM RESET log_min_duration_statement")
    steps.command("systemctl", "reload", unit())
    steps.until(lambda: _admin("SHOW log_min_duration_statement") == "-1", "the old setting")
    assert steps.main_pid(unit()) == before


def log(context: Context) -> None:
    """An error is in the cluster's log file."""
    mark = f"no_such_table_{time.monotonic_ns()}"
    _refused(f"SELECT * FROM {mark}")
    steps.until(lambda: mark in Path(cluster()[3]).read_text(errors="replace"), "the error in the log")


def crash(context: Context) -> None:
    """A backend killed with -9 makes the server recover by itself; committed rows stay."""
    _client("INSERT INTO account VALUES (3, 7)")
    main = steps.main_pid(unit())
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    victim = _admin(query, "postgres")
    os.kill(int(victim), signal.SIGKILL)

    def recovered() -> bool:
        _until_up()
        with contextlib.suppress(SqlError):
            return _admin(query, "postgres") not in ("", victim)
        return False

    steps.until(recovered, "the recovered server", 30)
    _forget_sessions()
    assert _client("SELECT balance FROM account WHERE id = 3") == "7"
    assert steps.main_pid(unit()) == main


def restart_keeps(context: Context) -> None:
    """A restart is clean and keeps everything."""
    before = _client("SELECT count(*), sum(id) FROM item")
    size = Path(cluster()[3]).stat().st_size
    _forget_sessions()
    steps.restart(unit())
    _until_up()
    assert _client("SELECT count(*), sum(id) FROM item") == before
    with Path(cluster()[3]).open(errors="replace") as stream:
        stream.seek(size)
        said = stream.read()
    assert "database system was shut down at" in said and "not properly shut down" not in said, said[-500:]


STEPS = (
    create,
    over_tcp,
    transactions,
    copy_in,
    vacuum,
    parallel_and_spill,
    just_in_time,
    dump,
    extension,
    other_processes,
    other_files,
    own_files,
    settings,
    log,
    crash,
    restart_keeps,
)
