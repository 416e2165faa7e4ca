# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx as its users use it: static files, proxy, TLS, reload, log rotation. Runs on the host.

The application server behind the proxy is the bulletin board.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import time
from pathlib import Path

import steps
from bulletin import workload as bulletin
from steps import Context

UNIT = "nginx.service"
SITE = "/etc/nginx/conf.d/workload.conf"
KEYS = Path("/etc/nginx/workload-tls")
ROOT = Path("/var/www/workload")
ACCESS, ERROR = Path("/var/log/nginx/access.log"), Path("/var/log/nginx/error.log")
HOST = {"Host": "workload.test"}
BIG = bytes(range(256)) * 4096 * 16  # 16 MiB

SERVER = """
server {{
    listen 80;
    listen [::]:80;
    listen 443 ssl;
    server_name workload.test;
    ssl_certificate /etc/nginx/workload-tls/site.crt;
    ssl_certificate_key /etc/nginx/workload-tls/site.key;
    root /var/www/workload;
    location / {{ try_files $uri $uri/ =404; }}
    location /board/ {{ proxy_pass http://127.0.0.1:8200/; proxy_buffers 4 4k; proxy_busy_buffers_size 8k; }}
    location = /private {{ internal; }}
    {extra}
}}
"""


def prepare() -> None:
    """A site of its own beside the distribution's default one, and the board behind it."""
    bulletin.prepare()
    steps.remember_service(UNIT)
    steps.write(str(ROOT / "index.html"), "<h1>static</h1>\n")
    steps.write(str(ROOT / "with space & ünïcode.txt"), "odd name\n")
    steps.write(str(ROOT / "big.bin"), BIG)
    KEYS.mkdir(mode=0o755, exist_ok=True)
    if not (KEYS / "site.key").exists():
        steps.command(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "30", "-subj", "/CN=workload.test", "-addext", "subjectAltName=DNS:workload.test",
            "-keyout", str(KEYS / "site.key"), "-out", str(KEYS / "site.crt"),
        )  # fmt: skip
        shutil.chown(KEYS / "site.key", "www-data", "www-data")
        (KEYS / "site.key").chmod(0o400)
    steps.write(SITE, SERVER.format(extra=""))
    steps.command("systemctl", "enable", "--quiet", UNIT)
    steps.restart(UNIT)
    steps.until(lambda: _get("/").status == 200, "nginx to answer")


def cleanup() -> None:
    Path(SITE).unlink(missing_ok=True)
    for folder in (KEYS, ROOT):
        shutil.rmtree(folder, ignore_errors=True)
    steps.restore_service(UNIT)
    bulletin.cleanup()
    steps.forget()


def _get(path: str, **headers: str) -> steps.Answer:
    return steps.http_request(
        80, path, headers={**HOST, **{k.replace("_", "-"): v for k, v in headers.items()}}
    )


def static_file(context: Context) -> None:
    """Static files come byte for byte, odd names and folders too."""
    answer = steps.until(lambda: _get("/index.html"), "nginx")
    assert (answer.status, answer.body) == (200, b"<h1>static</h1>\n")
    assert answer.headers["content-type"] == "text/html"
    assert _get("/").body == b"<h1>static</h1>\n"
    assert _get("/with%20space%20&%20%C3%BCn%C3%AFcode.txt").body == b"odd name\n"


def default_site(context: Context) -> None:
    """The distribution's own default site still answers."""
    answer = steps.http_request(80, "/")
    assert answer.status == 200 and b"nginx" in answer.body, answer.body[:200]


def big_file(context: Context) -> None:
    """A file of 16 MiB arrives whole, and in ranges."""
    answer = _get("/big.bin")
    assert len(answer.body) == len(BIG)
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(BIG).digest()
    part = _get("/big.bin", Range="bytes=1000-1999")
    assert (part.status, part.body) == (206, BIG[1000:2000])


def conditional(context: Context) -> None:
    """An unchanged file is answered with 304."""
    tag = _get("/index.html").headers["etag"]
    assert _get("/index.html", If_None_Match=tag).status == 304


def missing(context: Context) -> None:
    """Missing and internal pages are 404, climbing out is refused."""
    assert _get("/nothing-here").status == 404
    assert _get("/private").status == 404
    assert _get("/../../../etc/passwd").status == 400


def proxy(context: Context) -> None:
    """The proxy passes requests and bodies to the board and answers back."""
    assert _get("/board/healthz").data["status"] == "ok"
    text = f"through the proxy {time.monotonic_ns()}"
    body = json.dumps({"author": "nginx", "text": text}).encode()
    posted = steps.http_request(80, "/board/messages", "POST", body, HOST)
    assert posted.status == 201, posted.body
    assert text in [message["text"] for message in _get("/board/messages").data]


def big_body(context: Context) -> None:
    """A body beyond the memory buffer goes through a temporary file, and so does a big answer."""
    text = "x" * 40000
    body = json.dumps({"author": "nginx", "text": text}).encode()
    posted = steps.http_request(80, "/board/messages", "POST", body, HOST)
    assert posted.status == 201, posted.body
    assert _get("/board/messages").data[0]["text"] == text


def tls(context: Context) -> None:
    """TLS with a verified certificate."""
    authority = ssl.create_default_context(cafile=str(KEYS / "site.crt"))
    authority.check_hostname = False  # the connection is made to 127.0.0.1; the chain is still verified
    answer = steps.http_request(443, "/index.html", headers=HOST, authority=authority)
    assert (answer.status, answer.body) == (200, b"<h1>static</h1>\n")


def access_log(context: Context) -> None:
    """The access log has a line with request, status, size and agent."""
    mark = f"/mark-{time.monotonic_ns()}"
    _get(mark, User_Agent="workload/1")
    line = steps.until(lambda: [x for x in ACCESS.read_text().splitlines() if mark in x], "the log line")[0]
    assert (
        line.startswith("127.0.0.1 - - [") and f'"GET {mark} HTTP/1.1" 404 ' in line and "workload/1" in line
    )


def error_log(context: Context) -> None:
    """A dead application server is answered with 502 and told in the error log."""
    steps.command("systemctl", "stop", bulletin.UNIT)
    try:
        assert _get("/board/healthz").status == 502
        steps.until(lambda: "connect() failed" in ERROR.read_text(), "the line in the error log")
    finally:
        steps.command("systemctl", "start", bulletin.UNIT)
    steps.until(lambda: _get("/board/healthz").status == 200, "the board behind the proxy")


def reload_takes_effect(context: Context) -> None:
    """A changed configuration takes effect by reload, with the same main process."""
    before = steps.show(UNIT, "MainPID")
    steps.write(SITE, SERVER.format(extra='location = /new { return 200 "second"; }'))
    steps.command("systemctl", "reload", UNIT)
    steps.until(lambda: _get("/new").body == b"second", "the new location")
    steps.write(SITE, SERVER.format(extra=""))
    steps.command("systemctl", "reload", UNIT)
    steps.until(lambda: _get("/new").status == 404, "the old configuration")
    assert steps.show(UNIT, "MainPID") == before


def bad_reload(context: Context) -> None:
    """A faulty configuration fails the reload and the old one goes on."""
    try:
        steps.write(SITE, SERVER.format(extra="nonsense on;"))
        steps.fails("systemctl", "reload", UNIT)
    finally:
        steps.write(SITE, SERVER.format(extra=""))
    assert _get("/index.html").status == 200
    assert steps.show(UNIT, "ActiveState") == "active"


def log_rotation(context: Context) -> None:
    """After mv, create and USR1, as logrotate does it, lines go to a new log and not to the old one."""
    old = ACCESS.with_name("access.log.workload")
    ACCESS.rename(old)
    steps.write(str(ACCESS), b"", 0o640, "www-data:adm")  # logrotate's own "create 0640 www-data adm"
    os.kill(steps.main_pid(UNIT), signal.SIGUSR1)
    try:
        mark = f"/rotated-{time.monotonic_ns()}"

        def logged() -> bool:  # workers reopen one after the other: the last line decides
            _get(mark)
            return ACCESS.read_text().count(mark) >= 3

        steps.until(logged, "lines in the new access log")
        size = old.stat().st_size
        for _ in range(8):
            _get(mark)
        assert old.stat().st_size == size, "a worker still writes to the rotated log"
    finally:
        old.unlink()


def worker_dies(context: Context) -> None:
    """A killed worker is replaced by the master."""
    main = str(steps.main_pid(UNIT))
    workers = set(_workers(main))
    victim = sorted(workers)[0]
    os.kill(victim, signal.SIGKILL)
    steps.until(lambda: len(set(_workers(main)) - {victim}) == len(workers), "a new worker")
    assert _get("/index.html").status == 200


def _workers(main: str) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]


def workers_unprivileged(context: Context) -> None:
    """Workers run as www-data, and the pid file names the main process."""
    main = str(steps.main_pid(UNIT))
    for worker in _workers(main):
        assert Path(f"/proc/{worker}").owner() == "www-data"
    assert Path("/run/nginx.pid").read_text().strip() == main


def forbidden_peer(context: Context) -> None:
    """A proxy to a service that the policy does not name fails once confined."""
    port = 9310
    with steps.backend(port):
        steps.write(
            SITE, SERVER.format(extra=f"location = /other {{ proxy_pass http://127.0.0.1:{port}/; }}")
        )
        steps.command("systemctl", "reload", UNIT)
        try:
            answer = steps.until(lambda: (a := _get("/other")).status != 404 and a, "the new location")
        finally:
            steps.write(SITE, SERVER.format(extra=""))
            steps.command("systemctl", "reload", UNIT)
    if context.confined:
        assert answer.status in (502, 504), f"reached {port}: {answer.status} {answer.body[:80]!r}"
    else:
        assert (answer.status, answer.body) == (200, f"backend {port}".encode())


def restarts(context: Context) -> None:
    """Serves again after a restart, and says nothing in its own log about missing rights."""
    before = ERROR.stat().st_size
    steps.restart(UNIT)
    assert steps.until(lambda: _get("/index.html"), "nginx after a restart").status == 200
    with ERROR.open() as log:
        log.seek(before)
        # Without root nginx cannot remove its PID file from /run at the end; nothing depends on that.
        complaints = [
            line
            for line in log
            if ("[emerg]" in line or "Permission denied" in line) and 'unlink() "/run/nginx.pid"' not in line
        ]
    assert not complaints, complaints[:3]


def throughput(context: Context) -> None:
    """Static requests per second over connections that stay open."""
    request = b"GET /index.html HTTP/1.1\r\nHost: workload.test\r\n\r\n"
    count, connections = 500, 4
    started = time.monotonic()
    for _ in range(connections):
        with socket.create_connection(("127.0.0.1", 80), timeout=15) as connection:
            for _ in range(count):
                connection.sendall(request)
                answer = connection.recv(65536)
                while not answer.endswith(b"<h1>static</h1>\n"):
                    piece = connection.recv(65536)
                    assert piece, f"the connection ended after {answer[:200]!r}"
                    answer += piece
    seconds = time.monotonic() - started
    context.figures["static_requests_per_second"] = round(count * connections / seconds)


STEPS = (
    static_file,
    default_site,
    big_file,
    conditional,
    missing,
    proxy,
    big_body,
    tls,
    access_log,
    error_log,
    reload_takes_effect,
    bad_reload,
    log_rotation,
    worker_dies,
    workers_unprivileged,
    forbidden_peer,
    restarts,
    throughput,
)
