# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A message board over HTTP with a file-backed store: it stands for the many small in-house services.

Python 3.9 or newer, standard library only. ``bulletin.py CONFIG`` with an INI file:

    [server]  address, port
    [board]   title
    [store]   path      (SQLite)
    [log]     access    (one line per request)
    [backend] url       (optional: the one service that the board calls)

SIGTERM ends it after the requests under way, SIGHUP reads the file again and opens the log again.
"""

from __future__ import annotations

import configparser
import contextlib
import http.server
import json
import signal
import sqlite3
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

MAX_MESSAGE = 64 * 1024


class Store:
    """Messages in one SQLite file. A connection per call: SQLite connections do not cross threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        with contextlib.closing(self._connect()) as connection, connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS message"
                " (id INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL, posted REAL NOT NULL)"
            )

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=10)

    def add(self, author: str, text: str) -> int:
        with contextlib.closing(self._connect()) as connection, connection:
            cursor = connection.execute(
                "INSERT INTO message (author, text, posted) VALUES (?, ?, ?)", (author, text, time.time())
            )
            return int(cursor.lastrowid or 0)

    def latest(self, limit: int = 100) -> list[dict[str, Any]]:
        with contextlib.closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT id, author, text FROM message ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
        return [{"id": row[0], "author": row[1], "text": row[2]} for row in rows]


class Board:
    """What is shared by all requests. ``reload`` swaps settings and log, never the store."""

    def __init__(self, config_path: str) -> None:
        self.config_path = config_path
        self.settings = self._read()
        self.store = Store(self.settings["store"]["path"])
        self._log_lock = threading.Lock()
        self._log = self._open_log()

    def _read(self) -> configparser.ConfigParser:
        settings = configparser.ConfigParser(interpolation=None)
        with open(self.config_path, encoding="utf-8") as file:
            settings.read_file(file)
        return settings

    def _open_log(self) -> Any:
        return open(self.settings["log"]["access"], "a", encoding="utf-8", buffering=1)

    def reload(self) -> None:
        """A broken file keeps the old settings: a reload never stops the service."""
        try:
            self.settings = self._read()
            with self._log_lock:
                self._log, old = self._open_log(), self._log
                old.close()
        except (OSError, configparser.Error, KeyError) as error:
            print(f"bulletin: reload failed, settings kept: {error}", file=sys.stderr, flush=True)

    def log(self, line: str) -> None:
        with self._log_lock:
            self._log.write(line + "\n")

    def ask_backend(self) -> tuple[int, dict[str, Any]]:
        """(status, answer) of one call to the backend; 502 and the reason when it cannot be reached."""
        url = self.settings.get("backend", "url", fallback="")
        if not url:
            return 404, {"error": "no backend configured"}
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return 200, {"backend": answer.read(MAX_MESSAGE).decode("utf-8", "replace")}
        except OSError as error:
            return 502, {"error": str(getattr(error, "reason", error))}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 15
    board: Board

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200, {"status": "ok", "title": self.board.settings["board"]["title"]})
        elif self.path == "/messages":
            self._answer(200, self.board.store.latest())
        elif self.path == "/backend":
            self._answer(*self.board.ask_backend())
        else:
            self._answer(404, {"error": "no such page"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/messages" or not 0 < length <= MAX_MESSAGE:
            self.close_connection = True
            self._answer(404 if self.path != "/messages" else 413, {"error": "not accepted"})
            return
        try:
            message = json.loads(self.rfile.read(length))
            number = self.board.store.add(str(message["author"]), str(message["text"]))
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, {"error": f"not a message: {error!r}"})
        except sqlite3.Error as error:
            self._answer(507, {"error": f"cannot store: {error}"})
        else:
            self._answer(201, {"id": number})

    def _answer(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        self.board.log(f"{self.client_address[0]} {self.log_date_time_string()} {format % arguments}")


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        print(f"usage: {sys.argv[0]} CONFIG", file=sys.stderr)
        return 2
    board = Board(sys.argv[1])
    Handler.board = board
    address = (board.settings["server"]["address"], board.settings.getint("server", "port"))
    server = http.server.ThreadingHTTPServer(address, Handler)
    server.daemon_threads = False  # server_close() then waits for the requests under way
    signal.signal(signal.SIGHUP, lambda *_: board.reload())
    # shutdown() waits for serve_forever(), which runs in this very thread: it needs another one.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.2)
    server.server_close()
    print("bulletin: stopped", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
